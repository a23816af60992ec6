//! `mccli doctor`, `ops` and `status` against the real service and the real sshd.

use anyhow::{Context, Result};
use motley_tests::sandbox::{
    Daemon, Mccli, Outcome, PamStack, Root, Sandbox, Sshd, TlsFront, World,
};
use motley_tests::sandbox_test;
use serde_json::Value;

/// Admins decide about accounts; nobody reads their mail.
const APPROVAL: &str = "[ldf_adapter]\nbackend = local_unix\nfallback_group = motleyusers\n\
    [backend.local_unix]\nhome_base = /home\nshell = /bin/bash\n\
    [login_info]\nssh_host = ssh.example\n\
    [approval]\nenabled = yes\n\
    [notifier.email]\nsmtp_port = 2525\nsent_from = node@example.org\nadmin_email = admin@example.org\n";

/// The client at home in a directory of its own, trusting the test's authority.
fn mccli(sb: &Sandbox, world: &World, words: &[&str]) -> Result<Outcome> {
    let home = sb.dir().join("client-home");
    std::fs::create_dir_all(&home)?;
    Mccli::new(words)?.env("HOME", &home.to_string_lossy()).ca(world.ca.path()).run(sb)
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).with_context(|| text.to_owned())
}

/// Outcome and detail of one check.
fn check<'a>(told: &'a Value, name: &str) -> (&'a str, &'a str) {
    let checks = told["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = checks.iter().find(|check| check["name"] == name).unwrap_or(&Value::Null);
    (found["outcome"].as_str().unwrap_or_default(), found["detail"].as_str().unwrap_or_default())
}

sandbox_test! {
    fn the_doctor_finds_nothing_wrong_where_a_login_works_and_logs_nobody_in(sb) {
        let world = World::start(sb)?;
        let _front = TlsFront::of_the_login_node(&world.ca)?;
        let token = world.op.token("alice").sign();
        world.deploy(&token)?;
        let outcome = mccli(sb, &world, &["--json", "--token", &token, "doctor", "localhost"])?;
        assert!(outcome.is_success(), "{}{}", outcome.stdout, outcome.stderr);
        let told = json(&outcome.stdout)?;
        for name in [
            "configuration", "ssh", "destination", "address", "port", "service", "providers", "token",
            "scopes", "length", "account", "prompt", "forwarding",
        ] {
            assert_eq!(check(&told, name).0, "ok", "{name}: {}", outcome.stdout);
        }
        // The test's certificates live for a short time.
        assert!(matches!(check(&told, "certificate").0, "ok" | "warn"), "{}", outcome.stdout);
        assert!(check(&told, "certificate").1.starts_with("trusted, valid for "));
        assert!(check(&told, "prompt").1.contains("keyboard-interactive"));
        assert!(!outcome.stdout.contains(&token));
        let log = world.sshd.log();
        assert!(!log.contains("Accepted") && !log.contains("Failed keyboard"), "{log}");
        Ok(())
    }
}

sandbox_test! {
    fn the_doctor_sees_that_the_server_asks_nobody_and_that_a_name_does_not_match(sb) {
        let ca = motley_tests::op::TestCa::new()?;
        let op = motley_tests::op::TestOp::builder(&ca).start()?;
        let root = Root::start(sb)?;
        let daemon = Daemon::for_op("demo", &op, "authorise_all = yes").ca(ca.path()).start(sb)?;
        let sshd = Sshd::new(sb).pam(PamStack::shipped()).option("KbdInteractiveAuthentication no");
        let world = World { ca, op, root, daemon, sshd: sshd.start()? };
        let _front = TlsFront::start(
            &world.ca,
            "127.0.0.1:8443".parse()?,
            &["another.example.org"],
            "127.0.0.1:8080".parse()?,
        )?;
        let token = world.op.token("alice").sign();
        let words = ["--json", "--token", &token, "--mc-endpoint", world.daemon.url(), "doctor", "127.0.0.1"];
        let outcome = mccli(sb, &world, &words)?;
        let told = json(&outcome.stdout)?;
        assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
        assert_eq!(check(&told, "prompt").0, "fail");
        assert!(check(&told, "prompt").1.contains("never asks for a token"), "{}", outcome.stdout);
        let elsewhere = ["--json", "--token", &token, "--mc-endpoint", "https://localhost:8443", "doctor", "127.0.0.1"];
        let outcome = mccli(sb, &world, &elsewhere)?;
        let told = json(&outcome.stdout)?;
        assert_eq!(outcome.code, Some(9), "{}", outcome.stdout);
        assert!(check(&told, "service").1.contains("localhost"), "{}", outcome.stdout);
        Ok(())
    }
}

sandbox_test! {
    fn a_pending_account_shows_what_admins_were_asked_for_and_providers_what_they_need(sb) {
        let world = World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| {
            daemon.adapter(APPROVAL)
        })?;
        let token = world.op.token("alice").sign();
        let url = world.daemon.url();
        let run = |words: &[&str]| {
            mccli(sb, &world, &[&["--json", "--token", &token, "--mc-endpoint", url], words].concat())
        };
        let before = json(&run(&["status"])?.stdout)?;
        assert_eq!((&before["state"], &before["request"]), (&"not_deployed".into(), &Value::Null));
        let outcome = run(&["deploy"])?;
        assert_eq!(outcome.code, Some(6), "{}{}", outcome.stdout, outcome.stderr);
        let outcome = run(&["status"])?;
        assert_eq!(outcome.code, Some(6), "{}{}", outcome.stdout, outcome.stderr);
        let told = json(&outcome.stdout)?;
        assert_eq!(told["request"]["kind"], "account", "{told}");
        let (asked, ends) = (&told["request"]["requested_at"], &told["request"]["expires_at"]);
        assert!(asked.as_i64() < ends.as_i64() && asked.as_i64() > Some(1_600_000_000), "{told}");
        let told = json(&run(&["ops"])?.stdout)?;
        assert_eq!(told["providers"][0]["issuer"], world.op.issuer());
        Ok(())
    }
}
