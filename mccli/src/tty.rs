//! Questions to the user on the controlling terminal, with or without echo.

use crate::{
    error::{Error, Result},
    report,
    signals::{self, ENDS, Waiting},
};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::Signal,
        signalfd::SignalFd,
        termios::{self, LocalFlags, SetArg, Termios},
    },
    unistd,
};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};
use zeroize::Zeroizing;

/// Longest line that is read, in bytes.
const MAX_LINE_BYTES: usize = 4096;

/// Nobody is to be asked: `--no-input`.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Has every question fail from now on.
pub(crate) fn ask_nobody() {
    SILENT.store(true, Ordering::Relaxed);
}

/// True if there is a terminal to ask on, and the user may be asked.
pub(crate) fn is_there() -> bool {
    open().is_ok()
}

/// Asks for a yes.
///
/// # Errors
/// [`Error::Usage`] with `instead`, what the command line could say, when nobody can be asked;
/// [`Error::NotConfirmed`] for any answer but yes; [`Error::Interrupted`].
pub(crate) fn confirm(question: &str, instead: &str) -> Result<()> {
    if !is_there() {
        return Err(Error::Usage(format!("nobody can be asked here\n{instead}")));
    }
    match ask(&format!("{question} [y/N] "))?.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Error::NotConfirmed),
    }
}

/// Variable that names the user's terminal for an askpass below an ssh that was cut off from it.
pub(crate) const TERMINAL_VARIABLE: &str = "MCCLI_TERMINAL";

/// The terminal by the name that others can open it with.
pub(crate) fn name() -> Option<PathBuf> {
    unistd::ttyname(io::stdin())
        .or_else(|_| unistd::ttyname(io::stderr()))
        .or_else(|_| unistd::ttyname(io::stdout()))
        .ok()
}

/// The controlling terminal.
///
/// # Errors
/// When there is none, or nobody is to be asked.
pub(crate) fn open() -> io::Result<File> {
    if SILENT.load(Ordering::Relaxed) {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "--no-input: nobody is asked"));
    }
    let open = |path: &Path| {
        File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path)
    };
    open(Path::new("/dev/tty")).or_else(|error| match std::env::var_os(TERMINAL_VARIABLE) {
        Some(named) => open(Path::new(&named)),
        None => Err(error),
    })
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
    report::aside(|| {
        let mut tty = open()?;
        write_shown(&mut tty, prompt)?;
        read_line(&mut tty)
    })
}

/// Asks without showing what is typed.
///
/// # Errors
/// When there is no terminal, or the user breaks off.
pub(crate) fn ask_hidden(prompt: &str) -> io::Result<Zeroizing<String>> {
    report::aside(|| {
        let mut tty = open()?;
        // A signal that ended us between the two would leave the terminal deaf.
        let hushed = Hushed::new(&tty)?;
        write_shown(&mut tty, prompt)?;
        let line = read_line(&mut tty);
        drop(hushed);
        tty.write_all(b"\n")?;
        line
    })
}

/// What a server says must not move the cursor or recolour the terminal.
fn write_shown(tty: &mut File, text: &str) -> io::Result<()> {
    let plain: String =
        text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    tty.write_all(plain.as_bytes())
}

fn read_line(tty: &mut File) -> io::Result<Zeroizing<String>> {
    let _waiting = Waiting::begin(&ENDS)?;
    let signals = SignalFd::new(&signals::set(&ENDS))?;
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
            // Taken, so that it does not end us before the terminal is as it was.
            let _ = signals.read_signal();
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
    /// Dropped last: what has waited may end us.
    _waiting: Waiting,
}

impl Hushed {
    fn new(tty: &File) -> io::Result<Self> {
        let tty = tty.try_clone()?;
        let before = termios::tcgetattr(&tty)?;
        let mut hushed = before.clone();
        hushed.local_flags.remove(LocalFlags::ECHO);
        let waiting = Waiting::begin(&[&ENDS[..], &[Signal::SIGTSTP]].concat())?;
        termios::tcsetattr(&tty, SetArg::TCSAFLUSH, &hushed)?;
        Ok(Self { tty, before, _waiting: waiting })
    }
}

impl Drop for Hushed {
    fn drop(&mut self) {
        // Flushed, so that a password typed too late is not read, and shown, by the shell.
        let _ = termios::tcsetattr(&self.tty, SetArg::TCSAFLUSH, &self.before);
    }
}
