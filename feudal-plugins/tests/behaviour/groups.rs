//! Supplementary groups: what the back end joined it may leave, and nothing else.

use super::{Rig, Someone, assert_unsupported, groups, new_group};
use feudal_plugins::Intent;

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

impl Someone {
    /// A deployment of somebody who brings these groups, the first of them as primary one.
    fn intent_with_primary(&self, rig: &dyn Rig, names: &[&str]) -> Intent {
        let mut intent = self.intent(rig);
        intent.groups.supplementary = groups(names);
        intent.groups.primary = intent.groups.supplementary[0].clone();
        intent.groups.supplementary.sort();
        intent
    }
}

pub async fn r22_a_primary_group_that_was_given_goes_with_the_claim(rig: &dyn Rig) {
    let ada = Someone::new(rig, "first");
    let [one, two, three] = ["alpha", "beta", "gamma"].map(new_group);
    ada.deploy(rig).await;
    let backend = rig.backend();
    let set = async |name: &str| {
        backend.set_primary_group(&ada.identity, &ada.name, &groups(&[name])[0]).await
    };
    let has = async || backend.managed_primary(&ada.name).await.unwrap();
    if !rig.abilities().primary_groups {
        assert_unsupported(set(&one).await);
        assert_eq!(has().await, None);
        return;
    }
    assert_eq!(has().await, Some(groups(&["people"])[0].clone()));
    let deploy = async |names: &[&str]| {
        let done = backend.deploy(&ada.intent_with_primary(rig, names)).await.unwrap();
        let names = |groups: Vec<motley_proto::GroupName>| {
            groups.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        (names(done.joined), names(done.left), has().await.unwrap().to_string())
    };
    let none = Vec::<String>::new;
    let just = |name: &String| vec![name.clone()];
    let now = deploy(&[&one, &two]).await;
    assert_eq!(now, (vec![one.clone(), two.clone()], vec!["people".to_owned()], one.clone()));
    // It is still claimed, though another would be chosen today.
    assert_eq!(deploy(&[&two, &one]).await, (none(), none(), one.clone()));
    // A group that the account had already takes its place.
    assert_eq!(deploy(&[&two]).await, (none(), just(&one), two.clone()));
    assert_eq!(ada.account(rig).await.groups, none());
    assert_eq!(deploy(&[&two]).await, (none(), none(), two.clone()));
    set(&three).await.unwrap();
    set(&three).await.unwrap();
    assert_eq!(has().await, Some(groups(&[&three])[0].clone()));
    assert_eq!(backend.primary_group(&ada.name).await.unwrap(), has().await);
}

pub async fn r22_a_primary_group_that_a_local_admin_chose_stays(rig: &dyn Rig) {
    let ada = Someone::new(rig, "chosen");
    let (chosen, other) = (new_group("given"), new_group("asserted"));
    ada.deploy(rig).await;
    if !rig.give_primary(&ada.name, &groups(&[&chosen])[0]).await {
        return;
    }
    let backend = rig.backend();
    assert_eq!(backend.managed_primary(&ada.name).await.unwrap(), None);
    let before = ada.account(rig).await.gid;
    let done = backend.deploy(&ada.intent_with_primary(rig, &[&other])).await.unwrap();
    assert_eq!((done.joined, done.left), (groups(&[&other]), groups(&[])));
    let refused = backend.set_primary_group(&ada.identity, &ada.name, &groups(&[&other])[0]).await;
    assert!(matches!(refused, Err(feudal_plugins::BackendError::Refused(_))), "{refused:?}");
    assert_eq!(ada.account(rig).await.gid, before);
}
