//! The sandbox: one test in its own mount, process, network, IPC and host-name namespaces.
//!
//! A test written with [`sandbox_test!`](crate::sandbox_test) is started three times. Outside, it calls itself
//! under `unshare`; as process 1 of the new namespaces it furnishes them (private `/etc`, `/home`,
//! `/var`, `/root`, `/tmp`, `/run`, `/dev`, PAM modules, loopback only) and reaps orphans; inside, it runs
//! the test's body. Nothing it does reaches the host, and everything it started dies with it.

mod accounts;
mod binaries;
mod client;
mod daemon;
mod front;
mod furnish;
mod init;
mod mccli;
mod node;
mod oidc_agent;
mod poll;
mod rest;
mod service;
mod sshd;
mod terminal;
mod world;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub use accounts::{LocalUser, SshKey};
pub use binaries::{built, library};
pub use client::{Answer, Outcome, Ssh};
pub use daemon::{
    ADMIN_SOCKET, Daemon, DaemonBuilder, LOGIN_SOCKET, Root, TASK_SOCKET, install_tls,
};
pub use front::TlsFront;
pub use furnish::{Layers, Surroundings};
pub use init::enter;
pub use mccli::Mccli;
pub use node::{Node, NodePlan, Ran};
pub use oidc_agent::{AgentClient, OidcAgent};
pub use poll::until;
pub use rest::{Reply, Rest};
pub use service::Service;
pub use sshd::{PamStack, Sshd, SshdBuilder};
pub use terminal::Terminal;
pub use world::World;

/// Says to a process in which of the three roles it runs; see [`Stage`].
pub(crate) const STAGE: &str = "MOTLEY_SANDBOX_STAGE";
/// Exit code of process 1 for a test that succeeded. Not 0, for that is also what libtest says when
/// it found no test of that name.
const SUCCEEDED: i32 = 42;
/// Where the sandbox keeps its own things.
pub(crate) const BASE: &str = "/run/sandbox";

/// The role of this process.
enum Stage {
    Outside,
    Init,
    Inside,
}

impl Stage {
    fn current() -> Self {
        match env::var(STAGE).as_deref() {
            Ok("init") => Self::Init,
            Ok("inside") => Self::Inside,
            _ => Self::Outside,
        }
    }
}

/// Declares one test that runs inside the sandbox.
///
/// The body is given a `&Sandbox` under the chosen name and ends in `Ok(())`; it may use `?`.
#[macro_export]
macro_rules! sandbox_test {
    ($(#[$meta:meta])* fn $name:ident($sb:ident) $body:block) => {
        $(#[$meta])*
        #[test]
        fn $name() {
            let name = $crate::sandbox::test_name(module_path!(), stringify!($name));
            let body = |$sb: &$crate::sandbox::Sandbox| -> ::anyhow::Result<()> { $body };
            if let Err(error) = $crate::sandbox::run(&name, body) {
                panic!("{error:#}");
            }
        }
    };
}

/// The name libtest gives to a test function: its path without the crate.
#[must_use]
pub fn test_name(module_path: &str, function: &str) -> String {
    match module_path.split_once("::") {
        Some((_crate, modules)) => format!("{modules}::{function}"),
        None => function.to_owned(),
    }
}

/// Runs `body` inside a fresh sandbox; `name` is the name of the calling test as libtest knows it.
///
/// # Errors
/// What `body` answers; that the test failed inside; or, with `REQUIRE_E2E=1`, that this machine
/// cannot make a sandbox. Without that variable such a machine skips the test and says why.
pub fn run(name: &str, body: impl FnOnce(&Sandbox) -> Result<()>) -> Result<()> {
    match Stage::current() {
        Stage::Outside => match init::unavailable() {
            None => run_from_outside(name),
            Some(reason) if env::var_os("REQUIRE_E2E").is_some_and(|v| v == "1") => {
                bail!("REQUIRE_E2E=1, but there can be no sandbox here: {reason}")
            }
            Some(reason) => {
                eprintln!("SKIPPED {name}: there can be no sandbox here: {reason}");
                Ok(())
            }
        },
        Stage::Init => {
            // A program under test must not find the terminal of whoever runs the tests.
            let _ = nix::unistd::setsid();
            match init::furnish_and_supervise(test_command(name)?, &surroundings())? {
                0 => exit(SUCCEEDED),
                code => exit(code),
            }
        }
        Stage::Inside => {
            let sandbox = Sandbox::open();
            let result = body(&sandbox);
            if result.is_err() {
                sandbox.print_logs();
            }
            result
        }
    }
}

fn run_from_outside(name: &str) -> Result<()> {
    let status = init::unshared(&test_command(name)?)
        .env(STAGE, "init")
        .status()
        .context("cannot start unshare")?;
    match status.code() {
        Some(SUCCEEDED) => Ok(()),
        Some(0) => bail!("no test called {name} ran inside the sandbox: does libtest call it so?"),
        _ => bail!("{name} failed inside the sandbox ({status}); its output is above"),
    }
}

fn test_command(name: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe().context("cannot name this test binary")?);
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    Ok(command)
}

/// The checkout and the built programs stay visible, wherever they lie.
fn surroundings() -> Surroundings {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf);
    let beside = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
    let keep = [checkout, beside, binaries::dir().ok()].into_iter().flatten().collect();
    Surroundings { keep, ..Surroundings::default() }
}

/// The inside of a sandbox: where things lie and what was logged.
#[derive(Debug)]
pub struct Sandbox {
    base: PathBuf,
}

impl Sandbox {
    /// Opens the sandbox this process already runs in, e.g. below `target/debug/sandbox -- …`.
    ///
    /// # Errors
    /// When this process is not inside one.
    pub fn current() -> Result<Self> {
        match Stage::current() {
            Stage::Inside => Ok(Self::open()),
            _ => bail!("this process is not inside a sandbox: start it with `sandbox -- COMMAND`"),
        }
    }

    fn open() -> Self {
        Self { base: PathBuf::from(BASE) }
    }

    /// A scratch directory that every local user may read.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.base.join("work")
    }

    /// The directory with one log file per started part.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.base.join("logs")
    }

    /// ssh options that keep host keys of the sandbox apart from the caller's, for programs that
    /// start ssh themselves; [`Ssh`] sets them anyway.
    #[must_use]
    pub fn host_key_options(&self) -> Vec<String> {
        let known_hosts = self.dir().join("known_hosts");
        vec![
            format!("-oUserKnownHostsFile={}", known_hosts.display()),
            "-oStrictHostKeyChecking=accept-new".to_owned(),
            "-oUpdateHostKeys=no".to_owned(),
        ]
    }

    /// How the private directories were made.
    #[must_use]
    pub fn layers(&self) -> Layers {
        match fs::read_to_string(self.base.join("layers-used")).as_deref() {
            Ok("overlay") => Layers::Overlay,
            _ => Layers::Copy,
        }
    }

    /// All messages sent to `/dev/log` so far, one per line, as they came (with `<priority>`).
    #[must_use]
    pub fn syslog(&self) -> String {
        fs::read(self.base.join("syslog"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits for a syslog line that contains `text` and returns the line.
    ///
    /// # Errors
    /// When none has come within `limit`.
    pub fn wait_for_syslog(&self, text: &str, limit: Duration) -> Result<String> {
        until(&format!("a syslog line with {text:?}"), limit, || {
            self.syslog().lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    }

    /// The directory from which libpam loads modules here (the sandbox has its own copy).
    ///
    /// # Errors
    /// When the distribution keeps its modules in none of the known places.
    pub fn pam_dir(&self) -> Result<PathBuf> {
        furnish::pam_dir().context("no PAM module directory: install libpam-modules")
    }

    fn print_logs(&self) {
        eprintln!("---- syslog\n{}", self.syslog());
        let Ok(logs) = fs::read_dir(self.log_dir()) else { return };
        for log in logs.flatten() {
            let text = fs::read(log.path()).unwrap_or_default();
            eprintln!("---- {}\n{}", log.path().display(), String::from_utf8_lossy(&text));
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
    }
}

/// Runs a command to its end and returns what it wrote to standard output.
///
/// # Errors
/// When it cannot be started or fails; the error carries what it wrote to standard error.
pub fn check_run(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} {args:?} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
