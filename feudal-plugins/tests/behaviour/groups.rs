//! Supplementary groups: what the back end joined it may leave, and nothing else.

use super::{Rig, Someone, assert_unsupported, groups, new_group};

fn has(account: &feudal_plugins::Account, group: &str) -> bool {
    account.groups.iter().any(|name| name == group)
}

pub async fn r22_groups_follow_each_deployment(rig: &dyn Rig) {
    let ada = Someone::new(rig, "member");
    let (one, two) = (new_group("alpha"), new_group("beta"));
    rig.prepare(&ada.identity, &ada.name).await;
    let backend = rig.backend();
    let done = backend.deploy(&ada.intent_with_groups(rig, &[&one])).await.unwrap();
    if !rig.abilities().groups {
        assert!(done.joined.is_empty() && done.account.groups.is_empty(), "{done:?}");
        assert_eq!(backend.managed_groups(&ada.name).await.unwrap(), []);
        return;
    }
    assert!(done.joined.iter().any(|group| group.as_str() == one), "{done:?}");
    assert!(has(&ada.account(rig).await, &one));
    let done = backend.deploy(&ada.intent_with_groups(rig, &[&two])).await.unwrap();
    assert_eq!((done.joined, done.left), (groups(&[&two]), groups(&[&one])));
    let account = ada.account(rig).await;
    assert!(has(&account, &two) && !has(&account, &one), "{account:?}");
    let mut managed = backend.managed_groups(&ada.name).await.unwrap();
    managed.retain(|group| group.as_str() != "people");
    assert_eq!(managed, groups(&[&two]));
    let done = backend.deploy(&ada.intent(rig)).await.unwrap();
    assert_eq!((done.joined, done.left), (groups(&[]), groups(&[&two])));
    assert!(!has(&ada.account(rig).await, &two));
}

pub async fn groups_alone_can_be_changed(rig: &dyn Rig) {
    let ada = Someone::new(rig, "regroup");
    let (one, two) = (new_group("gamma"), new_group("delta"));
    ada.deploy(rig).await;
    let backend = rig.backend();
    let set =
        async |names: &[&str]| backend.set_groups(&ada.identity, &ada.name, &groups(names)).await;
    if !rig.abilities().groups {
        return assert_unsupported(set(&[&one]).await);
    }
    let changes = set(&[&one, &two]).await.unwrap();
    assert_eq!((changes.joined.len(), changes.left), (2, groups(&[])));
    let changes = set(&[&two]).await.unwrap();
    assert_eq!((changes.joined, changes.left), (groups(&[]), groups(&[&one])));
    let changes = set(&[&two]).await.unwrap();
    assert_eq!((changes.joined, changes.left), (groups(&[]), groups(&[])));
    let account = ada.account(rig).await;
    assert!(has(&account, &two) && !has(&account, &one), "{account:?}");
}

pub async fn r22_a_membership_that_a_local_admin_gave_survives(rig: &dyn Rig) {
    let ada = Someone::new(rig, "helped");
    let (given, asserted) = (new_group("given"), new_group("asserted"));
    ada.deploy(rig).await;
    if !rig.give_membership(&ada.name, &groups(&[&given])[0]).await {
        return;
    }
    let backend = rig.backend();
    backend.deploy(&ada.intent_with_groups(rig, &[&asserted])).await.unwrap();
    let done = backend.deploy(&ada.intent(rig)).await.unwrap();
    assert_eq!(done.left, groups(&[&asserted]));
    backend.set_groups(&ada.identity, &ada.name, &[]).await.unwrap();
    assert!(has(&ada.account(rig).await, &given));
    let managed = backend.managed_groups(&ada.name).await.unwrap();
    assert!(managed.iter().all(|group| group.as_str() != given), "{managed:?}");
}
