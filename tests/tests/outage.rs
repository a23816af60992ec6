//! Parts that are down, slow or out of their minds: bounded time, a clear reason, and a way back.

use std::time::{Duration, Instant};

use anyhow::Result;
use motley_tests::op::{Endpoint, Fault};
use motley_tests::sandbox::{Answer, Outcome, PamStack, Sandbox, Ssh, World};
use motley_tests::sandbox_test;
use nix::sys::signal::Signal;

/// Longer than the module's own limit, shorter than sshd's patience.
const BOUND: Duration = Duration::from_secs(25);

fn world(sb: &Sandbox) -> Result<World> {
    let pam = PamStack::token_only().argument("fail_floor_ms=300").argument("timeout=4");
    World::with(sb, "authorise_all = yes\ntimeout = 3", pam, |daemon| daemon)
}

fn token_login(sb: &Sandbox, user: &str) -> Ssh {
    let _ = sb;
    Ssh::to(user)
        .prompts(1)
        .option("-oPreferredAuthentications=keyboard-interactive")
        .command("true")
}

fn paste(sb: &Sandbox, user: &str, token: &str) -> Result<Outcome> {
    token_login(sb, user).with_askpass(sb, &[Answer::line("Access Token:", token)])
}

sandbox_test! {
    fn with_the_daemon_down_nobody_is_asked_for_a_token_and_local_keys_work(sb) {
        let mut world = world(sb)?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        sb.add_user("t_local")?;
        let key = sb.authorise_key("t_local")?;
        world.daemon.kill();
        let outcome = paste(sb, &alice, &token)?;
        assert!(!outcome.is_success());
        assert_eq!(outcome.prompts, Vec::<String>::new(), "no pointless prompt");
        assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
        let by_key = Ssh::to("t_local").key(&key).keys_only().command("true");
        assert!(by_key.with_askpass(sb, &[])?.is_success());
        world.daemon.restart(sb)?;
        assert!(paste(sb, &alice, &token)?.is_success(), "and back");
        Ok(())
    }
}

sandbox_test! {
    fn a_daemon_that_hangs_costs_a_bounded_time(sb) {
        let world = world(sb)?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        let service = world.daemon.service().expect("running");
        service.signal(Signal::SIGSTOP)?;
        let outcome = paste(sb, &alice, &token)?;
        assert!(!outcome.is_success());
        assert!(outcome.took < BOUND, "{:?}", outcome.took);
        service.signal(Signal::SIGCONT)?;
        assert!(paste(sb, &alice, &token)?.is_success(), "the next login works");
        Ok(())
    }
}

/// One fault at a provider whose keys nobody has yet: refused in time, and healed soon after.
fn provider_fault(sb: &Sandbox, endpoint: Endpoint, fault: Fault) -> Result<()> {
    let mut world = world(sb)?;
    let token = world.op.token("alice").sign();
    let alice = world.deploy(&token)?;
    // A restart empties the caches, so the provider must be asked again.
    world.daemon.kill();
    world.op.fault(endpoint, fault);
    world.daemon.restart(sb)?;
    let outcome = paste(sb, &alice, &token)?;
    assert!(!outcome.is_success());
    assert!(outcome.took < BOUND, "{:?}", outcome.took);
    let log = world.daemon.log(sb);
    assert!(log.contains("login refused"), "{log}");
    assert!(log.contains(world.op.issuer()), "the reason names the provider: {log}");
    world.op.heal();
    heals(sb, &alice, &token)
}

fn heals(sb: &Sandbox, user: &str, token: &str) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(15) {
        if paste(sb, user, token)?.is_success() {
            return Ok(());
        }
    }
    anyhow::bail!("the provider is well again, but logins still fail after 15 s")
}

sandbox_test! {
    fn a_provider_that_is_slow_is_refused_in_time_and_forgiven(sb) {
        provider_fault(sb, Endpoint::Jwks, Fault::DelayMs(60_000))
    }
}

sandbox_test! {
    fn a_provider_that_sends_garbage_is_refused_and_forgiven(sb) {
        provider_fault(sb, Endpoint::Discovery, Fault::Garbage)
    }
}

sandbox_test! {
    fn a_provider_whose_keys_never_end_is_refused_and_forgiven(sb) {
        provider_fault(sb, Endpoint::Jwks, Fault::Endless)
    }
}

sandbox_test! {
    fn a_provider_that_is_down_is_refused_and_found_again(sb) {
        let mut world = world(sb)?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        world.daemon.kill();
        world.op.down();
        world.daemon.restart(sb)?;
        let outcome = paste(sb, &alice, &token)?;
        assert!(!outcome.is_success());
        assert!(outcome.took < BOUND, "{:?}", outcome.took);
        world.op.up()?;
        heals(sb, &alice, &token)
    }
}

sandbox_test! {
    fn warm_keys_carry_logins_through_an_outage_of_the_key_endpoint(sb) {
        let world = world(sb)?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        world.op.fault(Endpoint::Jwks, Fault::Status(503));
        world.op.fault(Endpoint::Discovery, Fault::Status(503));
        let fresh = world.op.token("alice").sign();
        assert!(paste(sb, &alice, &fresh)?.is_success());
        Ok(())
    }
}

sandbox_test! {
    fn a_slow_provider_does_not_slow_the_users_of_another(sb) {
        let ca = motley_tests::op::TestCa::new()?;
        let slow = motley_tests::op::TestOp::builder(&ca).start()?;
        let world = World::with(sb, "authorise_all = yes", PamStack::token_only(), |daemon| {
            daemon.op("slow", &slow, "authorise_all = yes")
        })?;
        slow.fault(Endpoint::Discovery, Fault::Hang);
        let token = world.op.token("alice").sign();
        world.deploy(&token)?;
        let url = world.daemon.url().to_owned();
        let stuck: Vec<String> = (0..32).map(|n| slow.token("bob").claim("n", n).sign()).collect();
        let askers: Vec<_> = stuck
            .into_iter()
            .map(|token| {
                let url = url.clone();
                std::thread::spawn(move || {
                    motley_tests::sandbox::Rest::new(&url, None).and_then(|r| r.get("/user/get_status", Some(&token)))
                })
            })
            .collect();
        let rest = world.daemon.rest()?;
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            let start = Instant::now();
            assert_eq!(rest.get("/info", None)?.status, 200);
            assert_eq!(rest.get("/user/get_status", Some(&token))?.status, 200);
            slowest = slowest.max(start.elapsed());
        }
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        for asker in askers {
            let reply = asker.join().expect("an asker")?;
            assert_eq!(reply.status, 401, "{}", reply.text);
        }
        Ok(())
    }
}
