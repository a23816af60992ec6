//! The server itself: protected, gone, back again, silent, and full.

use crate::directory_test;
use crate::support::*;
use feudal_plugins::{
    Backend, BackendError,
    ldap::{LdapConfig, Mode, Protection},
};
use motley_proto::Secret;
use motley_tests::{op::TestCa, slapd::Slapd};
use std::time::{Duration, Instant};

fn protected(slapd: &Slapd, protection: Protection, ca: &TestCa, host: &str) -> LdapConfig {
    let mut config = config(slapd, Mode::FullAccess);
    config.protection = protection;
    config.host = host.to_owned();
    if protection == Protection::Tls {
        config.port = slapd.tls_port().unwrap();
    }
    config.ca_file = Some(ca.path().to_owned());
    config
}

fn unavailable(error: &BackendError) -> String {
    assert!(matches!(error, BackendError::Unavailable { .. }), "{error:?}");
    error.to_string()
}

directory_test! {
    async fn both_ways_of_tls_verify_authority_and_name() {
        let (ca, stranger) = (TestCa::new().unwrap(), TestCa::new().unwrap());
        let slapd = Slapd::builder().tls(&ca, &["localhost"]).unwrap().start().unwrap();
        for protection in [Protection::Tls, Protection::StartTls] {
            let good = back_end(protected(&slapd, protection, &ca, "localhost"));
            good.check().await.unwrap();
            let wrong = back_end(protected(&slapd, protection, &stranger, "localhost"));
            let text = unavailable(&wrong.check().await.unwrap_err());
            assert!(text.contains("can't be trusted") && text.contains("ca_file"), "{text}");
            let other_name = back_end(protected(&slapd, protection, &ca, "127.0.0.1"));
            let text = unavailable(&other_name.check().await.unwrap_err());
            assert!(text.contains("can't be trusted"), "{text}");
        }
    }
}

directory_test! {
    async fn a_server_without_starttls_is_not_spoken_to_in_the_clear() {
        let ca = TestCa::new().unwrap();
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(protected(&slapd, Protection::StartTls, &ca, "localhost"));
        let text = unavailable(&ldap.check().await.unwrap_err());
        assert!(text.contains("StartTLS"), "{text}");
    }
}

directory_test! {
    async fn r06_a_wrong_password_is_told_and_not_shown() {
        let slapd = Slapd::builder().start().unwrap();
        let mut config = config(&slapd, Mode::FullAccess);
        if let Some(login) = &mut config.login {
            login.password = Secret::new("hunter2-canary".to_owned());
        }
        let shown = format!("{config:?}");
        let text = unavailable(&back_end(config).check().await.unwrap_err());
        assert!(text.contains("invalidCredentials") && text.contains("admin_password"), "{text}");
        assert!(!text.contains("canary") && !shown.contains("canary"));
    }
}

directory_test! {
    async fn a_missing_base_is_named() {
        let slapd = Slapd::builder().start().unwrap();
        let mut config = config(&slapd, Mode::FullAccess);
        config.user_base = "ou=people,dc=example".to_owned();
        let text = unavailable(&back_end(config).check().await.unwrap_err());
        assert!(text.contains("ou=people,dc=example") && text.contains("user_base"), "{text}");
    }
}

directory_test! {
    async fn a_restart_of_the_server_is_not_noticed() {
        let mut slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        ldap.deploy(&intent("jane", "jdoe", &[])).await.unwrap();
        slapd.restart().unwrap();
        for n in 0..6 {
            assert!(ldap.find(&identity("jane")).await.unwrap().is_some());
            ldap.deploy(&intent(&format!("s{n}"), &format!("p{n}"), &["lab"])).await.unwrap();
        }
        slapd.stop().unwrap();
        let text = unavailable(&ldap.find(&identity("jane")).await.unwrap_err());
        assert!(text.contains("can't be reached"), "{text}");
        slapd.restart().unwrap();
        assert!(ldap.find(&identity("jane")).await.unwrap().is_some());
    }
}

directory_test! {
    async fn a_server_that_hangs_costs_the_time_limit_and_no_guess_is_made() {
        let slapd = Slapd::builder().start().unwrap();
        let mut config = config(&slapd, Mode::FullAccess);
        config.limit = Duration::from_secs(1);
        let ldap = back_end(config);
        ldap.deploy(&intent("jane", "jdoe", &[])).await.unwrap();
        slapd.freeze().unwrap();
        let begin = Instant::now();
        let asked = (identity("jane"), intent("joe", "joe", &[]), name("jdoe"));
        let (found, made, taken) =
            tokio::join!(ldap.find(&asked.0), ldap.deploy(&asked.1), ldap.is_taken(&asked.2));
        for error in [found.unwrap_err(), made.unwrap_err(), taken.unwrap_err()] {
            let text = unavailable(&error);
            assert!(text.contains("no answer within 1 s") && text.contains("timeout"), "{text}");
        }
        assert!(begin.elapsed() < Duration::from_secs(15));
        slapd.thaw().unwrap();
        assert!(ldap.find(&identity("jane")).await.unwrap().is_some());
        assert!(ldap.deploy(&intent("joe", "joe", &[])).await.is_ok());
    }
}

directory_test! {
    async fn logins_of_local_people_do_not_depend_on_the_directory() {
        let mut slapd = Slapd::builder().start().unwrap();
        let passwd = "admin1:x:1000:1000::/home/admin1:/bin/sh\n";
        let ldap = back_end_on(config(&slapd, Mode::ReadOnly), Host::default(), passwd);
        slapd.stop().unwrap();
        assert_eq!(ldap.by_name(&name("admin1")).await.unwrap().unwrap().uid, Some(1000));
        unavailable(&ldap.by_name(&name("jdoe")).await.unwrap_err());
    }
}

directory_test! {
    async fn a_thousand_accounts_are_listed_page_by_page() {
        let entries: Vec<String> = (0..1000)
            .map(|n| {
                let id = identity(&format!("s{n}"));
                user_ldif(&format!("p{n}"), 10_000 + n, &format!("gecos: {}\n", id.unique_id().as_str()))
            })
            .collect();
        let group = group_ldif("wlcg", 30_000, "memberUid: p7\n");
        let slapd = Slapd::builder().entries(&entries.join("\n")).entries(&group).start().unwrap();
        let ldap = back_end(config(&slapd, Mode::ReadOnly));
        let accounts = ldap.accounts().await.unwrap();
        assert_eq!(accounts.len(), 1000);
        let seventh = accounts.iter().find(|account| account.name == name("p7")).unwrap();
        assert_eq!(seventh.groups, ["wlcg"]);
    }
}
