//! The audit log: typed events, one JSON line each, chained by hash, written before the effect is told.

use crate::{clock::Clock, measure, request};
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
        /// By `token`, `one_time_password`, `code` or `vouched_code`.
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
    /// A code was given out.
    CodeIssued {
        /// Request id.
        request: String,
        /// For whom.
        identity: Identity,
        /// The one account that it opens.
        name: UserName,
        /// By whom: the holder of a token, or an admin on the host.
        by: String,
    },
    /// A code was used up, for better or worse.
    CodeUsed {
        /// Whose it was.
        identity: Identity,
        /// The one account that it opens.
        name: UserName,
        /// Who had given it out.
        by: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Line {
    time: i64,
    /// Address behind the REST request, where one led to the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
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
}

const START: &str = "start";

fn hash_of(line: &str) -> String {
    let hash = digest::digest(&digest::SHA256, line.as_bytes());
    hash.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

impl Audit {
    /// Opens the log, or makes it readable by its owner only, and goes on with its chain. A line that
    /// a crash cut off was never told of as done, and is taken away.
    ///
    /// # Errors
    /// When the file can't be opened or its last line is no line of ours.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, AuditError> {
        let failed = |source| AuditError::File { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let mut file =
            options.create(true).read(true).append(true).mode(0o600).open(path).map_err(failed)?;
        let end = read_end(&mut file).map_err(failed)?;
        let (hash, length) = end.ok_or_else(|| AuditError::Foreign { path: path.to_owned() })?;
        let torn = length < file.metadata().map_err(failed)?.len();
        let tail = Mutex::new(Tail { file, hash, length, torn });
        Ok(Self { path: path.to_owned(), clock, tail })
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
        let failed = |source| AuditError::File { path: self.path.clone(), source };
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Line {
            time: self.clock.now().0,
            source: request::source(),
            event,
            previous: tail.hash.clone(),
        };
        let mut text = serde_json::to_string(&line).map_err(|error| failed(error.into()))?;
        let hash = hash_of(&text);
        text.push('\n');
        tail.append(&text).map_err(failed)?;
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
const LINE_LIMIT: u64 = 64 * 1024;
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
    fn r39_a_line_that_was_cut_off_does_not_break_the_chain() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
        audit.record(event("one")).unwrap();
        drop(audit);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"{\"time\":17"].concat()).unwrap();
        Audit::open(&path, Arc::new(SystemClock)).unwrap().record(event("two")).unwrap();
        assert_eq!(Audit::verify(&path).unwrap(), 2);
    }

    #[test]
    fn r39_what_a_full_disk_took_of_a_line_is_taken_back() {
        use nix::sys::{
            resource::{Resource, getrlimit, setrlimit},
            signal::{SigSet, Signal},
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
        audit.record(event("one")).unwrap();
        let size = std::fs::metadata(&path).unwrap().len();
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGXFSZ);
        signals.thread_block().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        // Stands in for the disk: the next write is cut short, the one after it fails.
        setrlimit(Resource::RLIMIT_FSIZE, size + 20, hard).unwrap();
        let refused = audit.record(event("two"));
        setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();
        assert!(matches!(refused, Err(AuditError::File { .. })));
        audit.record(event("three")).unwrap();
        assert_eq!(Audit::verify(&path).unwrap(), 2);
    }

    #[test]
    fn r39_a_log_whose_last_line_is_not_ours_is_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        std::fs::write(&path, "something else\n").unwrap();
        let opened = Audit::open(&path, Arc::new(SystemClock));
        assert!(matches!(opened, Err(AuditError::Foreign { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "something else\n");
    }

    #[test]
    fn r39_a_full_disk_is_an_error() {
        let audit = Audit::open(Path::new("/dev/full"), Arc::new(SystemClock)).unwrap();
        assert!(matches!(audit.record(event("x")), Err(AuditError::File { .. })));
    }
}
