//! A suspension reaches everything of the person, however the person or the account was renamed.

use super::*;
use crate::{
    clock::Timestamp,
    store::{Put, SealedToken},
};
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
    bench.accounts.store().commit(jane.identity(), &old, uid, Timestamp(1)).await.unwrap();
    bench.backend.insert(Account {
        identity: Some(jane.identity().clone()),
        name: new.clone(),
        uid: uid.get(),
        gid: uid.get(),
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

#[tokio::test]
async fn r18_a_password_that_was_asked_for_before_the_suspension_is_not_stored_after_it() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    for identity in [jane.identity().clone(), slashed(&jane)] {
        let row = SealedToken { identity, sealed: vec![1], expires_at: SystemClock.now().plus(60) };
        let put = bench.accounts.store().put_one_time_password(&[1; 32], &row, 9).await.unwrap();
        assert_eq!(put, Put::Suspended);
    }
    assert_eq!(bench.accounts.passwords.drop_all_of(jane.identity()).await.unwrap(), 0);
}
