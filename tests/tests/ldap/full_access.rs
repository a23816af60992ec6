//! Mode full_access: accounts are made, follow their people and go.

use crate::directory_test;
use crate::support::*;
use feudal_plugins::{Backend, BackendError, Naming, Person, ldap::Mode};
use motley_proto::{
    rest::AccountState,
    task::{AccountPath, HomeFate},
};
use motley_tests::slapd::{Slapd, USERS};

directory_test! {
    async fn a_first_deployment_makes_a_whole_account_and_a_second_finds_it() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        assert_eq!(ldap.naming(), Naming::Numbered);
        let jane = intent("jane", "jdoe", &["wlcg"]);
        let done = ldap.deploy(&jane).await.unwrap();
        assert!(done.created);
        assert_eq!(done.joined, groups(&["wlcg"]));
        assert_eq!((done.account.uid, done.account.state), (Some(10_000), AccountState::Deployed));
        let of = |attribute| value(&slapd, &dn("jdoe"), attribute).unwrap_or_default();
        for (attribute, expected) in [
            ("gecos", jane.identity.unique_id().as_str()),
            ("homeDirectory", "/home/jdoe"),
            ("loginShell", "/bin/sh"),
            ("uidNumber", "10000"),
            ("gidNumber", "30001"),
            ("sn", "Doe"),
            ("cn", "Jane Doe"),
            ("mail", "jdoe@example.org"),
        ] {
            assert_eq!(of(attribute), expected, "{attribute}");
        }
        assert_eq!(values(&slapd, &group_dn("wlcg"), "memberUid"), ["jdoe"]);
        let again = ldap.deploy(&jane).await.unwrap();
        assert!(!again.created && again.joined.is_empty() && again.left.is_empty());
        assert_eq!(again.account, done.account);
        assert_eq!(ldap.find(&jane.identity).await.unwrap(), Some(done.account));
    }
}

directory_test! {
    async fn what_the_schema_asks_for_is_there_also_for_a_person_of_whom_nothing_is_told() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let mut nobody = intent("n", "anon", &[]);
        nobody.person = Person::default();
        ldap.deploy(&nobody).await.unwrap();
        assert_eq!(value(&slapd, &dn("anon"), "sn").as_deref(), Some("anon"));
        nobody.person.family_name = Some("Known".to_owned());
        ldap.deploy(&nobody).await.unwrap();
        assert_eq!(value(&slapd, &dn("anon"), "sn").as_deref(), Some("Known"), "it follows");
    }
}

directory_test! {
    async fn r31_a_hostile_subject_is_one_person_and_finds_nobody_else() {
        let slapd = Slapd::builder().entries(&user_ldif("victim", 10_500, "gecos: victim@https%3A%2F%2Fop.example\n")).start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        for (number, subject) in ["*)(uid=*", "*", "victim)(uid=*", "a\\2a", "x,cn=admin", "é*"].iter().enumerate() {
            let own = format!("hostile{number}");
            assert_eq!(ldap.find(&identity(subject)).await.unwrap(), None, "{subject}");
            let done = ldap.deploy(&intent(subject, &own, &[])).await.unwrap();
            assert_eq!(done.account.name.as_str(), own);
            assert_eq!(ldap.find(&identity(subject)).await.unwrap().unwrap().name.as_str(), own);
        }
        assert_eq!(ldap.find(&identity("victim")).await.unwrap().unwrap().name.as_str(), "victim");
    }
}

directory_test! {
    async fn r23_subjects_that_differ_in_case_only_are_two_people() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        ldap.deploy(&intent("AbC", "upper", &[])).await.unwrap();
        assert_eq!(ldap.find(&identity("abc")).await.unwrap(), None);
        let lower = ldap.deploy(&intent("abc", "lower", &[])).await.unwrap();
        assert!(lower.created);
        assert_eq!(ldap.find(&identity("AbC")).await.unwrap().unwrap().name.as_str(), "upper");
    }
}

directory_test! {
    async fn a_name_is_taken_by_the_directory_by_the_host_and_by_its_files() {
        let slapd = Slapd::builder().entries(&user_ldif("indir", 10_500, "")).start().unwrap();
        let mut host = Host::default();
        host.users.insert("onhost".to_owned(), 10_600);
        let passwd = "infile:x:10700:10700::/home/infile:/bin/sh\n";
        let ldap = back_end_on(config(&slapd, Mode::FullAccess), host, passwd);
        for text in ["indir", "onhost", "infile"] {
            let error = ldap.deploy(&intent("jane", text, &[])).await.unwrap_err();
            assert_eq!(error, BackendError::NameTaken(name(text)));
        }
        assert!(ldap.is_taken(&name("indir")).await.unwrap());
        assert!(ldap.is_taken(&name("onhost")).await.unwrap());
        assert!(!ldap.is_taken(&name("free")).await.unwrap());
        let unchanged = values(&slapd, &dn("indir"), "gecos");
        assert!(unchanged.is_empty(), "{unchanged:?}");
    }
}

directory_test! {
    async fn r23_a_name_that_a_group_still_lists_goes_to_nobody_new_and_back_to_its_owner() {
        let entries = [
            group_ldif("admins", 30_500, "memberUid: byname\n"),
            group_ldif("staff", 30_501, "memberUid: ours\n"),
        ];
        let slapd = Slapd::builder().entries(&entries.join("\n")).start().unwrap();
        let host = Host { members: ["onhost".to_owned()].into(), ..Host::default() };
        let ldap = back_end_on(config(&slapd, Mode::FullAccess), host, "");
        for text in ["byname", "onhost", "infile"] {
            assert!(ldap.is_taken(&name(text)).await.unwrap(), "{text}");
            let error = ldap.deploy(&intent("mallory", text, &[])).await.unwrap_err();
            assert_eq!(error, BackendError::NameTaken(name(text)));
            assert_eq!(slapd.entry(&dn(text)).unwrap(), None);
        }
        let mut ours = intent("jane", "ours", &[]);
        assert!(ldap.deploy(&ours).await.is_err());
        // With the uid that was promised it is somebody who had the account before.
        ours.uid = Some(motley_proto::Uid::new(10_900).unwrap());
        assert_eq!(ldap.deploy(&ours).await.unwrap().account.name, ours.name);
    }
}

directory_test! {
    async fn r23_a_host_that_can_not_tell_its_names_gives_none_away() {
        let slapd = Slapd::builder().start().unwrap();
        let host = Host { is_silent: true, ..Host::default() };
        let ldap = back_end_on(config(&slapd, Mode::FullAccess), host, "");
        assert!(matches!(ldap.is_taken(&name("jdoe")).await, Err(BackendError::Unavailable { .. })));
        let error = ldap.deploy(&intent("jane", "jdoe", &[])).await.unwrap_err();
        assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
        assert_eq!(slapd.entry(&dn("jdoe")).unwrap(), None);
    }
}

directory_test! {
    async fn r21_nobody_logs_in_to_a_local_account_that_has_the_name_of_theirs() {
        let id = identity("jane");
        let carried = format!("gecos: {}\n", id.unique_id().as_str());
        let slapd = Slapd::builder().entries(&user_ldif("jdoe", 10_500, &carried)).start().unwrap();
        let passwd = "jdoe:x:1000:1000:the admin:/home/jdoe:/bin/bash\n";
        let ldap = back_end_on(config(&slapd, Mode::FullAccess), Host::default(), passwd);
        let error = ldap.find(&id).await.unwrap_err();
        assert!(error.to_string().contains("/etc/passwd"), "{error}");
        let local = ldap.by_name(&name("jdoe")).await.unwrap().unwrap();
        assert_eq!((local.uid, local.identity), (Some(1000), None));
    }
}

directory_test! {
    async fn r21_an_entry_with_a_uid_of_the_system_is_never_touched() {
        let id = identity("mallory");
        let carried = format!("gecos: {}\n", id.unique_id().as_str());
        let slapd = Slapd::builder().entries(&user_ldif("toor2", 0, &carried)).start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        assert!(matches!(ldap.deploy(&intent("mallory", "toor2", &[])).await, Err(BackendError::Refused(_))));
        assert!(matches!(ldap.suspend(&id, &name("toor2")).await, Err(BackendError::Refused(_))));
        assert!(matches!(ldap.remove(&id, &name("toor2")).await, Err(BackendError::Refused(_))));
        assert!(slapd.entry(&dn("toor2")).unwrap().is_some());
    }
}

directory_test! {
    async fn an_identity_in_two_entries_is_nobody_until_the_site_decides() {
        let carried = format!("gecos: {}\n", identity("jane").unique_id().as_str());
        let entries = user_ldif("one", 10_500, &carried) + "\n" + &user_ldif("two", 10_501, &carried);
        let slapd = Slapd::builder().entries(&entries).start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let error = ldap.find(&identity("jane")).await.unwrap_err();
        assert!(error.to_string().contains("uid=one") && error.to_string().contains("uid=two"), "{error}");
    }
}

directory_test! {
    async fn a_refused_add_is_an_error_and_not_an_account() {
        let rules = format!("access to dn.children=\"{USERS}\" by dn.exact=\"cn=motley,dc=example\" read by * none\n");
        let slapd = Slapd::builder().access(&rules).start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let error = ldap.deploy(&intent("jane", "jdoe", &[])).await.unwrap_err();
        assert!(matches!(error, BackendError::Failed { .. }), "{error}");
        assert!(error.to_string().contains("insufficientAccessRights") && error.to_string().contains("admin_user"), "{error}");
        assert_eq!(ldap.find(&identity("jane")).await.unwrap(), None);
    }
}

directory_test! {
    async fn removal_takes_entry_and_memberships_and_the_same_person_gets_the_same_uid_again() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let jane = intent("jane", "jdoe", &["wlcg"]);
        let uid = uid_of(&ldap.deploy(&jane).await.unwrap().account);
        slapd.change(&group_ldif("byhand", 30_500, "memberUid: jdoe\nmemberUid: other\n")).unwrap();
        let removal = ldap.remove(&jane.identity, &jane.name).await.unwrap();
        assert_eq!(removal.home, HomeFate::Left("/home/jdoe".to_owned()));
        assert_eq!(slapd.entry(&dn("jdoe")).unwrap(), None);
        assert!(values(&slapd, &group_dn("wlcg"), "memberUid").is_empty());
        assert_eq!(values(&slapd, &group_dn("byhand"), "memberUid"), ["other"]);
        let mut again = intent("jane", "jdoe", &[]);
        again.uid = Some(motley_proto::Uid::new(uid).unwrap());
        assert_eq!(ldap.deploy(&again).await.unwrap().account.uid, Some(uid));
        let mut other = intent("other", "other", &[]);
        other.uid = again.uid;
        assert!(matches!(ldap.deploy(&other).await, Err(BackendError::UidTaken(_))));
    }
}

directory_test! {
    async fn a_shell_that_the_operator_set_stays_and_one_of_a_tier_follows() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let mut jane = intent("jane", "jdoe", &[]);
        ldap.deploy(&jane).await.unwrap();
        jane.shell = AccountPath::new("/sbin/nologin").unwrap();
        assert_eq!(ldap.deploy(&jane).await.unwrap().account.state, AccountState::Limited);
        let zsh = AccountPath::new("/bin/zsh").unwrap();
        ldap.set_shell(&jane.identity, &jane.name, &zsh).await.unwrap();
        assert_eq!(ldap.deploy(&jane).await.unwrap().account.shell, "/bin/zsh");
    }
}
