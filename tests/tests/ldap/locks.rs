//! Suspension really changes the entry, and taking it back restores what was there.

use crate::directory_test;
use crate::support::*;
use feudal_plugins::{Backend, BackendError, ldap::Mode};
use motley_proto::rest::AccountState;
use motley_tests::slapd::Slapd;

fn set(slapd: &Slapd, text: &str, attribute: &str, value: &str) {
    let ldif = format!(
        "dn: {}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n",
        dn(text)
    );
    slapd.change(&ldif).unwrap();
}

/// What stands beside the note that each account has from the beginning.
fn notes_of_locks(slapd: &Slapd) -> Vec<String> {
    let mut notes = values(slapd, &dn("jdoe"), "description");
    let all = notes.len();
    notes.retain(|note| !note.starts_with("motley:primary:"));
    assert_eq!(notes.len() + 1, all, "{notes:?}");
    notes
}

directory_test! {
    async fn a_suspension_lets_the_entry_expire_and_a_resumption_leaves_no_trace() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let jane = intent("jane", "jdoe", &["wlcg"]);
        let (id, own) = (&jane.identity, &jane.name);
        ldap.deploy(&jane).await.unwrap();
        for _ in 0..2 {
            ldap.suspend(id, own).await.unwrap();
            assert_eq!(value(&slapd, &dn("jdoe"), "shadowExpire").as_deref(), Some("1"));
            assert_eq!(ldap.find(id).await.unwrap().unwrap().state, AccountState::Suspended);
        }
        let done = ldap.deploy(&intent("jane", "jdoe", &[])).await.unwrap();
        assert_eq!((done.account.state, done.left.len()), (AccountState::Suspended, 0));
        for _ in 0..2 {
            ldap.resume(id, own).await.unwrap();
            assert_eq!(value(&slapd, &dn("jdoe"), "shadowExpire"), None);
            assert!(notes_of_locks(&slapd).is_empty());
            assert_eq!(ldap.find(id).await.unwrap().unwrap().state, AccountState::Deployed);
        }
    }
}

directory_test! {
    async fn an_admins_own_date_of_expiry_survives() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let jane = intent("jane", "jdoe", &[]);
        let (id, own) = (&jane.identity, &jane.name);
        ldap.deploy(&jane).await.unwrap();
        slapd.change(&format!("dn: {}\nchangetype: modify\nadd: objectClass\nobjectClass: shadowAccount\n-\nadd: shadowExpire\nshadowExpire: 30000\n-\nadd: description\ndescription: from the site\n", dn("jdoe"))).unwrap();
        ldap.suspend(id, own).await.unwrap();
        assert_eq!(value(&slapd, &dn("jdoe"), "shadowExpire").as_deref(), Some("1"));
        ldap.resume(id, own).await.unwrap();
        assert_eq!(value(&slapd, &dn("jdoe"), "shadowExpire").as_deref(), Some("30000"));
        assert_eq!(notes_of_locks(&slapd), ["from the site"]);
        // Set while she was suspended.
        ldap.suspend(id, own).await.unwrap();
        set(&slapd, "jdoe", "shadowExpire", "15000");
        ldap.resume(id, own).await.unwrap();
        assert_eq!(value(&slapd, &dn("jdoe"), "shadowExpire").as_deref(), Some("15000"));
        let state = ldap.find(id).await.unwrap().unwrap().state;
        assert_eq!(state, AccountState::Suspended, "that day is past");
        // A lock that motley did not set is not motley's to lift.
        ldap.resume(id, own).await.unwrap();
        assert_eq!(ldap.find(id).await.unwrap().unwrap().state, AccountState::Suspended);
    }
}

directory_test! {
    async fn with_ppolicy_the_password_is_locked_too_and_an_admins_own_lock_stays() {
        let slapd = Slapd::builder().ppolicy().start().unwrap();
        let mut config = config(&slapd, Mode::FullAccess);
        config.ppolicy = true;
        let ldap = back_end(config);
        let jane = intent("jane", "jdoe", &[]);
        let (id, own) = (&jane.identity, &jane.name);
        ldap.deploy(&jane).await.unwrap();
        let locked = || value(&slapd, &dn("jdoe"), "pwdAccountLockedTime");
        ldap.suspend(id, own).await.unwrap();
        assert_eq!(locked().as_deref(), Some("000001010000Z"));
        ldap.resume(id, own).await.unwrap();
        assert_eq!(locked(), None);
        set(&slapd, "jdoe", "pwdAccountLockedTime", "000001010000Z");
        ldap.suspend(id, own).await.unwrap();
        ldap.resume(id, own).await.unwrap();
        assert_eq!(locked().as_deref(), Some("000001010000Z"));
        assert_eq!(ldap.find(id).await.unwrap().unwrap().state, AccountState::Suspended);
    }
}

directory_test! {
    async fn a_limit_is_a_shell_that_lets_nobody_work() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let jane = intent("jane", "jdoe", &[]);
        let (id, own) = (&jane.identity, &jane.name);
        ldap.deploy(&jane).await.unwrap();
        ldap.limit(id, own).await.unwrap();
        assert_eq!(value(&slapd, &dn("jdoe"), "loginShell").as_deref(), Some("/sbin/nologin"));
        assert_eq!(ldap.find(id).await.unwrap().unwrap().state, AccountState::Limited);
        ldap.unlimit(id, own, &jane.shell).await.unwrap();
        assert_eq!(ldap.find(id).await.unwrap().unwrap().state, AccountState::Deployed);
        let stranger = ldap.limit(&identity("mallory"), own).await;
        assert!(matches!(stranger, Err(BackendError::Refused(_))), "{stranger:?}");
    }
}

directory_test! {
    async fn what_the_service_may_not_write_is_an_error_and_not_a_suspension() {
        let rules = "access to dn.subtree=\"ou=users,dc=example\" attrs=shadowExpire by dn.exact=\"cn=motley,dc=example\" read by * none\n";
        let slapd = Slapd::builder().access(rules).start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let jane = intent("jane", "jdoe", &[]);
        ldap.deploy(&jane).await.unwrap();
        let error = ldap.suspend(&jane.identity, &jane.name).await.unwrap_err();
        assert!(matches!(error, BackendError::Failed { .. }), "{error}");
        assert!(notes_of_locks(&slapd).is_empty(), "all or nothing");
        assert_eq!(ldap.find(&jane.identity).await.unwrap().unwrap().state, AccountState::Deployed);
    }
}
