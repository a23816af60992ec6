//! The offer to log in, made to a person on a terminal who has no token, by `mccli ssh` and by plain ssh.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use motley_tests::op::Endpoint;
use motley_tests::sandbox::{Answer, Mccli, Outcome, Sandbox, World};
use motley_tests::sandbox_test;

const HOST: &str = "login.cluster.test";
const QUESTION: &str = "There is no access token. Log in at";
const LIMIT: Duration = Duration::from_secs(60);

/// A node that the configuration knows, and nobody logged in anywhere.
fn node(sb: &Sandbox) -> Result<World> {
    let world = World::start(sb)?;
    let hosts = fs::read_to_string("/etc/hosts")?;
    fs::write("/etc/hosts", format!("{hosts}127.0.0.1 {HOST}\n"))?;
    fs::create_dir_all("/root/.config/mccli")?;
    let rule = format!("[host.\"{HOST}\"]\nendpoint = \"{}\"\n", world.daemon.url());
    fs::write("/root/.config/mccli/config.toml", rule)?;
    let key = fs::read_to_string(sb.dir().join("sshd-22/host_key.pub"))?;
    fs::create_dir_all("/root/.ssh")?;
    fs::write("/root/.ssh/known_hosts", format!("{HOST} {key}"))?;
    Ok(world)
}

/// A program of a person without a browser on this machine.
fn at_home(world: &World, program: Mccli) -> Mccli {
    let program = program.ca(world.ca.path()).env("XDG_RUNTIME_DIR", "").env("TERM", "xterm");
    ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "DBUS_SESSION_BUS_ADDRESS"]
        .into_iter()
        .fold(program, |program, name| program.env(name, ""))
}

fn mccli(world: &World, words: &[&str]) -> Result<Mccli> {
    Ok(at_home(world, Mccli::new(words)?))
}

fn logins(world: &World) -> usize {
    world.sshd.log().matches("Accepted keyboard-interactive").count()
}

/// Says yes, confirms the login at the provider as a person with a browser elsewhere does, and
/// waits for the program's end.
fn accept(world: &World, program: &Mccli) -> Result<Outcome> {
    let mut terminal = program.open_terminal()?;
    terminal.expect(&format!("{QUESTION} {} now? [Y/n] ", world.op.issuer()), LIMIT)?;
    terminal.type_line("y")?;
    terminal.expect("and enter the code:", LIMIT)?;
    let code = motley_tests::sandbox::until("a user code", LIMIT, || {
        world.op.pending_user_codes().first().cloned()
    })?;
    terminal.expect(&code, LIMIT)?;
    assert_eq!(logins(world), 0, "nobody is in before the provider was asked");
    assert!(world.op.approve_device(&code, "alice"));
    terminal.wait(LIMIT)
}

sandbox_test! {
    fn a_yes_leads_through_the_provider_onto_the_host(sb) {
        let world = node(sb)?;
        let ssh = mccli(&world, &["ssh", HOST, "id -un; exit 7"])?;
        let no = ssh.on_terminal(&[Answer::line(QUESTION, "n")])?;
        assert_eq!(no.code, Some(1), "{}", no.stdout);
        assert!(no.stdout.contains("No Access Token found"), "{}", no.stdout);
        assert_eq!((logins(&world), world.op.count(Endpoint::DeviceAuthorization)), (0, 0));

        let outcome = accept(&world, &ssh)?;
        assert_eq!(outcome.code, Some(7), "{}", outcome.stdout);
        assert!(outcome.stdout.contains("alice\r\n"), "{}", outcome.stdout);
        assert_eq!(logins(&world), 1);
        // The login is kept: nobody is asked any more, and no terminal is needed.
        let again = mccli(&world, &["ssh", HOST, "id -un"])?.run(sb)?;
        assert_eq!(again.stdout, "alice\n", "{}", again.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn a_yes_at_plain_ssh_leads_through_the_provider_onto_the_host(sb) {
        let world = node(sb)?;
        let block = mccli(&world, &["ssh-config", "--install", "--host", HOST])?.run(sb)?;
        assert!(block.is_success(), "{}", block.stderr);
        let ssh = at_home(&world, Mccli::program("ssh", [HOST, "id -un; exit 7"]));
        let outcome = accept(&world, &ssh)?;
        assert_eq!(outcome.code, Some(7), "{}", outcome.stdout);
        assert!(outcome.stdout.contains("alice\r\n"), "{}", outcome.stdout);
        assert_eq!(logins(&world), 1);
        let again = ssh.run(sb)?;
        assert_eq!((again.code, again.stdout.as_str()), (Some(7), "alice\n"), "{}", again.stderr);
        assert_eq!(logins(&world), 1, "over the shared connection");
        assert!(mccli(&world, &["ssh-stop"])?.run(sb)?.is_success());
        Ok(())
    }
}

sandbox_test! {
    fn nobody_is_offered_a_login_who_can_not_answer_or_does_not_want_to_be_asked(sb) {
        let world = node(sb)?;
        let silent = mccli(&world, &["ssh", HOST, "true"])?.run(sb)?;
        assert_eq!(silent.code, Some(1), "{}", silent.stderr);
        let told = format!("Log in with: mccli login {}", world.op.issuer());
        assert!(silent.stderr.contains(&told), "{}", silent.stderr);
        let mut terminal = mccli(&world, &["--no-input", "ssh", HOST, "true"])?.open_terminal()?;
        let silent = terminal.wait(LIMIT)?;
        assert_eq!(silent.code, Some(1), "{}", silent.stdout);
        assert!(!silent.stdout.contains(QUESTION) && silent.stdout.contains(&told), "{}", silent.stdout);
        assert_eq!(world.op.count(Endpoint::DeviceAuthorization), 0);
        Ok(())
    }
}
