//! From a login at the provider onto the machine, with real parts.

use anyhow::{Result, ensure};
use motley_tests::op::Endpoint;
use motley_tests::sandbox::{Mccli, Outcome, PamStack, Sandbox, World};
use motley_tests::sandbox_test;

fn ssh(sb: &Sandbox, world: &World, command: &str) -> Result<Outcome> {
    let mut words =
        vec!["--mc-endpoint".to_owned(), world.daemon.url().to_owned(), "ssh".to_owned()];
    words.extend(sb.host_key_options());
    words.extend(["127.0.0.1".to_owned(), command.to_owned()]);
    Mccli::new(&words)?.ca(world.ca.path()).run(sb)
}

sandbox_test! {
    fn one_login_leads_onto_the_machine_again_and_again(sb) {
        let rules = "authorise_all = yes\nscopes = [openid, profile]\naudience = https://node.example\nclient_id = shown-in-info";
        let world = World::with(sb, rules, PamStack::shipped(), |daemon| daemon)?;
        world.op.add_client("shown-in-info", None);
        world.op.sign_in(Some("alice"));
        world.op.rotate_refresh_tokens();
        let words = ["login", "--mc-endpoint", world.daemon.url(), "--device", "--store", "file", "--json"];
        let wide = ["--scope", "openid", "--scope", "profile", "--scope", "email"];
        let words = [&words[..], &wide[..]].concat();
        let login = Mccli::new(words)?.ca(world.ca.path()).run(sb)?;
        ensure!(login.is_success(), "{}", login.stderr);
        ensure!(login.stdout.contains("\"client_id\": \"shown-in-info\""), "{}", login.stdout);
        ensure!(world.op.count(Endpoint::Registration) == 0);

        let first = ssh(sb, &world, "id -un; exit 7")?;
        assert_eq!((first.stdout.as_str(), first.code), ("alice\n", Some(7)), "{}", first.stderr);
        let asked = world.op.count(Endpoint::Token);
        let second = ssh(sb, &world, "env")?;
        ensure!(second.is_success(), "{}", second.stderr);
        assert_eq!(world.op.count(Endpoint::Token), asked, "the kept token serves again");

        let host = ["token", "--mc-endpoint", world.daemon.url(), "--decode"];
        let token = Mccli::new(host)?.ca(world.ca.path()).run(sb)?;
        let token: serde_json::Value = serde_json::from_str(&token.stdout)?;
        assert_eq!(token["payload"]["scope"], "openid profile", "no more than the service wants");
        assert_eq!(token["payload"]["aud"], "https://node.example");

        let out = Mccli::new(["logout"])?.ca(world.ca.path()).run(sb)?;
        ensure!(out.is_success(), "{}", out.stderr);
        let third = ssh(sb, &world, "true")?;
        ensure!(!third.is_success(), "logged out");
        Ok(())
    }
}

sandbox_test! {
    fn a_service_that_wants_more_than_the_login_has_says_what_and_how(sb) {
        let rules = "authorise_all = yes\nscopes = [openid, eduperson_entitlement]";
        let world = World::with(sb, rules, PamStack::shipped(), |daemon| daemon)?;
        world.op.sign_in(Some("alice"));
        let words = ["login", world.op.issuer(), "--device", "--store", "file", "--scope", "openid"];
        let login = Mccli::new(words)?.ca(world.ca.path()).run(sb)?;
        ensure!(login.is_success(), "{}", login.stderr);
        let refused = ssh(sb, &world, "true")?;
        ensure!(refused.code == Some(1), "{}", refused.stderr);
        ensure!(refused.stderr.contains("does not reach to the scopes eduperson_entitlement"), "{}", refused.stderr);
        let cure = format!("mccli login {} --scope openid --scope eduperson_entitlement", world.op.issuer());
        ensure!(refused.stderr.contains(&cure), "{}", refused.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn a_login_for_an_audience_has_its_first_token_for_it(sb) {
        let rules = "authorise_all = yes\naudience = https://node.example";
        let world = World::with(sb, rules, PamStack::shipped(), |daemon| daemon)?;
        world.op.sign_in(Some("alice"));
        let issuer = world.op.issuer();
        for (own, more) in [(&["--audience", "https://node.example"][..], 0), (&[], 1)] {
            let words = [&["login", issuer, "--device", "--store", "file"], own].concat();
            let login = Mccli::new(words)?.ca(world.ca.path()).run(sb)?;
            ensure!(login.is_success(), "{}", login.stderr);
            let asked = world.op.count(Endpoint::Token);
            let outcome = ssh(sb, &world, "id -un")?;
            assert_eq!(outcome.stdout, "alice\n", "{own:?}: {}", outcome.stderr);
            assert_eq!(world.op.count(Endpoint::Token), asked + more, "{own:?}");
            ensure!(Mccli::new(["logout"])?.ca(world.ca.path()).run(sb)?.is_success());
        }
        Ok(())
    }
}
