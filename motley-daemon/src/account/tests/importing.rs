//! Accounts that another stack made are taken over: told first, then noted, never against a promise.

use super::*;
use crate::clock::Timestamp;
use motley_proto::{
    Uid,
    admin::{ImportOutcome, ImportPage},
};

/// An account as the Python stack leaves it.
fn left_behind(who: &Verified, name: &str, uid: u32, state: AccountState) -> Account {
    Account {
        identity: Some(who.identity().clone()),
        name: UserName::new(name).unwrap(),
        uid: Some(uid),
        gid: Some(uid),
        home: format!("/home/{name}"),
        shell: "/bin/bash".to_owned(),
        state,
        groups: Vec::new(),
    }
}

async fn import(bench: &Bench, apply: bool) -> ImportPage {
    bench.accounts.import(apply, None, "r").await.unwrap()
}

fn outcomes(page: &ImportPage) -> Vec<(&str, &ImportOutcome)> {
    page.rows.iter().map(|row| (row.name.as_str(), &row.outcome)).collect()
}

#[tokio::test]
async fn an_import_tells_first_and_changes_nothing_then_does_exactly_that() {
    let bench = bench(friendly()).await;
    let (jane, kim) = (person("1", "jdoe"), person("2", "kim"));
    bench.backend.insert(left_behind(&jane, "jdoe", 2001, AccountState::Deployed));
    bench.backend.insert(left_behind(&kim, "kim", 2002, AccountState::Deployed));
    let told = import(&bench, false).await;
    assert_eq!(outcomes(&told), [("jdoe", &ImportOutcome::New), ("kim", &ImportOutcome::New)]);
    assert!(bench.accounts.store().accounts().await.unwrap().is_empty());
    assert_eq!(import(&bench, true).await, told);
    let again = import(&bench, true).await;
    assert_eq!((again.rows.len(), again.known), (0, 2));
    let record = bench.accounts.store().account_of(kim.identity()).await.unwrap().unwrap();
    assert_eq!((record.name.unwrap().as_str(), record.uid.unwrap().get()), ("kim", 2002));
}

#[tokio::test]
async fn r23_a_name_or_uid_that_was_promised_to_somebody_else_is_not_taken_over() {
    let bench = bench(friendly()).await;
    let (jane, kim, ann) = (person("1", "jdoe"), person("2", "kim"), person("3", "ann"));
    let (name, uid) = (UserName::new("jdoe").unwrap(), Uid::new(2001).ok());
    bench.accounts.store().commit(ann.identity(), &name, uid, Timestamp(1)).await.unwrap();
    bench.backend.insert(left_behind(&jane, "jdoe", 2005, AccountState::Deployed));
    bench.backend.insert(left_behind(&kim, "kim", 2001, AccountState::Deployed));
    let done = import(&bench, true).await;
    let why = |at: usize| match &done.rows[at].outcome {
        ImportOutcome::Conflict { why } => why.clone(),
        other => panic!("{other:?}"),
    };
    assert!(why(0).contains("the name is promised to 3@https%3A%2F%2Fop.example"), "{}", why(0));
    assert!(!why(1).is_empty());
    for who in [&jane, &kim] {
        assert!(bench.accounts.store().account_of(who.identity()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn who_was_locked_out_by_the_other_stack_stays_so() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.backend.insert(left_behind(&jane, "jdoe", 2001, AccountState::Suspended));
    assert_eq!(import(&bench, true).await.rows[0].state, AccountState::Suspended);
    bench.backend.resume(jane.identity(), &UserName::new("jdoe").unwrap()).await.unwrap();
    let state = bench.accounts.standing(jane.identity()).await.unwrap().state;
    assert_eq!(state, AccountState::Suspended, "the mark of the store holds by itself");
}

#[tokio::test]
async fn an_account_that_was_renamed_by_hand_is_told_with_its_old_name() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let (old, uid) = (UserName::new("old").unwrap(), Uid::new(2001).ok());
    bench.accounts.store().commit(jane.identity(), &old, uid, Timestamp(1)).await.unwrap();
    bench.backend.insert(left_behind(&jane, "jdoe", 2001, AccountState::Deployed));
    let done = import(&bench, true).await;
    let before = ImportOutcome::Changed { before: "old, uid 2001".to_owned() };
    assert_eq!(outcomes(&done), [("jdoe", &before)]);
    assert!(bench.accounts.store().promised_names().await.unwrap().contains("old"));
}

#[tokio::test]
async fn r23_a_name_or_uid_that_somebody_gave_up_is_not_taken_over() {
    let bench = bench(friendly()).await;
    let (jane, kim, ann) = (person("1", "jdoe"), person("2", "kim"), person("3", "ann"));
    let store = bench.accounts.store();
    for (name, uid) in [("ann", 2001), ("annie", 2002)] {
        let (name, uid) = (UserName::new(name).unwrap(), Uid::new(uid).ok());
        store.commit(ann.identity(), &name, uid, Timestamp(1)).await.unwrap();
    }
    bench.backend.insert(left_behind(&jane, "ann", 2005, AccountState::Deployed));
    bench.backend.insert(left_behind(&kim, "kim", 2001, AccountState::Deployed));
    for apply in [false, true] {
        let page = import(&bench, apply).await;
        let conflict = |row: &motley_proto::admin::ImportRow| matches!(&row.outcome, ImportOutcome::Conflict { why } if why.contains("somebody else"));
        assert!(page.rows.len() == 2 && page.rows.iter().all(conflict), "{page:?}");
    }
    assert!(store.account_of(jane.identity()).await.unwrap().is_none());
}
