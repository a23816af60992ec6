//! The parts of the sandbox go together: provider, daemon, root process, sshd, oidc-agent, mccli.

use motley_tests::sandbox::{Mccli, OidcAgent, Outcome, Sandbox, World};
use motley_tests::sandbox_test;

sandbox_test! {
    fn a_deployed_user_logs_in_with_a_pasted_token(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let name = world.deploy(&token)?;
        let outcome = world.paste(sb, &name, &token)?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        assert!(outcome.stdout.ends_with(&format!("{name}\r\n")), "{}", outcome.stdout);
        Ok(())
    }
}

sandbox_test! {
    fn daemon_and_root_process_come_back_after_a_crash(sb) {
        let mut world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let name = world.deploy(&token)?;
        world.daemon.kill();
        world.root.kill();
        assert!(world.daemon.rest()?.get("/", None).is_err());
        world.root.restart(sb)?;
        world.daemon.restart(sb)?;
        assert_eq!(world.deploy(&token)?, name);
        assert!(!world.daemon.log(sb).is_empty() && !world.root.log(sb).is_empty());
        Ok(())
    }
}

sandbox_test! {
    fn mccli_logs_in_with_a_token_and_through_the_agent(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let outcome = mccli(sb, &world, &["--token", &token], "id -un; exit 5", None)?;
        assert_eq!((outcome.stdout.as_str(), outcome.code), ("alice\n", Some(5)), "{}", outcome.stderr);

        let agent = OidcAgent::start(sb, &world.op, world.ca.path(), "bob", "acct")?;
        let outcome = mccli(sb, &world, &["--oidc", agent.account()], "id -un", Some(&agent))?;
        assert_eq!((outcome.stdout.as_str(), outcome.code), ("bob\n", Some(0)), "{}", outcome.stderr);
        Ok(())
    }
}

fn mccli(
    sb: &Sandbox,
    world: &World,
    source: &[&str],
    command: &str,
    agent: Option<&OidcAgent>,
) -> anyhow::Result<Outcome> {
    let mut words: Vec<String> = source.iter().map(|&word| word.to_owned()).collect();
    words.extend(["--mc-endpoint".to_owned(), world.daemon.url().to_owned(), "ssh".to_owned()]);
    words.extend(sb.host_key_options());
    words.extend(["127.0.0.1".to_owned(), command.to_owned()]);
    let mut mccli = Mccli::new(&words)?;
    if let Some(agent) = agent {
        mccli = mccli.env("OIDC_SOCK", &agent.socket().to_string_lossy());
    }
    mccli.run(sb)
}
