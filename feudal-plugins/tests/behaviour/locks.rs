//! Suspension and limits.

use super::{Rig, Someone, assert_unsupported, new_group};
use motley_proto::{rest::AccountState, task::AccountPath};

pub async fn a_suspension_shows_and_may_be_repeated_and_lifted(rig: &dyn Rig) {
    let ada = Someone::new(rig, "locked");
    ada.deploy(rig).await;
    let (backend, id, name) = (rig.backend(), &ada.identity, &ada.name);
    if !rig.abilities().suspends {
        assert_unsupported(backend.suspend(id, name).await);
        assert_eq!(ada.account(rig).await.state, AccountState::Deployed);
        return;
    }
    for _ in 0..2 {
        backend.suspend(id, name).await.unwrap();
        assert_eq!(ada.account(rig).await.state, AccountState::Suspended);
        assert_eq!(backend.by_name(name).await.unwrap().unwrap().state, AccountState::Suspended);
    }
    for _ in 0..2 {
        backend.resume(id, name).await.unwrap();
        assert_eq!(ada.account(rig).await.state, AccountState::Deployed);
    }
}

pub async fn a_deployment_leaves_a_suspended_account_as_it_is(rig: &dyn Rig) {
    if !rig.abilities().suspends {
        return;
    }
    let ada = Someone::new(rig, "asleep");
    let group = new_group("late");
    ada.deploy(rig).await;
    rig.backend().suspend(&ada.identity, &ada.name).await.unwrap();
    let before = ada.account(rig).await;
    let done = rig.backend().deploy(&ada.intent_with_groups(rig, &[&group])).await.unwrap();
    assert_eq!(done.account.state, AccountState::Suspended);
    assert!(!done.created && done.joined.is_empty() && done.left.is_empty(), "{done:?}");
    assert_eq!(ada.account(rig).await, before);
}

pub async fn a_limit_shows_and_may_be_repeated_and_lifted(rig: &dyn Rig) {
    let ada = Someone::new(rig, "bound");
    ada.deploy(rig).await;
    let (backend, id, name) = (rig.backend(), &ada.identity, &ada.name);
    let shell = AccountPath::new(rig.shells()[0]).unwrap();
    if !rig.abilities().limits {
        assert_unsupported(backend.limit(id, name).await);
        assert_unsupported(backend.unlimit(id, name, &shell).await);
        assert_eq!(ada.account(rig).await.state, AccountState::Deployed);
        return;
    }
    for _ in 0..2 {
        backend.limit(id, name).await.unwrap();
        let account = ada.account(rig).await;
        assert_eq!(account.state, AccountState::Limited);
        assert_eq!(account.shell, rig.limited_shell());
    }
    for _ in 0..2 {
        backend.unlimit(id, name, &shell).await.unwrap();
        let account = ada.account(rig).await;
        assert_eq!(
            (account.state, account.shell.as_str()),
            (AccountState::Deployed, shell.as_str())
        );
    }
}
