//! A host that nobody named, below other programs on a terminal: the user is asked once.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use motley_tests::sandbox::{Mccli, Sandbox};
use motley_tests::sandbox_test;

use super::road::{Road, assert_success, sh};

const HOSTS: &str = "/root/.local/state/mccli/hosts.json";
const QUESTION: &str =
    "Log in at one.test with your token, by the service at https://one.test:8443";
const LIMIT: Duration = Duration::from_secs(40);

/// git and rsync with `mccli-ssh` as their ssh, and git below `mccli exec`.
fn ways(road: &Road, sb: &Sandbox, token: &str) -> Result<[Mccli; 3]> {
    let git = ["ls-remote", "one.test:project.git"];
    let link = format!("{} -oNumberOfPasswordPrompts=1", road.link("mccli-ssh"));
    Ok([
        road.program(sb, token, "git", &git)?.env("GIT_SSH_COMMAND", &link),
        road.program(sb, token, "rsync", &["-e", &link, "one.test:project.git/HEAD", "/tmp/head"])?,
        road.mccli(sb, token, &[&["exec", "--", "git"], &git[..]].concat())?
            .env("GIT_SSH_COMMAND", "ssh -oNumberOfPasswordPrompts=1"),
    ])
}

sandbox_test! {
    fn r38_the_user_decides_about_a_host_that_turns_up_below_another_program(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        road.world.deploy(&token)?;
        sh("su alice -s /bin/sh -c 'git init -q --bare --initial-branch=main /home/alice/project.git'")?;
        for (number, way) in ways(&road, sb, &token)?.into_iter().enumerate() {
            let _ = fs::remove_file(HOSTS);
            let granted = road.granted(sb);
            let mut terminal = way.open_terminal()?;
            terminal.expect(QUESTION, LIMIT)?;
            terminal.expect("[y/N] ", LIMIT)?;
            terminal.type_line("n")?;
            // Plain ssh goes on, and asks the person for what it knows nothing of.
            terminal.expect("(root@one.test) ", LIMIT)?;
            terminal.type_line("")?;
            let no = terminal.wait(LIMIT)?;
            assert!(!no.is_success(), "{number}: {}", no.stdout);
            assert_eq!(road.granted(sb), granted, "{number}: {}", no.stdout);
            assert!(!fs::exists(HOSTS)?, "{number}: a no is not remembered as a yes");

            let mut terminal = way.open_terminal()?;
            terminal.expect(QUESTION, LIMIT)?;
            terminal.type_line("y")?;
            assert_success(&terminal.wait(LIMIT)?);
            assert_eq!(road.granted(sb), granted + 1, "{number}");
            assert!(fs::read_to_string(HOSTS)?.contains("one.test"), "{number}");

            let again = way.on_terminal(&[])?;
            assert_success(&again);
            assert!(!again.stdout.contains("Log in at"), "{number}: {}", again.stdout);
            assert_success(&way.run(sb)?);
        }
        Ok(())
    }
}
