//! A program on a pseudo-terminal, driven as a person would: wait for a text, type an answer.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};

use super::client::{Outcome, ended};
use super::until;

/// A running program whose controlling terminal is ours.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    device: File,
    screen: Arc<Mutex<Vec<u8>>>,
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
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).context("cannot open a pseudo-terminal")?;
        close_on_exec(&pty.master)?;
        close_on_exec(&pty.slave)?;
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
            .stdin(Stdio::from(pty.slave.try_clone()?))
            .stdout(Stdio::from(pty.slave.try_clone()?))
            .stderr(Stdio::from(pty.slave.try_clone()?))
            .spawn()
            .context("cannot start setsid")?;
        let keyboard = File::from(pty.master);
        let screen = record(keyboard.try_clone()?);
        let device = File::from(pty.slave);
        Ok(Self { child, keyboard, device, screen, seen: 0, started: Instant::now() })
    }

    /// Waits until `text` appears after what was matched before; returns what came up to its end.
    ///
    /// # Errors
    /// When the program ends without it or `limit` passes; the error carries the screen.
    pub fn expect(&mut self, text: &str, limit: Duration) -> Result<String> {
        let start = Instant::now();
        loop {
            // Asked before looking, so that the last words of a program that ended still count.
            let over = start.elapsed() > limit || self.child.try_wait()?.is_some();
            if over {
                self.settle();
            }
            if let Some(found) = self.take_match(text) {
                return Ok(found);
            }
            if over {
                bail!("{text:?} did not appear within {limit:?}; screen:\n{}", self.screen());
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
        self.type_text(text)?;
        self.type_text("\r")
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
        let status = Command::new("stty")
            .args(["cols", &columns.to_string(), "rows", &rows.to_string()])
            .stdin(Stdio::from(self.device.try_clone()?))
            .status()?;
        if !status.success() {
            bail!("stty failed ({status})");
        }
        Ok(())
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

    /// Waits until no more output comes, at most 200 ms: the kernel may still hold some.
    fn settle(&self) {
        let start = Instant::now();
        let mut length = 0;
        while start.elapsed() < Duration::from_millis(200) {
            thread::sleep(Duration::from_millis(20));
            let now = lock(&self.screen).len();
            if now == length && now > 0 {
                return;
            }
            length = now;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Copies all output into memory, in a thread that ends with the terminal.
fn record(mut output: File) -> Arc<Mutex<Vec<u8>>> {
    let screen = Arc::new(Mutex::new(Vec::new()));
    let recorder = Arc::clone(&screen);
    thread::spawn(move || {
        let mut chunk = [0_u8; 4096];
        while let Ok(length) = output.read(&mut chunk) {
            if length == 0 {
                return;
            }
            lock(&recorder).extend(chunk.iter().take(length));
        }
    });
    screen
}

fn lock(screen: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Else the program would hold its own terminal's other end open and never see it hang up.
fn close_on_exec(fd: &OwnedFd) -> Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}
