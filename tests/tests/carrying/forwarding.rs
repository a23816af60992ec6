//! The socket of oidc-agent on the other side: only if the user wants it there, under a name that nobody guesses.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use motley_tests::sandbox::{Answer, OidcAgent, PamStack, Sandbox, Sshd, World};
use motley_tests::sandbox_test;

use super::road::{Road, assert_success};

const QUESTION: &str = "Forward the socket of oidc-agent to one.test?";

/// Says what is there, and asks the agent behind it for an access token.
const LOOK: &str = "for s in /tmp/oidc-agent-*; do test -S $s && echo socket $s && OIDC_SOCK=$s oidc-token acct >/tmp/got && echo served; done; echo \"env=$OIDC_SOCK\"";

fn node(sb: &Sandbox) -> Result<Road> {
    let World { ca, op, root, daemon, sshd } = World::start(sb)?;
    drop(sshd);
    let sshd = Sshd::new(sb).pam(PamStack::shipped()).option("AcceptEnv OIDC_SOCK").start()?;
    Road::to(sb, World { ca, op, root, daemon, sshd })
}

/// The names of sockets in what the look found.
fn sockets(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.trim_end().strip_prefix("socket "));
    lines.map(str::to_owned).collect()
}

fn assert_unguessable(name: &str) {
    let random = name.strip_prefix("/tmp/oidc-agent-").unwrap_or_default();
    assert!(random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
}

sandbox_test! {
    fn the_user_is_asked_and_a_yes_takes_the_agent_along_under_a_new_name_each_time(sb) {
        let road = node(sb)?;
        let token = road.world.op.token("alice").sign();
        let agent = OidcAgent::start(sb, &road.world.op, road.world.ca.path(), "alice", "acct")?;
        let socket = agent.socket().to_string_lossy().into_owned();
        fs::create_dir_all("/root/.config/mccli")?;
        fs::write("/root/.config/mccli/config.toml", "[host.\"one.test\"]\nagent_forward = \"ask\"\n")?;
        let ssh = |own: &[&str]| -> Result<_> {
            let words = [own, &["ssh", "one.test", LOOK]].concat();
            Ok(road.mccli(sb, &token, &words)?.env("OIDC_SOCK", &socket))
        };
        let no = ssh(&[])?.on_terminal(&[Answer::line(QUESTION, "n")])?;
        assert_success(&no);
        assert_eq!(sockets(&no.stdout), Vec::<String>::new(), "{}", no.stdout);
        let mut seen = Vec::new();
        for _ in 0..2 {
            let yes = ssh(&[])?.on_terminal(&[Answer::line(QUESTION, "y")])?;
            assert_success(&yes);
            let found = sockets(&yes.stdout);
            let new: Vec<&String> = found.iter().filter(|name| !seen.contains(*name)).collect();
            assert_eq!(new.len(), 1, "{}", yes.stdout);
            assert_unguessable(new[0]);
            assert!(yes.stdout.contains("served"), "{}", yes.stdout);
            seen.extend(found);
        }
        // Where nobody can be asked, or is to be, the answer is no.
        let quiet = ssh(&[])?.run(sb)?;
        assert_success(&quiet);
        assert!(!quiet.stdout.contains("served"), "{}", quiet.stdout);
        let mut silent = ssh(&["--no-input"])?.open_terminal()?;
        let silent = silent.wait(Duration::from_secs(30))?;
        assert!(silent.is_success() && !silent.stdout.contains("served"), "{}", silent.stdout);
        assert!(!silent.stdout.contains("Forward the socket"), "{}", silent.stdout);
        Ok(())
    }
}

sandbox_test! {
    fn the_remote_side_learns_the_name_when_the_user_wants_it_set(sb) {
        let road = node(sb)?;
        let token = road.world.op.token("alice").sign();
        let agent = OidcAgent::start(sb, &road.world.op, road.world.ca.path(), "alice", "acct")?;
        let socket = agent.socket().to_string_lossy().into_owned();
        let words = ["ssh", "--set-remote-env", "one.test", LOOK];
        let outcome = road.mccli(sb, &token, &words)?.env("OIDC_SOCK", &socket).run(sb)?;
        assert_success(&outcome);
        let found = sockets(&outcome.stdout);
        assert_eq!(found.len(), 1, "{}", outcome.stdout);
        assert_unguessable(&found[0]);
        assert!(outcome.stdout.contains(&format!("env={}", found[0])), "{}", outcome.stdout);
        Ok(())
    }
}
