//! Finding accounts.

use super::{Rig, Someone};
use feudal_plugins::{BackendError, Naming};
use motley_proto::rest::AccountState;

pub async fn the_back_end_says_that_it_works(rig: &dyn Rig) {
    rig.backend().check().await.unwrap();
    assert!(!rig.backend().name().is_empty());
}

pub async fn nobody_has_an_account_before_the_first_deployment(rig: &dyn Rig) {
    let ada = Someone::new(rig, "early");
    assert_eq!(ada.found(rig).await, None);
    let backend = rig.backend();
    assert_eq!(backend.by_name(&ada.name).await.unwrap(), None);
    assert!(!backend.is_taken(&ada.name).await.unwrap());
    assert!(!backend.is_uid_taken(ada.uid).await.unwrap());
    assert_eq!(backend.managed_groups(&ada.name).await.unwrap(), []);
}

pub async fn a_deployed_account_is_found_by_identity_by_name_and_in_the_list(rig: &dyn Rig) {
    let ada = Someone::new(rig, "seen");
    let done = ada.deploy(rig).await;
    let found = ada.account(rig).await;
    assert_eq!(found, done.account);
    assert_eq!(found.identity, Some(ada.identity.clone()));
    assert_eq!(found.name, ada.name);
    assert_eq!(found.state, AccountState::Deployed);
    let backend = rig.backend();
    match backend.naming() {
        Naming::Offered => {
            assert!(done.created);
            assert_eq!(found.uid, Some(ada.uid.get()));
            assert!(backend.is_uid_taken(ada.uid).await.unwrap());
        }
        Naming::Numbered => assert!(done.created),
        Naming::Known => {}
    }
    assert_eq!(backend.by_name(&ada.name).await.unwrap(), Some(found));
    assert!(backend.is_taken(&ada.name).await.unwrap());
    if !rig.abilities().lists {
        return super::assert_unsupported(backend.accounts().await);
    }
    let listed = backend.accounts().await.unwrap();
    let mine = listed.iter().filter(|account| account.identity.as_ref() == Some(&ada.identity));
    assert_eq!(mine.map(|account| &account.name).collect::<Vec<_>>(), [&ada.name]);
}

pub async fn nobody_gets_an_account_who_is_not_known(rig: &dyn Rig) {
    let (stranger, expected) = (Someone::new(rig, "stranger"), Someone::new(rig, "expected"));
    let backend = rig.backend();
    let intent = stranger.intent(rig);
    if backend.naming() != Naming::Known {
        let name = backend.prepared_name(&stranger.identity, &intent.person).await.unwrap();
        assert_eq!(name, None, "only a back end that knows names prepares any");
        return;
    }
    rig.prepare(&expected.identity, &expected.name).await;
    let name = backend.prepared_name(&expected.identity, &expected.intent(rig).person).await;
    assert_eq!(name.unwrap(), Some(expected.name.clone()));
    let name = backend.prepared_name(&stranger.identity, &intent.person).await;
    assert_eq!(name.unwrap(), None);
    assert!(backend.deploy(&intent).await.is_err());
    let taken = feudal_plugins::Intent { name: expected.name.clone(), ..intent };
    let error = backend.deploy(&taken).await.unwrap_err();
    let refused = matches!(
        error,
        BackendError::NameTaken(_) | BackendError::Refused(_) | BackendError::NoAccount
    );
    assert!(refused, "{error:?}");
    assert_eq!(stranger.found(rig).await, None);
}
