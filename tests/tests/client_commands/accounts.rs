//! Commands about accounts, one's own and other people's, at the real service.

use std::time::Duration;

use anyhow::Result;
use motley_tests::op::User;
use motley_tests::sandbox::{Answer, Ssh};
use motley_tests::sandbox_test;
use serde_json::{Value, json};

use super::place::{HOST, Place, told};

const LIMIT: Duration = Duration::from_secs(30);

/// A node where carol decides about accounts.
fn with_admin<'a>(sb: &'a motley_tests::sandbox::Sandbox) -> Result<(Place<'a>, String, String)> {
    let place = Place::with(sb, "authorise_all = yes\nauthorised_admins = [carol]")?;
    place.world.op.add_user(User::new("carol").subject("carol"));
    let (alice, carol) = (place.token("alice"), place.token("carol"));
    Ok((place, alice, carol))
}

fn state(place: &Place<'_>, token: &str, code: i32) -> Result<Value> {
    told(&place.run_as(token, &["--json", "status", HOST])?, code)
}

sandbox_test! {
    fn an_account_is_made_shown_and_locked_by_its_owner(sb) {
        let (place, alice, _) = with_admin(sb)?;
        let _front = place.usual_front()?;
        assert_eq!(state(&place, &alice, 0)?["state"], "not_deployed");
        let outcome = place.run_as(&alice, &["deploy", HOST])?;
        assert!(outcome.is_success(), "{}", outcome.stderr);
        assert!(outcome.stdout.starts_with("state: deployed\nusername: alice\n"), "{}", outcome.stdout);
        assert!(sb.user("alice")?.is_some());

        let outcome = place.run_as(&alice, &["suspend", HOST])?;
        assert_eq!(outcome.code, Some(2), "nobody can be asked: {}", outcome.stderr);
        assert_eq!(state(&place, &alice, 0)?["state"], "deployed");
        let suspend = place.mccli(&["suspend", HOST])?.env("ACCESS_TOKEN", &alice);
        let no = suspend.on_terminal(&[Answer::line("Lock your own account?", "n")])?;
        assert_eq!(no.code, Some(1), "{}", no.stdout);
        assert_eq!(state(&place, &alice, 0)?["state"], "deployed");
        let yes = suspend.on_terminal(&[Answer::line("Lock your own account?", "y")])?;
        assert_eq!(yes.code, Some(0), "{}", yes.stdout);
        assert_eq!(state(&place, &alice, 7)?["state"], "suspended");
        let again = place.run_as(&alice, &["deploy", HOST])?;
        assert_eq!(again.code, Some(7), "{}", again.stderr);
        assert!(again.stdout.starts_with("state: suspended\n"), "{}", again.stdout);
        let login = place.run_as(&alice, &["ssh", HOST, "true"])?;
        assert_eq!(login.code, Some(1), "{}", login.stderr);
        assert!(login.stderr.contains("suspended"), "{}", login.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn an_admin_locks_and_unlocks_somebody_when_the_question_is_answered_by_yes(sb) {
        let (place, alice, carol) = with_admin(sb)?;
        let _front = place.usual_front()?;
        place.world.deploy(&alice)?;
        let issuer = place.world.op.issuer().to_owned();
        let person = ["--sub", "sub-alice", "--iss", &issuer];
        let question = format!("the account of sub-alice at {issuer}? [y/N]");
        for (verb, before, after) in [("suspend", "deployed", "suspended"), ("resume", "suspended", "deployed")] {
            let words = [&["admin", verb, HOST][..], &person].concat();
            let code = |state: &str| if state == "suspended" { 7 } else { 0 };
            let mccli = place.mccli(&words)?.env("ACCESS_TOKEN", &carol);
            for answer in ["n", ""] {
                let no = mccli.on_terminal(&[Answer::line(&format!("{verb} {question}"), answer)])?;
                assert_eq!(no.code, Some(1), "{verb}: {}", no.stdout);
                assert!(no.stdout.contains("not confirmed"), "{verb}: {}", no.stdout);
            }
            let silent = [&words[..], &["--no-input"]].concat();
            let mut terminal = place.mccli(&silent)?.env("ACCESS_TOKEN", &carol).open_terminal()?;
            let silent = terminal.wait(LIMIT)?;
            assert_eq!(silent.code, Some(2), "{verb}: {}", silent.stdout);
            assert!(silent.stdout.contains("Confirm with --yes."), "{verb}: {}", silent.stdout);
            assert_eq!(mccli.run(sb)?.code, Some(2), "{verb} without a terminal");
            assert_eq!(state(&place, &alice, code(before))?["state"], before);

            let yes = mccli.on_terminal(&[Answer::line(&question, "y")])?;
            assert_eq!(yes.code, Some(0), "{verb}: {}", yes.stdout);
            assert_eq!(state(&place, &alice, code(after))?["state"], after);
        }
        for (verb, after) in [("suspend", "suspended"), ("resume", "deployed")] {
            let words = [&["--json", "admin", verb, HOST, "--yes"][..], &person].concat();
            let shown = told(&place.run_as(&carol, &words)?, 0)?;
            assert_eq!(super::place::names(&shown), ["message", "receipt", "request", "state", "username"]);
            assert_eq!(shown["receipt"]["pending"], json!([]), "{shown}");
            assert_eq!((&shown["state"], &shown["request"]), (&json!(after), &Value::Null), "{shown}");
        }
        assert_eq!(place.run_as(&alice, &["ssh", HOST, "id -un"])?.stdout, "alice\n");
        let no_admin = [&["admin", "suspend", HOST, "--yes"][..], &person].concat();
        let outcome = place.run_as(&alice, &no_admin)?;
        assert_eq!(outcome.code, Some(5), "{}", outcome.stderr);
        assert_eq!(state(&place, &alice, 0)?["state"], "deployed");
        let nameless = ["admin", "suspend", HOST, "--yes", "--sub", "sub-alice"];
        assert_eq!(place.run_as(&carol, &nameless)?.code, Some(2));
        Ok(())
    }
}

sandbox_test! {
    fn a_one_time_password_of_the_client_logs_in_at_the_prompt_once(sb) {
        let (place, alice, _) = with_admin(sb)?;
        let _front = place.usual_front()?;
        place.world.deploy(&alice)?;
        let outcome = place.run_as(&alice, &["otp", HOST])?;
        assert!(outcome.is_success(), "{}", outcome.stderr);
        let password = outcome.stdout.trim().to_owned();
        assert!(password.len() == 128 && password.bytes().all(|byte| byte.is_ascii_hexdigit()), "{password}");
        let ssh = Ssh::to("alice").prompts(1).command("id -un");
        let once = ssh.on_terminal(sb, &[Answer::line("Access Token:", &password)])?;
        assert!(once.is_success() && once.stdout.contains("alice"), "{}", once.stdout);
        let twice = ssh.with_askpass(sb, &[Answer::line("Access Token:", &password)])?;
        assert!(!twice.is_success(), "{}", twice.stderr);
        Ok(())
    }
}
