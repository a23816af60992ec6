//! A suspension reaches everything of the person, however the person or the account was renamed.

use super::*;
use crate::{
    clock::Timestamp,
    store::{Put, SealedToken},
};
use feudal_plugins::local_unix::{LocalUnix, LocalUnixConfig, SystemNames};
use motley_proto::Uid;

const HOST: Suspender = Suspender::Host { uid: 0 };

fn slashed(who: &Verified) -> Identity {
    let identity = who.identity();
    Identity::new(Issuer::new(format!("{}/", identity.issuer)).unwrap(), identity.subject.clone())
}

async fn state(bench: &Bench, identity: &Identity) -> AccountState {
    bench.accounts.standing(identity).await.unwrap().state
}

#[tokio::test]
async fn r28_a_suspension_holds_whether_or_not_the_issuer_is_written_with_a_slash() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let deployment = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    bench.backend.open_sessions(&deployment.name, 2);
    let receipt = bench.accounts.suspend(&slashed(&jane), HOST, "r").await.unwrap();
    assert_eq!((receipt.name, receipt.sessions.sessions), (Some(deployment.name), 2));
    assert_eq!(state(&bench, jane.identity()).await, AccountState::Suspended);
    let account = bench.backend.find(jane.identity()).await.unwrap().unwrap();
    assert_eq!(account.state, AccountState::Suspended, "the back end is locked too");

    let receipt = bench.accounts.resume(&slashed(&jane), HOST, "r").await.unwrap();
    assert_eq!((receipt.state, receipt.pending.len()), (AccountState::Deployed, 0));
    assert_eq!(state(&bench, jane.identity()).await, AccountState::Deployed);
}

#[tokio::test]
async fn r28_somebody_suspended_in_advance_under_the_other_spelling_gets_no_account() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.suspend(&slashed(&jane), HOST, "r").await.unwrap();
    assert_eq!(state(&bench, jane.identity()).await, AccountState::Suspended);
    assert!(bench.accounts.deploy(&jane, Tier::Full, "r").await.is_err());
    bench.accounts.resume(jane.identity(), HOST, "r").await.unwrap();
    assert!(bench.accounts.deploy(&jane, Tier::Full, "r").await.is_ok());
}

#[tokio::test]
async fn r28_an_account_that_was_renamed_on_the_host_is_locked_and_its_sessions_end() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let (old, new) = (UserName::new("old").unwrap(), UserName::new("new").unwrap());
    let uid = Uid::new(2001).unwrap();
    bench.accounts.store().commit(jane.identity(), &old, Some(uid), Timestamp(1)).await.unwrap();
    bench.backend.insert(Account {
        identity: Some(jane.identity().clone()),
        name: new.clone(),
        uid: Some(uid.get()),
        gid: Some(uid.get()),
        home: "/home/new".to_owned(),
        shell: "/bin/sh".to_owned(),
        state: AccountState::Deployed,
        groups: Vec::new(),
    });
    bench.backend.open_sessions(&new, 1);
    let receipt = bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!((receipt.name, receipt.sessions.sessions), (Some(new.clone()), 1));
    let account = bench.backend.by_name(&new).await.unwrap().unwrap();
    assert_eq!(account.state, AccountState::Suspended);
}

/// The same accounts over a host that has one of this person, where nobody answers for root.
fn without_helper(bench: &Bench, jane: &Verified, host: &std::path::Path) -> Accounts {
    let etc = host.join("etc");
    std::fs::create_dir(&etc).unwrap();
    let gecos = jane.identity().unique_id();
    let line = format!("jane:x:4711:4711:{gecos}:/home/jane:/bin/sh\n");
    std::fs::write(etc.join("passwd"), line).unwrap();
    std::fs::write(etc.join("group"), "jane:x:4711:\n").unwrap();
    let backend = LocalUnix::with_sources(
        LocalUnixConfig::standard().unwrap(),
        &host.join("nobody-listens.sock"),
        host,
        Arc::new(SystemNames),
    );
    Accounts::new(AccountParts {
        store: bench.accounts.store.clone(),
        host: backend.host(),
        backend: Arc::new(backend),
        passwords: bench.accounts.passwords.clone(),
        audit: bench.accounts.audit.clone(),
        clock: bench.accounts.clock.clone(),
        forget: bench.accounts.forget.clone(),
        locks: Arc::default(),
        rules: rules(friendly()),
        approval: None,
        lifecycle: Lifecycle::default(),
    })
}

#[tokio::test]
async fn r28_a_person_is_suspended_by_name_though_the_root_helper_is_down() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let host = tempfile::tempdir().unwrap();
    let accounts = without_helper(&bench, &jane, host.path());
    let (name, uid) = (UserName::new("jane").unwrap(), Uid::new(4711).unwrap());
    bench.accounts.store().commit(jane.identity(), &name, Some(uid), Timestamp(1)).await.unwrap();
    assert!(accounts.standing_of_name(&name).await.is_err(), "nobody can say what state it is in");
    let named = accounts.identity_of_name(&name).await.unwrap().unwrap();
    accounts.suspend(&named, HOST, "r").await.unwrap();
    assert!(accounts.is_suspended(jane.identity()).await.unwrap());
}

#[tokio::test]
async fn r28_a_suspension_over_rest_holds_though_the_root_helper_is_down() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let host = tempfile::tempdir().unwrap();
    let accounts = without_helper(&bench, &jane, host.path());
    assert!(
        accounts.standing(jane.identity()).await.is_err(),
        "nobody can say what state it is in"
    );
    let answer = accounts.suspend_account(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!(answer.state, AccountState::Suspended);
    assert!(accounts.is_suspended(jane.identity()).await.unwrap());
    assert!(accounts.resume_account(jane.identity(), HOST, "r").await.is_err());
}

#[tokio::test]
async fn r18_a_password_that_was_asked_for_before_the_suspension_is_not_stored_after_it() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    for identity in [jane.identity().clone(), slashed(&jane)] {
        let row = SealedToken { identity, sealed: vec![1], expires_at: SystemClock.now().plus(60) };
        let put = bench.accounts.store().put_one_time_password(&[1; 32], &row, ROOM).await.unwrap();
        assert_eq!(put, Put::Suspended);
    }
    assert_eq!(bench.accounts.passwords.drop_all_of(jane.identity()).await.unwrap(), 0);
}

#[tokio::test]
async fn r28_what_a_suspension_began_is_undone_though_it_was_never_complete() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    // The account is not locked, its jobs are held all the same.
    bench.backend.fail_next(BackendError::Busy);
    let receipt = bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!(receipt.pending.len(), 1, "{receipt:?}");
    assert!(bench.backend.calls().contains(&"hold jdoe".to_owned()));
    let before = bench.backend.calls().len();
    let receipt = bench.accounts.resume(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!((receipt.state, receipt.pending), (AccountState::Deployed, Vec::new()));
    let calls = bench.backend.calls().split_off(before);
    for call in ["resume jdoe", "release jdoe"] {
        assert!(calls.contains(&call.to_owned()), "{calls:?}");
    }
}
