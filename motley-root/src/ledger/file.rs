//! The file behind the ledger: one JSON line per event, synced, with one writer.

use super::{Book, Contradiction, Event};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Why the ledger can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file operation failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could write to it.
    #[error(
        "{path} must belong to root and be closed to everybody else; run: chown -R root:root {path} && chmod -R go= {path}"
    )]
    Ownership {
        /// The file or directory.
        path: String,
    },
    /// A line was written in part and could not be taken back, so nothing may come behind it.
    #[error(
        "{path} may end in half a line since an earlier write failed, and takes no other; mend its file system, and restart motley-root"
    )]
    Torn {
        /// The file.
        path: String,
    },
    /// Another process has it open.
    #[error(
        "{path} is in use by another motley-root; stop that one, or give this one another --state"
    )]
    InUse {
        /// The file.
        path: String,
    },
    /// A line is no event.
    #[error("{path}:{line}: not an event of the ledger; restore the file from a backup")]
    Malformed {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// A line contradicts those before it.
    #[error("{path}:{line}: {source}; restore the file from a backup")]
    Contradiction {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: Contradiction,
    },
}

const FILE_NAME: &str = "ledger.jsonl";
/// How long to wait for a predecessor that is about to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The ledger: its content and the open, locked file.
#[derive(Debug)]
pub struct Ledger {
    book: Book,
    file: Flock<File>,
    path: PathBuf,
    length: u64,
    /// True once what a failed write left could not be cut off.
    torn: bool,
}

impl Ledger {
    /// Opens the ledger in a directory of root's, making both if they do not exist.
    ///
    /// A last line without its end was never acted upon, and is cut off.
    ///
    /// # Errors
    /// When somebody else could write it, another process holds it, or its lines make no sense.
    pub fn open(directory: &Path) -> Result<Self, LedgerError> {
        make_directory(directory)?;
        let path = directory.join(FILE_NAME);
        let mut file = lock(open(&path)?, &path)?;
        require_private(&path, &file.metadata().map_err(|e| failed(&path, e))?)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|e| failed(&path, e))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        text.truncate(whole);
        let book = replay(&text, &path)?;
        let length = u64::try_from(whole).unwrap_or(u64::MAX);
        let mut ledger = Self { book, file, path, length, torn: false };
        ledger.cut()?;
        if length == 0 {
            ledger.record(Event::Ledger { version: 1 })?;
            sync_directory(directory)?;
        }
        Ok(ledger)
    }

    /// What all events together say.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Writes one event; it is on disk when this returns.
    ///
    /// # Errors
    /// When it contradicts the ledger or can't be written; then nothing has changed. Once part of a
    /// line may have stayed in the file, all are refused until the next start cuts it off.
    pub fn record(&mut self, event: Event) -> Result<(), LedgerError> {
        if self.torn {
            return Err(LedgerError::Torn { path: self.path.display().to_string() });
        }
        self.book.check(&event).map_err(|source| LedgerError::Contradiction {
            path: self.path.display().to_string(),
            line: 0,
            source,
        })?;
        let mut line = serde_json::to_vec(&event).map_err(|e| failed(&self.path, e.into()))?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A torn line in mid-file would make the whole ledger unreadable.
            self.torn = self.cut().is_err();
            return Err(failed(&self.path, error));
        }
        self.length = self.length.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        self.book.apply(event);
        Ok(())
    }

    fn cut(&mut self) -> Result<(), LedgerError> {
        let length = self.length;
        self.file.set_len(length).map_err(|e| failed(&self.path, e))?;
        self.file.seek(SeekFrom::Start(length)).map_err(|e| failed(&self.path, e))?;
        Ok(())
    }
}

fn make_directory(directory: &Path) -> Result<(), LedgerError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(directory) {
        Ok(()) => {}
        Err(error) => return Err(failed(directory, error)),
    }
    let meta = std::fs::symlink_metadata(directory).map_err(|e| failed(directory, e))?;
    if !meta.is_dir() {
        return Err(LedgerError::Ownership { path: directory.display().to_string() });
    }
    require_private(directory, &meta)
}

fn require_private(path: &Path, meta: &std::fs::Metadata) -> Result<(), LedgerError> {
    let owner = nix::unistd::geteuid().as_raw();
    if meta.uid() == owner && meta.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(LedgerError::Ownership { path: path.display().to_string() })
    }
}

fn open(path: &Path) -> Result<File, LedgerError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| failed(path, error))
}

fn lock(file: File, path: &Path) -> Result<Flock<File>, LedgerError> {
    let until = Instant::now() + PATIENCE;
    let mut file = file;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < until => {
                file = back;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err(LedgerError::InUse { path: path.display().to_string() });
            }
            Err((_, errno)) => return Err(failed(path, errno.into())),
        }
    }
}

fn replay(text: &[u8], path: &Path) -> Result<Book, LedgerError> {
    let mut book = Book::default();
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    for (at, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let here = || (path.display().to_string(), at + 1);
        let event: Event = serde_json::from_slice(line).map_err(|_| {
            let (path, line) = here();
            LedgerError::Malformed { path, line }
        })?;
        book.check(&event).map_err(|source| {
            let (path, line) = here();
            LedgerError::Contradiction { path, line, source }
        })?;
        book.apply(event);
    }
    Ok(book)
}

fn sync_directory(directory: &Path) -> Result<(), LedgerError> {
    let opened = File::open(directory).and_then(|handle| handle.sync_all());
    opened.map_err(|error| failed(directory, error))
}

fn failed(path: &Path, source: io::Error) -> LedgerError {
    LedgerError::Io { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A descriptor that can only be read refuses the write, and the cut as well.
    #[test]
    fn r24_nothing_is_written_behind_a_line_that_may_be_torn() {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("state");
        let event = |group: &str| {
            let group = motley_proto::names::GroupName::new(group).unwrap();
            Event::GroupReserved { group }
        };
        let mut ledger = Ledger::open(&directory).unwrap();
        ledger.record(event("one")).unwrap();
        let path = directory.join(FILE_NAME);
        let elsewhere = state.path().join("elsewhere");
        std::fs::write(&elsewhere, "").unwrap();
        let broken = lock(File::open(&elsewhere).unwrap(), &elsewhere).unwrap();
        let good = std::mem::replace(&mut ledger.file, broken);
        assert!(matches!(ledger.record(event("two")), Err(LedgerError::Io { .. })));
        // What is left of it lies in the file now, and the disk works again.
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"gro").unwrap();
        ledger.file = good;
        let refused = ledger.record(event("three")).unwrap_err();
        assert!(matches!(refused, LedgerError::Torn { .. }), "{refused}");
        assert!(refused.to_string().ends_with("and restart motley-root"), "{refused}");
        drop(ledger);
        let mut ledger = Ledger::open(&directory).unwrap();
        assert_eq!(ledger.book().unfinished_groups().len(), 1);
        ledger.record(event("four")).unwrap();
    }
}
