//! Ways in: token pasted, one-time password typed, mccli with a token or an agent, long tokens.

use motley_tests::op::{TokenKind, one_time_password};
use motley_tests::sandbox::{Answer, Mccli, OidcAgent, PamStack, Sandbox, Ssh, World};
use motley_tests::sandbox_test;

use anyhow::Result;

/// The user behind `mccli ssh`, with host keys as the sandbox wants them.
fn mccli_ssh(world: &World, sb: &Sandbox, own: &[&str], command: &[&str]) -> Result<Mccli> {
    let keys = sb.host_key_options();
    let mut words = vec!["ssh", "--mc-endpoint", world.daemon.url()];
    words.extend_from_slice(own);
    words.extend(keys.iter().map(String::as_str));
    words.push("127.0.0.1");
    words.extend_from_slice(command);
    Mccli::new(words).map(|mccli| mccli.ca(world.ca.path()))
}

sandbox_test! {
    fn a_pasted_token_logs_in_on_a_terminal(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let name = world.deploy(&token)?;
        let outcome = world.paste(sb, &name, &token)?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        assert!(outcome.stdout.contains(&name), "{}", outcome.stdout);
        Ok(())
    }
}

sandbox_test! {
    fn mccli_ssh_with_a_token_makes_the_account_and_logs_in(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        assert!(sb.user("alice")?.is_none());
        let outcome = mccli_ssh(&world, sb, &["--token", &token], &["id", "-un"])?.run(sb)?;
        assert!(outcome.is_success(), "{}\n{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.stdout.trim(), "alice");
        assert!(sb.user("alice")?.is_some());
        Ok(())
    }
}

sandbox_test! {
    fn mccli_ssh_with_a_token_logs_in_on_a_terminal_too(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let outcome = mccli_ssh(&world, sb, &["--token", &token, "-t"], &["tty"])?.on_terminal(&[])?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        assert!(outcome.stdout.contains("/dev/pts/"), "{}", outcome.stdout);
        Ok(())
    }
}

sandbox_test! {
    fn mccli_ssh_gets_its_token_from_a_real_oidc_agent(sb) {
        let world = World::start(sb)?;
        let agent = OidcAgent::start(sb, &world.op, world.ca.path(), "alice", "acct")?;
        let socket = agent.socket().to_string_lossy().into_owned();
        for own in [["--oidc", "acct"], ["--iss", world.op.issuer()]] {
            let mccli = mccli_ssh(&world, sb, &own, &["id", "-un"])?.env("OIDC_SOCK", &socket);
            let outcome = mccli.run(sb)?;
            assert!(outcome.is_success(), "{own:?}: {}\n{}", outcome.stdout, outcome.stderr);
            assert_eq!(outcome.stdout.trim(), "alice", "{own:?}");
        }
        Ok(())
    }
}

sandbox_test! {
    fn a_one_time_password_typed_at_the_prompt_logs_in_once(sb) {
        let world = World::with(sb, "authorise_all = yes", PamStack::token_only(), |daemon| daemon)?;
        let token = world.op.token("alice").size(4096).sign();
        let name = world.deploy(&token)?;
        let reply = world.daemon.rest()?.post("/user/generate_otp", Some(&token), &serde_json::Value::Null)?;
        assert_eq!(reply.json()["successful"], true, "{}", reply.text);
        let password = one_time_password(&token);
        let outcome = world.paste(sb, &name, &password)?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        let again = world.paste(sb, &name, &password)?;
        assert!(!again.is_success(), "r18: a second use must fail: {}", again.stdout);
        Ok(())
    }
}

sandbox_test! {
    fn a_token_of_16_kb_goes_through_mccli_in_chunks_and_by_one_time_password(sb) {
        let world = World::start(sb)?;
        for (otp, proof) in [("never", "by=\"token\""), ("always", "by=\"one_time_password\"")] {
            let token = world.op.mint(TokenKind::Jwt16k, "alice", "")?.credential;
            let mccli = mccli_ssh(&world, sb, &["--token", &token, "--otp", otp], &["id", "-un"])?;
            let outcome = mccli.run(sb)?;
            assert!(outcome.is_success(), "{otp}: {}\n{}", outcome.stdout, outcome.stderr);
            assert_eq!(outcome.stdout.trim(), "alice", "{otp}");
            let log = world.daemon.log(sb);
            assert!(log.contains(proof), "{otp}: {log}");
        }
        Ok(())
    }
}

sandbox_test! {
    fn the_exit_code_and_both_streams_of_the_remote_command_come_back(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let command = ["sh", "-c", "'echo out; echo err >&2; exit 7'"];
        let outcome = mccli_ssh(&world, sb, &["--token", &token], &command)?.run(sb)?;
        assert_eq!(outcome.code, Some(7), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, "out\n");
        assert!(outcome.stderr.contains("err"));
        Ok(())
    }
}

sandbox_test! {
    fn a_key_login_of_a_local_user_is_left_alone(sb) {
        let _world = World::start(sb)?;
        sb.add_user("t_local")?;
        let key = sb.authorise_key("t_local")?;
        let outcome = Ssh::to("t_local").key(&key).keys_only().command("id -un").with_askpass(sb, &[])?;
        assert!(outcome.is_success(), "{}", outcome.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn a_password_falls_through_to_the_distribution_and_never_reaches_the_daemon(sb) {
        let world = World::start(sb)?;
        sb.add_user("t_local")?;
        sb.set_password("t_local", "correct-horse-7")?;
        let answers =
            [Answer::line("Access Token:", "correct-horse-7"), Answer::line("Password:", "correct-horse-7")];
        let ssh = Ssh::to("t_local").prompts(1).command("id -un");
        let ssh = ssh.option("-oPreferredAuthentications=keyboard-interactive");
        let outcome = ssh.on_terminal(sb, &answers)?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        let log = world.daemon.log(sb);
        assert!(log.contains("neither a token nor a one-time password"), "{log}");
        Ok(())
    }
}
