//! One long-running part: started with its output in a log file, ended when dropped.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::{Sandbox, until};

/// A started process in its own process group; dropping it kills the group.
#[derive(Debug)]
pub struct Service {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `command`; standard output and error are appended to `NAME.log` in the log directory.
    ///
    /// # Errors
    /// When the program or the log file cannot be opened.
    pub fn start(sb: &Sandbox, name: &str, mut command: Command) -> Result<Self> {
        let log = sb.log_dir().join(format!("{name}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Waits until `probe` says the part is ready.
    ///
    /// # Errors
    /// When the process ended before, or `limit` has passed; the text carries the log.
    pub fn wait_ready(&mut self, limit: Duration, mut probe: impl FnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        while !probe() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended while starting ({status}):\n{}", self.name, self.log());
            }
            if start.elapsed() > limit {
                bail!("{} is not ready after {limit:?}:\n{}", self.name, self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything written so far, over all starts under this name.
    #[must_use]
    pub fn log(&self) -> String {
        read_lossy(&self.log)
    }

    /// Path of the log file.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Waits for a log line that contains `text` and returns it.
    ///
    /// # Errors
    /// When none has come within `limit`.
    pub fn wait_for_log(&self, text: &str, limit: Duration) -> Result<String> {
        until(&format!("{text:?} in the log of {}", self.name), limit, || {
            self.log().lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to the process itself.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(self.group()?, signal)?)
    }

    /// `kill -9`, and waits for the end: what a crash looks like.
    pub fn kill(&mut self) {
        if let (true, Ok(group)) = (self.is_running(), self.group()) {
            // It may end between the question and the signal.
            let _ = killpg(group, Signal::SIGKILL);
        }
        drop(self.child.wait());
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Errors
    /// When it has not ended within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(limit)
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When it has not ended within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        until(&what, limit, || self.child.try_wait().ok().flatten())
    }

    fn group(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A file as text, empty when it cannot be read.
pub(crate) fn read_lossy(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
