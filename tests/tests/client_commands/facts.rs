//! What commands print: blocks for people, and JSON whose shape scripts rely on.

use anyhow::{Context, Result};
use motley_tests::op::{Endpoint, Fault};
use motley_tests::sandbox_test;
use serde_json::{Value, json};

use super::place::{HOST, Place, names, told};

/// Title and text of each block of `mccli info`, and what stands behind the last.
fn blocks(text: &str) -> Vec<(String, String)> {
    let parts = text.split("\n==== ").filter_map(|block| block.split_once(" ====\n"));
    parts.map(|(title, text)| (title.to_owned(), text.to_owned())).collect()
}

fn object(text: &str) -> Result<Value> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    Ok(values.next().context(text.to_owned())??)
}

sandbox_test! {
    fn info_shows_what_a_token_says_how_long_it_lasts_and_what_its_provider_says(sb) {
        let place = Place::start(sb)?;
        let _front = place.usual_front()?;
        let token = place.token("alice");
        let outcome = place.run_as(&token, &["info", HOST])?;
        assert!(outcome.is_success(), "{}", outcome.stderr);
        let blocks = blocks(&outcome.stdout);
        assert_eq!(blocks.len(), 5, "{}", outcome.stdout);
        assert_eq!(blocks[3].0, "Information stored inside the provided Access Token");
        let inside = object(&blocks[3].1)?;
        assert_eq!(names(&inside), ["body", "header"], "never the signature");
        assert_eq!(inside["header"]["alg"], "RS256");
        assert_eq!(inside["body"]["iss"], place.world.op.issuer());
        assert_eq!(inside["body"]["sub"], "sub-alice");
        assert_eq!(blocks[4].0, "Information retrieved from userinfo endpoint");
        assert_eq!(object(&blocks[4].1)?["email"], "alice@example.org");
        let last = outcome.stdout.trim_end().lines().last().unwrap_or_default();
        let left = last.strip_prefix("Token valid for ").and_then(|rest| rest.strip_suffix(" more seconds."));
        let left: f64 = left.context(last.to_owned())?.parse()?;
        assert!((3500.0..=3600.0).contains(&left), "{last}");
        assert_eq!(last.split_once('.').map(|(_, rest)| rest.find(' ')), Some(Some(1)), "one decimal: {last}");

        let told = told(&place.run_as(&token, &["--json", "info", HOST])?, 0)?;
        assert_eq!(told["userinfo"]["email"], "alice@example.org");
        assert_eq!(told["token"]["body"]["sub"], "sub-alice");
        assert!(!outcome.stdout.contains(&token) && !told.to_string().contains(&token));
        Ok(())
    }
}

sandbox_test! {
    fn an_expired_token_that_is_named_is_passed_over_and_the_warning_says_so(sb) {
        let place = Place::start(sb)?;
        let _front = place.usual_front()?;
        let expired = place.world.op.token("alice").lifetime(-30).sign();
        let alone = place.run_as(&expired, &["info"])?;
        assert_eq!((alone.code, alone.stdout.as_str()), (Some(1), ""), "{}", alone.stderr);
        assert!(alone.stderr.contains("  ACCESS_TOKEN: the token is expired"), "{}", alone.stderr);
        let next = place.mccli(&["ssh", HOST, "id -un"])?.env("ACCESS_TOKEN", &expired);
        let outcome = next.env("BEARER_TOKEN", &place.token("alice")).run(sb)?;
        assert_eq!(outcome.stdout, "alice\n", "{}", outcome.stderr);
        assert!(outcome.stderr.contains("warning: ACCESS_TOKEN: the token is expired"), "{}", outcome.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn a_token_that_ends_while_its_provider_is_asked_is_told_to_be_over(sb) {
        let place = Place::start(sb)?;
        place.world.op.fault(Endpoint::Userinfo, Fault::LateMs(3500));
        let short = place.world.op.token("alice").lifetime(3).sign();
        let outcome = place.run_as(&short, &["info"])?;
        assert!(outcome.is_success(), "{}", outcome.stderr);
        let last = outcome.stdout.trim_end().lines().last().unwrap_or_default();
        let ago = last.strip_prefix("Token already EXPIRED ").and_then(|rest| rest.strip_suffix(" seconds ago."));
        let ago: f64 = ago.context(outcome.stdout.clone())?.parse()?;
        assert!((0.0..30.0).contains(&ago), "{last}");
        let told = told(&place.run_as(&place.world.op.token("alice").lifetime(3).sign(), &["--json", "info"])?, 0)?;
        assert!(told["token"]["seconds_left"].as_f64().is_some_and(|left| left < 0.0), "{told}");
        Ok(())
    }
}

sandbox_test! {
    fn whoami_asks_the_provider_that_the_token_names(sb) {
        let place = Place::start(sb)?;
        let outcome = place.run_as(&place.token("alice"), &["whoami"])?;
        assert!(outcome.is_success(), "{}", outcome.stderr);
        assert!(outcome.stdout.contains("email     alice@example.org\n"), "{}", outcome.stdout);
        let who = told(&place.run_as(&place.token("alice"), &["--json", "whoami"])?, 0)?;
        assert_eq!(names(&who), ["logins", "token"]);
        assert_eq!(who["logins"], json!([]));
        assert_eq!(names(&who["token"]), ["claims", "expires_in", "issuer", "userinfo"]);
        assert_eq!(who["token"]["userinfo"]["email"], "alice@example.org");
        assert_eq!(who["token"]["issuer"], place.world.op.issuer());
        assert!(who["token"]["expires_in"].as_f64().is_some_and(|left| left > 3500.0), "{who}");
        Ok(())
    }
}

sandbox_test! {
    fn login_token_and_whoami_have_a_stable_shape_for_scripts(sb) {
        let place = Place::start(sb)?;
        let _front = place.usual_front()?;
        place.world.op.sign_in(Some("alice"));
        let issuer = place.world.op.issuer();
        let login = told(&place.run(&["login", HOST, "--device", "--store", "file", "--json"])?, 0)?;
        assert_eq!(
            names(&login),
            ["access_token_expires_in", "client_id", "issuer", "preferred_username", "refreshable", "scopes", "store", "subject"]
        );
        assert_eq!((&login["issuer"], &login["subject"]), (&json!(issuer), &json!("sub-alice")));
        assert_eq!((&login["store"], &login["refreshable"]), (&json!("file"), &json!(true)));
        assert!(login["access_token_expires_in"].as_f64().is_some_and(|left| left > 0.0), "{login}");

        for words in [&["token", HOST, "--json"][..], &["token", issuer, "--json"]] {
            let token = told(&place.run(words)?, 0)?;
            assert_eq!(names(&token), ["access_token", "expires_in", "issuer"], "{words:?}");
            assert_eq!(token["issuer"], issuer);
            let text = token["access_token"].as_str().context("a token")?;
            assert_eq!(place.world.deploy(text)?, "alice");
        }
        let who = told(&place.run(&["whoami", "--json"])?, 0)?;
        assert_eq!(
            names(&who["logins"][0]),
            ["claims", "client_id", "expires_in", "issuer", "scopes", "since", "store", "userinfo"]
        );
        Ok(())
    }
}

sandbox_test! {
    fn an_opaque_token_is_not_decoded_but_its_holder_is_told_who_could(sb) {
        let place = Place::start(sb)?;
        let opaque = place.world.op.token("alice").opaque();
        let outcome = place.run_as(&opaque, &["token", "--decode"])?;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("the token is opaque"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("mccli whoami asks the provider"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains(&opaque));
        Ok(())
    }
}
