//! One Debian machine with systemd as process 1, booted on a throw-away layer over the base.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use motley_tests::sandbox::{built, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::base;

/// Layers the machine's directory inside a mount namespace of its own, then boots it: nothing is
/// left behind, however it ends.
const BOOT: &str = r#"
set -e
mount -t tmpfs -o mode=755 machine "$DIR"
mkdir "$DIR/upper" "$DIR/work" "$DIR/root"
chmod 755 "$DIR/upper"
mount -t overlay -o "lowerdir=$BASE,upperdir=$DIR/upper,workdir=$DIR/work" overlay "$DIR/root"
exec systemd-nspawn -q -D "$DIR/root" --boot --private-network --register=no --keep-unit \
    --machine="$NAME" --bind-ro="$DIST:/dist" --bind-ro="$OP:/usr/local/bin/test-op"
"#;

/// How long an ssh client may take; longer than a refusal, shorter than anybody's patience.
const CLIENT_LIMIT_S: &str = "12";

/// A running machine; dropping it ends it.
pub(crate) struct Machine {
    nspawn: Child,
    leader: String,
    dir: TempDir,
}

impl Machine {
    /// Boots one and waits until systemd has started everything.
    pub(crate) fn boot(suite: &str) -> Result<Self> {
        let base = base::base(suite)?;
        let dist = packages()?;
        let dir = tempfile::Builder::new().prefix("motley-machine-").tempdir()?;
        let root = dir.path().join("layers");
        fs::create_dir(&root)?;
        let log = fs::File::create(dir.path().join("console"))?;
        let nspawn = Command::new("unshare")
            .args(["-m", "--propagation", "private", "--", "sh", "-c", BOOT])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("BASE", &base)
            .env("DIR", &root)
            .env("NAME", format!("motley-{}", std::process::id()))
            .env("DIST", &dist)
            .env("OP", built("test-op")?)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot start unshare")?;
        let mut machine = Self { nspawn, leader: String::new(), dir };
        machine.wait_until_up()?;
        machine.run("printf '127.0.0.1 localhost\\n::1 localhost\\n' > /etc/hosts")?;
        Ok(machine)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        let children = format!("/proc/{0}/task/{0}/children", self.nspawn.id());
        let limit = Duration::from_secs(90);
        let mut state = String::new();
        let up = until("the boot of the machine", limit, || {
            let children = fs::read_to_string(&children).ok()?;
            self.leader = children.split_whitespace().next()?.to_owned();
            let said =
                self.output("systemctl is-system-running; systemctl --failed --no-legend").ok()?;
            state = String::from_utf8_lossy(&said.stdout).into_owned();
            // "degraded" is what a unit of the distribution may make of it; ours are looked at.
            (state.starts_with("running") || state.starts_with("degraded")).then_some(())
        });
        up.with_context(|| format!("state: {state}\nconsole:\n{}", self.console()))
    }

    fn console(&self) -> String {
        let bytes = fs::read(self.dir.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Runs a line of shell as root inside; answers its standard output.
    pub(crate) fn run(&self, line: &str) -> Result<String> {
        checked(line, self.output(line)?)
    }

    /// The same, whatever comes of it.
    pub(crate) fn output(&self, line: &str) -> Result<Output> {
        let mut command = self.entered(&["-m", "-p", "-n", "-u", "-i"]);
        command.args(["sh", "-c", line]).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        Ok(command.stdin(Stdio::null()).output()?)
    }

    /// A program of the computer outside, in the machine's network: a client.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = self.entered(&["-n"]);
        command.arg(program).stdin(Stdio::null());
        command
    }

    fn entered(&self, namespaces: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.leader]).args(namespaces).arg("--");
        command
    }

    /// Writes a file inside.
    pub(crate) fn write(&self, path: &str, content: &str) -> Result<()> {
        let mut command = self.entered(&["-m"]);
        let mut child =
            command.args(["tee", path]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.take().context("no pipe to tee")?.write_all(content.as_bytes())?;
        if !child.wait()?.success() {
            bail!("cannot write {path} inside the machine");
        }
        Ok(())
    }

    /// Runs the client's `ssh` with these words, under the program of `before`; its own
    /// configuration does not count. A client that waits for an answer is ended.
    pub(crate) fn ssh(&self, before: &[&str], words: &[&str]) -> Result<Output> {
        let mut command = self.client("timeout");
        command.arg(CLIENT_LIMIT_S).args(before).arg("ssh");
        command.args(["-F", "/dev/null", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]);
        command.args(["-oStrictHostKeyChecking=no", "-oNumberOfPasswordPrompts=1"]);
        // While it reads its configuration again, sshd does not listen for a moment.
        command.arg("-oConnectionAttempts=5");
        Ok(command.args(words).output()?)
    }

    /// Private files of the test, outside the machine.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.output("journalctl --no-pager -n 80").map(|output| output.stdout);
            eprintln!("---- journal\n{}", String::from_utf8_lossy(&journal.unwrap_or_default()));
        }
        // With its process 1 everything inside ends, then nspawn; the mounts go with its namespace.
        match self.leader.parse().map(Pid::from_raw) {
            Ok(leader) => drop(kill(leader, Signal::SIGKILL)),
            Err(_) => drop(self.nspawn.kill()),
        }
        drop(self.nspawn.wait());
    }
}

/// Where the packages are: `MOTLEY_DIST`, or `dist/` of the checkout.
fn packages() -> Result<PathBuf> {
    let checkout = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist");
    let dist = std::env::var_os("MOTLEY_DIST").map_or_else(checkout, PathBuf::from);
    let names: Vec<_> = fs::read_dir(&dist)
        .map(|entries| {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned())
        })
        .map(Iterator::collect)
        .unwrap_or_default();
    for package in ["motley-cue_", "pam-ssh-oidc_", "mccli_"] {
        if !names.iter().any(|name| name.starts_with(package) && name.ends_with(".deb")) {
            bail!("no {package}*.deb in {}: run ./run deb", dist.display());
        }
    }
    Ok(dist.canonicalize()?)
}

/// Standard output of a command that succeeded.
pub(crate) fn checked(line: &str, output: Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{line}: {}\n{text}{errors}", output.status);
    }
    Ok(text)
}
