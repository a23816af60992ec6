//! Accounts of local people, and of other identities than the one that is named.

use super::{Rig, Someone, new_group};
use feudal_plugins::{BackendError, Intent, Naming};
use motley_proto::task::Removal;

/// Asks for everything that would change the account called `name` in the name of `who`.
async fn meddle(rig: &dyn Rig, who: &Someone, intent: &Intent) {
    let (backend, id, name) = (rig.backend(), &who.identity, &intent.name);
    let error = backend.deploy(intent).await.unwrap_err();
    if backend.naming() == Naming::Known {
        assert!(matches!(error, BackendError::NameTaken(_) | BackendError::NoAccount), "{error:?}");
    } else {
        assert_eq!(error, BackendError::NameTaken(name.clone()));
    }
    let group = super::groups(&[&new_group("meddled")]);
    assert!(backend.suspend(id, name).await.is_err());
    assert!(backend.resume(id, name).await.is_err());
    assert!(backend.limit(id, name).await.is_err());
    assert!(backend.unlimit(id, name, &intent.shell).await.is_err());
    assert!(backend.set_shell(id, name, &intent.shell).await.is_err());
    assert!(backend.set_groups(id, name, &group).await.is_err());
    // Where the back end has no account of that name, there is nothing to take away.
    if let Ok(removal) = backend.remove(id, name).await {
        assert_eq!(removal, Removal::default());
    }
    // Nothing half-made is there: whether that is an error is the back end's to say.
    let _ = backend.roll_back(id, name).await;
}

pub async fn r21_an_account_of_a_local_person_is_never_touched(rig: &dyn Rig) {
    let (local, ada) = (Someone::new(rig, "local"), Someone::new(rig, "remote"));
    if !rig.foreign_account(&local.name).await {
        return;
    }
    assert!(rig.backend().is_taken(&local.name).await.unwrap());
    let before = rig.picture(&local.name).await;
    meddle(rig, &ada, &Intent { name: local.name.clone(), ..ada.intent(rig) }).await;
    assert_eq!(rig.picture(&local.name).await, before);
    assert_eq!(ada.found(rig).await, None);
    let seen = rig.backend().by_name(&local.name).await.unwrap();
    assert!(seen.and_then(|account| account.identity).is_none());
}

pub async fn r21_what_belongs_to_another_identity_is_refused(rig: &dyn Rig) {
    let (ada, mallory) = (Someone::new(rig, "owner"), Someone::new(rig, "mallory"));
    let before = ada.deploy(rig).await.account;
    let picture = rig.picture(&ada.name).await;
    meddle(rig, &mallory, &Intent { name: ada.name.clone(), ..mallory.intent(rig) }).await;
    assert_eq!(ada.account(rig).await, before);
    assert_eq!(rig.picture(&ada.name).await, picture);
    assert_eq!(mallory.found(rig).await, None);
}
