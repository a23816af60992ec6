//! An account that is taken away is gone for everybody at once, and its name is nobody else's for ever.

use super::*;
use crate::{clock::Timestamp, store::SealedToken};
use motley_proto::task::HomeFate;

const HOST: Suspender = Suspender::Host { uid: 0 };

async fn state(bench: &Bench, who: &Verified) -> AccountState {
    bench.accounts.standing(who.identity()).await.unwrap().state
}

#[tokio::test]
async fn r23_a_removed_account_leaves_its_name_to_nobody_and_comes_back_to_its_owner() {
    let bench = bench(pooled()).await;
    let (jane, kim) = (person("1", "x"), person("2", "y"));
    let first = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    let uid = bench.backend.find(jane.identity()).await.unwrap().unwrap().uid;
    bench.backend.open_sessions(&first.name, 2);
    let sealed = SealedToken {
        identity: jane.identity().clone(),
        sealed: vec![1],
        expires_at: Timestamp(i64::MAX),
    };
    bench.accounts.store().put_one_time_password(&[1; 32], &sealed, ROOM).await.unwrap();
    let receipt = bench.accounts.undeploy(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!((receipt.state, receipt.pending.len()), (AccountState::NotDeployed, 0));
    assert_eq!((receipt.one_time_passwords, receipt.sessions.sessions), (1, 2));
    assert!(matches!(receipt.home, Some(HomeFate::Archived(_))), "{receipt:?}");
    assert!(bench.forgotten.0.lock().unwrap().contains(jane.identity()));
    assert_eq!(state(&bench, &jane).await, AccountState::NotDeployed);
    assert!(bench.accounts.store().unfinished().await.unwrap().is_empty());
    let other = bench.accounts.deploy(&kim, Tier::Full, "r").await.unwrap();
    assert_ne!(other.name, first.name);
    let again = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert_eq!(again.name, first.name);
    assert!(again.message.starts_with("User was created"), "{}", again.message);
    assert_eq!(bench.backend.find(jane.identity()).await.unwrap().unwrap().uid, uid);
}

#[tokio::test]
async fn r24_a_removal_marks_first_and_is_retried_until_it_is_done() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    bench.backend.fail_next(BackendError::Busy);
    let receipt = bench.accounts.undeploy(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!((receipt.state, receipt.pending.len()), (AccountState::NotDeployed, 1));
    let standing = bench.accounts.standing(jane.identity()).await.unwrap();
    assert_eq!((standing.state, standing.account), (AccountState::NotDeployed, None));
    assert!(bench.backend.find(jane.identity()).await.unwrap().is_some(), "it is still there");
    assert_eq!(bench.accounts.reconcile().await.unwrap().len(), 1);
    assert!(bench.backend.find(jane.identity()).await.unwrap().is_none());
    assert!(bench.accounts.reconcile().await.unwrap().is_empty());
}

#[tokio::test]
async fn r24_who_comes_back_in_the_middle_of_a_removal_gets_a_new_account_or_waits() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    bench.backend.fail_next(BackendError::Busy);
    bench.accounts.undeploy(jane.identity(), HOST, "r").await.unwrap();
    bench.backend.fail_next(BackendError::Busy);
    assert!(bench.accounts.deploy(&jane, Tier::Full, "r").await.is_err());
    assert_eq!(state(&bench, &jane).await, AccountState::NotDeployed);
    let again = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert!(again.message.starts_with("User was created"), "{}", again.message);
    let calls = bench.backend.calls();
    assert_eq!(calls[calls.len() - 2..], ["remove jdoe", "deploy jdoe"]);
}

#[tokio::test]
async fn r28_a_removal_lifts_neither_suspension_nor_limit() {
    let bench = bench(friendly()).await;
    let (jane, kim) = (person("1", "jdoe"), person("2", "kim"));
    for who in [&jane, &kim] {
        bench.accounts.deploy(who, Tier::Full, "r").await.unwrap();
    }
    bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    bench.accounts.limit(kim.identity(), HOST, "r").await.unwrap();
    for who in [&jane, &kim] {
        bench.accounts.undeploy(who.identity(), HOST, "r").await.unwrap();
    }
    assert_eq!(state(&bench, &jane).await, AccountState::Suspended);
    assert!(bench.accounts.deploy(&jane, Tier::Full, "r").await.is_err());
    let again = bench.accounts.deploy(&kim, Tier::Full, "r").await.unwrap();
    assert_eq!(again.state, AccountState::Limited);
    bench.accounts.unlimit(kim.identity(), HOST, "r").await.unwrap();
    assert_eq!(state(&bench, &kim).await, AccountState::Deployed);
}

#[tokio::test]
async fn r28_a_lock_that_another_stack_put_on_the_account_outlives_a_removal() {
    let bench = bench(friendly()).await;
    let (jane, kim) = (person("1", "jdoe"), person("2", "kim"));
    for (who, name, locked) in
        [(&jane, "jdoe", AccountState::Suspended), (&kim, "kim", AccountState::Limited)]
    {
        bench.accounts.deploy(who, Tier::Full, "r").await.unwrap();
        let mut account = bench.backend.find(who.identity()).await.unwrap().unwrap();
        assert_eq!(account.name.as_str(), name);
        account.state = locked;
        if locked == AccountState::Limited {
            account.shell = "/sbin/nologin".to_owned();
        }
        bench.backend.insert(account);
        bench.backend.fail_next(BackendError::Busy);
        for _ in 0..2 {
            bench.accounts.undeploy(who.identity(), HOST, "r").await.ok();
        }
    }
    assert_eq!(state(&bench, &jane).await, AccountState::Suspended);
    assert!(bench.accounts.deploy(&jane, Tier::Full, "r").await.is_err());
    let again = bench.accounts.deploy(&kim, Tier::Full, "r").await.unwrap();
    assert_eq!(again.state, AccountState::Limited);
    let marks = bench.accounts.store().marks_of(jane.identity()).await.unwrap().unwrap();
    assert_eq!(marks.suspended.unwrap().by, "found locked at removal");
    // An admin lifts both as any other.
    bench.accounts.resume(jane.identity(), HOST, "r").await.unwrap();
    bench.accounts.unlimit(kim.identity(), HOST, "r").await.unwrap();
    for who in [&jane, &kim] {
        let deployment = bench.accounts.deploy(who, Tier::Full, "r").await.unwrap();
        assert_eq!(deployment.state, AccountState::Deployed);
    }
}

#[tokio::test]
async fn r28_a_shell_that_was_earned_and_our_own_lock_are_no_marks() {
    let bench = bench(friendly()).await;
    let (jane, kim) = (person("1", "jdoe"), person("2", "kim"));
    bench.accounts.deploy(&jane, Tier::Limited, "r").await.unwrap();
    bench.accounts.undeploy(jane.identity(), HOST, "r").await.unwrap();
    bench.accounts.deploy(&kim, Tier::Full, "r").await.unwrap();
    bench.backend.fail_next(BackendError::Busy);
    bench.accounts.undeploy(kim.identity(), HOST, "r").await.unwrap();
    // The removal that failed half-way has locked it.
    let mut account = bench.backend.find(kim.identity()).await.unwrap().unwrap();
    account.state = AccountState::Suspended;
    bench.backend.insert(account);
    bench.accounts.undeploy(kim.identity(), HOST, "r").await.unwrap();
    for who in [&jane, &kim] {
        let deployment = bench.accounts.deploy(who, Tier::Full, "r").await.unwrap();
        assert_eq!(deployment.state, AccountState::Deployed);
    }
}

#[tokio::test]
async fn r23_a_name_that_somebody_took_on_the_host_meanwhile_is_not_given_back() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let first = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    bench.accounts.undeploy(jane.identity(), HOST, "r").await.unwrap();
    bench.backend.occupy(first.name.as_str());
    let again = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert_ne!(again.name, first.name);
    assert!(bench.accounts.store().promised_names().await.unwrap().contains(first.name.as_str()));
}

#[tokio::test]
async fn r28_nobody_is_told_of_a_mark_that_the_store_did_not_take() {
    let bench = bench(friendly()).await;
    let (jane, kim) = (person("1", "jdoe"), person("2", "kim"));
    // The name was promised to somebody else, so nothing about this account can be noted.
    bench.accounts.deploy(&kim, Tier::Full, "r").await.unwrap();
    bench.accounts.undeploy(kim.identity(), HOST, "r").await.unwrap();
    bench.backend.insert(Account {
        identity: Some(jane.identity().clone()),
        name: UserName::new("kim").unwrap(),
        uid: Some(4711),
        gid: Some(4711),
        home: "/home/kim".to_owned(),
        shell: "/bin/bash".to_owned(),
        state: AccountState::Deployed,
        groups: Vec::new(),
    });
    let before = bench.backend.calls().len();
    assert!(bench.accounts.limit(jane.identity(), HOST, "r").await.is_err());
    assert!(bench.accounts.undeploy(jane.identity(), HOST, "r").await.is_err());
    assert_eq!(bench.backend.calls().len(), before, "and nothing was done");
    let store = bench.accounts.store();
    let now = Timestamp(1);
    assert!(store.limit(jane.identity(), "x", "/bin/sh", now).await.is_err());
    assert!(store.begin_removal(jane.identity(), "x", now).await.is_err());
}

#[tokio::test]
async fn an_account_of_the_python_stack_that_nobody_used_yet_can_be_removed() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.backend.insert(Account {
        identity: Some(jane.identity().clone()),
        name: UserName::new("old").unwrap(),
        uid: Some(4711),
        gid: Some(4711),
        home: "/home/old".to_owned(),
        shell: "/bin/bash".to_owned(),
        state: AccountState::Deployed,
        groups: Vec::new(),
    });
    let receipt = bench.accounts.undeploy(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!(receipt.name.as_ref().map(UserName::as_str), Some("old"));
    assert!(bench.backend.find(jane.identity()).await.unwrap().is_none());
    let unknown = bench.accounts.undeploy(person("9", "z").identity(), HOST, "r").await;
    assert!(matches!(unknown, Err(AccountError::NoAccount)));
}
