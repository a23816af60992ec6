//! Where mccli takes its token from, with the distribution's oidc-agent and a real login.

use std::path::Path;

use anyhow::Result;
use motley_tests::op::{TestCa, TestOp};
use motley_tests::sandbox::{
    AgentClient, Daemon, Mccli, OidcAgent, Outcome, PamStack, Root, Sandbox, Sshd, World,
};
use motley_tests::sandbox_test;

/// `mccli ssh … 127.0.0.1 id -un` with this agent.
fn log_in(
    sb: &Sandbox,
    (daemon, ca): (&Daemon, &Path),
    own: &[&str],
    agent: &OidcAgent,
) -> Result<Outcome> {
    let keys = sb.host_key_options();
    let mut words = vec!["ssh", "--mc-endpoint", daemon.url()];
    words.extend_from_slice(own);
    words.extend(keys.iter().map(String::as_str));
    words.extend(["127.0.0.1", "id", "-un"]);
    let socket = agent.socket().to_string_lossy().into_owned();
    Mccli::new(words)?.ca(ca).env("OIDC_SOCK", &socket).run(sb)
}

fn assert_is(user: &str, outcome: &Outcome) {
    let shown = format!("{}{}", outcome.stdout, outcome.stderr);
    assert_eq!((outcome.stdout.trim(), outcome.code), (user, Some(0)), "{shown}");
}

fn assert_said(said: &str, outcome: &Outcome) {
    assert_eq!(outcome.code, Some(1), "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stderr.contains(said), "{said:?} is not in:\n{}", outcome.stderr);
}

sandbox_test! {
    fn confidential_and_public_accounts_of_the_real_agent_log_in_by_account_and_by_issuer(sb) {
        let world = World::start(sb)?;
        let place = (&world.daemon, world.ca.path());
        for (kind, user) in [(AgentClient::Confidential, "alice"), (AgentClient::Public, "bob")] {
            let agent = OidcAgent::without_accounts(sb, user)?;
            agent.add(sb, &world.op, world.ca.path(), user, user, kind)?;
            for own in [&["--oidc", user][..], &["--iss", world.op.issuer()], &[]] {
                assert_is(user, &log_in(sb, place, own, &agent)?);
            }
        }
        Ok(())
    }
}

sandbox_test! {
    fn an_account_that_the_agent_made_by_its_device_flow_logs_in(sb) {
        let world = World::start(sb)?;
        let agent = OidcAgent::without_accounts(sb, "agent")?;
        agent.add_by_device_flow(sb, &world.op, world.ca.path(), "alice", "device")?;
        let place = (&world.daemon, world.ca.path());
        assert_is("alice", &log_in(sb, place, &["--oidc", "device"], &agent)?);
        Ok(())
    }
}

sandbox_test! {
    fn an_agent_that_is_locked_or_gone_or_lacks_the_account_is_told_apart(sb) {
        let world = World::start(sb)?;
        let place = (&world.daemon, world.ca.path());
        let mut agent = OidcAgent::start(sb, &world.op, world.ca.path(), "alice", "acct")?;
        let by_account = ["--oidc", "acct"];
        assert_is("alice", &log_in(sb, place, &by_account, &agent)?);

        agent.lock()?;
        for own in [&by_account[..], &["--iss", world.op.issuer()], &[]] {
            assert_said("unlock the agent with: oidc-add --unlock", &log_in(sb, place, own, &agent)?);
        }
        agent.unlock()?;
        assert_is("alice", &log_in(sb, place, &by_account, &agent)?);

        agent.unload("acct")?;
        assert_said("load it with: oidc-add acct", &log_in(sb, place, &by_account, &agent)?);
        let making = format!("or make one with: oidc-gen --iss {}", world.op.issuer());
        assert_said(&making, &log_in(sb, place, &["--iss", world.op.issuer()], &agent)?);

        agent.stop();
        assert_said("no oidc-agent behind", &log_in(sb, place, &by_account, &agent)?);
        std::fs::remove_file(agent.socket())?;
        assert_said("start one with: eval $(oidc-agent)", &log_in(sb, place, &by_account, &agent)?);
        Ok(())
    }
}

sandbox_test! {
    fn where_several_providers_are_supported_the_agents_account_decides_without_a_question(sb) {
        let ca = TestCa::new()?;
        let first = TestOp::builder(&ca).start()?;
        let second = TestOp::builder(&ca).start()?;
        let _root = Root::start(sb)?;
        let rules = "authorise_all = yes";
        let daemon = Daemon::for_op("first", &first, rules).op("second", &second, rules);
        let daemon = daemon.ca(ca.path()).start(sb)?;
        let _sshd = Sshd::new(sb).pam(PamStack::shipped()).start()?;
        let place = (&daemon, ca.path());

        let agent = OidcAgent::without_accounts(sb, "agent")?;
        assert_said("it has no account, and none for a provider", &log_in(sb, place, &[], &agent)?);
        agent.add(sb, &second, ca.path(), "bob", "theirs", AgentClient::Public)?;
        assert_is("bob", &log_in(sb, place, &[], &agent)?);
        agent.lock()?;
        assert_said("unlock the agent with", &log_in(sb, place, &[], &agent)?);
        Ok(())
    }
}

sandbox_test! {
    fn a_token_that_a_grid_tool_left_for_another_service_is_passed_by(sb) {
        let world = World::start(sb)?;
        let place = world.ca.path();
        let foreign = TestOp::builder(&world.ca).start()?;
        let keys = sb.host_key_options();
        let mut words = vec!["ssh", "--mc-endpoint", world.daemon.url()];
        words.extend(keys.iter().map(String::as_str));
        words.extend(["127.0.0.1", "id", "-un"]);
        let mccli = Mccli::new(words)?.ca(place);
        let own = world.op.token("alice").sign();
        assert_is("alice", &mccli.clone().env("BEARER_TOKEN", &own).run(sb)?);
        let outcome = mccli.env("BEARER_TOKEN", &foreign.token("alice").sign()).run(sb)?;
        assert_said("the service does not support the issuer", &outcome);
        assert_said(&format!("Log in with: mccli login {}", world.op.issuer()), &outcome);
        Ok(())
    }
}
