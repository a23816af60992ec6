//! Taking accounts away, and taking back what was half made.

use super::{Rig, Someone, assert_unsupported};
use feudal_plugins::{BackendError, Intent, Naming};
use motley_proto::{rest::AccountState, task::Removal};

pub async fn a_removed_account_is_gone_and_comes_back_for_its_owner(rig: &dyn Rig) {
    let ada = Someone::new(rig, "leaver");
    let before = ada.deploy(rig).await.account;
    let (backend, id, name) = (rig.backend(), &ada.identity, &ada.name);
    if !rig.abilities().removes {
        assert_unsupported(backend.remove(id, name).await);
        assert_eq!(ada.account(rig).await, before);
        return;
    }
    backend.remove(id, name).await.unwrap();
    assert_eq!(ada.found(rig).await, None);
    let left = backend.by_name(name).await.unwrap();
    assert!(left.and_then(|account| account.identity).is_none());
    let listed = backend.accounts().await.unwrap_or_default();
    assert!(listed.iter().all(|account| account.identity.as_ref() != Some(id)));
    assert_eq!(backend.remove(id, name).await.unwrap(), Removal::default());
    if backend.naming() == Naming::Known {
        rig.prepare(id, name).await;
    }
    backend.deploy(&ada.intent(rig)).await.unwrap();
    let after = ada.account(rig).await;
    assert_eq!((after.name, after.state), (before.name, AccountState::Deployed));
}

pub async fn r23_a_removed_name_goes_to_nobody_else(rig: &dyn Rig) {
    if !(rig.abilities().removes && rig.abilities().keeps_names) {
        return;
    }
    let (ada, bob) = (Someone::new(rig, "gone"), Someone::new(rig, "newcomer"));
    ada.deploy(rig).await;
    rig.backend().remove(&ada.identity, &ada.name).await.unwrap();
    let intent = Intent { name: ada.name.clone(), ..bob.intent(rig) };
    let error = rig.backend().deploy(&intent).await.unwrap_err();
    assert_eq!(error, BackendError::NameTaken(ada.name.clone()));
    assert_eq!(bob.found(rig).await, None);
}

pub async fn rolling_back_leaves_a_complete_account(rig: &dyn Rig) {
    let (ada, nobody) = (Someone::new(rig, "complete"), Someone::new(rig, "never"));
    let before = ada.deploy(rig).await.account;
    rig.backend().roll_back(&ada.identity, &ada.name).await.unwrap();
    assert_eq!(ada.account(rig).await, before);
    rig.backend().roll_back(&nobody.identity, &nobody.name).await.unwrap();
    assert_eq!(nobody.found(rig).await, None);
}

pub async fn nothing_is_done_to_an_account_that_is_not_there(rig: &dyn Rig) {
    let nobody = Someone::new(rig, "nobody");
    let (backend, id, name) = (rig.backend(), &nobody.identity, &nobody.name);
    let shell = nobody.intent(rig).shell;
    let answers = [
        backend.suspend(id, name).await.err(),
        backend.resume(id, name).await.err(),
        backend.limit(id, name).await.err(),
        backend.unlimit(id, name, &shell).await.err(),
        backend.set_shell(id, name, &shell).await.err(),
        backend.set_groups(id, name, &[]).await.err(),
    ];
    for error in answers {
        let fits = matches!(error, Some(BackendError::NoAccount | BackendError::Unsupported(_)));
        assert!(fits, "{error:?}");
    }
    match backend.remove(id, name).await {
        Ok(removal) => assert_eq!(removal, Removal::default()),
        Err(error) => assert!(matches!(error, BackendError::Unsupported(_)), "{error:?}"),
    }
    assert_eq!(nobody.found(rig).await, None);
}
