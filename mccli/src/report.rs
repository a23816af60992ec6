//! Lines for people on standard error: a level, a colon and the text, nothing secret.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::{
    io::{self, Write},
    sync::atomic::{AtomicU8, Ordering},
};

/// Writes a result to standard output.
///
/// # Errors
/// When nobody reads it any more, for instance.
pub(crate) fn result(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

/// How important a line is; lines below the chosen level are not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "UPPER")]
pub(crate) enum Level {
    /// Steps of the program.
    Debug,
    /// What was chosen.
    Info,
    /// Works, but not as it should.
    Warning,
    /// Does not work.
    Error,
    /// Nothing works.
    Critical,
}

static LOWEST: AtomicU8 = AtomicU8::new(Level::Warning as u8);

/// Writes lines of this level and above from now on.
pub(crate) fn set_level(level: Level) {
    LOWEST.store(level as u8, Ordering::Relaxed);
}

/// A line that was asked for, at every level.
pub(crate) fn always(text: &str) {
    let line = motley_proto::text::escape(text, 4096);
    let _ = writeln!(io::stderr(), "{line}");
}

fn write(level: Level, word: &str, text: &str) {
    if level as u8 >= LOWEST.load(Ordering::Relaxed) {
        for line in text.lines() {
            // Remote text can't act on the terminal; a line is never cut short of its cure.
            let line = motley_proto::text::escape(line, 4096);
            // Nobody is left to be told when standard error is closed.
            let _ = writeln!(io::stderr(), "{word}: {line}");
        }
    }
}

/// Why the program stops.
pub(crate) fn error(text: &str) {
    write(Level::Error, "error", text);
}

/// Works, but not as it should.
pub(crate) fn warning(text: &str) {
    write(Level::Warning, "warning", text);
}

/// What could be better, without anything being wrong.
pub(crate) fn hint(text: &str) {
    write(Level::Warning, "hint", text);
}

/// What was chosen.
pub(crate) fn info(text: &str) {
    write(Level::Info, "info", text);
}

/// Steps of the program.
pub(crate) fn debug(text: &str) {
    write(Level::Debug, "debug", text);
}
