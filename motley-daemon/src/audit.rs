//! The audit log: typed events, one JSON line each, chained by hash, written before the effect is told.

use crate::clock::Clock;
use aws_lc_rs::digest;
use motley_proto::{Identity, UserName, text::escape};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Something that must be known afterwards, whatever the log level was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The daemon started.
    Started {
        /// Its version.
        version: String,
    },
    /// Somebody was let in.
    LoginGranted {
        /// Request id.
        request: String,
        /// Who.
        identity: Identity,
        /// As which account.
        name: UserName,
        /// From where.
        rhost: Option<String>,
        /// By `token` or `one_time_password`.
        by: String,
    },
    /// Somebody was not let in.
    LoginRefused {
        /// Request id.
        request: String,
        /// The name that was tried.
        user: String,
        /// From where.
        rhost: Option<String>,
        /// Why, for the operator.
        reason: String,
    },
    /// An account was made, adopted or changed.
    Deployed {
        /// Request id.
        request: String,
        /// Whose.
        identity: Identity,
        /// Its name.
        name: UserName,
        /// What was done, in words.
        what: String,
    },
    /// An identity was suspended.
    Suspended {
        /// Request id.
        request: String,
        /// Whom.
        identity: Identity,
        /// By whom.
        by: String,
    },
    /// An identity may come in again.
    Resumed {
        /// Request id.
        request: String,
        /// Whom.
        identity: Identity,
        /// By whom.
        by: String,
    },
    /// A one-time password was issued.
    OneTimePasswordIssued {
        /// Request id.
        request: String,
        /// For whom.
        identity: Identity,
    },
}

#[derive(Serialize, Deserialize)]
struct Line {
    time: i64,
    #[serde(flatten)]
    event: Event,
    previous: String,
}

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
}

struct Tail {
    file: File,
    hash: String,
}

/// An audit log open for writing.
pub struct Audit {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    tail: Mutex<Tail>,
}

const START: &str = "start";

fn hash_of(line: &str) -> String {
    let hash = digest::digest(&digest::SHA256, line.as_bytes());
    hash.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

impl Audit {
    /// Opens the log, or makes it readable by its owner only, and goes on with its chain.
    ///
    /// # Errors
    /// When the file can't be opened or its last line is no line of ours.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, AuditError> {
        let failed = |source| AuditError::File { path: path.to_owned(), source };
        let hash = match File::open(path) {
            Ok(file) => last_line(file)
                .map_err(failed)?
                .map_or_else(|| START.to_owned(), |line| hash_of(&line)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => START.to_owned(),
            Err(error) => return Err(failed(error)),
        };
        let file =
            OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), clock, tail: Mutex::new(Tail { file, hash }) })
    }

    /// Writes one event. Returns after the line is handed to the system.
    ///
    /// # Errors
    /// When it can't be written; an admin's action must then be refused.
    pub fn record(&self, event: Event) -> Result<(), AuditError> {
        let failed = |source| AuditError::File { path: self.path.clone(), source };
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Line { time: self.clock.now().0, event, previous: tail.hash.clone() };
        let mut text = serde_json::to_string(&line).map_err(|error| failed(error.into()))?;
        let hash = hash_of(&text);
        text.push('\n');
        tail.file.write_all(text.as_bytes()).map_err(failed)?;
        tail.hash = hash;
        Ok(())
    }

    /// Reads a log through and says how many lines it has.
    ///
    /// # Errors
    /// [`AuditError::Broken`] at the first line that does not follow from the one before.
    pub fn verify(path: &Path) -> Result<usize, AuditError> {
        let failed = |source| AuditError::File { path: path.to_owned(), source };
        let mut expected = START.to_owned();
        let mut count = 0;
        for line in BufReader::new(File::open(path).map_err(failed)?).lines() {
            let line = line.map_err(failed)?;
            count += 1;
            let fits =
                serde_json::from_str::<Line>(&line).is_ok_and(|read| read.previous == expected);
            if !fits {
                return Err(AuditError::Broken { path: path.to_owned(), line: count });
            }
            expected = hash_of(&line);
        }
        Ok(count)
    }
}

/// Longest line that an event can make, generously.
const LINE_LIMIT: u64 = 64 * 1024;

fn last_line(mut file: File) -> io::Result<Option<String>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LINE_LIMIT)))?;
    let mut end = Vec::new();
    file.take(length.min(LINE_LIMIT)).read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    Ok(end.lines().last().map(str::to_owned))
}

/// Text from outside, fit for a field of an event.
pub fn field(text: &str) -> String {
    escape(text, 300)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn event(reason: &str) -> Event {
        Event::LoginRefused {
            request: "r".to_owned(),
            user: field("evil\n{\"event\":\"started\"}"),
            rhost: None,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn r39_a_changed_line_is_found_and_a_restart_goes_on_with_the_chain() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        for _ in 0..2 {
            let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
            audit.record(event("one")).unwrap();
            audit.record(event("two")).unwrap();
        }
        assert_eq!(Audit::verify(&path).unwrap(), 4);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 4, "r31: one line for each event");
        std::fs::write(&path, text.replacen("one", "0ne", 1)).unwrap();
        assert!(matches!(Audit::verify(&path), Err(AuditError::Broken { line: 2, .. })));
        let without_second: Vec<_> =
            text.lines().enumerate().filter(|(at, _)| *at != 1).map(|(_, line)| line).collect();
        std::fs::write(&path, without_second.join("\n")).unwrap();
        assert!(matches!(Audit::verify(&path), Err(AuditError::Broken { line: 2, .. })));
    }

    #[test]
    fn r39_a_full_disk_is_an_error() {
        let audit = Audit::open(Path::new("/dev/full"), Arc::new(SystemClock)).unwrap();
        assert!(matches!(audit.record(event("x")), Err(AuditError::File { .. })));
    }
}
