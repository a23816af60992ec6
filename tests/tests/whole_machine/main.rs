//! The packages on a whole Debian machine: sockets, first login, hardening, suspension, removal.

mod base;
mod login_node;
mod machine;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, ensure};
use motley_tests::sandbox::until;

use login_node::LoginNode;
use machine::{Machine, checked};

/// Declares a test that needs a whole machine; it is skipped loudly where there can be none,
/// unless `REQUIRE_E2E=1`.
macro_rules! machine_test {
    (fn $name:ident() $body:block) => {
        #[test]
        fn $name() {
            match base::unavailable() {
                None => {
                    let outcome = (|| -> Result<()> { $body })();
                    outcome.unwrap_or_else(|error| panic!("{error:#}"));
                }
                Some(reason) if std::env::var("REQUIRE_E2E").is_ok_and(|v| v == "1") => {
                    panic!("REQUIRE_E2E=1, but there can be no machine here: {reason}")
                }
                Some(reason) => eprintln!("SKIPPED: there can be no machine here: {reason}"),
            }
        }
    };
}

machine_test! {
    fn a_first_login_by_token_works_after_only_the_op_section_was_edited() {
        let node = LoginNode::installed()?;
        let machine = &node.machine;
        for socket in ["motley-cue-login", "motley-cue-admin", "motley-cue-rest", "motley-root"] {
            machine.run(&format!("systemctl is-active {socket}.socket"))?;
        }
        let before = machine.output("systemctl is-active motley-cue.service motley-root.service")?;
        ensure!(before.stdout == b"inactive\ninactive\n", "started before anybody came");

        let check = machine.run("motley-daemon check-config 2>&1")?;
        let doubts = check.lines().filter(|line| line.contains("warning")).count();
        ensure!(doubts == 1 && check.contains("no provider is configured"), "shipped files: {check}");
        node.trust_the_provider()?;
        let token = node.token("kim")?;
        machine.write("/root/token", &token)?;
        machine.run("chmod 600 /root/token")?;
        let by_mccli = machine.run("mccli ssh --token-file /root/token localhost id -un")?;
        ensure!(by_mccli == "kim\n", "mccli ssh said {by_mccli:?}");
        let pasted = checked("ssh with a token", node.paste(&token, "kim", "id -un; pwd")?)?;
        ensure!(pasted == "kim\n/home/kim\n", "ssh said {pasted:?}");
        let wrong = node.paste(&node.token("mallory")?, "kim", "id -un")?;
        ensure!(!wrong.status.success(), "mallory's token opened kim's account");

        machine.run("systemctl is-active motley-cue.service motley-root.service")?;
        let failed = machine.run("systemctl list-units --state=failed --no-legend 'motley*' ssh.service")?;
        ensure!(failed.is_empty(), "failed units: {failed}");
        Ok(())
    }
}

/// Runs with the shared connection of a client that has one token; one line each.
const PLAIN_SSH: [(&str, &str); 6] = [
    ("mccli ssh localhost id -un", "kim\n"),
    ("mccli ssh-config --host localhost --install && ssh localhost id -un", "kim\n"),
    (
        "for n in 1 2 3 4 5; do ssh localhost echo $n > /tmp/said.$n & done; wait; cat /tmp/said.*",
        "1\n2\n3\n4\n5\n",
    ),
    (
        "scp -q /etc/hostname localhost:'f 2' && ssh localhost \"cat 'f 2'\" | cmp - /etc/hostname && echo same",
        "same\n",
    ),
    (
        "echo 'get \"f 2\" /tmp/back' > /tmp/batch; sftp -q -b /tmp/batch localhost > /dev/null && cmp /tmp/back /etc/hostname && echo same",
        "same\n",
    ),
    ("mccli ssh-stop localhost > /dev/null; ssh localhost exit 7; echo $?", "7\n"),
];

machine_test! {
    fn the_ssh_of_the_next_debian_logs_in_with_mccli_in_front_and_without() {
        let node = LoginNode::installed_on(base::NEWER)?;
        let machine = &node.machine;
        let version = machine.run("ssh -V 2>&1")?;
        let number = |text: &str| text.trim_start_matches("OpenSSH_").split(['.', 'p']).next().and_then(|it| it.parse::<u32>().ok());
        ensure!(number(&version) >= Some(10), "no newer ssh than elsewhere: {version}");
        node.trust_the_provider()?;
        machine.write("/root/token", &node.token("kim")?)?;
        machine.run("chmod 600 /root/token")?;
        for (line, expected) in PLAIN_SSH {
            let said = machine.run(&format!("export MCCLI_TOKEN_FILE=/root/token; {line}"))?;
            ensure!(said == expected, "{line} said {said:?}");
        }
        let pasted = checked("ssh with a token", node.paste(&node.token("kim")?, "kim", "id -un")?)?;
        ensure!(pasted == "kim\n", "ssh said {pasted:?}");
        let suspended = machine.run("motleyctl users suspend kim && motleyctl users show kim")?;
        ensure!(suspended.contains("suspended"), "{suspended}");
        let refused = machine.output("MCCLI_TOKEN_FILE=/root/token mccli ssh localhost true")?;
        ensure!(!refused.status.success(), "a suspended person came in");
        Ok(())
    }
}

machine_test! {
    fn systemctl_reload_takes_a_new_configuration_and_fails_with_a_broken_one() {
        let node = LoginNode::installed()?;
        let machine = &node.machine;
        machine.run("systemctl start motley-cue.service")?;
        let pid = machine.run("systemctl show -P MainPID motley-cue.service")?;
        node.trust_the_provider()?;
        machine.run("systemctl reload motley-cue.service")?;
        let status = machine.run("motleyctl status")?;
        ensure!(status.contains("https://localhost:9443"), "the provider is not trusted: {status}");
        machine.run("echo 'not an option' >> /etc/motley_cue/motley_cue.conf")?;
        let refused = machine.output("systemctl reload motley-cue.service")?;
        ensure!(!refused.status.success(), "a broken configuration was taken");
        let log = machine.run("journalctl -u motley-cue.service --no-pager")?;
        ensure!(log.contains("motley_cue.conf:"), "the log does not say where: {log}");
        let same = machine.run("systemctl show -P MainPID motley-cue.service")?;
        let after = machine.run("motleyctl status")?;
        let holds = after.contains("https://localhost:9443");
        ensure!(same == pid && holds, "the old one does not hold: {after}");
        Ok(())
    }
}

machine_test! {
    fn r08_a_suspended_person_loses_the_running_session_and_comes_in_by_no_method() {
        let node = LoginNode::installed()?;
        let machine = &node.machine;
        node.trust_the_provider()?;
        let token = node.token("kim")?;
        machine.write("/root/token", &token)?;
        machine.run("chmod 600 /root/token")?;
        machine.run("mccli ssh --token-file /root/token localhost true")?;
        node.give_key("kim")?;
        node.opens_by_key("kim", "before the suspension")?;

        let identity = node.key_file();
        let mut session = machine
            .client("ssh")
            .args(["-F", "/dev/null", "-oUserKnownHostsFile=/dev/null", "-oStrictHostKeyChecking=no"])
            .args(["-i", &identity, "kim@127.0.0.1", "sleep 600"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        until("kim's session in logind", Duration::from_secs(20), || {
            let sessions = machine.run("loginctl list-sessions --no-legend").ok()?;
            let running = machine.output("pgrep -u kim sleep").ok()?.status.success();
            (sessions.contains("kim") && running).then_some(())
        })?;
        let receipt = machine.run("motleyctl suspend kim")?;
        let ended = until("the end of kim's session", Duration::from_secs(20), || {
            session.try_wait().ok().flatten()
        })?;
        ensure!(ended.code() == Some(255), "the session ended with {ended}; receipt: {receipt}");
        node.stays_closed_to_key("kim", "after the suspension")?;
        ensure!(!node.paste(&token, "kim", "true")?.status.success(), "the token works");

        // The refusal does not hang on the daemon.
        machine.run("systemctl stop motley-cue-login.socket motley-cue-admin.socket motley-cue.service")?;
        node.stays_closed_to_key("kim", "while the daemon is down")?;
        node.opens_by_key("anna", "while the daemon is down")?;
        machine.run("systemctl start motley-cue.service")?;
        machine.run("motleyctl resume kim")?;
        node.opens_by_key("kim", "after the resumption")?;
        Ok(())
    }
}

machine_test! {
    fn r28_nothing_of_a_suspended_person_runs_or_starts_again_and_a_resumption_brings_it_back() {
        let node = LoginNode::installed()?;
        let machine = &node.machine;
        node.trust_the_provider()?;
        machine.write("/root/token", &node.token("kim")?)?;
        machine.run("chmod 600 /root/token")?;
        machine.run("mccli ssh --token-file /root/token localhost true")?;
        node.give_key("kim")?;
        let in_kims_name = "cd /home/kim; su -s /bin/sh kim -c";
        // A service that lingers and comes back whenever it ends, a job each minute, one of at.
        machine.run("loginctl enable-linger kim")?;
        machine.run("install -d -o kim -g $(id -g kim) /home/kim/.config /home/kim/.config/systemd /home/kim/.config/systemd/user /home/kim/.config/systemd/user/default.target.wants")?;
        let unit = "[Service]\nExecStart=/bin/sleep 7001\nRestart=always\nRestartSec=0\n[Install]\nWantedBy=default.target\n";
        machine.write("/home/kim/.config/systemd/user/stay.service", unit)?;
        machine.run("ln -s ../stay.service /home/kim/.config/systemd/user/default.target.wants/stay.service")?;
        machine.run("systemctl restart user@$(id -u kim).service")?;
        machine.run(&format!("echo '* * * * * date >> /home/kim/by-cron' | crontab -u kim -; {in_kims_name} 'echo date \\>\\> /home/kim/by-at | at now + 1 minute'"))?;
        let identity = node.key_file();
        let control = machine.dir().join("master").to_string_lossy().into_owned();
        let ssh = |words: &[&str]| -> Result<std::process::Child> {
            let mut command = machine.client("ssh");
            command.args(["-F", "/dev/null", "-oUserKnownHostsFile=/dev/null", "-oStrictHostKeyChecking=no"]);
            command.args(["-i", &identity]).args(words).stdout(Stdio::null()).stderr(Stdio::null());
            Ok(command.spawn()?)
        };
        let mut session = ssh(&["kim@127.0.0.1", "sleep 7002"])?;
        let mut master = ssh(&["-M", "-N", "-S", &control, "kim@127.0.0.1"])?;
        until("the master", Duration::from_secs(20), || std::fs::exists(&control).ok()?.then_some(()))?;
        let mut channel = ssh(&["-S", &control, "kim@127.0.0.1", "sleep 7003"])?;
        machine.run("systemd-run -q --uid=kim --unit=apart sh -c 'nohup sleep 7004 & exec sleep 7004'")?;
        until("all that runs", Duration::from_secs(30), || {
            let running = String::from_utf8(machine.output("pgrep -a -u kim").ok()?.stdout).ok()?;
            ["7001", "7002", "7003", "7004"].iter().all(|one| running.contains(one)).then_some(())
        })?;

        let begun = std::time::Instant::now();
        let receipt = machine.run("motleyctl suspend kim")?;
        let took = begun.elapsed();
        let running = machine.output("ps -o pid,stat,args -u kim --no-headers | grep -v defunct")?;
        let running = String::from_utf8_lossy(&running.stdout).into_owned();
        ensure!(running.is_empty(), "still running:\n{running}receipt: {receipt}");
        println!("suspended and all sessions ended within {} ms", took.as_millis());
        ensure!(took < Duration::from_secs(10), "it took {took:?}");
        let told = receipt.contains("2 held") && receipt.contains("linger no more");
        ensure!(told && !receipt.contains("STILL"), "{receipt}");
        for (what, child) in [("session", &mut session), ("master", &mut master), ("channel", &mut channel)] {
            until(what, Duration::from_secs(20), || child.try_wait().ok().flatten())?;
        }
        node.stays_closed_to_key("kim", "after the suspension")?;
        // Over the next tick of cron and the time of the job of at.
        machine.run("rm -f /home/kim/by-cron")?;
        std::thread::sleep(Duration::from_secs(65));
        let started = machine.output("pgrep -a -u kim; ls /home/kim/by-cron /home/kim/by-at 2>/dev/null; loginctl list-users --no-legend | grep kim; test -e /var/lib/systemd/linger/kim && echo lingers")?;
        ensure!(started.stdout.is_empty(), "started again: {}", String::from_utf8_lossy(&started.stdout));

        let receipt = machine.run("motleyctl resume kim")?;
        ensure!(!receipt.contains("STILL"), "{receipt}");
        until("the service that lingers", Duration::from_secs(20), || {
            machine.output("pgrep -u kim -f 'sleep 7001'").ok()?.status.success().then_some(())
        })?;
        until("the job of at", Duration::from_secs(20), || {
            machine.output("test -s /home/kim/by-at").ok()?.status.success().then_some(())
        })?;
        until("the job of cron", Duration::from_secs(75), || {
            machine.output("test -s /home/kim/by-cron").ok()?.status.success().then_some(())
        })?;
        node.opens_by_key("kim", "after the resumption")?;
        Ok(())
    }
}

machine_test! {
    fn r36_the_units_confine_daemon_and_helper() {
        let node = LoginNode::installed()?;
        let machine = &node.machine;
        node.trust_the_provider()?;
        machine.run("systemctl start motley-cue.service motley-root.service")?;
        for (unit, most) in [("motley-cue.service", 1.5), ("motley-root.service", 1.9)] {
            let exposure = login_node::exposure(&machine.run(&format!("systemd-analyze security {unit}"))?)?;
            ensure!(exposure <= most, "{unit} is rated {exposure}, more than {most}");
        }
        let daemon = node.status_of("motley-cue.service")?;
        ensure!(daemon.contains("CapEff:\t0000000000000000"), "the daemon has capabilities:\n{daemon}");
        ensure!(daemon.contains("CapBnd:\t0000000000000000"), "the daemon may get some:\n{daemon}");
        let helper = node.status_of("motley-root.service")?;
        // CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER and CAP_KILL.
        ensure!(helper.contains("CapBnd:\t000000000000002b"), "the helper's capabilities:\n{helper}");
        for status in [&daemon, &helper] {
            ensure!(status.contains("NoNewPrivs:\t1"), "new privileges are possible:\n{status}");
            ensure!(status.contains("Seccomp:\t2"), "no system call filter:\n{status}");
        }

        let daemon = node.probe("motley-cue.service")?;
        ensure!(daemon == login_node::CONFINED_DAEMON, "probes in the daemon's unit:\n{daemon}");
        let helper = node.probe("motley-root.service")?;
        ensure!(helper == login_node::CONFINED_HELPER, "probes in the helper's unit:\n{helper}");
        Ok(())
    }
}

machine_test! {
    fn r09_removing_the_packages_leaves_key_logins_working_and_restores_the_pam_stack() {
        let machine = Machine::boot(&base::suite())?;
        let stack = machine.run("cat /etc/pam.d/sshd")?;
        let node = LoginNode::on(machine)?;
        let machine = &node.machine;
        ensure!(machine.run("cat /etc/pam.d/sshd")? != stack, "the module is not in the PAM stack");
        node.opens_by_key("anna", "after the installation")?;

        // What the administrator made of our lines outlives an upgrade.
        machine.run("sed -i 's/^account required pam_oidc_token.so.*/& debug/' /etc/pam.d/sshd")?;
        machine.run("dpkg -i /dist/pam-ssh-oidc_*.deb")?;
        let edited = machine.run("grep -c 'pam_oidc_token.so.* debug$' /etc/pam.d/sshd")?;
        ensure!(edited == "1\n", "the edited line was changed");

        machine.run("dpkg --remove pam-ssh-oidc motley-cue mccli")?;
        let left = machine.run("cat /etc/pam.d/sshd")?;
        ensure!(left == stack, "the PAM stack is not what it was:\n{left}");
        machine.run("test ! -e /etc/ssh/sshd_config.d/50-pam-ssh-oidc.conf")?;
        node.opens_by_key("anna", "after the removal")?;
        let units = machine.run("systemctl list-units --no-legend 'motley*'")?;
        ensure!(units.is_empty(), "units are left: {units}");

        machine.run("dpkg -i /dist/*.deb")?;
        let again = machine.run("/usr/share/pam-ssh-oidc/pam-line status")?;
        ensure!(again == "present\n", "the lines did not come back with the package");
        node.opens_by_key("anna", "after a second installation")?;
        machine.run("dpkg --purge pam-ssh-oidc motley-cue mccli")?;
        machine.run("test ! -e /etc/motley_cue && test ! -e /var/lib/motley_cue && test ! -e /etc/pam_oidc.toml")?;
        node.opens_by_key("anna", "after the purge")?;
        Ok(())
    }
}

machine_test! {
    fn r09_a_host_without_password_logins_gets_none_through_the_package() {
        let machine = Machine::boot(&base::suite())?;
        machine.write("/etc/ssh/sshd_config.d/10-keys-only.conf", "PasswordAuthentication no\n")?;
        machine.run("systemctl reload ssh")?;
        let node = LoginNode::on(machine)?;
        node.machine.run("echo anna:secret | chpasswd")?;
        let by_password = node.machine.ssh(
            &["sshpass", "-P", "assword", "-p", "secret"],
            &["-oPubkeyAuthentication=no", "anna@127.0.0.1", "true"],
        )?;
        ensure!(!by_password.status.success(), "the package opened password logins");
        node.opens_by_key("anna", "after the installation")?;
        Ok(())
    }
}
