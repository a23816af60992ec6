//! The sandbox keeps the host untouched and runs real parts.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use motley_tests::sandbox::{self, Answer, Layers, PamStack, Ssh, Sshd, Terminal, check_run};
use motley_tests::sandbox_test;

const SOON: Duration = Duration::from_secs(10);

sandbox_test! {
    fn accounts_made_inside_exist_inside(sb) {
        let user = sb.add_user("t_inside")?;
        assert!(user.uid >= 1000);
        assert!(user.home.is_dir());
        assert!(fs::read_to_string("/etc/passwd")?.contains("t_inside"));
        fs::write("/etc/t_written", "x")?;
        fs::write("/home/t_written", "x")?;
        fs::write("/var/t_written", "x")?;
        fs::write("/root/t_written", "x")?;
        fs::write(sb.pam_dir()?.join("t_written"), "x")?;
        Ok(())
    }
}

#[test]
fn the_host_is_untouched() {
    // The other test first, in this very process, so that there is something to find.
    accounts_made_inside_exist_inside();
    if std::env::var_os("MOTLEY_SANDBOX_STAGE").is_some() {
        return;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    assert!(!passwd.contains("t_inside"));
    for place in ["/etc", "/home", "/var", "/root", "/home/t_inside", "/run/sandbox"] {
        assert!(!Path::new(place).join("t_written").exists(), "{place}");
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("/run/sandbox"));
}

#[test]
fn a_failure_inside_is_a_failure_outside() {
    let result =
        sandbox::run("a_failure_inside_is_a_failure_outside", |_sb| anyhow::bail!("on purpose"));
    if std::env::var_os("MOTLEY_SANDBOX_STAGE").is_some() {
        result.unwrap();
    } else if nix::unistd::Uid::effective().is_root() {
        assert!(result.unwrap_err().to_string().contains("failed inside the sandbox"));
    }
}

#[test]
fn a_test_that_would_not_run_inside_is_a_failure() {
    let result = sandbox::run("no_such_test", |_sb| Ok(()));
    if nix::unistd::Uid::effective().is_root() {
        assert!(result.unwrap_err().to_string().contains("no test called no_such_test"));
    }
}

sandbox_test! {
    fn the_network_is_loopback_only(_sb) {
        let links = check_run("ip", &["-o", "link"])?;
        assert_eq!(links.lines().filter(|line| line.contains("UP")).count(), 1);
        let error = TcpStream::connect("192.0.2.1:443").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
        Ok(())
    }
}

sandbox_test! {
    fn messages_to_syslog_can_be_read(sb) {
        let log = UnixDatagram::unbound()?;
        log.send_to(b"<86>test: a message\n", "/dev/log")?;
        let line = sb.wait_for_syslog("a message", SOON)?;
        assert_eq!(line, "<86>test: a message");
        Ok(())
    }
}

sandbox_test! {
    fn orphans_are_reaped(_sb) {
        let pid = check_run("sh", &["-c", "sh -c 'exit 0' & echo $!"])?;
        let process = Path::new("/proc").join(pid.trim());
        sandbox::until("the orphan to be gone", SOON, || (!process.exists()).then_some(()))
    }
}

sandbox_test! {
    fn a_key_logs_in_on_a_real_sshd(sb) {
        let sshd = Sshd::new(sb).pam(PamStack::distribution()).start()?;
        sb.add_user("t_alice")?;
        let key = sb.authorise_key("t_alice")?;
        let outcome = Ssh::to("t_alice").key(&key).keys_only().command("id -un").with_askpass(sb, &[])?;
        assert_eq!(outcome.stdout.trim(), "t_alice", "{}", outcome.stderr);
        assert_eq!(outcome.code, Some(0));
        assert!(sshd.log().contains("Accepted publickey for t_alice"));

        let code = Ssh::to("t_alice").key(&key).keys_only().command("exit 7").with_askpass(sb, &[])?.code;
        assert_eq!(code, Some(7));
        Ok(())
    }
}

sandbox_test! {
    fn a_password_is_typed_on_a_terminal(sb) {
        let _sshd = Sshd::new(sb).pam(PamStack::distribution()).start()?;
        sb.add_user("t_bob")?;
        sb.set_password("t_bob", "right horse")?;
        let ssh = Ssh::to("t_bob").command("tty; echo at $SSH_TTY").option("-t");
        let outcome = ssh.on_terminal(sb, &[Answer::line("Password:", "right horse")])?;
        assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
        assert!(outcome.stdout.contains("/dev/pts/"), "{}", outcome.stdout);
        assert!(!outcome.stdout.contains("right horse"));
        Ok(())
    }
}

sandbox_test! {
    fn a_password_is_given_by_askpass(sb) {
        let sshd = Sshd::new(sb).port(2222).pam(PamStack::distribution()).start()?;
        sb.add_user("t_bob")?;
        sb.set_password("t_bob", "it's right")?;
        let ssh = Ssh::to("t_bob").port(sshd.port()).command("cat").stdin("through\n");
        let outcome = ssh.with_askpass(sb, &[Answer::line("Password:", "it's right")])?;
        assert_eq!(outcome.stdout, "through\n", "{}", outcome.stderr);
        assert_eq!(outcome.prompts, ["(t_bob@127.0.0.1) Password: "]);

        let wrong = ssh.prompts(1).with_askpass(sb, &[Answer::line("Password:", "wrong")])?;
        assert_eq!(wrong.code, Some(255));
        assert!(wrong.stderr.contains("Permission denied"), "{}", wrong.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn a_shell_is_driven_on_a_terminal(_sb) {
        let mut command = Command::new("sh");
        command.env("PS1", "ready> ");
        let mut shell = Terminal::start(&command)?;
        shell.expect("ready> ", SOON)?;
        shell.resize(132, 50)?;
        shell.type_line("stty size")?;
        shell.expect("50 132", SOON)?;
        shell.type_line("sleep 100; echo interrupted=$?")?;
        shell.expect("interrupted=$?", SOON)?;
        sandbox::until("the sleep", SOON, || check_run("pgrep", &["sleep"]).ok())?;
        shell.type_text("\u{3}")?;
        shell.expect("ready> ", SOON)?;
        shell.type_line("exit 3")?;
        assert_eq!(shell.wait(SOON)?.code, Some(3));
        assert!(shell.expect("never shown", SOON).is_err());
        Ok(())
    }
}

sandbox_test! {
    fn the_last_words_of_programs_on_terminals_are_seen_however_busy_the_machine_is(_sb) {
        // More writers than a machine has processors: those who read come late.
        std::thread::scope(|scope| -> anyhow::Result<()> {
            let runners: Vec<_> = (0..100).map(|_| scope.spawn(|| -> anyhow::Result<()> {
                for _ in 0..10 {
                    let mut command = Command::new("sh");
                    command.args(["-c", "echo first; seq 1 20000 >/dev/null; sleep 0.05; echo last"]);
                    let outcome = Terminal::start(&command)?.wait(SOON * 6)?;
                    assert_eq!(outcome.stdout, "first\r\nlast\r\n");
                }
                Ok(())
            })).collect();
            runners.into_iter().try_for_each(|runner| runner.join().expect("a runner"))
        })
    }
}

sandbox_test! {
    fn private_directories_work_as_copies_too(sb) {
        if sb.layers() == Layers::Overlay {
            // Asked for from outside, so start a second sandbox in this one.
            let exe = std::env::current_exe()?;
            let status = Command::new(exe)
                .args(["private_directories_work_as_copies_too", "--exact", "--nocapture"])
                .env_remove("MOTLEY_SANDBOX_STAGE")
                .env("SANDBOX_LAYERS", "copy")
                .status()?;
            assert!(status.success());
            return Ok(());
        }
        let _sshd = Sshd::new(sb).pam(PamStack::distribution()).start()?;
        sb.add_user("t_copy")?;
        let key = sb.authorise_key("t_copy")?;
        let ssh = Ssh::to("t_copy").key(&key).keys_only().command("id -un");
        let outcome = ssh.with_askpass(sb, &[])?;
        assert_eq!(outcome.stdout.trim(), "t_copy", "{}", outcome.stderr);
        Ok(())
    }
}

#[test]
fn the_sandbox_program_runs_a_command_and_passes_its_exit_code_on() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let run = |words: &[&str]| {
        let program = env!("CARGO_BIN_EXE_sandbox");
        Command::new(program).arg("--").args(words).output().unwrap()
    };
    let output = run(&["sh", "-c", "hostname; touch /tmp/t_program; useradd t_program && exit 9"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "login-node");
    assert_eq!(output.status.code(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!fs::read_to_string("/etc/passwd").unwrap().contains("t_program"));
    assert!(!Path::new("/tmp/t_program").exists());
}

sandbox_test! {
    fn built_programs_can_be_run_by_every_user(sb) {
        let program = sandbox::built("sandbox")?;
        let user = sb.add_user("t_other")?;
        let uid = user.uid.to_string();
        let shown = program.to_string_lossy();
        check_run("setpriv", &["--reuid", &uid, "--clear-groups", &shown, "--version"])?;
        assert!(fs::read_dir("/tmp")?.flatten().all(|entry| entry.path().is_dir()));
        Ok(())
    }
}
