//! Short codes: for the holder of a token, or on an admin's word, typed at sshd's prompt.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use motley_tests::sandbox::{PamStack, Rest, Sandbox, World, built, check_run};
use motley_tests::sandbox_test;
use serde_json::Value;

fn world(sb: &Sandbox, more: &str) -> Result<World> {
    let pam = PamStack::token_only().argument("fail_floor_ms=300");
    World::with(sb, "authorise_all = yes", pam, |daemon| daemon.section(more))
}

fn ctl(words: &[&str]) -> Result<String> {
    check_run(&built("motleyctl")?.to_string_lossy(), words)
}

/// The code of `POST /user/otp`.
fn code(rest: &Rest, token: &str) -> Result<String> {
    let reply = rest.post("/user/otp", Some(token), &Value::Null)?;
    ensure!(reply.status == 200, "{}: {}", reply.status, reply.text);
    ensure!(reply.headers.get("cache-control").is_some_and(|it| it == "no-store"));
    let body = reply.json();
    let lifetime = body["otp_lifetime"].as_i64().context("no lifetime")?;
    ensure!((1..=600).contains(&lifetime) && body["otp_expires_at"].is_i64(), "{body}");
    Ok(body["otp"].as_str().context("no code")?.to_owned())
}

/// As people type it who don't care.
fn sloppy(code: &str) -> String {
    code.to_uppercase().replace('-', "")
}

/// Every file that the services and sshd write.
fn written(sb: &Sandbox) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders =
        vec![sb.log_dir(), PathBuf::from("/var/lib/motley_cue"), PathBuf::from("/var/log")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}

fn holds(path: &Path, needle: &str) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

sandbox_test! {
    fn r18_a_code_typed_in_capitals_without_dashes_logs_in_once_and_is_written_nowhere(sb) {
        let world = world(sb, "")?;
        let token = world.op.token("alice").size(2000).sign();
        let rest = world.daemon.rest()?;
        let before = rest.post("/user/otp", Some(&token), &Value::Null)?;
        assert_eq!(before.status, 403, "no account yet: {}", before.text);
        let alice = world.deploy(&token)?;
        let code = code(&rest, &token)?;
        assert_eq!(code.len(), 19, "{code}");
        let first = world.paste(sb, &alice, &sloppy(&code))?;
        assert!(first.is_success() && first.stdout.contains(&alice), "{}", first.stdout);
        assert!(!world.paste(sb, &alice, &code)?.is_success(), "a second time");
        let log = world.daemon.log(sb);
        assert!(log.contains("by=\"code\"") && log.contains("unknown, used or expired"), "{log}");
        let audit = fs::read_to_string("/var/lib/motley_cue/audit.jsonl")?;
        assert!(audit.contains("\"code_issued\"") && audit.contains("\"code_used\""), "{audit}");
        let canonical = code.replace('-', "");
        let needles = [&code, &canonical, &sloppy(&code), &code.to_uppercase(), &token];
        for path in written(sb)? {
            for needle in needles {
                assert!(!holds(&path, needle), "r06: {} holds a credential", path.display());
            }
        }
        Ok(())
    }
}

sandbox_test! {
    fn r28_a_code_is_worth_nothing_after_suspension_or_once_its_token_is_revoked(sb) {
        let mut world = world(sb, "")?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        let rest = world.daemon.rest()?;
        let before = code(&rest, &token)?;
        assert!(ctl(&["suspend", &alice])?.contains("one-time passwords  1 dropped"));
        assert!(!world.paste(sb, &alice, &before)?.is_success(), "suspended");
        let refused = rest.post("/user/otp", Some(&token), &Value::Null)?;
        assert_eq!((refused.status, &refused.json()["error"]), (403, &"Forbidden".into()));
        assert!(check_run(&built("motleyctl")?.to_string_lossy(), &["otp", &alice]).is_err());
        ctl(&["resume", &alice])?;
        assert!(!world.paste(sb, &alice, &before)?.is_success(), "resumed, but dropped");
        let revoked = code(&rest, &token)?;
        world.op.forget_token(&token);
        // Forgets what is remembered about tokens, as time would.
        world.daemon.restart(sb)?;
        assert!(!world.paste(sb, &alice, &revoked)?.is_success(), "revoked");
        Ok(())
    }
}

sandbox_test! {
    fn r18_an_admins_code_lets_its_person_in_once_while_the_provider_is_down(sb) {
        let world = world(sb, "")?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        world.op.down();
        let answer: Value = serde_json::from_str(&ctl(&["--json", "otp", &alice])?)?;
        let code = answer["code"].as_str().context("no code")?;
        assert_eq!(answer["name"], alice.as_str());
        assert!(world.paste(sb, &alice, &sloppy(code))?.is_success());
        assert!(!world.paste(sb, &alice, code)?.is_success(), "a second time");
        let audit = fs::read_to_string("/var/lib/motley_cue/audit.jsonl")?;
        let by = "\"by\":\"admin on the host, uid 0\"";
        for event in ["code_issued", "code_used"] {
            let line = audit.lines().find(|line| line.contains(event)).context("no event")?;
            assert!(line.contains(by), "{line}");
        }
        assert!(audit.contains("\"by\":\"vouched_code\""), "{audit}");
        assert!(!ctl(&["otp", &alice])?.is_empty());
        assert!(check_run(&built("motleyctl")?.to_string_lossy(), &["otp", "nobody-here"]).is_err());
        Ok(())
    }
}

sandbox_test! {
    fn r18_one_code_is_redeemed_once_by_64_racing_requests_and_used_up_by_a_wrong_name(sb) {
        let world = world(sb, "")?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        let rest = world.daemon.rest()?;
        let raced = code(&rest, &token)?;
        let url = world.daemon.url().to_owned();
        let racers: Vec<_> = (0..64)
            .map(|_| {
                let (url, code, alice) = (url.clone(), raced.clone(), alice.clone());
                std::thread::spawn(move || -> Result<bool> {
                    let reply = Rest::new(&url, None)?.get(&format!("/verify_user?username={alice}"), Some(&code))?;
                    Ok(reply.status == 200 && reply.json()["verified"] == true)
                })
            })
            .collect();
        let mut winners = 0;
        for racer in racers {
            winners += u32::from(racer.join().expect("a racer")?);
        }
        assert_eq!(winners, 1);
        let wasted = code(&rest, &token)?;
        let wrong = rest.get("/verify_user?username=root", Some(&wasted))?;
        assert_eq!(wrong.json()["verified"], false, "{}", wrong.text);
        let right = rest.get(&format!("/verify_user?username={alice}"), Some(&wasted))?;
        let never = rest.get(&format!("/verify_user?username={alice}"), Some("k7dm-3xqp-9rtw-h2vn"))?;
        assert_eq!(right.status, 401);
        assert_eq!((never.status, &never.text), (right.status, &right.text), "r32");
        Ok(())
    }
}

sandbox_test! {
    fn r29_a_code_is_given_by_post_only_under_every_mount(sb) {
        let world = world(sb, "")?;
        let token = world.op.token("alice").sign();
        world.deploy(&token)?;
        let rest = world.daemon.rest()?;
        for mount in ["", "/api", "/api/v1"] {
            let path = format!("{mount}/user/otp");
            let refused = rest.get(&path, Some(&token))?;
            assert_eq!(refused.status, 405, "{path}");
            assert_eq!(refused.headers.get("allow").map(String::as_str), Some("POST, OPTIONS"));
            assert_eq!(rest.post(&path, Some(&token), &Value::Null)?.status, 200, "{path}");
        }
        assert_eq!(rest.post("/user/otp", None, &Value::Null)?.status, 401);
        // A code is no token: nothing but a login takes it, and no provider sees it.
        let code = code(&rest, &token)?;
        world.op.reset_counters();
        assert_eq!(rest.get("/user/get_status", Some(&code))?.status, 401);
        assert_eq!(world.op.requests(), 0, "r16");
        Ok(())
    }
}

sandbox_test! {
    fn where_codes_are_off_none_is_given_and_what_looks_like_one_stays_in_sshd(sb) {
        let world = world(sb, "[mapper.otp]\ncodes = no")?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        let reply = world.daemon.rest()?.post("/user/otp", Some(&token), &Value::Null)?;
        assert_eq!(reply.json(), serde_json::json!({"supported": false, "successful": false}));
        let refused = built("motleyctl").and_then(|it| check_run(&it.to_string_lossy(), &["otp", &alice]));
        assert!(refused.is_err_and(|error| format!("{error:#}").contains("[mapper.otp]")));
        assert!(!world.paste(sb, &alice, "k7dm3xqp9rtwh2vn")?.is_success());
        let log = world.daemon.log(sb);
        assert!(log.contains("neither a token nor a one-time password; nothing was sent"), "{log}");
        Ok(())
    }
}
