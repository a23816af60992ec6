//! `mccli ssh-prepare`: starts or checks the shared connection that plain ssh uses.
//!
//! ssh runs it while it reads its configuration. Exit code 0 makes ssh use the connection; any
//! other leaves ssh to itself.

use crate::{
    caller::{self, Purpose},
    cli::{Options, SshPrepareLine},
    error::{Error, Result},
    folders,
    master::{self, Destination, GUARD_VARIABLE, Sockets},
    report,
};
use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant, SystemTime},
};

/// How long the attempt of another process is waited for.
const TURN_LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked at.
const TURN_STEP: Duration = Duration::from_millis(20);

/// Comes back when the connection is there.
///
/// # Errors
/// Why it is not.
pub(super) fn run(options: &Options, line: &SshPrepareLine) -> Result<()> {
    let purpose = caller::purpose();
    let mut destination = Destination::new(&line.host, line.port)?;
    let mut batch = false;
    if let Purpose::Login(line) = &purpose {
        destination.config.clone_from(&line.config);
        destination.control_path.clone_from(&line.control_path);
        batch = line.batch;
    }
    let Some(guard) = destination.guard(master::guard().as_deref()) else {
        decline("the connection is being made by this very ssh");
    };
    if purpose == Purpose::Elsewhere {
        decline("this ssh goes its own way");
    }
    let sockets = line.sockets.clone().map(Sockets::at).map_or_else(Sockets::usual, Ok)?;
    let master = sockets.of(&destination, &guard)?;
    if master.user != folders::user_name()? {
        decline(&format!("the configuration of ssh has {} log in", master.user));
    }
    if master.is_alive() {
        return Ok(());
    }
    if purpose == Purpose::Look {
        decline("nobody is logged in, and this ssh does not want to");
    }
    sockets.prepare()?;
    let turn = Turn::wait(&sockets.lock_of(&master))?;
    if master.is_alive() {
        return Ok(());
    }
    if turn.has_failed {
        decline("somebody else's attempt has just failed");
    }
    master.clear_away();
    let mut words = master.words(line.persist);
    if batch {
        words.extend(["-o", "BatchMode=yes"].map(Into::into));
    }
    words.extend(destination.words());
    let outcome = start(options, line, &words, &guard)
        .and_then(|()| master.is_alive().then_some(()).ok_or_else(|| unconnected(&line.host)));
    turn.finish(&outcome);
    outcome
}

/// Leaves ssh to itself, which is no error.
fn decline(why: &str) -> ! {
    report::debug(&format!("no shared connection: {why}"));
    std::process::exit(1);
}

/// Logs in as `mccli ssh` does, and comes back when ssh has gone into the background.
fn start(options: &Options, line: &SshPrepareLine, words: &[OsString], guard: &str) -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(path) = &options.config {
        command.arg("--config").arg(path);
    }
    if let Some(name) = &options.profile {
        command.args(["--profile", name]);
    }
    if options.debug {
        command.arg("--debug");
    }
    if words.iter().any(|word| word == "BatchMode=yes") {
        command.arg("--no-input");
    }
    let status = command
        .args(["ssh", "--no-agent-forward"])
        .args(words)
        .env(GUARD_VARIABLE, guard)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(unconnected(&line.host)) }
}

/// mccli or ssh has said why already.
fn unconnected(host: &str) -> Error {
    Error::Ssh(format!(
        "no shared connection to {host}, so ssh goes on by itself; `mccli doctor {host}` finds the cause"
    ))
}

/// The right to make a connection: one process has it, others wait.
struct Turn {
    file: File,
    /// The process before this one failed while this one waited; trying again would not help.
    has_failed: bool,
}

impl Turn {
    fn wait(path: &Path) -> Result<Self> {
        Self::lock(path).map_err(|source| Error::File { path: path.to_owned(), source })
    }

    fn lock(path: &Path) -> io::Result<Self> {
        let since = SystemTime::now();
        let options = File::options().read(true).write(true).create(true).mode(0o600).clone();
        let file = options.open(path)?;
        Self::take(&file)?;
        let it = file.metadata()?;
        // A failure leaves a byte behind.
        let has_failed = it.len() > 0 && it.modified()? > since;
        Ok(Self { file, has_failed })
    }

    /// Somebody else may be at a question that nobody answers; that must not hold up every ssh.
    fn take(file: &File) -> io::Result<()> {
        let until = Instant::now() + TURN_LIMIT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(TURN_STEP),
                Err(TryLockError::WouldBlock) => {
                    let why = "another mccli has been logging in at this host for too long";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                }
            }
        }
    }

    fn finish(mut self, outcome: &Result<()>) {
        let mut note = || {
            self.file.set_len(0)?;
            match outcome {
                Ok(()) => Ok(()),
                Err(_) => self.file.write_all(b"x"),
            }
        };
        // Who waits tries it once more then.
        let _: io::Result<()> = note();
    }
}
