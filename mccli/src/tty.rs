//! Questions to the user on the controlling terminal, with or without echo.

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::SignalFd,
        termios::{self, LocalFlags, SetArg, Termios},
    },
};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
};
use zeroize::Zeroizing;

/// Longest line that is read, in bytes.
const MAX_LINE_BYTES: usize = 4096;

/// True if there is a terminal to ask on.
pub(crate) fn is_there() -> bool {
    open().is_ok()
}

/// The controlling terminal.
///
/// # Errors
/// When there is none.
pub(crate) fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

/// Shows a text.
///
/// # Errors
/// When there is no terminal.
pub(crate) fn show(text: &str) -> io::Result<()> {
    let mut tty = open()?;
    write_shown(&mut tty, text)?;
    tty.write_all(b"\n")
}

/// Asks and shows what is typed.
///
/// # Errors
/// When there is no terminal, or the user breaks off.
pub(crate) fn ask(prompt: &str) -> io::Result<Zeroizing<String>> {
    let mut tty = open()?;
    write_shown(&mut tty, prompt)?;
    read_line(&mut tty)
}

/// Asks without showing what is typed.
///
/// # Errors
/// When there is no terminal, or the user breaks off.
pub(crate) fn ask_hidden(prompt: &str) -> io::Result<Zeroizing<String>> {
    let mut tty = open()?;
    // Before the echo goes off: a signal that ended us in between would leave the terminal deaf.
    let hushed = Hushed::new(&tty)?;
    write_shown(&mut tty, prompt)?;
    let line = read_line(&mut tty);
    drop(hushed);
    tty.write_all(b"\n")?;
    line
}

/// What a server says must not move the cursor or recolour the terminal.
fn write_shown(tty: &mut File, text: &str) -> io::Result<()> {
    let plain: String =
        text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    tty.write_all(plain.as_bytes())
}

fn read_line(tty: &mut File) -> io::Result<Zeroizing<String>> {
    let mut ends = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT]
        .into_iter()
        .for_each(|signal| ends.add(signal));
    ends.thread_block()?;
    let signals = SignalFd::new(&ends)?;
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE_BYTES));
    let mut byte = Zeroizing::new([0u8; 1]);
    loop {
        let mut watched = [
            PollFd::new(tty.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [typed, signalled] = watched.map(|fd| fd.any().unwrap_or(false));
        if signalled {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if !typed {
            continue;
        }
        if tty.read(byte.as_mut_slice())? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if byte.as_slice() == b"\n" {
            break;
        }
        if line.len() == MAX_LINE_BYTES {
            return Err(io::Error::other("the line is too long"));
        }
        line.extend_from_slice(byte.as_slice());
    }
    std::str::from_utf8(&line)
        .map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| io::Error::other("not UTF-8"))
}

/// A terminal without echo, until dropped.
struct Hushed {
    tty: File,
    before: Termios,
}

impl Hushed {
    fn new(tty: &File) -> io::Result<Self> {
        let tty = tty.try_clone()?;
        let before = termios::tcgetattr(&tty)?;
        let mut hushed = before.clone();
        hushed.local_flags.remove(LocalFlags::ECHO);
        let mut stops = SigSet::empty();
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP]
            .into_iter()
            .for_each(|signal| stops.add(signal));
        stops.thread_block()?;
        termios::tcsetattr(&tty, SetArg::TCSAFLUSH, &hushed)?;
        Ok(Self { tty, before })
    }
}

impl Drop for Hushed {
    fn drop(&mut self) {
        // Flushed, so that a password typed too late is not read, and shown, by the shell.
        let _ = termios::tcsetattr(&self.tty, SetArg::TCSAFLUSH, &self.before);
    }
}
