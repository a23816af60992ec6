//! Making an intent true.

use super::{Rig, Someone};
use feudal_plugins::{BackendError, Intent, Naming};
use motley_proto::{rest::AccountState, task::AccountPath};
use std::collections::BTreeSet;

pub async fn deploying_twice_is_the_same_as_once(rig: &dyn Rig) {
    let ada = Someone::new(rig, "twice");
    let group = super::new_group("twice");
    rig.prepare(&ada.identity, &ada.name).await;
    let intent = ada.intent_with_groups(rig, &[group.as_str()]);
    let first = rig.backend().deploy(&intent).await.unwrap();
    let picture = rig.picture(&ada.name).await;
    let second = rig.backend().deploy(&intent).await.unwrap();
    assert_eq!(second.account, first.account);
    assert!(!second.created);
    assert!(second.joined.is_empty() && second.left.is_empty(), "{second:?}");
    assert_eq!(rig.picture(&ada.name).await, picture);
}

pub async fn an_account_of_another_stack_is_adopted(rig: &dyn Rig) {
    let ada = Someone::new(rig, "heir");
    if !rig.inherited_account(&ada.identity, &ada.name).await {
        return;
    }
    assert_eq!(ada.account(rig).await.name, ada.name);
    let done = rig.backend().deploy(&ada.intent(rig)).await.unwrap();
    assert!(!done.created);
    assert_eq!(done.account.name, ada.name);
    assert_eq!(done.account.identity, Some(ada.identity.clone()));
    if rig.abilities().suspends {
        rig.backend().suspend(&ada.identity, &ada.name).await.unwrap();
        assert_eq!(ada.account(rig).await.state, AccountState::Suspended);
    }
}

pub async fn r23_a_name_of_somebody_else_is_taken(rig: &dyn Rig) {
    let (ada, bob) = (Someone::new(rig, "first"), Someone::new(rig, "second"));
    let kept = ada.deploy(rig).await.account;
    let intent = Intent { name: ada.name.clone(), ..bob.intent(rig) };
    let error = rig.backend().deploy(&intent).await.unwrap_err();
    if rig.backend().naming() == Naming::Known {
        assert!(matches!(error, BackendError::NameTaken(_) | BackendError::NoAccount), "{error:?}");
    } else {
        assert_eq!(error, BackendError::NameTaken(ada.name.clone()));
    }
    assert_eq!(ada.account(rig).await, kept);
    assert_eq!(bob.found(rig).await, None);
}

pub async fn r23_a_name_that_a_group_still_lists_goes_to_nobody_new(rig: &dyn Rig) {
    let ada = Someone::new(rig, "listed");
    if !rig.list_in_group(&ada.name).await {
        return;
    }
    let error = rig.backend().deploy(&ada.intent(rig)).await.unwrap_err();
    assert_eq!(error, BackendError::NameTaken(ada.name.clone()));
    assert_eq!(ada.found(rig).await, None);
}

pub async fn r23_a_uid_of_somebody_else_is_taken(rig: &dyn Rig) {
    if rig.backend().naming() != Naming::Offered {
        return;
    }
    let (ada, bob) = (Someone::new(rig, "low"), Someone::new(rig, "high"));
    ada.deploy(rig).await;
    let intent = Intent { uid: Some(ada.uid), ..bob.intent(rig) };
    let error = rig.backend().deploy(&intent).await.unwrap_err();
    assert_eq!(error, BackendError::UidTaken(ada.uid));
    assert_eq!(bob.found(rig).await, None);
}

pub async fn r23_an_identity_has_one_account(rig: &dyn Rig) {
    let (ada, other) = (Someone::new(rig, "one"), Someone::new(rig, "other"));
    ada.deploy(rig).await;
    let uid = other.intent(rig).uid;
    let intent = Intent { name: other.name.clone(), uid, ..ada.intent(rig) };
    let error = rig.backend().deploy(&intent).await.unwrap_err();
    assert_eq!(error, BackendError::HasAccount(ada.name.clone()));
    assert_eq!(ada.account(rig).await.name, ada.name);
    assert_eq!(rig.backend().by_name(&other.name).await.unwrap(), None);
}

pub async fn r24_two_people_at_once_never_get_one_name(rig: &dyn Rig) {
    if rig.backend().naming() == Naming::Known {
        return;
    }
    let (ada, bob) = (Someone::new(rig, "left"), Someone::new(rig, "right"));
    let (mine, his) = (ada.intent(rig), Intent { name: ada.name.clone(), ..bob.intent(rig) });
    let backend = rig.backend();
    let (a, b) = tokio::join!(backend.deploy(&mine), backend.deploy(&his));
    let won = [a.is_ok(), b.is_ok()];
    assert!(won == [true, false] || won == [false, true], "{a:?} {b:?}");
    let error = a.err().or(b.err());
    assert_eq!(error, Some(BackendError::NameTaken(ada.name.clone())));
    let owner = if won[0] { &ada.identity } else { &bob.identity };
    let account = backend.by_name(&ada.name).await.unwrap().unwrap();
    assert_eq!(account.identity.as_ref(), Some(owner));
}

pub async fn r24_one_person_at_once_gets_one_account(rig: &dyn Rig) {
    let ada = Someone::new(rig, "eager");
    rig.prepare(&ada.identity, &ada.name).await;
    let intent = ada.intent(rig);
    let backend = rig.backend();
    let (a, b) = tokio::join!(backend.deploy(&intent), backend.deploy(&intent));
    assert_eq!(a.unwrap().account.name, ada.name);
    assert_eq!(b.unwrap().account.name, ada.name);
    if !rig.abilities().lists {
        return;
    }
    let listed = backend.accounts().await.unwrap();
    let mine = listed.iter().filter(|account| account.identity.as_ref() == Some(&ada.identity));
    assert_eq!(mine.count(), 1);
}

pub async fn r24_many_people_at_once_get_accounts_of_their_own(rig: &dyn Rig) {
    let crowd: [Someone; 4] = std::array::from_fn(|_| Someone::new(rig, "crowd"));
    for person in &crowd {
        rig.prepare(&person.identity, &person.name).await;
    }
    let intents = crowd.each_ref().map(|person| person.intent(rig));
    let backend = rig.backend();
    let done = tokio::join!(
        backend.deploy(&intents[0]),
        backend.deploy(&intents[1]),
        backend.deploy(&intents[2]),
        backend.deploy(&intents[3]),
    );
    for deployed in [done.0, done.1, done.2, done.3] {
        deployed.unwrap();
    }
    let mut uids = BTreeSet::new();
    for person in &crowd {
        let account = person.account(rig).await;
        assert_eq!(account.name, person.name);
        let is_new = account.uid.is_none_or(|uid| uids.insert(uid));
        assert!(is_new, "two accounts share a uid: {account:?}");
    }
}

pub async fn the_shell_follows_each_deployment(rig: &dyn Rig) {
    let ada = Someone::new(rig, "tier");
    let before = ada.deploy(rig).await.account.shell;
    let [full, less] = rig.shells();
    let intent = Intent { shell: AccountPath::new(less).unwrap(), ..ada.intent(rig) };
    if !rig.abilities().shells {
        rig.backend().deploy(&intent).await.unwrap();
        assert_eq!(ada.account(rig).await.shell, before);
        let answer = rig.backend().set_shell(&ada.identity, &ada.name, &intent.shell).await;
        return super::assert_unsupported(answer);
    }
    assert_eq!(before, full);
    let done = rig.backend().deploy(&intent).await.unwrap();
    assert_eq!(done.account.shell, less);
    assert_eq!(ada.account(rig).await.shell, less);
    ada.deploy(rig).await;
    assert_eq!(ada.account(rig).await.shell, full);
    rig.backend().set_shell(&ada.identity, &ada.name, &intent.shell).await.unwrap();
    assert_eq!(ada.account(rig).await.shell, less);
}
