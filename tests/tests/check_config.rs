//! `motleyctl check-config --online` against a real provider: there, down, and not what is needed.

use std::process::Command;

use anyhow::Result;
use motley_tests::sandbox::{PamStack, World, built};
use motley_tests::sandbox_test;
use motley_tests::slapd::{GROUPS, PASSWORD, SERVICE, Slapd, USERS};
use serde_json::Value;

/// The exit code and the report.
fn check(world: &World) -> Result<(Option<i32>, Value)> {
    let output = Command::new(built("motleyctl")?)
        .args(["--json", "check-config", "--online", "--config"])
        .arg(world.daemon.config_path())
        .args(["--adapter-config", "/etc/motley_cue/feudal_adapter.conf"])
        .env("SSL_CERT_FILE", world.ca.path())
        .output()?;
    Ok((output.status.code(), serde_json::from_slice(&output.stdout)?))
}

/// How the parts are, in the order of the report.
fn outcomes(report: &Value) -> Vec<&str> {
    let answers = report["online"]["answers"].as_array().map(Vec::as_slice).unwrap_or_default();
    answers.iter().filter_map(|answer| answer["outcome"].as_str()).collect()
}

sandbox_test! {
    fn a_provider_is_held_against_its_section_and_its_absence_is_an_error(sb) {
        let rules = "authorise_all = yes\nscopes = [openid, no_such_scope]";
        let world = World::with(sb, rules, PamStack::shipped(), |daemon| daemon)?;
        let (code, report) = check(&world)?;
        assert_eq!((code, &report["valid"]), (Some(0), &Value::Bool(true)), "{report}");
        assert_eq!(outcomes(&report), ["well", "doubtful", "well"], "{}", report["online"]);
        assert!(report["online"].to_string().contains("no_such_scope"));

        world.op.down();
        let (code, report) = check(&world)?;
        assert_eq!((code, &report["valid"]), (Some(69), &Value::Bool(true)));
        assert_eq!(outcomes(&report), ["wrong", "well"], "{}", report["online"]);
        Ok(())
    }
}

sandbox_test! {
    fn a_directory_is_bound_to_by_the_authorities_of_the_host_and_its_absence_is_an_error(sb) {
        let world = World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| daemon)?;
        let mut slapd = Slapd::builder().tls(&world.ca, &["localhost"])?.start()?;
        let port = slapd.tls_port().unwrap_or_default();
        let adapter = format!(
            "[ldf_adapter]\nbackend = ldap\nfallback_group = people\n[backend.ldap]\ntls = yes\n\
             host = localhost\nport = {port}\nadmin_user = {SERVICE}\nadmin_password = {PASSWORD}\n\
             user_base = {USERS}\ngroup_base = {GROUPS}\n"
        );
        std::fs::write("/etc/motley_cue/feudal_adapter.conf", adapter)?;
        let (code, report) = check(&world)?;
        assert_eq!((code, outcomes(&report)), (Some(0), vec!["well", "well", "well"]), "{}", report["online"]);
        assert!(!report.to_string().contains(PASSWORD), "{report}");
        slapd.stop()?;
        let (code, report) = check(&world)?;
        assert_eq!((code, outcomes(&report)), (Some(69), vec!["well", "well", "wrong"]), "{}", report["online"]);
        assert!(report["online"].to_string().contains("can't be reached"), "{}", report["online"]);
        Ok(())
    }
}
