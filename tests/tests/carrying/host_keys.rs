//! Keys of hosts, with nothing in the configuration of ssh: who is met first is remembered, and whoever
//! comes with another key gets no token.

use std::fs;

use anyhow::Result;
use motley_tests::sandbox::{Mccli, Outcome, Sandbox};
use motley_tests::sandbox_test;

use super::road::{Road, assert_success, sh};

const KNOWN_HOSTS: &str = "/root/.ssh/known_hosts";

/// Every command that starts ssh, each with something to do at `one.test`.
const WAYS: [&[&str]; 6] = [
    &["ssh", "one.test", "true"],
    &["scp", "/etc/hostname", "one.test:copied"],
    &["sftp", "one.test:/etc/hostname", "/tmp/fetched"],
    &["rsync", "/etc/hostname", "one.test:mirrored"],
    &["exec", "--", "ssh", "one.test", "true"],
    &["exec", "--", "scp", "/etc/hostname", "one.test:again"],
];

fn run(road: &Road, sb: &Sandbox, token: &str, words: &[&str]) -> Result<Outcome> {
    road.mccli(sb, token, words)?.run(sb)
}

/// The key that the node has, or one that it does not, as a line of known_hosts.
fn known(sb: &Sandbox, right: bool) -> Result<String> {
    let path = match right {
        true => sb.dir().join("sshd-22/host_key.pub"),
        false => {
            sh("test -e /tmp/another || ssh-keygen -q -t ed25519 -N '' -f /tmp/another")?;
            "/tmp/another.pub".into()
        }
    };
    Ok(format!("one.test {}", fs::read_to_string(path)?))
}

sandbox_test! {
    fn r38_a_new_host_is_remembered_where_nobody_can_be_asked_and_one_with_another_key_gets_no_token(sb) {
        let road = Road::start(sb)?;
        fs::remove_file("/root/.ssh/config")?;
        let token = road.world.op.token("alice").sign();
        road.world.deploy(&token)?;
        let key = known(sb, true)?;
        let key = key.split_whitespace().nth(2).unwrap_or_default();
        for words in WAYS {
            let _ = fs::remove_file(KNOWN_HOSTS);
            let granted = road.granted(sb);
            assert_success(&run(&road, sb, &token, words)?);
            let recorded = fs::read_to_string(KNOWN_HOSTS)?;
            assert!(recorded.contains(key), "{words:?}: {recorded}");
            assert_eq!(road.granted(sb), granted + 1, "{words:?}");
            // Again, as one that is known.
            assert_success(&run(&road, sb, &token, words)?);
            assert_eq!(road.granted(sb), granted + 2, "{words:?}");

            let other = known(sb, false)?;
            fs::write(KNOWN_HOSTS, &other)?;
            let prompted = road.world.sshd.log().matches("Access Token").count();
            let outcome = run(&road, sb, &token, words)?;
            assert_eq!(outcome.code, Some(255), "{words:?}: {}", outcome.stderr);
            assert!(outcome.stderr.contains("Host key verification failed."), "{words:?}: {}", outcome.stderr);
            assert_eq!(road.granted(sb), granted + 2, "{words:?}");
            assert_eq!(road.world.sshd.log().matches("Access Token").count(), prompted, "{words:?}");
            assert_eq!(fs::read_to_string(KNOWN_HOSTS)?, other, "{words:?}");
        }
        let log = road.world.daemon.log(sb);
        assert!(!log.contains("login refused"), "nobody came with anything else: {log}");
        Ok(())
    }
}

sandbox_test! {
    fn r38_the_name_for_other_programs_takes_a_new_host_only_if_ssh_itself_would(sb) {
        let road = Road::start(sb)?;
        fs::remove_file("/root/.ssh/config")?;
        let token = road.world.op.token("alice").sign();
        let link = |own: &[&str]| {
            let words = [own, &["one.test", "id -un"]].concat();
            road.program(sb, &token, road.link("mccli-ssh"), &words)?.run(sb)
        };
        let new = link(&[])?;
        assert_eq!(new.code, Some(255), "{}", new.stderr);
        assert!(new.stderr.contains("Host key verification failed."), "{}", new.stderr);
        assert!(!fs::exists(KNOWN_HOSTS)?);
        assert_eq!(road.granted(sb), 0);
        let told = link(&["-oStrictHostKeyChecking=accept-new"])?;
        assert_eq!(told.stdout, "alice\n", "{}", told.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn r38_on_a_terminal_the_user_decides_about_a_new_host(sb) {
        let road = Road::start(sb)?;
        fs::remove_file("/root/.ssh/config")?;
        let token = road.world.op.token("alice").sign();
        let ssh: Mccli = road.mccli(sb, &token, &["ssh", "one.test", "id -un"])?;
        let question = "(yes/no/[fingerprint])?";
        let no = ssh.on_terminal(&[motley_tests::sandbox::Answer::line(question, "no")])?;
        assert_eq!((no.code, road.granted(sb)), (Some(255), 0), "{}", no.stdout);
        assert!(!fs::exists(KNOWN_HOSTS)?);
        let yes = ssh.on_terminal(&[motley_tests::sandbox::Answer::line(question, "yes")])?;
        assert!(yes.is_success() && yes.stdout.contains("alice\r\n"), "{}", yes.stdout);
        Ok(())
    }
}
