//! Nobody comes in who must not: one message, one time, and a reason for the operator only.

use std::time::Duration;

use anyhow::Result;
use motley_tests::op::{TokenKind, User, one_time_password};
use motley_tests::sandbox::{Answer, Mccli, Outcome, PamStack, Sandbox, Ssh, World, check_run};
use motley_tests::sandbox_test;
use serde_json::Value;

/// Long enough to cover every check, short enough for a test of many cases.
const FLOOR: &str = "fail_floor_ms=1200";

fn world(sb: &Sandbox, rules: &str) -> Result<World> {
    World::with(sb, rules, PamStack::token_only().argument(FLOOR), |daemon| daemon)
}

/// What the client saw, without what differs for good reason: names, ports, host-key notes.
fn seen(outcome: &Outcome, user: &str) -> String {
    let text = outcome.stdout.replace(user, "USER");
    let kept: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("Warning: Permanently added"))
        .collect();
    kept.join("\n")
}

sandbox_test! {
    fn r32_every_refusal_has_the_same_message_and_time_and_its_reason_in_the_log(sb) {
        let rules = "authorise_all = yes\naudience = ssh-here";
        let world = world(sb, rules)?;
        let good = || world.op.token("alice").claim("aud", "ssh-here");
        let alice = world.deploy(&good().sign())?;
        world.op.add_user(User::new("bob"));
        let bobs = world.op.token("bob").claim("aud", "ssh-here").sign();
        world.deploy(&bobs)?;
        let mint = |kind| world.op.mint(kind, "alice", "https://elsewhere.example").map(|m| m.credential);
        let otp = one_time_password("never issued");
        let rest = world.daemon.rest()?;
        let used = rest.post("/user/otp", Some(&good().sign()), &Value::Null)?.json();
        let used = used["otp"].as_str().unwrap_or_default().to_owned();
        let once = rest.get(&format!("/verify_user?username={alice}"), Some(&used))?;
        assert_eq!(once.json()["verified"], true, "{}", once.text);
        let cases: Vec<(&str, &str, String, &str)> = vec![
            ("expired", &alice, good().lifetime(-30).sign(), "reason=\"expired 3"),
            ("not yet valid", &alice, good().not_before(3600).sign(), "not valid yet"),
            ("wrong audience", &alice, world.op.token("alice").claim("aud", "other").sign(), "audience"),
            ("bad signature", &alice, mint(TokenKind::JwtBadSignature)?, "signature is wrong"),
            ("foreign key", &alice, mint(TokenKind::JwtForeignKey)?, "signature is wrong"),
            ("alg none", &alice, mint(TokenKind::JwtAlgNone)?, "neither a token"),
            ("hmac with the public key", &alice, mint(TokenKind::JwtHs256PublicKey)?, "alg"),
            ("no expiry", &alice, mint(TokenKind::JwtNoExp)?, "exp"),
            ("issuer of nobody", &alice, mint(TokenKind::JwtIssOfOtherOp)?, "is not configured"),
            ("token of another user", &alice, bobs.clone(), "not the requested name"),
            ("unknown user", "t_nobody", good().sign(), "no such user"),
            ("password never issued", &alice, otp, "unknown, used or expired"),
            ("code never issued", &alice, "k7dm-3xqp-9rtw-h2vn".to_owned(), "unknown, used or expired"),
            ("code used before", &alice, used, "unknown, used or expired"),
            ("not a token at all", &alice, "correct-horse".to_owned(), "neither a token"),
        ];
        let mut wrong: Vec<String> = Vec::new();
        let mut first: Option<(String, Duration)> = None;
        for (what, user, secret, reason) in &cases {
            let before = world.daemon.log(sb).len();
            let outcome = world.paste(sb, user, secret)?;
            assert!(!outcome.is_success(), "{what}: {}", outcome.stdout);
            let log = world.daemon.log(sb).split_off(before);
            if !log.contains(reason) {
                wrong.push(format!("{what}: no {reason:?} in {log}"));
            }
            assert!(!log.contains(secret.as_str()), "r06: {what}: the log holds the credential");
            let (message, took) = (seen(&outcome, user), outcome.took);
            let (expected, usual) = first.get_or_insert((message.clone(), took));
            assert_eq!(message, *expected, "{what}");
            let apart = took.abs_diff(*usual);
            assert!(apart < Duration::from_millis(700), "{what}: {took:?} and {usual:?}");
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let outcome = world.paste(sb, &alice, &good().sign())?;
        assert!(outcome.is_success(), "the good token still logs in: {}", outcome.stdout);
        Ok(())
    }
}

sandbox_test! {
    fn r10_an_unlisted_issuer_causes_no_network_call(sb) {
        let world = world(sb, "authorise_all = yes")?;
        let alice = world.deploy(&world.op.token("alice").sign())?;
        let stranger = motley_tests::op::TestOp::builder(&world.ca).start()?;
        stranger.add_user(User::new("alice"));
        let outcome = world.paste(sb, &alice, &stranger.token("alice").sign())?;
        assert!(!outcome.is_success());
        assert_eq!((stranger.connections(), stranger.requests()), (0, 0));
        let log = world.daemon.log(sb);
        assert!(log.contains("is not configured"), "{log}");
        Ok(())
    }
}

sandbox_test! {
    fn r18_one_password_is_redeemed_once_by_64_racing_requests(sb) {
        let world = world(sb, "authorise_all = yes")?;
        let token = world.op.token("alice").size(2000).sign();
        let alice = world.deploy(&token)?;
        let rest = world.daemon.rest()?;
        rest.post("/user/generate_otp", Some(&token), &Value::Null)?;
        let password = one_time_password(&token);
        let url = world.daemon.url().to_owned();
        let racers: Vec<_> = (0..64)
            .map(|_| {
                let (url, password, alice) = (url.clone(), password.clone(), alice.clone());
                std::thread::spawn(move || -> Result<bool> {
                    let rest = motley_tests::sandbox::Rest::new(&url, None)?;
                    let reply = rest.get(&format!("/verify_user?username={alice}"), Some(&password))?;
                    Ok(reply.status == 200 && reply.json()["verified"] == true)
                })
            })
            .collect();
        let mut winners = 0;
        for racer in racers {
            winners += u32::from(racer.join().expect("a racer")?);
        }
        assert_eq!(winners, 1);
        Ok(())
    }
}

sandbox_test! {
    fn r08_a_suspended_identity_is_out_by_token_password_and_key_and_its_session_ends(sb) {
        let rules = "authorise_all = yes\nauthorised_admins = [carol]";
        let world = world(sb, rules)?;
        world.op.add_user(User::new("carol").subject("carol"));
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        let key = sb.authorise_key(&alice)?;
        let rest = world.daemon.rest()?;
        rest.post("/user/generate_otp", Some(&token), &Value::Null)?;

        let ssh = Ssh::to(&alice).prompts(1).option("-oPreferredAuthentications=keyboard-interactive");
        let mut session = ssh.open_terminal(sb)?;
        session.expect("Access Token:", Duration::from_secs(10))?;
        session.type_line(&token)?;
        session.expect("$ ", Duration::from_secs(15))?;
        session.type_line("echo se''ssion-is-up")?;
        session.expect("session-is-up", Duration::from_secs(15))?;

        let subject = world.op.claims_of("alice")["sub"].as_str().unwrap_or_default().to_owned();
        let query = format!("/admin/suspend?sub={subject}&iss={}", world.op.issuer());
        let reply = rest.post(&query, Some(&world.op.token("carol").sign()), &Value::Null)?;
        assert_eq!(reply.json()["state"], "suspended", "{}", reply.text);
        let ended = session.wait(Duration::from_secs(10))?;
        assert!(!ended.is_success(), "the running session ends: {}", ended.stdout);

        let fresh = world.op.token("alice").sign();
        assert!(!world.paste(sb, &alice, &fresh)?.is_success(), "by token");
        assert!(!world.paste(sb, &alice, &one_time_password(&token))?.is_success(), "by password");
        let by_key = Ssh::to(&alice).key(&key).keys_only().command("true");
        assert!(!by_key.with_askpass(sb, &[])?.is_success(), "by key");
        let verify = rest.get(&format!("/verify_user?username={alice}"), Some(&fresh))?;
        assert_eq!(verify.json()["verified"], false);
        assert_eq!(verify.json()["state"], "suspended");

        let query = query.replace("suspend", "resume");
        let reply = rest.post(&query, Some(&world.op.token("carol").sign()), &Value::Null)?;
        assert_eq!(reply.json()["state"], "deployed", "{}", reply.text);
        assert!(world.paste(sb, &alice, &fresh)?.is_success(), "resumed by token");
        assert!(by_key.with_askpass(sb, &[])?.is_success(), "resumed by key");
        Ok(())
    }
}

sandbox_test! {
    fn r08_a_suspension_holds_for_keys_while_the_daemon_is_down(sb) {
        let mut world = world(sb, "authorise_all = yes")?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        let key = sb.authorise_key(&alice)?;
        let by_key = Ssh::to(&alice).key(&key).keys_only().command("true");
        assert!(by_key.with_askpass(sb, &[])?.is_success());
        world.daemon.rest()?.post("/user/suspend", Some(&token), &Value::Null)?;
        world.daemon.kill();
        assert!(!by_key.with_askpass(sb, &[])?.is_success());
        Ok(())
    }
}

sandbox_test! {
    fn motleyctl_suspends_and_resumes_by_local_name(sb) {
        let world = world(sb, "authorise_all = yes")?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        let motleyctl = motley_tests::sandbox::built("motleyctl")?;
        let ctl = |words: &[&str]| check_run(&motleyctl.to_string_lossy(), words);
        assert!(ctl(&["suspend", &alice])?.contains("suspended"));
        assert!(!world.paste(sb, &alice, &token)?.is_success());
        assert!(ctl(&["users"])?.contains("suspended"));
        assert!(ctl(&["resume", &alice])?.contains("deployed"));
        assert!(world.paste(sb, &alice, &token)?.is_success());
        assert!(ctl(&["status"])?.contains("root helper         answers"));
        Ok(())
    }
}

sandbox_test! {
    fn a_jump_host_that_imitates_the_prompt_gets_no_token(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        world.deploy(&token)?;
        // The jump host is the same sshd under another name, where nobody expects the token.
        let mut words = vec!["ssh".to_owned(), "--mc-endpoint".to_owned(), world.daemon.url().to_owned()];
        words.extend(["--token".to_owned(), token.clone()]);
        words.extend(sb.host_key_options());
        words.extend(["-J", "alice@127.0.0.2", "127.0.0.1", "true"].map(str::to_owned));
        let before = world.daemon.log(sb).matches("login granted").count();
        let outcome = Mccli::new(words)?.ca(world.ca.path()).run(sb)?;
        assert!(!outcome.is_success());
        assert_eq!(world.daemon.log(sb).matches("login granted").count(), before);
        Ok(())
    }
}

sandbox_test! {
    fn an_empty_answer_ends_at_once_without_asking_the_provider(sb) {
        let world = world(sb, "authorise_all = yes")?;
        let alice = world.deploy(&world.op.token("alice").sign())?;
        world.op.reset_counters();
        let ssh = Ssh::to(&alice).prompts(1).option("-oPreferredAuthentications=keyboard-interactive");
        let outcome = ssh.on_terminal(sb, &[Answer::line("Access Token:", "")])?;
        assert!(!outcome.is_success());
        assert_eq!(world.op.requests(), 0);
        Ok(())
    }
}

sandbox_test! {
    fn whoever_is_not_authorised_learns_what_is_missing_over_rest_and_not_at_the_prompt(sb) {
        let rules = "authorised_vos = [urn:geant:x.example:group:physics]\naudience = ssh-here\n\
                     vo_claim = entitlements\nscopes = [openid, entitlements]";
        let world = world(sb, rules)?;
        let member = ["urn:geant:x.example:group:physics#x.example"];
        let good = world.op.token("alice").claim("aud", "ssh-here").claim("entitlements", member).sign();
        let alice = world.deploy(&good)?;
        let rest = world.daemon.rest()?;
        let told = rest.get("/info/authorisation", Some(&good))?.json();
        assert_eq!(told["authorised"], true);
        assert_eq!(told["tier"]["name"], "full");
        let sentences = ["You are let in as a member of urn:geant:x.example:group:physics.",
            "Your token is meant for this service."];
        assert_eq!(told["explanation"], serde_json::json!(sentences));
        assert_eq!(rest.get("/user/status", Some(&good))?.json()["explanation"], told["explanation"]);
        let other = world.op.token("alice").claim("aud", "canary").claim("entitlements", ["canary"]).sign();
        let refused = rest.get("/user/deploy", Some(&other))?;
        assert_eq!(refused.status, 403, "{}", refused.text);
        let why = refused.json()["explanation"].clone();
        assert!(why[0].as_str().is_some_and(|text| text.contains("not a member of urn:geant:x.example:group:physics")), "{why}");
        assert!(why[1].as_str().is_some_and(|text| text.contains("audience ssh-here")), "{why}");
        assert!(!refused.text.contains("canary"), "{}", refused.text);
        let told = rest.get("/info/authorisation", Some(&other))?.json();
        assert_eq!((&told["authorised"], &told["explanation"]), (&Value::from(false), &why));
        let outcome = world.paste(sb, &alice, &other)?;
        assert!(!outcome.is_success() && !outcome.stdout.contains("member"), "{}", outcome.stdout);
        Ok(())
    }
}
