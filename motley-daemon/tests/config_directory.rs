//! Sections of directories: what they mean, and what can't be spoken to safely.

use feudal_plugins::ldap::{ClaimKey, Depth, LdapConfig, Mode, Protection};
use motley_daemon::config::{BackendConfig, Owners, Source, validate};
use std::{path::PathBuf, time::Duration};

fn read(backend: &str, lines: &str) -> Result<(LdapConfig, Vec<String>), Vec<String>> {
    let source =
        |name: &str, text: String| Source { path: PathBuf::from(name), text, is_public: false };
    let text = format!(
        "[ldf_adapter]\nbackend = {backend}\nfallback_group = people\n[backend.{backend}]\n{lines}"
    );
    let service = nix::unistd::geteuid().as_raw();
    let read = validate(source("m", String::new()), source("f", text), Owners { service });
    match read {
        Ok((config, warnings)) => match config.adapter.backend {
            BackendConfig::Ldap(ldap) => {
                let said = warnings.iter().map(ToString::to_string);
                Ok((*ldap, said.filter(|it| it.contains("[backend.")).collect()))
            }
            other => panic!("{other:?}"),
        },
        Err(error) => Err(error.problems.iter().map(ToString::to_string).collect()),
    }
}

fn problem(lines: &str, expected: &str) {
    let problems = read("ldap", lines).unwrap_err();
    assert!(problems.iter().any(|it| it.contains(expected)), "{lines}: {problems:?}");
}

fn warning(lines: &str, expected: &str) {
    let (_, warnings) = read("ldap", lines).unwrap();
    assert!(warnings.iter().any(|it| it.contains(expected)), "{lines}: {warnings:?}");
}

#[test]
fn a_file_of_the_python_stack_means_what_it_meant() {
    let lines = "mode = full_access\nhost = localhost\nport = 389\nadmin_user = cn=admin,dc=x\n\
                 admin_password = secret\nuser_base = ou=u,dc=x\ngroup_base = ou=g,dc=x\n\
                 uid_min = 5000\nuid_max = 6000\nshell = /bin/bash\nhome_base = /srv/home\n";
    let (ldap, warnings) = read("ldap", lines).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!((ldap.mode, ldap.port, ldap.depth), (Mode::FullAccess, 389, Depth::Subtree));
    assert_eq!((ldap.user_base.as_str(), ldap.uids), ("ou=u,dc=x", 5000..=6000));
    assert_eq!((ldap.shells.full.as_str(), ldap.home_base.as_str()), ("/bin/bash", "/srv/home"));
    assert_eq!((ldap.attributes.identity.as_str(), ldap.limit), ("gecos", Duration::from_secs(5)));
    let (bonsai, _) = read("bonsai_ldap", "connection_pool_size = 7\n").unwrap();
    assert_eq!(
        (bonsai.backend, bonsai.depth, bonsai.connections),
        ("bonsai_ldap", Depth::OneLevel, 7)
    );
    assert_eq!((bonsai.mode, bonsai.port), (Mode::ReadOnly, 1389));
}

#[test]
fn nothing_crosses_a_network_without_protection_unless_the_operator_says_so() {
    problem("host = ldap.example\n", "without protection");
    warning("host = ldap.example\nallow_plain = yes\n", "without protection");
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        assert!(read("ldap", &format!("host = {host}\n")).is_ok(), "{host}");
    }
    let (tls, _) = read("ldap", "host = ldap.example\ntls = yes\n").unwrap();
    assert_eq!((tls.protection, tls.port), (Protection::Tls, 636));
    let (starttls, _) = read("ldap", "host = ldap.example\nstarttls = yes\n").unwrap();
    assert_eq!((starttls.protection, starttls.port), (Protection::StartTls, 389));
    problem("tls = yes\nstarttls = yes\n", "two ways");
    problem("tls = yes\nca_file = /nonexistent/ca.pem\n", "/nonexistent/ca.pem");
}

#[test]
fn r06_a_password_is_never_shown() {
    let (ldap, _) = read("ldap", "admin_user = cn=a\nadmin_password = canary\n").unwrap();
    assert!(!format!("{ldap:?}").contains("canary"));
}

#[test]
fn what_can_not_work_is_found_at_the_start() {
    problem("mode = all\n", "none of the words");
    problem("host = ldap://x\n", "is no host");
    problem("port = 70000\n", "is no port");
    problem("user_base = users\n", "no distinguished name");
    problem("attribute_oidc_uid = a)(b\n", "no name of an attribute");
    problem("attribute_oidc_uid = UID\n", "two ends");
    problem("uid_min = 9\nuid_max = 8\n", "no id lies between");
    problem("allowed_groups = physics sudo\n", "protected name");
    problem("connection_pool_size = 0\n", "no number of connections");
    problem("shell = bash\n", "absolute path");
    warning("mode = full_access\n", "anonymous");
    warning("admin_user = cn=a\n", "anonymously");
}

#[test]
fn entries_are_claimed_by_one_named_provider_only() {
    let rule = "mode = pre_created\nadmin_user = cn=a\nadmin_password = b\nclaim_by = email\nclaim_attribute = mail\n";
    problem(rule, "claim_issuer");
    let (ldap, _) = read("ldap", &format!("{rule}claim_issuer = https://op.example\n")).unwrap();
    let claim = ldap.claim.unwrap();
    assert_eq!((claim.key, claim.attribute.as_str()), (ClaimKey::Email, "mail"));
    problem("mode = pre_created\nclaim_by = name\n", "none of the words");
    warning("claim_attribute = mail\n", "without claim_by");
    assert_eq!(read("ldap", "").unwrap().0.claim, None);
}
