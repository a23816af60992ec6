//! The configuration is loaded anew while people work: nothing is dropped, nothing broken is taken.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use motley_tests::op::{Endpoint, Fault};
use motley_tests::sandbox::{Answer, PamStack, Rest, Sandbox, Ssh, World, built, until};
use motley_tests::sandbox_test;
use nix::sys::signal::Signal;

/// The exit code and everything that `motleyctl reload` says.
fn reload() -> Result<(Option<i32>, String)> {
    let output = std::process::Command::new(built("motleyctl")?).arg("reload").output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

/// Replaces a text in the daemon's configuration.
fn edit(world: &World, from: &str, to: &str) -> Result<()> {
    let path = world.daemon.config_path();
    let text = fs::read_to_string(path)?;
    assert!(text.contains(from), "{from} is not in {text}");
    Ok(fs::write(path, text.replace(from, to))?)
}

fn status_of(world: &World, token: &str) -> Result<u16> {
    Ok(world.daemon.rest()?.get("/user/get_status", Some(token))?.status)
}

/// Asks without a pause until told to stop; tells the answers other than 200.
fn keep_asking(
    url: String,
    token: String,
    stop: Arc<AtomicBool>,
) -> std::thread::JoinHandle<(usize, Vec<String>)> {
    let asked = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        let mut wrong = Vec::new();
        let rest = Rest::new(&url, None).expect("a client");
        while !stop.load(Ordering::Relaxed) {
            let reply = rest.get("/user/get_status", Some(&token));
            asked.fetch_add(1, Ordering::Relaxed);
            match reply {
                Ok(reply) if reply.status == 200 => {}
                Ok(reply) => wrong.push(format!("{}: {}", reply.status, reply.text)),
                Err(error) => wrong.push(format!("{error:#}")),
            }
        }
        (asked.load(Ordering::Relaxed), wrong)
    })
}

sandbox_test! {
    fn sighup_lets_another_policy_decide_and_a_running_request_ends_under_the_old_one(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        world.op.fault(Endpoint::Userinfo, Fault::DelayMs(1500));
        let (url, slow) = (world.daemon.url().to_owned(), world.op.token("bob").sign());
        let running = std::thread::spawn(move || Rest::new(&url, None)?.get("/user/get_status", Some(&slow)));
        until("the request at the provider", Duration::from_secs(5), || {
            (world.op.count(Endpoint::Userinfo) > 0).then_some(())
        })?;
        edit(&world, "authorise_all = yes", "authorised_users = [nobody-at-all]")?;
        world.daemon.service().context("running")?.signal(Signal::SIGHUP)?;
        until("the reload", Duration::from_secs(10), || {
            world.daemon.log(sb).contains("the configuration was loaded anew").then_some(())
        })?;
        world.op.heal();
        assert_eq!(running.join().expect("the thread")?.status, 200, "it began before");
        assert_eq!(status_of(&world, &token)?, 403);
        Ok(())
    }
}

sandbox_test! {
    fn a_broken_file_changes_nothing_and_motleyctl_says_what_is_wrong(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        assert_eq!(status_of(&world, &token)?, 200);
        edit(&world, "authorise_all = yes", "authorise_all = perhaps")?;
        let (code, said) = reload()?;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("motley_cue.conf:") && said.contains("authorise_all"), "{said}");
        assert_eq!(status_of(&world, &token)?, 200, "the old one holds");
        edit(&world, "authorise_all = perhaps", "authorised_users = [nobody-at-all]")?;
        let (code, said) = reload()?;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&*world.daemon.config_path().to_string_lossy()), "{said}");
        assert_eq!(status_of(&world, &token)?, 403);
        Ok(())
    }
}

sandbox_test! {
    fn r41_who_waits_at_the_prompt_is_judged_by_what_holds_when_the_answer_comes(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        edit(&world, "authorise_all = yes", "authorised_users = [nobody-at-all]")?;
        let reloading = std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(1500));
            reload()
        });
        let ssh = Ssh::to(&alice).prompts(1).command("true");
        let ssh = ssh.option("-oPreferredAuthentications=keyboard-interactive");
        let slow = Answer::line("Access Token:", &token).after(Duration::from_secs(4));
        let outcome = ssh.with_askpass(sb, &[slow])?;
        assert_eq!(reloading.join().expect("the thread")?.0, Some(0));
        let first = outcome.prompts.first().map(String::as_str).unwrap_or_default();
        assert!(first.contains("Access Token:"), "{:?}", outcome.prompts);
        assert!(!outcome.is_success(), "the old policy decided");
        Ok(())
    }
}

sandbox_test! {
    fn what_counts_at_the_next_start_only_is_named(sb) {
        let world = World::start(sb)?;
        edit(&world, "listen = 127.0.0.1:8080", "listen = 127.0.0.1:8080, 127.0.0.1:8099")?;
        let (code, said) = reload()?;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("NEEDS RESTART") && said.contains("[server] listen"), "{said}");
        Ok(())
    }
}

sandbox_test! {
    fn no_request_fails_while_the_configuration_is_loaded_again_and_again(sb) {
        let world = World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| {
            daemon.section("[limits]\nrequests_per_identity = 1000000\n")
        })?;
        let token = world.op.token("alice").sign();
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..4)
            .map(|_| keep_asking(world.daemon.url().to_owned(), token.clone(), stop.clone()))
            .collect();
        for round in 0..20 {
            if round % 2 == 1 {
                world.daemon.service().context("running")?.signal(Signal::SIGHUP)?;
            }
            let (code, said) = reload()?;
            assert_eq!(code, Some(0), "{said}");
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            let (asked, wrong) = client.join().expect("the thread");
            assert!(asked > 20 && wrong.is_empty(), "{asked} asked, of which wrong: {wrong:?}");
        }
        Ok(())
    }
}

sandbox_test! {
    fn a_provider_that_is_down_during_a_reload_keeps_its_keys(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        assert_eq!(status_of(&world, &token)?, 200);
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks, Endpoint::Userinfo] {
            world.op.fault(endpoint, Fault::Close);
        }
        let (code, said) = reload()?;
        assert_eq!(code, Some(0), "{said}");
        let fresh = world.op.token("alice").sign();
        assert_eq!(status_of(&world, &fresh)?, 200, "{}", world.daemon.log(sb));
        Ok(())
    }
}

fn suspend(sb: &Sandbox, name: &str) -> Result<()> {
    let output =
        std::process::Command::new(built("motleyctl")?).args(["suspend", name]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said} {}", sb.log_dir().display());
    Ok(())
}

sandbox_test! {
    fn r41_a_suspension_before_or_after_a_reload_holds_for_remembered_tokens(sb) {
        let world = World::start(sb)?;
        let (alice, bob) = (world.op.token("alice").sign(), world.op.token("bob").sign());
        let names = [world.deploy(&alice)?, world.deploy(&bob)?];
        suspend(sb, &names[0])?;
        assert_eq!(reload()?.0, Some(0));
        suspend(sb, &names[1])?;
        let rest = world.daemon.rest()?;
        for (token, name) in [(&alice, &names[0]), (&bob, &names[1])] {
            let answer = rest.get(&format!("/verify_user?username={name}"), Some(token))?.json();
            assert_eq!(answer, serde_json::json!({"state": "suspended", "verified": false}));
        }
        Ok(())
    }
}
