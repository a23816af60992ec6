//! A login node as an administrator makes it: our packages, one provider, one local user with a key.

use std::process::Output;

use anyhow::{Context, Result, bail};

use super::{
    base,
    machine::{Machine, checked},
};

/// A machine with our packages.
pub(crate) struct LoginNode {
    /// The machine itself.
    pub(crate) machine: Machine,
}

/// Tries what the unit must not allow; each line says what came of it.
const PROBES: &str = r#"#!/usr/bin/perl
use Socket;
use POSIX;
my ($ptrace, $mount, $unshare) = (POSIX::uname())[4] eq "aarch64" ? (117, 40, 97) : (101, 165, 272);
sub say_if { my ($what, $done) = @_; print "$what: ", ($done ? "possible" : "refused"), "\n" }
say_if("list homes", opendir(my $d, "/home"));
say_if("read root's home", open(my $e, "<", "/root/.profile"));
say_if("write in /usr", open(my $f, ">", "/usr/probe"));
say_if("write in /etc", open(my $g, ">", "/etc/probe"));
say_if("read the shadow file", open(my $h, "<", "/etc/shadow"));
say_if("raw socket", socket(my $r, PF_INET, SOCK_RAW, 1));
say_if("Internet socket", socket(my $i, PF_INET, SOCK_STREAM, 0));
say_if("change uid", do { local $) = "1 1"; local $> = 1; $> == 1 and $< != 1 });
say_if("trace a process", syscall($ptrace, 16, 1, 0, 0) != -1);
my ($none, $mnt, $tmpfs) = ("none", "/mnt", "tmpfs");
say_if("mount", syscall($mount, $none, $mnt, $tmpfs, 0, 0) != -1);
say_if("new user namespace", syscall($unshare, 0x10000000) != -1);
unlink "/etc/probe";
"#;

/// What the probes say in the daemon's unit: it may speak to the network and nothing else.
pub(crate) const CONFINED_DAEMON: &str = "\
list homes: refused
read root's home: refused
write in /usr: refused
write in /etc: refused
read the shadow file: refused
raw socket: refused
Internet socket: possible
change uid: refused
trace a process: refused
mount: refused
new user namespace: refused
";

/// What the probes say in the helper's unit: it may write accounts and homes and nothing else.
pub(crate) const CONFINED_HELPER: &str = "\
list homes: possible
read root's home: refused
write in /usr: refused
write in /etc: possible
read the shadow file: possible
raw socket: refused
Internet socket: refused
change uid: refused
trace a process: refused
mount: refused
new user namespace: refused
";

impl LoginNode {
    /// Boots a machine and installs the packages.
    pub(crate) fn installed() -> Result<Self> {
        Self::on(Machine::boot(&base::suite())?)
    }

    /// The same with another release of Debian.
    pub(crate) fn installed_on(suite: &str) -> Result<Self> {
        Self::on(Machine::boot(suite)?)
    }

    /// Installs the packages on a running machine, as dpkg does it for apt. The local user `anna`
    /// has a key and nothing to do with us.
    pub(crate) fn on(machine: Machine) -> Result<Self> {
        let node = Self { machine };
        let key = node.key_file();
        let status = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", &key])
            .status()
            .context("install openssh-client")?;
        if !status.success() {
            bail!("ssh-keygen failed");
        }
        node.machine.run("useradd --create-home --shell /bin/bash anna")?;
        node.give_key("anna")?;
        node.machine.run("dpkg -i /dist/*.deb")?;
        Ok(node)
    }

    /// The private key of everybody here.
    pub(crate) fn key_file(&self) -> String {
        self.machine.dir().join("key").to_string_lossy().into_owned()
    }

    /// Lets the key into an account.
    pub(crate) fn give_key(&self, user: &str) -> Result<()> {
        let public = std::fs::read_to_string(self.machine.dir().join("key.pub"))?;
        self.machine
            .run(&format!("install -d -m 700 -o {user} -g $(id -g {user}) /home/{user}/.ssh"))?;
        self.machine.write(&format!("/home/{user}/.ssh/authorized_keys"), &public)?;
        self.machine.run(&format!("chown {user} /home/{user}/.ssh/authorized_keys")).map(drop)
    }

    /// Starts a test provider inside, and edits the one section that an administrator must edit.
    pub(crate) fn trust_the_provider(&self) -> Result<()> {
        let ca = "/usr/local/share/ca-certificates/test-op.crt";
        self.machine.run(&format!(
            "systemd-run -q --unit=test-op -p StandardOutput=file:/run/test-op test-op --op demo=9443 --ca-file {ca}"
        ))?;
        self.machine.run(&format!(
            "for i in $(seq 100); do grep -q READY /run/test-op && break; sleep 0.1; done; \
             grep -q READY /run/test-op && chmod 644 {ca} && update-ca-certificates"
        ))?;
        let sample = self.machine.run("cat /etc/motley_cue/motley_cue.conf")?;
        let section =
            "[authorisation.demo]\nop_url = https://localhost:9443\nauthorise_all = yes\n";
        self.machine.write("/etc/motley_cue/motley_cue.conf", &format!("{sample}\n{section}"))
    }

    /// An access token of somebody at the provider.
    pub(crate) fn token(&self, user: &str) -> Result<String> {
        let order = format!("{{\"user\": \"{user}\"}}");
        let output = self
            .machine
            .client("curl")
            .args(["-fsS", "http://127.0.0.1:9400/_control/demo/token", "-d", &order])
            .output()?;
        Ok(checked("curl", output)?.trim().to_owned())
    }

    /// Logs in with a token typed at the prompt.
    pub(crate) fn paste(&self, token: &str, user: &str, line: &str) -> Result<Output> {
        let whom = format!("{user}@127.0.0.1");
        let typed = ["sshpass", "-P", "Access Token", "-p", token];
        // A refused token leads to the password prompt, at which nobody types.
        self.machine.ssh(&typed, &["-oPubkeyAuthentication=no", &whom, line])
    }

    /// Fails unless the key opens this account.
    pub(crate) fn opens_by_key(&self, user: &str, when: &str) -> Result<()> {
        checked(&format!("{user}'s key {when}"), self.by_key(user)?).map(drop)
    }

    /// Fails if the key opens this account.
    pub(crate) fn stays_closed_to_key(&self, user: &str, when: &str) -> Result<()> {
        match self.by_key(user)?.status.success() {
            true => bail!("{user}'s key is accepted {when}"),
            false => Ok(()),
        }
    }

    fn by_key(&self, user: &str) -> Result<Output> {
        let whom = format!("{user}@127.0.0.1");
        self.machine.ssh(&[], &["-oBatchMode=yes", "-i", &self.key_file(), &whom, "true"])
    }

    /// `/proc/PID/status` of a unit's main process.
    pub(crate) fn status_of(&self, unit: &str) -> Result<String> {
        self.machine.run(&format!("cat /proc/$(systemctl show -P MainPID {unit})/status"))
    }

    /// Runs the probes in a copy of the unit: all its lines stay, only the program differs.
    pub(crate) fn probe(&self, unit: &str) -> Result<String> {
        self.machine.write("/usr/local/bin/probe", PROBES)?;
        self.machine.run(&format!(
            "chmod 755 /usr/local/bin/probe; \
             sed -e 's#^ExecStart=.*#ExecStart=/usr/bin/perl /usr/local/bin/probe#' \
                 -e 's/^Type=.*/Type=oneshot/' -e '/^Restart/d' -e '/^Requires=/d' -e '/^StateDirectory/d' \
                 -e 's#^\\[Service\\]#&\\nStandardOutput=file:/run/probe.out#' \
                 /lib/systemd/system/{unit} > /run/systemd/system/probe.service; \
             rm -f /run/probe.out; systemctl daemon-reload; systemctl start probe.service; cat /run/probe.out"
        ))
    }
}

/// The number in the last line of `systemd-analyze security`: 0 is closed, 10 is open.
pub(crate) fn exposure(report: &str) -> Result<f64> {
    let line = report.lines().find(|line| line.contains("Overall exposure level"));
    let words = line.and_then(|line| line.split_once(": ")).map(|(_, rest)| rest);
    let number = words.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).with_context(|| format!("no level in:\n{report}"))
}
