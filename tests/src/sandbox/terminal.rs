//! A program on a pseudo-terminal, driven as a person would: wait for a text, type an answer.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

use super::client::{Outcome, ended};
use super::until;

/// How long a terminal that others still hold must show nothing new to have shown all.
const QUIET: Duration = Duration::from_secs(1);
/// Longest wait for that.
const QUIET_LIMIT: Duration = Duration::from_secs(10);

/// A running program whose controlling terminal is ours.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// Ends when nobody holds the terminal any more and all that was shown is in `screen`.
    recorder: JoinHandle<()>,
    /// How much of the screen earlier [`Terminal::expect`] calls have consumed.
    seen: usize,
    started: Instant,
}

impl Terminal {
    /// Starts `command` (its program, arguments, environment and directory) on a new terminal of
    /// 80 columns and 24 lines, as leader of a new session.
    ///
    /// # Errors
    /// When there is no pseudo-terminal, or no `setsid` (util-linux).
    pub fn start(command: &Command) -> Result<Self> {
        let (keyboard, device) = open().context("cannot open a pseudo-terminal")?;
        set_size(&keyboard, 80, 24)?;
        let mut leader = Command::new("setsid");
        leader.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => leader.env(name, value),
                None => leader.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            leader.current_dir(dir);
        }
        let child = leader
            .stdin(Stdio::from(device.try_clone()?))
            .stdout(Stdio::from(device.try_clone()?))
            .stderr(Stdio::from(device))
            .spawn()
            .context("cannot start setsid")?;
        // As long as the device is open here, it never hangs up, and its end is anybody's guess.
        drop(leader);
        let (screen, recorder) = record(keyboard.try_clone()?);
        Ok(Self { child, keyboard, screen, recorder, seen: 0, started: Instant::now() })
    }

    /// Waits until `text` appears after what was matched before; returns what came up to its end.
    ///
    /// # Errors
    /// When the program ends without it or `limit` passes; the error carries the screen.
    pub fn expect(&mut self, text: &str, limit: Duration) -> Result<String> {
        let start = Instant::now();
        loop {
            // Asked before looking, so that the last words of a program that ended still count.
            let has_ended = self.child.try_wait()?.is_some();
            let over = has_ended || start.elapsed() > limit;
            if has_ended {
                self.settle();
            }
            if let Some(found) = self.take_match(text) {
                return Ok(found);
            }
            if over {
                let end = if has_ended { " before the program ended" } else { "" };
                bail!("{text:?} did not appear within {limit:?}{end}; screen:\n{}", self.screen());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types text as it is.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        Ok(self.keyboard.write_all(text.as_bytes())?)
    }

    /// Types text and Enter.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn type_line(&mut self, text: &str) -> Result<()> {
        self.type_text(&format!("{text}\r"))
    }

    /// Everything shown so far.
    #[must_use]
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&lock(&self.screen)).into_owned()
    }

    /// Changes the window's size; the program gets SIGWINCH.
    ///
    /// # Errors
    /// When `stty` fails.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        set_size(&self.keyboard, columns, rows)
    }

    /// Process id of the program.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end of the program; all it showed is in `stdout` of the outcome.
    ///
    /// # Errors
    /// When it has not ended within `limit`; the error carries the screen.
    pub fn wait(&mut self, limit: Duration) -> Result<Outcome> {
        let child = &mut self.child;
        let status = until("the end of the program", limit, || child.try_wait().ok().flatten())
            .with_context(|| format!("screen:\n{}", self.screen()))?;
        let took = self.started.elapsed();
        self.settle();
        Ok(ended(status, self.screen(), String::new(), took))
    }

    fn take_match(&mut self, text: &str) -> Option<String> {
        let screen = lock(&self.screen);
        let fresh = screen.get(self.seen..)?;
        let at = fresh.windows(text.len()).position(|window| window == text.as_bytes())?;
        let end = at + text.len();
        let found = String::from_utf8_lossy(fresh.get(..end)?).into_owned();
        self.seen += end;
        Some(found)
    }

    /// Waits until all that the program showed is on the screen: to the terminal's hanging up, or,
    /// where it left somebody behind who holds the terminal, until nothing more comes.
    fn settle(&self) {
        let start = Instant::now();
        let mut latest = (0, start);
        while !self.recorder.is_finished() && start.elapsed() < QUIET_LIMIT {
            let length = lock(&self.screen).len();
            if length != latest.0 {
                latest = (length, Instant::now());
            } else if latest.1.elapsed() > QUIET {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Both ends of a new pseudo-terminal. No program that is started meanwhile gets one of them along.
fn open() -> Result<(File, File)> {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let mut options = File::options();
    let device = options.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits());
    let device = device.open(ptsname_r(&master)?)?;
    Ok((File::from(master.as_fd().try_clone_to_owned()?), device))
}

fn set_size(keyboard: &File, columns: u16, rows: u16) -> Result<()> {
    let status = Command::new("stty")
        .args(["cols", &columns.to_string(), "rows", &rows.to_string()])
        .stdin(Stdio::from(keyboard.try_clone()?))
        .status()?;
    if !status.success() {
        bail!("stty failed ({status})");
    }
    Ok(())
}

/// Copies all output into memory, in a thread that ends with the terminal.
fn record(mut output: File) -> (Arc<Mutex<Vec<u8>>>, JoinHandle<()>) {
    let screen = Arc::new(Mutex::new(Vec::new()));
    let recorder = Arc::clone(&screen);
    let thread = thread::spawn(move || {
        let mut chunk = [0_u8; 4096];
        loop {
            match output.read(&mut chunk) {
                Ok(length @ 1..) => lock(&recorder).extend(chunk.iter().take(length)),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // Nobody holds the terminal any more: EIO on Linux.
                Ok(0) | Err(_) => return,
            }
        }
    });
    (screen, thread)
}

fn lock(screen: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}
