//! Programs that start ssh by themselves: below `mccli exec`, and with `mccli-ssh` as their ssh.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use motley_tests::sandbox::{Mccli, Sandbox, until};
use motley_tests::sandbox_test;

use super::road::{Road, assert_success, is_broker_left, sh, wait_for_the_brokers_end};

/// The two ways: a line that has its ssh chosen by us, and one that names our ssh.
fn both_ways(road: &Road, sb: &Sandbox, token: &str, line: &str) -> Result<[Mccli; 2]> {
    let below = road.mccli(sb, token, &["exec", "--", "sh", "-ec", line])?;
    let named = road.program(sb, token, "sh", &["-ec", line])?;
    Ok([below, named.env("GIT_SSH", &road.link("mccli-ssh"))])
}

sandbox_test! {
    fn git_clones_and_pushes(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        road.world.deploy(&token)?;
        sh("su alice -s /bin/sh -c 'git init -q --bare --initial-branch=main /home/alice/project.git'")?;
        let line = "cd $(mktemp -d); git clone -q one.test:project.git work; cd work
            git config user.email a@example.org; git config user.name A
            date +%N > file; git add file; git commit -qm more; git push -q origin HEAD:refs/heads/main
            git ls-remote ssh://one.test/home/alice/project.git | grep main";
        for way in both_ways(&road, sb, &token, line)? {
            let outcome = way.run(sb)?;
            assert_success(&outcome);
            assert!(outcome.stdout.contains("refs/heads/main"), "{}", outcome.stdout);
        }
        assert!(road.granted(sb) >= 6);
        wait_for_the_brokers_end()?;
        Ok(())
    }
}

sandbox_test! {
    fn ansible_pings_by_both_ways(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let line = "ansible all -i one.test,two.test, -m ping -e ansible_python_interpreter=/usr/bin/python3";
        let named = format!("{line} -e ansible_ssh_executable={} -e ansible_scp_executable={} -e ansible_sftp_executable={}",
            road.link("mccli-ssh"), road.link("mccli-scp"), road.link("mccli-sftp"));
        let ways = [
            road.mccli(sb, &token, &["exec", "sh", "-ec", line])?,
            road.program(sb, &token, "sh", &["-ec", &named])?,
        ];
        for (number, way) in ways.into_iter().enumerate() {
            let home = sb.dir().join(format!("ansible-{number}")).to_string_lossy().into_owned();
            let outcome = way.env("ANSIBLE_HOME", &home).env("LC_ALL", "C.UTF-8")
                .env("ANSIBLE_SSH_CONTROL_PATH_DIR", &format!("/tmp/cp{number}")).run(sb)?;
            assert_success(&outcome);
            assert_eq!(outcome.stdout.matches("\"pong\"").count(), 2, "{}", outcome.stdout);
        }
        Ok(())
    }
}

sandbox_test! {
    fn the_link_serves_programs_that_take_an_ssh_program(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let (ssh, sftp) = (road.link("mccli-ssh"), road.link("mccli-sftp"));
        let scp = road.link("mccli-scp");
        for (program, words, input) in [
            ("scp", vec!["-S", &ssh, "/etc/hostname", "one.test:a"], ""),
            ("sftp", vec!["-S", &ssh, "-b", "-", "one.test"], "put /etc/hostname b\n"),
            ("rsync", vec!["-e", &ssh, "/etc/hostname", "one.test:c"], ""),
            (&*scp, vec!["/etc/hostname", "one.test:d"], ""),
            (&*sftp, vec!["-b", "-", "one.test"], "put /etc/hostname e\n"),
            // As editors come: no terminal, a forwarded port, a shell that reads its script.
            (&*ssh, vec!["-T", "-D", "18080", "-o", "ConnectTimeout=15", "one.test", "bash"], "touch f\n"),
        ] {
            let outcome = road.program(sb, &token, program, &words)?.stdin(input).run(sb)?;
            assert_success(&outcome);
        }
        for name in ["a", "b", "c", "d", "e", "f"] {
            assert!(fs::exists(format!("/home/alice/{name}"))?, "{name}");
        }
        Ok(())
    }
}

sandbox_test! {
    fn the_link_is_ssh_and_nothing_else_where_it_knows_no_login(sb) {
        let road = Road::start(sb)?;
        let key = {
            sb.add_user("t_local")?;
            sb.authorise_key("t_local")?
        };
        let key = key.path.to_string_lossy().into_owned();
        let ssh = |words: &[&str]| {
            road.program(sb, "no-token-at-all", road.link("mccli-ssh"), words)?.run(sb)
        };
        assert!(ssh(&["-V"])?.stderr.starts_with("OpenSSH"));
        assert!(ssh(&["-G", "one.test"])?.stdout.contains("hostname one.test\n"));
        assert_eq!(ssh(&[])?.code, Some(255));
        assert_eq!(ssh(&["--help"])?.code, Some(255));
        // A user on the line, a host without service, and a service that refuses: a key still does.
        for words in [
            &["-i", &key, "t_local@one.test", "id -un"][..],
            &["-i", &key, "-oUser=t_local", "-oHostName=127.0.0.3", "elsewhere", "id -un"],
            &["-i", &key, "-F", "/root/local", "elsewhere", "id -un"],
            &["-i", &key, "-F", "/root/local", "one.test", "id -un"],
        ] {
            fs::write("/root/local", "Host *\n StrictHostKeyChecking accept-new\n User t_local\nHost elsewhere\n HostName 127.0.0.3\n")?;
            let outcome = ssh(words)?;
            assert_success(&outcome);
            assert_eq!(outcome.stdout, "t_local\n", "{words:?}");
        }
        let refused = ssh(&["-i", &key, "-F", "/root/local", "one.test", "true"])?;
        assert!(refused.stderr.contains("401"), "{}", refused.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn every_ssh_below_exec_logs_in_and_the_broker_ends_with_the_command(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let line = "ssh one.test id -un; scp -q /etc/hostname two.test:f; echo 'ls f' | sftp -q -b - one.test
            rsync /etc/hostname one.test:g; test -z \"$SSH_ASKPASS\"; exit 5";
        let outcome = road.mccli(sb, &token, &["exec", "--", "sh", "-ec", line])?.run(sb)?;
        assert_eq!(outcome.code, Some(5), "{}\n{}", outcome.stdout, outcome.stderr);
        assert!(outcome.stdout.starts_with("alice\n"), "{}", outcome.stdout);
        wait_for_the_brokers_end()?;
        // The token may come by standard input, and what follows it belongs to the command.
        let words = ["--token-file", "-", "exec", "--", "ssh", "one.test", "cat"];
        let input = format!("{token}\nrest\n");
        let piped = Mccli::new(words)?.ca(road.world.ca.path()).stdin(input).run(sb)?;
        assert_eq!(piped.stdout, "rest\n", "{}", piped.stderr);
        let mut terminal = road.mccli(sb, &token, &["exec", "sleep", "600"])?.open_terminal()?;
        until("a broker", Duration::from_secs(20), || is_broker_left().then_some(()))?;
        sh("until pgrep -x sleep; do sleep 0.1; done; pkill -9 -x sleep")?;
        terminal.wait(Duration::from_secs(10))?;
        wait_for_the_brokers_end()?;
        Ok(())
    }
}

sandbox_test! {
    fn a_command_that_is_not_there_is_named(sb) {
        let road = Road::start(sb)?;
        let outcome = road.mccli(sb, "x", &["exec", "--", "no-such-program"])?.run(sb)?;
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("no-such-program"), "{}", outcome.stderr);
        Ok(())
    }
}
