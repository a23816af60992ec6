//! Logins that the service or the login node refuses: one try, one reason, and an end.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use motley_tests::op::User;
use motley_tests::sandbox::{Mccli, Outcome, PamStack, Sandbox, World, built, check_run, until};
use motley_tests::sandbox_test;

use super::road::{Road, wait_for_the_brokers_end};

/// Admins decide about accounts.
const APPROVAL: &str = "[ldf_adapter]\nbackend = local_unix\nfallback_group = motleyusers\n\
    [backend.local_unix]\nhome_base = /home\nshell = /bin/bash\n\
    [login_info]\nssh_host = ssh.example\n\
    [approval]\nenabled = yes\n\
    [notifier.email]\nsmtp_port = 2525\nsent_from = node@example.org\nadmin_email = admin@example.org\n";

/// Leads to the node once somebody says so.
const LATE: &str = "ProxyCommand=bash -c 'touch /tmp/begun; until test -e /tmp/on; do sleep 0.1; done; exec 3<>/dev/tcp/%h/%p; cat <&3 & cat >&3; kill $!'";

/// Has the service accept the token, changes something, and only then has ssh come to the prompt.
fn too_late(sb: &Sandbox, ssh: &Mccli, change: impl FnOnce() -> Result<()>) -> Result<Outcome> {
    for file in ["/tmp/begun", "/tmp/on"] {
        let _ = fs::remove_file(file);
    }
    std::thread::scope(|scope| {
        let running = scope.spawn(|| ssh.run(sb));
        until("ssh has begun", Duration::from_secs(30), || {
            fs::exists("/tmp/begun").ok()?.then_some(())
        })?;
        let changed = change();
        fs::write("/tmp/on", "")?;
        let outcome = running.join().expect("a runner");
        changed?;
        outcome
    })
}

/// The end of a login whose token was refused at the prompt, for this reason.
fn assert_told_once(outcome: &Outcome, reason: &str) {
    assert_eq!(outcome.code, Some(255), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("did not accept the token").count(), 1, "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches(reason).count(), 1, "{reason}: {}", outcome.stderr);
    assert!(outcome.took < Duration::from_secs(45), "{:?}", outcome.took);
}

/// The account is locked between the service's yes and the prompt.
fn suspended_meanwhile(sb: &Sandbox, stack: PamStack) -> Result<()> {
    let stack = stack.argument("fail_floor_ms=300");
    let road = Road::to(sb, World::with(sb, "authorise_all = yes", stack, |daemon| daemon)?)?;
    let token = road.world.op.token("alice").sign();
    road.world.deploy(&token)?;
    let ssh = road.mccli(sb, &token, &["ssh", "-o", LATE, "one.test", "id -un"])?;
    let outcome = too_late(sb, &ssh, || {
        check_run(&built("motleyctl")?.to_string_lossy(), &["suspend", "alice"])?;
        Ok(())
    })?;
    assert_told_once(&outcome, "your account is suspended");
    assert_eq!(road.granted(sb), 0);
    assert_eq!(tries(&road, sb, "suspended"), 1, "{}", road.world.daemon.log(sb));
    wait_for_the_brokers_end()
}

/// How often the login node asked about the token, and was told no for this reason.
fn tries(road: &Road, sb: &Sandbox, reason: &str) -> usize {
    let log = road.world.daemon.log(sb);
    log.lines().filter(|line| line.contains("login refused") && line.contains(reason)).count()
}

sandbox_test! {
    fn an_account_that_is_suspended_meanwhile_costs_one_try_and_says_why_once(sb) {
        suspended_meanwhile(sb, PamStack::token_only())
    }
}

sandbox_test! {
    fn the_same_holds_where_a_password_is_asked_for_afterwards(sb) {
        suspended_meanwhile(sb, PamStack::shipped())
    }
}

sandbox_test! {
    fn a_token_that_is_revoked_meanwhile_costs_one_try_and_says_why_once(sb) {
        let stack = PamStack::token_only().argument("fail_floor_ms=300");
        let world = World::with(sb, "authorise_all = yes\nopaque_tokens = yes", stack, |daemon| {
            daemon.section("[tokens]\nremember = 1")
        })?;
        let road = Road::to(sb, world)?;
        let token = road.world.op.token("alice").opaque();
        road.world.deploy(&token)?;
        let ssh = road.mccli(sb, &token, &["ssh", "-o", LATE, "one.test", "id -un"])?;
        let outcome = too_late(sb, &ssh, || {
            road.world.op.forget_token(&token);
            // As long as the service may believe in it.
            std::thread::sleep(Duration::from_millis(1500));
            Ok(())
        })?;
        assert_told_once(&outcome, "HTTP 401");
        assert_eq!(road.granted(sb), 0);
        assert_eq!(tries(&road, sb, "does not accept the token"), 1, "{}", road.world.daemon.log(sb));
        assert!(!outcome.stderr.contains(&token));
        Ok(())
    }
}

sandbox_test! {
    fn who_is_not_authorised_is_told_so_before_ssh_starts(sb) {
        let world = World::with(sb, "authorised_users = [sub-alice]", PamStack::shipped(), |daemon| daemon)?;
        let road = Road::to(sb, world)?;
        road.world.op.add_user(User::new("bob"));
        let bob = road.world.op.token("bob").sign();
        for words in [&["ssh", "one.test", "true"][..], &["scp", "/etc/hostname", "one.test:x"]] {
            let outcome = road.mccli(sb, &bob, words)?.run(sb)?;
            assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("[HTTP 403]"), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("Your identity may not use this service"), "{}", outcome.stderr);
        }
        let status = road.mccli(sb, &bob, &["status", "one.test"])?.run(sb)?;
        assert_eq!(status.code, Some(5), "{}", status.stderr);
        let exec = road.mccli(sb, &bob, &["exec", "--", "ssh", "-oBatchMode=yes", "one.test", "true"])?.run(sb)?;
        assert!(!exec.is_success() && exec.stderr.contains("[HTTP 403]"), "{}", exec.stderr);
        assert!(!road.world.sshd.log().contains("Accepted"));
        let alice = road.world.op.token("alice").sign();
        assert_eq!(road.mccli(sb, &alice, &["ssh", "one.test", "id -un"])?.run(sb)?.stdout, "alice\n");
        Ok(())
    }
}

sandbox_test! {
    fn who_waits_for_an_admin_is_told_so_until_the_account_is_there(sb) {
        let world = World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| daemon.adapter(APPROVAL))?;
        let road = Road::to(sb, world)?;
        let token = road.world.op.token("alice").sign();
        let ssh = road.mccli(sb, &token, &["ssh", "one.test", "id -un"])?;
        for _ in 0..2 {
            let outcome = ssh.run(sb)?;
            assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("Your account is not ready"), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("Try again when you are told that it is approved"), "{}", outcome.stderr);
        }
        let ctl = built("motleyctl")?;
        let waiting = check_run(&ctl.to_string_lossy(), &["--json", "approvals"])?;
        let waiting: serde_json::Value = serde_json::from_str(&waiting)?;
        let id = first_reference(&waiting).map(|id| id.to_string()).unwrap_or_default();
        check_run(&ctl.to_string_lossy(), &["approvals", "accept", id.trim_matches('"')])?;
        assert_eq!(ssh.run(sb)?.stdout, "alice\n");
        Ok(())
    }
}

/// The first member `reference` anywhere in it.
fn first_reference(value: &serde_json::Value) -> Option<&serde_json::Value> {
    match value {
        serde_json::Value::Object(members) => {
            members.get("reference").or_else(|| members.values().find_map(first_reference))
        }
        serde_json::Value::Array(values) => values.iter().find_map(first_reference),
        _ => None,
    }
}
