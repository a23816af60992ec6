//! Plain ssh, and all that uses it, after `mccli ssh-config --install`: no wrapper, no variable.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use motley_tests::sandbox::{Mccli, Outcome, Sandbox, World, check_run, until};
use motley_tests::sandbox_test;

/// The login node's name, as the user knows it.
const HOST: &str = "login.cluster.test";
/// Where the user has met it already.
const KNOWN_HOSTS: &str = "/root/.ssh/known_hosts";

/// A user at home on a machine where `root` is the local name, and `alice` the one at the cluster.
struct User<'a> {
    sb: &'a Sandbox,
    world: World,
    token: String,
}

impl<'a> User<'a> {
    /// With the block in place, and a token in the environment.
    fn with_block(sb: &'a Sandbox) -> Result<Self> {
        let user = Self::without_block(sb)?;
        user.install(&[])?;
        Ok(user)
    }

    fn without_block(sb: &'a Sandbox) -> Result<Self> {
        let world = World::start(sb)?;
        let hosts =
            format!("{}127.0.0.1 {HOST} other.cluster.test\n", fs::read_to_string("/etc/hosts")?);
        fs::write("/etc/hosts", hosts)?;
        fs::create_dir_all("/root/.config/mccli")?;
        let rule = format!("[host.\"*.cluster.test\"]\nendpoint = \"{}\"\n", world.daemon.url());
        fs::write("/root/.config/mccli/config.toml", rule)?;
        let key = sb.dir().join("sshd-22/host_key.pub");
        let known = format!("{HOST},other.cluster.test {}", fs::read_to_string(key)?);
        fs::create_dir_all("/root/.ssh")?;
        fs::write(KNOWN_HOSTS, known)?;
        let token = world.op.token("alice").sign();
        Ok(Self { sb, world, token })
    }

    fn install(&self, more: &[&str]) -> Result<()> {
        let mut words = vec!["ssh-config", "--install", "--host", "*.cluster.test"];
        words.extend(more);
        let outcome = self.mccli(&words)?;
        assert!(outcome.is_success(), "{}", outcome.stderr);
        Ok(())
    }

    fn mccli(&self, words: &[&str]) -> Result<Outcome> {
        self.at_home(Mccli::new(words)?).run(self.sb)
    }

    fn at_home(&self, program: Mccli) -> Mccli {
        program.ca(self.world.ca.path()).env("HOME", "/root").env("XDG_RUNTIME_DIR", "")
    }

    /// Lines for bash, without a terminal.
    fn lines(&self, lines: &str) -> Mccli {
        let bash = Mccli::program("bash", ["-c", lines]);
        self.at_home(bash).env("ACCESS_TOKEN", &self.token)
    }

    fn run(&self, lines: &str) -> Result<Outcome> {
        self.lines(lines).run(self.sb)
    }

    /// What the lines print; they must succeed.
    fn prints(&self, lines: &str) -> Result<String> {
        let outcome = self.run(lines)?;
        assert!(outcome.is_success(), "{lines}: {outcome:?}");
        Ok(outcome.stdout.trim_end().to_owned())
    }

    /// Process id of the shared connection.
    fn master(&self) -> Result<String> {
        let check = self.run("ssh -O check login.cluster.test 2>&1")?;
        let pid = check.stdout.split_once("pid=").and_then(|(_, rest)| rest.split_once(')'));
        Ok(pid.with_context(|| check.stdout.clone())?.0.to_owned())
    }

    fn logins(&self) -> usize {
        self.world.sshd.log().matches("Accepted ").count()
    }
}

/// Processes whose command line holds the text.
fn processes(text: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let shown = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    shown.filter(|line| line.contains(text)).collect()
}

sandbox_test! {
    fn plain_ssh_logs_in_once_and_is_ssh_in_every_respect(sb) {
        let user = User::with_block(sb)?;
        let first = user.prints("x=$(ssh login.cluster.test id -un 2>&1); echo \"[$x]\"")?;
        assert!(first.ends_with("alice]"), "{first}");
        for (code, expected) in [("0", Some(0)), ("7", Some(7))] {
            assert_eq!(user.run(&format!("ssh {HOST} exit {code}"))?.code, expected);
        }
        let quoted = user.run("ssh login.cluster.test \"printf '%s|' 'f 2' \\$HOME; echo e >&2\"")?;
        assert_eq!((quoted.stdout.as_str(), quoted.stderr.as_str()), ("f 2|/home/alice|", "e\n"));
        let sums = user.prints(
            "r=$(mktemp); head -c 3000000 /dev/urandom > $r; md5sum < $r; ssh login.cluster.test cat < $r | md5sum; rm $r",
        )?;
        let (here, there) = sums.split_once('\n').context("two sums")?;
        assert_eq!(here, there);
        assert_eq!(user.logins(), 1);
        assert_eq!(processes("__broker"), Vec::<String>::new(), "the token is gone");
        assert_eq!(processes(&user.token), Vec::<String>::new());
        Ok(())
    }
}

sandbox_test! {
    fn plain_ssh_has_a_terminal_that_follows_the_window(sb) {
        let user = User::with_block(sb)?;
        fs::remove_file(KNOWN_HOSTS)?;
        let line = ["-tt", HOST, "stty size; read x; stty size"];
        let ssh = user.at_home(Mccli::program("ssh", line)).env("ACCESS_TOKEN", &user.token);
        let mut terminal = ssh.open_terminal()?;
        let limit = Duration::from_secs(30);
        terminal.expect("(yes/no/[fingerprint])?", limit)?;
        terminal.type_line("yes")?;
        terminal.expect("24 80", limit)?;
        terminal.resize(100, 40)?;
        // The new size travels as a message of its own before the key does.
        std::thread::sleep(Duration::from_millis(300));
        terminal.type_line("")?;
        terminal.expect("40 100", limit)?;
        assert!(terminal.wait(limit)?.is_success());
        Ok(())
    }
}

sandbox_test! {
    fn files_go_by_scp_sftp_rsync_and_git(sb) {
        let user = User::with_block(sb)?;
        fs::create_dir_all("/root/work")?;
        fs::write("/root/work/a b", "text")?;
        user.prints("cd /root/work && scp -q 'a b' login.cluster.test: && scp -q 'login.cluster.test:a b' back && cmp 'a b' back")?;
        user.prints("cd /root/work && scp -Oq 'a b' login.cluster.test:old && ssh login.cluster.test cmp old \"'a b'\"")?;
        user.prints("cd /root/work && printf 'put back up\\nget up down\\n' > batch && sftp -b batch login.cluster.test >&2 && cmp back down")?;
        user.prints("cd /root/work && mkdir tree && echo 1 > tree/1 && rsync -a tree/ login.cluster.test:tree/ && rsync -a login.cluster.test:tree/ tree2/ && diff -r tree tree2")?;
        user.prints(
            "cd /root/work && export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@x
             ssh login.cluster.test git init -q --bare repo.git &&
             git clone -q login.cluster.test:repo.git repo && cd repo && echo 1 > f && git add f &&
             git commit -qm one && git push -q origin HEAD && cd .. &&
             git clone -q ssh://login.cluster.test/home/alice/repo.git again && cmp repo/f again/f",
        )?;
        assert_eq!(user.logins(), 1);
        Ok(())
    }
}

sandbox_test! {
    fn ansible_pings_over_our_shared_connection_and_over_its_own(sb) {
        let user = User::with_block(sb)?;
        let ping = "ansible -i login.cluster.test, all -m ping -e ansible_python_interpreter=/usr/bin/python3";
        for (arguments, logins) in [("ANSIBLE_SSH_ARGS=", 1), ("", 2)] {
            let said = user.prints(&format!("cd /root && {arguments} ANSIBLE_HOME=/root/.ansible {ping}"))?;
            assert!(said.contains("pong"), "{said}");
            assert_eq!(user.logins(), logins, "{arguments}");
        }
        Ok(())
    }
}

sandbox_test! {
    fn the_pattern_of_vs_code_works_with_a_transfer_over_socks(sb) {
        let user = User::with_block(sb)?;
        let said = user.prints(&format!(
            "coproc S {{ ssh -T -o ConnectTimeout=15 -D 11080 {HOST} bash; }}
             echo 'echo ready as $(id -un)' >&${{S[1]}}; read -r line <&${{S[0]}}; echo \"$line\"
             curl -sf --socks5-hostname 127.0.0.1:11080 {}/info | head -c 1; echo
             echo 'exit 5' >&${{S[1]}}; wait $S_PID; echo $?",
            user.world.daemon.url()
        ))?;
        assert_eq!(said, "ready as alice\n{\n5");
        Ok(())
    }
}

sandbox_test! {
    fn five_at_once_make_one_login_and_a_dead_connection_heals(sb) {
        let user = User::with_block(sb)?;
        let five = "for n in 1 2 3 4 5; do ssh login.cluster.test id -un & done; wait";
        assert_eq!(user.prints(five)?, ["alice"; 5].join("\n"));
        assert_eq!(user.logins(), 1);
        for (signal, logins) in [("-KILL", 2), ("-STOP", 3)] {
            check_run("kill", &[signal, &user.master()?])?;
            assert_eq!(user.prints(five)?, ["alice"; 5].join("\n"), "{signal}");
            assert_eq!(user.logins(), logins, "{signal}");
        }
        Ok(())
    }
}

sandbox_test! {
    fn looking_at_the_settings_logs_nobody_in_and_stopping_ends_the_connection(sb) {
        let user = User::with_block(sb)?;
        user.prints("ssh -G login.cluster.test")?;
        assert!(user.run("ssh -O check login.cluster.test")?.code != Some(0));
        assert_eq!(user.logins(), 0);
        assert_eq!(user.prints("ssh login.cluster.test id -un")?, "alice");
        let settings = user.prints("ssh -G login.cluster.test")?;
        assert!(settings.contains("controlpath /root/.ssh/mccli/"), "{settings}");
        for stop in [&["ssh-stop", HOST][..], &["ssh-stop"]] {
            assert!(user.mccli(stop)?.is_success());
            assert!(user.run("ssh -O check login.cluster.test")?.code != Some(0));
            user.prints("ssh login.cluster.test true")?;
        }
        assert_eq!(user.logins(), 3);
        assert!(user.mccli(&["ssh-config", "--remove"])?.is_success());
        assert_eq!(fs::read_to_string("/root/.ssh/config")?, "");
        Ok(())
    }
}

sandbox_test! {
    fn mccli_ssh_makes_no_second_login_beside_its_own(sb) {
        let user = User::with_block(sb)?;
        let mccli = motley_tests::sandbox::built("mccli")?;
        assert_eq!(user.prints(&format!("{} ssh {HOST} id -un", mccli.display()))?, "alice");
        assert_eq!(user.logins(), 1);
        Ok(())
    }
}

sandbox_test! {
    fn a_jump_host_of_the_configuration_gets_a_login_of_its_own(sb) {
        let user = User::with_block(sb)?;
        let config = fs::read_to_string("/root/.ssh/config")?;
        let jump = format!("{config}Host {HOST}\n ProxyJump other.cluster.test\n");
        fs::write("/root/.ssh/config", jump)?;
        assert_eq!(user.prints("ssh login.cluster.test id -un")?, "alice");
        assert_eq!(user.logins(), 2);
        Ok(())
    }
}

sandbox_test! {
    fn an_unused_connection_ends_by_itself(sb) {
        let user = User::without_block(sb)?;
        user.install(&["--persist", "1"])?;
        user.prints("ssh login.cluster.test true")?;
        until("the end of the connection", Duration::from_secs(20), || {
            processes("-M -N -f").is_empty().then_some(())
        })
    }
}

sandbox_test! {
    fn without_a_token_and_for_others_ssh_goes_on_by_itself(sb) {
        let user = User::with_block(sb)?;
        sb.add_user("bob")?;
        let keys = [sb.authorise_key("root")?, sb.authorise_key("bob")?];
        let options = keys.each_ref().map(|key| format!("-i {} ", key.path.display())).concat()
            + "-o IdentitiesOnly=yes";
        let block = fs::read_to_string("/root/.ssh/config")?;
        let identity = format!("{block}IdentityFile {}\n", keys[0].path.display());
        fs::write("/root/.ssh/config", identity)?;
        let without = user.run(&format!("unset ACCESS_TOKEN; ssh {HOST} id -un"))?;
        fs::write("/root/.ssh/config", block)?;
        assert_eq!(without.stdout.trim(), "root", "{without:?}");
        assert!(without.stderr.contains("so ssh goes on by itself"), "{}", without.stderr);
        assert_eq!(user.prints(&format!("ssh {options} bob@{HOST} id -un"))?, "bob");
        assert_eq!(user.prints(&format!("ssh {HOST} id -un"))?, "alice");
        assert_eq!(user.prints(&format!("ssh {options} bob@{HOST} id -un"))?, "bob", "beside it");
        assert_eq!(user.prints(&format!("ssh {options} -o User=bob {HOST} id -un"))?, "bob");
        let config = fs::read_to_string("/root/.ssh/config")?;
        fs::write("/root/.ssh/config", format!("{config}Host other.*\n User bob\n"))?;
        assert_eq!(user.prints(&format!("ssh {options} other.cluster.test id -un"))?, "bob");
        Ok(())
    }
}

sandbox_test! {
    fn r38_the_shared_connection_accepts_no_new_host_and_serves_nobody_with_keys_of_its_own(sb) {
        let user = User::with_block(sb)?;
        fs::remove_file(KNOWN_HOSTS)?;
        for options in ["", "-o BatchMode=yes"] {
            let new = user.run(&format!("ssh {options} {HOST} true"))?;
            assert_eq!(new.code, Some(255), "{options}: {new:?}");
            assert!(new.stderr.contains("Host key verification failed."), "{}", new.stderr);
            assert!(!fs::exists(KNOWN_HOSTS)?, "{options}");
        }
        assert_eq!(user.logins(), 0);
        let key = fs::read_to_string(sb.dir().join("sshd-22/host_key.pub"))?;
        fs::write(KNOWN_HOSTS, format!("{HOST} {key}"))?;
        assert_eq!(user.prints(&format!("ssh {HOST} id -un"))?, "alice");
        fs::write("/root/pinned", "")?;
        let pinned = "-o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/root/pinned";
        let refused = user.run(&format!("ssh {pinned} {HOST} id -un"))?;
        assert_eq!(refused.code, Some(255), "{refused:?}");
        assert!(refused.stderr.contains("Host key verification failed."), "{}", refused.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn a_suspended_account_is_named_as_the_cause(sb) {
        let user = User::with_block(sb)?;
        user.world.deploy(&user.token)?;
        let ctl = motley_tests::sandbox::built("motleyctl")?;
        check_run(&ctl.to_string_lossy(), &["suspend", "alice"])?;
        let outcome = user.run("ssh -o BatchMode=yes login.cluster.test true")?;
        assert_eq!(outcome.code, Some(255), "{outcome:?}");
        assert!(outcome.stderr.contains("suspended"), "{}", outcome.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn r38_a_host_name_that_is_shell_code_runs_nothing(sb) {
        let user = User::with_block(sb)?;
        let config = fs::read_to_string("/root/.ssh/config")?;
        let line = config.lines().find(|line| line.starts_with("Match host")).context("the block")?;
        let command = line.rsplit_once("exec \"").context("exec")?.1.trim_end_matches('"');
        for shell in ["sh", "bash"] {
            for name in ["$(touch /tmp/ran)", "`touch /tmp/ran`", ";touch /tmp/ran;", "|touch /tmp/ran", "&&touch /tmp/ran", "-o x", "a\ntouch /tmp/ran\n"] {
                let name = format!("{name}.cluster.test");
                // What a release before 9.6 makes of it; this one refuses the name.
                let line = command.replace("%h", &name).replace("%p", "22");
                let outcome = Mccli::program(shell, ["-c", &line]).run(sb)?;
                assert!(!outcome.is_success(), "{name}");
                let outcome = Mccli::program("ssh", ["-G", "--", &name]).run(sb)?;
                assert!(!fs::exists("/tmp/ran")?, "{name}: {outcome:?}");
            }
        }
        assert!(line.contains(r#"host "!*'*,!*\*,"#), "names with quotes never come so far: {line}");
        assert_eq!(user.logins(), 0);
        Ok(())
    }
}
