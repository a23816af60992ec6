//! Mode pre_created: entries are the site's, and become somebody's by agreement only.

use crate::directory_test;
use crate::support::*;
use feudal_plugins::{
    Backend, BackendError, Naming,
    ldap::{ClaimKey, ClaimRule, LdapConfig, Mode},
};
use motley_proto::{Identity, Issuer, Subject, rest::AccountState};
use motley_tests::slapd::Slapd;

fn rule(key: ClaimKey, attribute: &str) -> Option<ClaimRule> {
    let issuer = Issuer::new("https://op.example").unwrap();
    Some(ClaimRule { issuer, key, attribute: attribute.to_owned() })
}

fn with_rule(slapd: &Slapd, key: ClaimKey, attribute: &str) -> LdapConfig {
    LdapConfig { claim: rule(key, attribute), ..config(slapd, Mode::PreCreated) }
}

directory_test! {
    async fn whoever_comes_first_gets_nothing_without_an_agreement() {
        let slapd = Slapd::builder().entries(&user_ldif("jdoe", 10_500, "")).start().unwrap();
        let ldap = back_end(config(&slapd, Mode::PreCreated));
        let jane = intent("jane", "jdoe", &[]);
        assert_eq!(ldap.naming(), Naming::Known);
        assert_eq!(ldap.prepared_name(&jane.identity, &jane.person).await.unwrap(), None);
        let before = slapd.entry(&dn("jdoe")).unwrap();
        assert_eq!(ldap.deploy(&jane).await.unwrap_err(), BackendError::NoAccount);
        let (id, own) = (&jane.identity, &jane.name);
        for done in [ldap.suspend(id, own).await, ldap.resume(id, own).await, ldap.limit(id, own).await] {
            assert!(matches!(done, Err(BackendError::Refused(_))), "{done:?}");
        }
        assert!(ldap.set_groups(id, own, &groups(&["x"])).await.is_err());
        assert_eq!(ldap.remove(id, own).await, Ok(Default::default()), "she has none");
        assert_eq!(slapd.entry(&dn("jdoe")).unwrap(), before);
    }
}

directory_test! {
    async fn an_entry_that_carries_the_identity_is_its_owners() {
        let jane = intent("jane", "jdoe", &["wlcg", "unmanaged", "absent"]);
        let carried = format!("gecos: {}\n", jane.identity.unique_id().as_str());
        let entries = [user_ldif("jdoe", 10_500, &carried), group_ldif("wlcg", 30_500, ""), group_ldif("unmanaged", 30_501, "")].join("\n");
        let slapd = Slapd::builder().entries(&entries).start().unwrap();
        let mut config = config(&slapd, Mode::PreCreated);
        config.groups.allowed.extend(groups(&["wlcg", "absent"]));
        let ldap = back_end(config);
        let before = slapd.entry(&dn("jdoe")).unwrap();
        let done = ldap.deploy(&jane).await.unwrap();
        assert!(!done.created);
        assert_eq!((done.joined, done.account.shell.as_str()), (groups(&["wlcg"]), "/bin/bash"));
        assert_eq!(slapd.entry(&dn("jdoe")).unwrap(), before, "the entry stays the site's");
        assert_eq!(slapd.entry(&group_dn("absent")).unwrap(), None);
    }
}

directory_test! {
    async fn an_agreed_claim_of_the_agreed_provider_claims_an_entry_once() {
        let slapd = Slapd::builder().entries(&user_ldif("jdoe", 10_500, "")).start().unwrap();
        let ldap = back_end(with_rule(&slapd, ClaimKey::PreferredUsername, "uid"));
        let jane = intent("jane", "jdoe", &[]);
        let foreign = Identity::new(Issuer::new("https://evil.example").unwrap(), Subject::new("jane").unwrap());
        assert_eq!(ldap.prepared_name(&foreign, &jane.person).await.unwrap(), None);
        let mut evil = jane.clone();
        evil.identity = foreign;
        assert_eq!(ldap.deploy(&evil).await.unwrap_err(), BackendError::NoAccount);
        assert_eq!(ldap.prepared_name(&jane.identity, &jane.person).await.unwrap(), Some(name("jdoe")));
        let done = ldap.deploy(&jane).await.unwrap();
        assert!(done.created);
        assert_eq!(values(&slapd, &dn("jdoe"), "gecos"), [jane.identity.unique_id().as_str()]);
        let twin = intent("twin", "jdoe", &[]);
        assert_eq!(ldap.prepared_name(&twin.identity, &twin.person).await.unwrap(), None);
        assert_eq!(ldap.deploy(&twin).await.unwrap_err(), BackendError::NameTaken(name("jdoe")));
    }
}

directory_test! {
    async fn twenty_who_claim_one_entry_at_once_leave_it_with_one_owner() {
        let slapd = Slapd::builder().entries(&user_ldif("jdoe", 10_500, "")).start().unwrap();
        let ldap = std::sync::Arc::new(back_end(with_rule(&slapd, ClaimKey::PreferredUsername, "uid")));
        let tasks: Vec<_> = (0..20).map(|n| {
            let (ldap, wish) = (ldap.clone(), intent(&format!("s{n}"), "jdoe", &[]));
            tokio::spawn(async move { ldap.deploy(&wish).await.is_ok() })
        }).collect();
        let mut won = 0;
        for task in tasks {
            won += u32::from(task.await.unwrap());
        }
        assert_eq!((won, values(&slapd, &dn("jdoe"), "gecos").len()), (1, 1));
    }
}

directory_test! {
    async fn only_a_verified_address_claims_and_only_one_entry() {
        let entries = [
            user_ldif("jdoe", 10_500, "mail: JDoe@Example.org\n"),
            user_ldif("joe", 10_501, "mail: shared@example.org\n"),
            user_ldif("moe", 10_502, "mail: shared@example.org\n"),
            user_ldif("sys", 33, "mail: sys@example.org\n"),
        ].join("\n");
        let slapd = Slapd::builder().entries(&entries).start().unwrap();
        let ldap = back_end(with_rule(&slapd, ClaimKey::Email, "mail"));
        let mut jane = intent("jane", "jdoe", &[]);
        jane.person.email_verified = false;
        assert_eq!(ldap.prepared_name(&jane.identity, &jane.person).await.unwrap(), None);
        jane.person.email_verified = true;
        assert_eq!(ldap.prepared_name(&jane.identity, &jane.person).await.unwrap(), Some(name("jdoe")));
        jane.person.email = Some("shared@example.org".to_owned());
        assert_eq!(ldap.prepared_name(&jane.identity, &jane.person).await.unwrap(), None);
        jane.person.email = Some("*".to_owned());
        assert_eq!(ldap.prepared_name(&jane.identity, &jane.person).await.unwrap(), None);
        jane.person.email = Some("sys@example.org".to_owned());
        let system = ldap.prepared_name(&jane.identity, &jane.person).await;
        assert!(!matches!(system, Ok(Some(_))), "{system:?}");
    }
}

directory_test! {
    async fn who_is_let_nowhere_by_the_site_gets_no_shell_by_coming() {
        let entry = user_ldif("jdoe", 10_500, "").replace("/bin/bash", "/sbin/nologin");
        let slapd = Slapd::builder().entries(&entry).start().unwrap();
        let ldap = back_end(with_rule(&slapd, ClaimKey::PreferredUsername, "uid"));
        let done = ldap.deploy(&intent("jane", "jdoe", &[])).await.unwrap();
        assert_eq!(done.account.state, AccountState::Limited);
    }
}

directory_test! {
    async fn removal_gives_the_entry_back_to_the_site() {
        let entries = [user_ldif("jdoe", 10_500, ""), group_ldif("wlcg", 30_500, "memberUid: other\n")].join("\n");
        let slapd = Slapd::builder().entries(&entries).start().unwrap();
        let mut config = with_rule(&slapd, ClaimKey::PreferredUsername, "uid");
        config.groups.allowed.extend(groups(&["wlcg"]));
        let ldap = back_end(config);
        let jane = intent("jane", "jdoe", &["wlcg"]);
        ldap.deploy(&jane).await.unwrap();
        ldap.suspend(&jane.identity, &jane.name).await.unwrap();
        ldap.resume(&jane.identity, &jane.name).await.unwrap();
        ldap.remove(&jane.identity, &jane.name).await.unwrap();
        assert!(values(&slapd, &dn("jdoe"), "gecos").is_empty());
        assert_eq!(values(&slapd, &group_dn("wlcg"), "memberUid"), ["other"]);
        assert!(slapd.entry(&dn("jdoe")).unwrap().is_some());
        assert_eq!(ldap.find(&jane.identity).await.unwrap(), None);
    }
}
