//! `mccli ssh` is ssh: exit codes, words, streams, terminal and prompts are its own.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use motley_tests::sandbox::{Mccli, PamStack, Sandbox, Sshd, Terminal, World, built};
use motley_tests::sandbox_test;

use super::road::{Road, assert_success, binary_file};

const LIMIT: Duration = Duration::from_secs(30);

sandbox_test! {
    fn exit_codes_and_words_are_those_of_ssh(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let ssh = |words: &[&str]| {
            road.mccli(sb, &token, &[&["ssh"], words].concat())?.run(sb)
        };
        for (command, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $PPID", 255)] {
            let outcome = ssh(&["one.test", command])?;
            assert_eq!(outcome.code, Some(code), "{command}: {}", outcome.stderr);
        }
        fs::write("/tmp/f 2", "two")?;
        assert_eq!(ssh(&["one.test", "cat", "'/tmp/f 2'"])?.stdout, "two");
        assert_eq!(ssh(&["one.test", "echo \"a   b\""])?.stdout, "a   b\n");
        let through = "ProxyCommand=bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & cat >&3; kill $!'";
        let outcome = ssh(&["-o", through, "one.test", "id -un"])?;
        assert_eq!(outcome.stdout, "alice\n", "{}", outcome.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn three_megabytes_pass_both_ways_and_the_error_stream_stays_apart(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let (from, to) = (sb.dir().join("from"), sb.dir().join("to"));
        let data = binary_file(&from, 3_000_000)?;
        let file = road.token_file(sb, &token)?;
        // Through a shell, for streams as bytes, and inside of $(…), which must end with ssh.
        let line = format!(
            "x=$({} --token-file {file} ssh one.test 'cat; echo on error >&2' < {} > {} 2>{}; echo $?); echo \"ended with $x\"",
            built("mccli")?.display(), from.display(), to.display(), sb.dir().join("errors").display()
        );
        let outcome = road.program(sb, &token, "sh", &["-c", &line])?.run(sb)?;
        assert_eq!(outcome.stdout, "ended with 0\n");
        assert!(fs::read(&to)? == data);
        let errors = fs::read_to_string(sb.dir().join("errors"))?;
        assert!(errors.contains("on error\n"), "{errors}");
        Ok(())
    }
}

/// A world whose sshd greets everybody.
fn with_banner(sb: &Sandbox) -> Result<World> {
    fs::write("/etc/ssh/banner", "Access Token: is what you need.\nWelcome!\n")?;
    let World { ca, op, root, daemon, sshd } = World::start(sb)?;
    drop(sshd);
    let sshd = Sshd::new(sb).pam(PamStack::shipped()).option("Banner /etc/ssh/banner").start()?;
    Ok(World { ca, op, root, daemon, sshd })
}

sandbox_test! {
    fn no_banner_and_no_verbose_output_hides_the_prompt_in_100_logins(sb) {
        let road = Road::to(sb, with_banner(sb)?)?;
        let token = road.world.op.token("alice").sign();
        let file = road.token_file(sb, &token)?;
        let ca = road.world.ca.path();
        thread::scope(|scope| -> Result<()> {
            let runners: Vec<_> = (0..5).map(|_| {
                let file = &file;
                scope.spawn(move || -> Result<()> {
                    for round in 0..20 {
                        let loud = if round % 2 == 0 { "-v" } else { "-4" };
                        let words = ["--token-file", file, "ssh", loud, "one.test", "id -un"];
                        let mccli = Mccli::new(words)?.ca(ca);
                        // With and without -v, and every fourth as a person sees it.
                        let on_terminal = round % 8 >= 6;
                        let outcome = if on_terminal { mccli.on_terminal(&[])? } else { mccli.run(sb)? };
                        assert_success(&outcome);
                        let shown = format!("{}{}", outcome.stdout, outcome.stderr);
                        assert!(shown.contains("Welcome!"), "{shown}");
                        assert_eq!(shown.contains("debug1: "), loud == "-v", "{shown}");
                        match on_terminal {
                            true => assert!(outcome.stdout.contains("\nalice\r\n"), "{shown}"),
                            false => assert_eq!(outcome.stdout, "alice\n"),
                        }
                    }
                    Ok(())
                })
            }).collect();
            for runner in runners {
                runner.join().expect("a runner")?;
            }
            Ok(())
        })?;
        assert_eq!(road.granted(sb), 100);
        Ok(())
    }
}

sandbox_test! {
    fn a_proxy_command_leads_through_a_host_that_mccli_logs_in_at_and_changes_no_byte(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let file = road.token_file(sb, &token)?;
        sb.add_user("t_inner")?;
        let key = sb.authorise_key("t_inner")?;
        let (from, to) = (sb.dir().join("from"), sb.dir().join("to"));
        let data = binary_file(&from, 3_000_000)?;
        let line = format!(
            "ssh -i {} -o IdentitiesOnly=yes -o 'ProxyCommand={} --token-file {file} ssh -W %h:%p two.test' t_inner@127.0.0.3 'cat; id -un >&2; exit 6' < {} > {}",
            key.path.display(), built("mccli")?.display(), from.display(), to.display()
        );
        let outcome = road.program(sb, &token, "sh", &["-c", &line])?.run(sb)?;
        assert_eq!(outcome.code, Some(6), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("t_inner\n"), "{}", outcome.stderr);
        assert!(fs::read(&to)? == data);
        assert_eq!(road.granted(sb), 1, "the way there, and no login at its end");
        Ok(())
    }
}

sandbox_test! {
    fn escape_and_job_control_work_and_the_window_follows_the_terminal(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let file = road.token_file(sb, &token)?;
        let mut shell = std::process::Command::new("bash");
        shell.args(["--norc", "-i"]).env("SSL_CERT_FILE", road.world.ca.path()).env("PS1", "local> ");
        let mut terminal = Terminal::start(&shell)?;
        terminal.expect("local> ", LIMIT)?;
        terminal.type_line(&format!("{} --token-file {file} ssh one.test", built("mccli")?.display()))?;
        terminal.expect("$ ", LIMIT)?;
        terminal.type_line("echo se''ssion")?;
        terminal.expect("session", LIMIT)?;
        terminal.resize(101, 33)?;
        terminal.type_line("sleep 0.3; stty size")?;
        terminal.expect("33 101", LIMIT)?;
        terminal.type_text("\r~\u{1a}")?;
        terminal.expect("local> ", LIMIT)?;
        terminal.type_line("jobs")?;
        terminal.expect("Stopped", LIMIT)?;
        terminal.type_line("fg")?;
        terminal.type_line("echo ba''ck")?;
        terminal.expect("back", LIMIT)?;
        terminal.type_line("exit 4")?;
        terminal.expect("local> ", LIMIT)?;
        terminal.type_line("echo code=$?")?;
        terminal.expect("code=4", LIMIT)?;
        Ok(())
    }
}

sandbox_test! {
    fn tokens_around_the_limit_of_ssh_get_through(sb) {
        let road = Road::start(sb)?;
        let small = road.world.op.token("alice").sign().len();
        assert!(small < 1023, "{small}");
        for size in [1023, 1024, 1025, 2289] {
            for otp in ["auto", "always"] {
                let token = road.world.op.token("alice").size(size).sign();
                let words = ["--otp", otp, "ssh", "one.test", "id -un"];
                let outcome = road.mccli(sb, &token, &words)?.run(sb)?;
                assert_success(&outcome);
                assert_eq!(outcome.stdout, "alice\n", "{size} ({})", token.len());
            }
        }
        Ok(())
    }
}

sandbox_test! {
    fn a_shared_connection_is_taken_without_asking_the_service(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let shared = "-oControlPath=/tmp/shared-%h-%p";
        let own = ["-oControlMaster=auto", "-oControlPersist=60", shared];
        let first = [&["ssh"], &own[..], &["one.test", "id -un"]].concat();
        assert_eq!(road.mccli(sb, &token, &first)?.run(sb)?.stdout, "alice\n");
        let granted = road.granted(sb);
        // No token that anybody would take, and yet in.
        for program in [vec!["ssh"], vec!["scp"]] {
            let rest = match program[0] {
                "ssh" => vec!["one.test", "id -un"],
                _ => vec!["/etc/hostname", "one.test:copy"],
            };
            let words = [&program[..], &[shared], &rest].concat();
            assert_success(&road.mccli(sb, "no-token-at-all", &words)?.run(sb)?);
        }
        let link = road.program(sb, "no-token-at-all", road.link("mccli-ssh"), &[shared, "one.test", "true"])?;
        assert_success(&link.run(sb)?);
        assert_eq!(road.granted(sb), granted);
        Ok(())
    }
}
