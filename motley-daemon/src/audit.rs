//! The audit log: typed events, one JSON line each, chained by hash, written before the effect is told.
//!
//! A file that has grown large is put aside under a number; the chain goes on in a new one.

mod event;
mod files;
pub mod read;
mod verify;

pub use event::Event;
pub use verify::{Begins, Checked, verify};

use crate::{clock::Clock, measure, request};
use event::{Line, START, hash_of};
use motley_proto::text::escape;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Why the audit log could not be written or is not whole.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file could not be opened or written.
    #[error("audit log {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line was changed, removed or added by somebody else.
    #[error("audit log {path} line {line}: the chain of hashes is broken")]
    Broken {
        /// The file.
        path: PathBuf,
        /// Number of the first line that does not fit, from 1.
        line: usize,
    },
    /// The file ends in something that this log never writes.
    #[error("{path} does not end like an audit log; name another [audit] file, or move it away")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

struct Tail {
    file: File,
    hash: String,
    /// Length of the whole lines, in bytes.
    length: u64,
    /// True when a piece of a line stands behind them.
    torn: bool,
}

/// An audit log open for writing.
pub struct Audit {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    tail: Mutex<Tail>,
    rotate_at: u64,
}

/// Size at which a file is put aside, in bytes. Failed logins of strangers grow it, too.
const ROTATE_AT: u64 = 64 * 1024 * 1024;

impl Audit {
    /// Opens the log, or makes it readable by its owner only, and goes on with its chain. A line that
    /// a crash cut off was never told of as done, and is taken away.
    ///
    /// # Errors
    /// When the file can't be opened or its last line is no line of ours.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, AuditError> {
        Self::open_with(path, clock, ROTATE_AT)
    }

    fn open_with(path: &Path, clock: Arc<dyn Clock>, rotate_at: u64) -> Result<Self, AuditError> {
        let failed = |source| AuditError::File { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let mut file =
            options.create(true).read(true).append(true).mode(0o600).open(path).map_err(failed)?;
        let end = read_end(&mut file).map_err(failed)?;
        let (hash, length) = end.ok_or_else(|| AuditError::Foreign { path: path.to_owned() })?;
        let torn = length < file.metadata().map_err(failed)?.len();
        let tail = Mutex::new(Tail { file, hash, length, torn });
        let audit = Self { path: path.to_owned(), clock, tail, rotate_at };
        if length == 0 {
            audit.go_on_from_predecessor()?;
        }
        Ok(audit)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one event. Returns after the line is handed to the system.
    ///
    /// # Errors
    /// When it can't be written; an admin's action must then be refused.
    pub fn record(&self, event: Event) -> Result<(), AuditError> {
        let recorded = self.write(event.clone());
        match &recorded {
            Ok(()) => measure::event(&event),
            Err(_) => measure::audit_failure(),
        }
        recorded
    }

    fn write(&self, event: Event) -> Result<(), AuditError> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.length >= self.rotate_at
            && let Err(error) = self.put_aside(&mut tail)
        {
            tracing::error!(%error, "the audit log could not be put aside; it goes on to grow");
        }
        self.append(&mut tail, event)
    }

    /// Puts the file aside under the next number and goes on in a new one. Yields where it is now.
    ///
    /// # Errors
    /// When a step fails; then the log goes on in the old file.
    pub fn rotate(&self) -> Result<PathBuf, AuditError> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        self.put_aside(&mut tail)
    }

    fn failed(&self, source: io::Error) -> AuditError {
        AuditError::File { path: self.path.clone(), source }
    }

    fn append(&self, tail: &mut Tail, event: Event) -> Result<(), AuditError> {
        let (text, hash) = self.line(event, &tail.hash)?;
        tail.append(&text).map_err(|error| self.failed(error))?;
        tail.hash = hash;
        Ok(())
    }

    fn line(&self, event: Event, previous: &str) -> Result<(String, String), AuditError> {
        let (time, source) = (self.clock.now().0, request::source());
        let line = Line { time, source, event, previous: previous.to_owned() };
        let mut text = serde_json::to_string(&line).map_err(|error| self.failed(error.into()))?;
        let hash = hash_of(&text);
        text.push('\n');
        Ok((text, hash))
    }

    /// A crash between putting the old file aside and naming the new one leaves none.
    fn go_on_from_predecessor(&self) -> Result<(), AuditError> {
        let newest = files::newest_aside(&self.path).map_err(|error| self.failed(error))?;
        let Some(before) = newest else { return Ok(()) };
        let end = File::open(&before.path).and_then(|mut file| read_end(&mut file));
        let end = end.map_err(|source| AuditError::File { path: before.path.clone(), source })?;
        let (hash, _) = end.ok_or_else(|| AuditError::Foreign { path: before.path.clone() })?;
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.hash = hash;
        self.append(&mut tail, Event::Continued { file: before.name() })
    }

    /// The new file is whole before it gets the name, so that at any moment one of both has it.
    fn put_aside(&self, tail: &mut Tail) -> Result<PathBuf, AuditError> {
        let failed = |error| self.failed(error);
        let aside = files::next_aside(&self.path).map_err(failed)?;
        let (text, hash) = self.line(Event::Continued { file: aside.name() }, &tail.hash)?;
        let draft = files::draft(&self.path);
        let file = write_draft(&draft, &text).map_err(failed)?;
        std::fs::rename(&self.path, &aside.path).map_err(failed)?;
        if let Err(error) = std::fs::rename(&draft, &self.path) {
            std::fs::rename(&aside.path, &self.path).map_err(failed)?;
            return Err(failed(error));
        }
        *tail = Tail { file, hash, length: text.len() as u64, torn: false };
        Ok(aside.path)
    }
}

fn write_draft(path: &Path, text: &str) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.create_new(true).read(true).append(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(file)
}

impl Tail {
    /// Writes a whole line or none: what a full disk took of it would spoil the next one.
    fn append(&mut self, line: &str) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            self.torn = self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

/// Longest line that an event can make, generously.
pub(crate) const LINE_LIMIT: u64 = 64 * 1024;
/// What every line begins with.
const BEGIN: &str = "{\"time\":";

/// The hash of the last whole line and the length up to its end; `None` when it is none of ours.
fn read_end(file: &mut File) -> io::Result<Option<(String, u64)>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LINE_LIMIT)))?;
    let mut end = Vec::new();
    file.take(length.min(LINE_LIMIT)).read_to_end(&mut end)?;
    let whole = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (lines, cut_off) = end.split_at(whole);
    let cut_off = String::from_utf8_lossy(cut_off);
    if !cut_off.starts_with(BEGIN) && !BEGIN.starts_with(&*cut_off) {
        return Ok(None);
    }
    let hash = match String::from_utf8_lossy(lines).lines().last() {
        None => START.to_owned(),
        Some(line) if serde_json::from_str::<Line>(line).is_ok() => hash_of(line),
        Some(_) => return Ok(None),
    };
    Ok(Some((hash, length - (end.len() - whole) as u64)))
}

/// Text from outside, fit for a field of an event.
pub fn field(text: &str) -> String {
    escape(text, 300)
}

#[cfg(test)]
mod tests;
