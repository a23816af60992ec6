//! Reads an audit log through, over all its files, and finds the first line that does not fit.

use super::{
    AuditError,
    event::{Event, Line, START, hash_of},
    files::{Piece, pieces},
};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

/// Where a chain begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begins {
    /// With the first line that was ever written.
    AtTheStart,
    /// After this file, which is not here any more.
    After(String),
}

/// A chain that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Lines in all files.
    pub lines: u64,
    /// Files.
    pub files: u32,
    /// Where the chain begins.
    pub begins: Begins,
}

/// How often files that change places meanwhile are listed anew.
const ATTEMPTS: u32 = 5;

/// Reads a log through.
///
/// A chain shows that a line was changed, added or taken out of the middle; that lines at the end
/// were taken away it can't show.
///
/// # Errors
/// [`AuditError::Broken`] at the first line that does not follow from the one before.
pub fn verify(path: &Path) -> Result<Checked, AuditError> {
    let list = || pieces(path).map_err(|source| AuditError::File { path: path.to_owned(), source });
    let mut before = list()?;
    let mut attempts = ATTEMPTS;
    loop {
        let checked = check_all(path, &before);
        let now = list()?;
        attempts = attempts.saturating_sub(1);
        // The log may have been put aside while it was read.
        if checked.is_ok() || now == before || attempts == 0 {
            return checked;
        }
        before = now;
    }
}

/// How far the reading has come.
struct Reading {
    expected: Option<String>,
    before: Option<String>,
    lines: u64,
    begins: Begins,
}

fn check_all(path: &Path, files: &[Piece]) -> Result<Checked, AuditError> {
    let mut reading =
        Reading { expected: None, before: None, lines: 0, begins: Begins::AtTheStart };
    for piece in files {
        check_file(piece, piece.path == path, &mut reading)?;
        reading.before = Some(piece.name());
    }
    if files.is_empty() {
        let source = std::io::ErrorKind::NotFound.into();
        return Err(AuditError::File { path: path.to_owned(), source });
    }
    let count = u32::try_from(files.len()).unwrap_or(u32::MAX);
    Ok(Checked { lines: reading.lines, files: count, begins: reading.begins })
}

fn check_file(piece: &Piece, is_current: bool, reading: &mut Reading) -> Result<(), AuditError> {
    let failed = |source| AuditError::File { path: piece.path.clone(), source };
    let file = File::open(&piece.path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut reader = BufReader::new(file.take(length));
    let mut number = 0;
    let mut text = Vec::new();
    loop {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(failed)? == 0 {
            return Ok(());
        }
        number += 1;
        let whole = text.pop_if(|last| *last == b'\n').is_some();
        if !whole && is_current {
            // Just being written, or cut off by a crash: the next start takes it away.
            return Ok(());
        }
        let line = std::str::from_utf8(&text).ok().filter(|_| whole);
        if !line.is_some_and(|line| reading.takes(line, number == 1)) {
            return Err(AuditError::Broken { path: piece.path.clone(), line: number });
        }
    }
}

impl Reading {
    /// True if the line follows from the one before.
    fn takes(&mut self, text: &str, is_first: bool) -> bool {
        let Ok(line) = serde_json::from_str::<Line>(text) else { return false };
        let continued = match &line.event {
            Event::Continued { file } => Some(file),
            _ => None,
        };
        let fits = match (&self.expected, continued) {
            (Some(expected), Some(file)) => {
                line.previous == *expected && is_first && self.before.as_ref() == Some(file)
            }
            (Some(expected), None) => line.previous == *expected,
            (None, Some(file)) => {
                self.begins = Begins::After(file.clone());
                true
            }
            (None, None) => line.previous == START,
        };
        self.expected = Some(hash_of(text));
        self.lines += 1;
        fits
    }
}
