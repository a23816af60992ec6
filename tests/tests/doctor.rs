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

/// Asserts what came of one check, and a part of what is said of it or advised.
#[track_caller]
fn assert_check(outcome: &Outcome, name: &str, expected: &str, said: &str) {
    let told: Value = serde_json::from_str(&outcome.stdout).unwrap_or_default();
    let (found, detail) = check(&told, name);
    let shown = format!("{name}: {}{}", outcome.stdout, outcome.stderr);
    assert_eq!(found, expected, "{shown}");
    let hint = told["checks"].as_array().into_iter().flatten().find(|it| it["name"] == name);
    let hint = hint.and_then(|it| it["hint"].as_str()).unwrap_or_default();
    assert!(detail.contains(said) || hint.contains(said), "{said:?} is not in {shown}");
}

/// `mccli --json --token TOKEN --mc-endpoint URL OWN… doctor HOST`.
fn examine(sb: &Sandbox, world: &World, token: &str, own: &[&str]) -> Result<Outcome> {
    let words = ["--json", "--token", token, "--mc-endpoint", world.daemon.url()];
    mccli(sb, world, &[&words, own, &["doctor", "127.0.0.1"]].concat())
}

sandbox_test! {
    fn the_doctor_sees_a_port_that_is_closed_and_settings_that_switch_prompts_off(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        std::fs::create_dir_all("/root/.ssh")?;
        std::fs::write("/root/.ssh/config", "Host closed\n HostName 127.0.0.1\n Port 2\nHost silent\n HostName 127.0.0.1\n BatchMode yes\n")?;
        let words = ["--json", "--token", &token, "--mc-endpoint", world.daemon.url(), "doctor"];
        let outcome = mccli(sb, &world, &[&words[..], &["closed"]].concat())?;
        assert_eq!(outcome.code, Some(8), "{}", outcome.stdout);
        assert_check(&outcome, "port", "fail", "ssh's port 2 can't be reached");
        assert_check(&outcome, "port", "fail", "a firewall");
        assert_check(&outcome, "prompt", "fail", "ssh can't reach the server");
        let outcome = mccli(sb, &world, &[&words[..], &["silent"]].concat())?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        assert_check(&outcome, "destination", "warn", "switches prompts off");
        Ok(())
    }
}

sandbox_test! {
    fn the_doctor_sees_a_token_that_lacks_scopes_or_is_of_another_provider_or_is_over(sb) {
        let rules = "authorise_all = yes\nscopes = [openid, eduperson_entitlement]";
        let world = World::with(sb, rules, PamStack::shipped(), |daemon| daemon)?;
        let narrow = examine(sb, &world, &world.op.token("alice").sign(), &[])?;
        assert!(narrow.is_success(), "{}", narrow.stdout);
        assert_check(&narrow, "scopes", "warn", "eduperson_entitlement");
        assert_check(&narrow, "scopes", "warn", "mccli ops");
        let wide = world.op.token("alice").claim("scope", "openid eduperson_entitlement").sign();
        assert_check(&examine(sb, &world, &wide, &[])?, "scopes", "ok", "as the service wants it");
        let foreign = motley_tests::op::TestOp::builder(&world.ca).start()?.token("alice").sign();
        for (token, said) in [(foreign, "does not support the issuer"), (world.op.token("alice").lifetime(-30).sign(), "expired")] {
            let outcome = examine(sb, &world, &token, &[])?;
            assert_eq!(outcome.code, Some(3), "{}", outcome.stdout);
            assert_check(&outcome, "token", "fail", said);
            assert_check(&outcome, "account", "skip", "there is no token");
        }
        let soon = world.op.token("alice").lifetime(30).sign();
        assert_check(&examine(sb, &world, &soon, &[])?, "token", "warn", "It ends soon");
        Ok(())
    }
}

sandbox_test! {
    fn the_doctor_tells_how_a_long_token_gets_through(sb) {
        let world = World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| {
            daemon.option("login", "chunked_prompts = no")
        })?;
        let long = world.op.token("alice").size(2289).sign();
        let outcome = examine(sb, &world, &long, &[])?;
        assert_check(&outcome, "length", "ok", "a one-time password of the service");
        let never = examine(sb, &world, &long, &["--otp", "never"])?;
        assert_eq!(never.code, Some(10), "{}", never.stdout);
        assert_check(&never, "length", "fail", "too long");
        let short = examine(sb, &world, &world.op.token("alice").sign(), &[])?;
        assert_check(&short, "length", "ok", "fit through ssh's prompt");
        Ok(())
    }
}

sandbox_test! {
    fn the_doctor_sees_a_long_token_that_no_way_is_left_for(sb) {
        let world = World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| {
            daemon.option("login", "chunked_prompts = no").section("[mapper.otp]\nuse_otp = no")
        })?;
        let long = world.op.token("alice").size(2289).sign();
        let outcome = examine(sb, &world, &long, &[])?;
        assert_eq!(outcome.code, Some(10), "{}", outcome.stdout);
        assert_check(&outcome, "length", "fail", "does not support one-time passwords");
        let refused = world.op.token("alice").size(2289).sign_with_foreign_key();
        let outcome = examine(sb, &world, &refused, &[])?;
        assert_eq!(outcome.code, Some(4), "the token is the cause: {}", outcome.stdout);
        assert_check(&outcome, "length", "skip", "makes no one-time password for this token");
        Ok(())
    }
}

sandbox_test! {
    fn the_doctor_sees_a_long_token_go_in_pieces(sb) {
        let world = World::start(sb)?;
        let long = world.op.token("alice").size(2289).sign();
        let outcome = examine(sb, &world, &long, &["--otp", "never"])?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        assert_check(&outcome, "length", "ok", "in pieces");
        Ok(())
    }
}

sandbox_test! {
    fn the_doctor_sees_an_ssh_that_is_old_another_program_or_not_there(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let folder = sb.dir().join("programs");
        std::fs::create_dir_all(&folder)?;
        let ssh = folder.join("ssh");
        let words = ["--json", "--token", &token, "--mc-endpoint", world.daemon.url(), "doctor"];
        let run = |path: &str| {
            Mccli::new(words)?.env("HOME", "/root").env("PATH", path).ca(world.ca.path()).run(sb)
        };
        let before = format!("{}:/usr/bin:/bin", folder.display());
        for (version, outcome, said) in [
            ("OpenSSH_8.0p1, OpenSSL 1.1.1k", "warn", "Update OpenSSH to 8.5 or later"),
            ("OpenSSH_9.2p1 Debian-2, OpenSSL 3", "ok", "OpenSSH_9.2p1"),
            ("Sun_SSH_2.4", "warn", "only OpenSSH is known to work"),
        ] {
            std::fs::write(&ssh, format!("#!/bin/sh\necho '{version}' >&2\n"))?;
            std::fs::set_permissions(&ssh, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
            assert_check(&run(&before)?, "ssh", outcome, said);
        }
        let missing = run("/nonexistent")?;
        assert!(!missing.is_success(), "{}", missing.stdout);
        assert_check(&missing, "ssh", "fail", "ssh");
        Ok(())
    }
}

sandbox_test! {
    fn the_doctor_sees_a_block_or_a_login_that_is_broken_and_an_agent_that_goes_along(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let home = sb.dir().join("client-home");
        // ssh takes the home from the account, whatever HOME says.
        let config = "/root/.ssh/config";
        let block = ["ssh-config", "--install", "--host", "*.test"];
        assert_check(&examine(sb, &world, &token, &[])?, "plain-ssh", "skip", "not set up");
        let installed = mccli(sb, &world, &block)?;
        assert!(installed.is_success(), "{}", installed.stderr);
        assert_check(&examine(sb, &world, &token, &[])?, "plain-ssh", "ok", "has the block of mccli");
        let text = std::fs::read_to_string(config)?;
        std::fs::write(config, text.replace("# <<< mccli ssh-config <<<\n", ""))?;
        let broken = examine(sb, &world, &token, &[])?;
        assert!(broken.is_success(), "nothing that a login needs: {}", broken.stdout);
        assert_check(&broken, "plain-ssh", "warn", "a block that does not end");

        world.op.sign_in(Some("alice"));
        let login = mccli(sb, &world, &["login", world.op.issuer(), "--device", "--store", "file"])?;
        assert!(login.is_success(), "{}", login.stderr);
        assert_check(&examine(sb, &world, &token, &[])?, "logins", "ok", world.op.issuer());
        for entry in std::fs::read_dir(home.join(".local/state/mccli/logins"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "sealed") {
                std::fs::write(path, "damaged")?;
            }
        }
        let outcome = examine(sb, &world, &token, &[])?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        let told = json(&outcome.stdout)?;
        assert_eq!(check(&told, "logins").0, "warn", "{}", outcome.stdout);

        let agent = |own: &[&str]| -> Result<Outcome> {
            let words = ["--json", "--token", &token, "--mc-endpoint", world.daemon.url()];
            let words = [&words, own, &["doctor", "127.0.0.1"]].concat();
            let home = home.to_string_lossy().into_owned();
            Mccli::new(words)?.env("HOME", &home).env("OIDC_SOCK", "/run/agent").ca(world.ca.path()).run(sb)
        };
        assert_check(&agent(&[])?, "forwarding", "ok", "stays here");
        assert_check(&agent(&["--agent-forward"])?, "forwarding", "warn", "root there can use your accounts");
        std::fs::create_dir_all(home.join(".config/mccli"))?;
        std::fs::write(home.join(".config/mccli/config.toml"), "[host.\"127.0.0.1\"]\nagent_forward = \"always\"\n")?;
        assert_check(&agent(&[])?, "forwarding", "warn", "agent_forward = \"never\"");
        assert_check(&agent(&["--no-agent-forward"])?, "forwarding", "ok", "stays here");
        Ok(())
    }
}

sandbox_test! {
    fn the_doctor_sees_a_service_that_takes_no_provider(sb) {
        let ca = motley_tests::op::TestCa::new()?;
        let op = motley_tests::op::TestOp::builder(&ca).start()?;
        let root = Root::start(sb)?;
        let daemon = Daemon::with_defaults().ca(ca.path()).start(sb)?;
        let sshd = Sshd::new(sb).pam(PamStack::shipped()).start()?;
        let world = World { ca, op, root, daemon, sshd };
        let outcome = examine(sb, &world, &world.op.token("alice").sign(), &[])?;
        assert!(!outcome.is_success(), "{}", outcome.stdout);
        assert_check(&outcome, "providers", "warn", "the service takes none");
        assert_check(&outcome, "account", "fail", "HTTP 401");
        Ok(())
    }
}
