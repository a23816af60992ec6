//! Mode read_only: nothing is written, and nothing is claimed to have been.

use crate::directory_test;
use crate::support::*;
use feudal_plugins::{
    Backend, BackendError, Naming,
    ldap::{Depth, Mode},
};
use motley_proto::rest::AccountState;
use motley_tests::slapd::Slapd;

fn carried(subject: &str) -> String {
    format!("gecos: {}\n", identity(subject).unique_id().as_str())
}

directory_test! {
    async fn those_whom_the_directory_names_have_accounts_and_nobody_else() {
        let entries = [user_ldif("jdoe", 10_500, &carried("jane")), group_ldif("wlcg", 30_500, "memberUid: jdoe\n")].join("\n");
        let slapd = Slapd::builder().entries(&entries).start().unwrap();
        let ldap = back_end(config(&slapd, Mode::ReadOnly));
        assert_eq!(ldap.naming(), Naming::Known);
        let before = slapd.entry(&dn("jdoe")).unwrap();
        let jane = intent("jane", "jdoe", &["other"]);
        let done = ldap.deploy(&jane).await.unwrap();
        assert!(!done.created && done.joined.is_empty() && done.left.is_empty());
        assert_eq!((done.account.uid, done.account.groups), (Some(10_500), vec!["wlcg".to_owned()]));
        assert_eq!(ldap.accounts().await.unwrap().len(), 1);
        assert_eq!(ldap.by_name(&name("jdoe")).await.unwrap().unwrap().identity, Some(jane.identity));
        let joe = intent("joe", "joe", &[]);
        assert_eq!(ldap.prepared_name(&joe.identity, &joe.person).await.unwrap(), None);
        assert_eq!(ldap.deploy(&joe).await.unwrap_err(), BackendError::NoAccount);
        assert_eq!(slapd.entry(&dn("jdoe")).unwrap(), before);
    }
}

directory_test! {
    async fn r28_what_would_have_to_be_written_is_refused_and_not_claimed() {
        let slapd = Slapd::builder().entries(&user_ldif("jdoe", 10_500, &carried("jane"))).start().unwrap();
        let ldap = back_end(config(&slapd, Mode::ReadOnly));
        let jane = intent("jane", "jdoe", &[]);
        let (id, own) = (&jane.identity, &jane.name);
        let answers = [
            ldap.suspend(id, own).await.err(),
            ldap.resume(id, own).await.err(),
            ldap.limit(id, own).await.err(),
            ldap.unlimit(id, own, &jane.shell).await.err(),
            ldap.set_groups(id, own, &groups(&["x"])).await.err(),
            ldap.remove(id, own).await.err(),
            ldap.can_remove().err(),
        ];
        for answer in answers {
            assert!(matches!(answer, Some(BackendError::Unsupported(_))), "{answer:?}");
        }
        assert_eq!(ldap.find(id).await.unwrap().unwrap().state, AccountState::Deployed);
    }
}

directory_test! {
    async fn a_lock_that_the_site_sets_is_seen() {
        let lock = format!("shadowExpire: 100\n{}", carried("jane"));
        let class = "objectClass: posixAccount\n";
        let entry = user_ldif("jdoe", 10_500, &lock)
            .replace(class, &format!("{class}objectClass: shadowAccount\n"));
        let slapd = Slapd::builder().entries(&entry).start().unwrap();
        let ldap = back_end(config(&slapd, Mode::ReadOnly));
        let state = ldap.find(&identity("jane")).await.unwrap().unwrap().state;
        assert_eq!(state, AccountState::Suspended);
    }
}

directory_test! {
    async fn bonsai_looks_directly_below_the_base_only() {
        let deep = user_ldif("deep", 10_500, &carried("deep")).replace("uid=deep,", "uid=deep,ou=sub,");
        let entries = format!("dn: ou=sub,ou=users,dc=example\nobjectClass: organizationalUnit\nou: sub\n\n{deep}");
        let slapd = Slapd::builder().entries(&entries).start().unwrap();
        let deep = back_end(config(&slapd, Mode::ReadOnly)).find(&identity("deep")).await.unwrap();
        assert_eq!(deep.unwrap().name, name("deep"));
        let mut config = config(&slapd, Mode::ReadOnly);
        config.depth = Depth::OneLevel;
        assert_eq!(back_end(config).find(&identity("deep")).await.unwrap(), None);
    }
}
