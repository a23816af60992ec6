//! Where mccli takes its token from, with the distribution's oidc-agent and a real login.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use motley_tests::op::{TestCa, TestOp, User};
use motley_tests::sandbox::{
    AgentClient, Daemon, Mccli, OidcAgent, Outcome, PamStack, Root, Sandbox, Sshd, World, built,
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

/// `mccli OWN… ssh … 127.0.0.1 id -un`, to be given its variables.
fn ssh(sb: &Sandbox, world: &World, own: &[&str]) -> Result<Mccli> {
    let keys = sb.host_key_options();
    let mut words = vec!["--mc-endpoint", world.daemon.url()];
    words.extend_from_slice(own);
    words.push("ssh");
    words.extend(keys.iter().map(String::as_str));
    words.extend(["127.0.0.1", "id", "-un"]);
    Ok(Mccli::new(words)?.ca(world.ca.path()))
}

sandbox_test! {
    fn a_token_in_the_usual_file_of_tmp_is_found_where_there_is_no_runtime_folder(sb) {
        let world = World::start(sb)?;
        let file = Path::new("/tmp/bt_u0");
        std::fs::write(file, format!(" {}\n", world.op.token("alice").sign()))?;
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600))?;
        let mccli = ssh(sb, &world, &[])?;
        let elsewhere = sb.dir().join("runtime");
        std::fs::create_dir_all(&elsewhere)?;
        let with_folder = mccli.clone().env("XDG_RUNTIME_DIR", &elsewhere.to_string_lossy()).run(sb)?;
        assert_said("No Access Token found", &with_folder);
        assert_is("alice", &without_runtime_folder(sb, &world)?);
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o640))?;
        assert_said("chmod 600 /tmp/bt_u0", &without_runtime_folder(sb, &world)?);
        Ok(())
    }
}

/// A login with no variable XDG_RUNTIME_DIR at all.
fn without_runtime_folder(sb: &Sandbox, world: &World) -> Result<Outcome> {
    let mccli = built("mccli")?.to_string_lossy().into_owned();
    let mut words = ["-u", "XDG_RUNTIME_DIR", &mccli, "--mc-endpoint", world.daemon.url(), "ssh"]
        .map(str::to_owned)
        .to_vec();
    words.extend(sb.host_key_options());
    words.extend(["127.0.0.1", "id", "-un"].map(str::to_owned));
    Mccli::program("env", &words).ca(world.ca.path()).run(sb)
}

sandbox_test! {
    fn what_grid_tools_left_comes_before_a_stored_login_and_that_before_the_agent(sb) {
        let ca = TestCa::new()?;
        let op = TestOp::builder(&ca).start()?;
        let other = TestOp::builder(&ca).start()?;
        let root = Root::start(sb)?;
        let rules = "authorise_all = yes";
        let daemon = Daemon::for_op("one", &op, rules).op("other", &other, rules).ca(ca.path()).start(sb)?;
        let sshd = Sshd::new(sb).pam(PamStack::shipped()).start()?;
        let world = World { ca, op, root, daemon, sshd };
        let agent = OidcAgent::without_accounts(sb, "agent")?;
        agent.add(sb, &world.op, world.ca.path(), "alice", "acct", AgentClient::Public)?;
        let socket = agent.socket().to_string_lossy().into_owned();
        let mccli = ssh(sb, &world, &[])?.env("OIDC_SOCK", &socket).env("XDG_RUNTIME_DIR", "");
        assert_is("alice", &mccli.run(sb)?);

        world.op.add_user(User::new("bob"));
        world.op.sign_in(Some("bob"));
        let login = Mccli::new(["login", world.op.issuer(), "--device", "--store", "file"])?;
        let login = login.ca(world.ca.path()).env("XDG_RUNTIME_DIR", "").run(sb)?;
        assert!(login.is_success(), "{}", login.stderr);
        assert_is("bob", &mccli.run(sb)?);

        world.op.add_user(User::new("carol"));
        let carol = world.op.token("carol").sign();
        assert_is("carol", &mccli.clone().env("BEARER_TOKEN", &carol).run(sb)?);
        // One that is over is no reason to stop, nor is one of nobody that the service knows.
        let over = world.op.token("carol").lifetime(-30).sign();
        assert_is("bob", &mccli.clone().env("BEARER_TOKEN", &over).run(sb)?);
        // An option that names a source ends the search there.
        let named = ssh(sb, &world, &["--oidc", "acct"])?.env("OIDC_SOCK", &socket);
        assert_is("alice", &named.env("BEARER_TOKEN", &carol).run(sb)?);
        Ok(())
    }
}

sandbox_test! {
    fn a_command_that_fails_is_named_and_its_own_words_are_shown(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let file = sb.dir().join("token");
        std::fs::write(&file, &token)?;
        let good = format!("cat {}", file.display());
        assert_is("alice", &ssh(sb, &world, &["--token-cmd", &good])?.run(sb)?);
        for (line, said) in [
            ("echo 'the vault is shut' >&2; exit 3", "--token-cmd: the command failed (exit status: 3)"),
            ("kill -9 $$", "--token-cmd: the command failed (signal: 9"),
            ("no-such-program", "--token-cmd: the command failed (exit status: 127)"),
            ("true", "--token-cmd: there is no token in it"),
            ("echo two words", "can't be part of a token"),
        ] {
            let outcome = ssh(sb, &world, &["--token-cmd", line])?.env("BEARER_TOKEN", &token).run(sb)?;
            assert_said(said, &outcome);
            assert_eq!(outcome.stderr.contains("the vault is shut"), line.contains("vault"), "{}", outcome.stderr);
        }
        // One of the environment is passed over, with a warning, for the next source.
        let next = ssh(sb, &world, &[])?.env("MCCLI_TOKEN_CMD", "exit 3").env("BEARER_TOKEN", &token);
        let outcome = next.run(sb)?;
        assert_is("alice", &outcome);
        assert!(outcome.stderr.contains("warning: MCCLI_TOKEN_CMD: the command failed"), "{}", outcome.stderr);
        Ok(())
    }
}
