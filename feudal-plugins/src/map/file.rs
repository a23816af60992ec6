//! A map in a file: read again when the file changes, and never half.

use super::NameMap;
use crate::backend::BackendError;
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Reads a file if nobody but root and the service could have written it; else says why not.
pub type GuardedRead = Arc<dyn Fn(&Path) -> Result<String, String> + Send + Sync>;

/// What tells one content of the file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let meta = fs::metadata(path)?;
        Ok(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            // The time of the last change of owner, mode or content; nobody can set it back.
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

struct Current {
    stamp: Option<Stamp>,
    map: Arc<NameMap>,
}

/// A map in a file.
pub struct MapFile {
    path: PathBuf,
    read: GuardedRead,
    current: Mutex<Current>,
}

impl MapFile {
    /// Reads the file.
    ///
    /// # Errors
    /// Why it can't be read, or everything that is wrong in it, each with its line.
    pub fn open(path: &Path, read: GuardedRead) -> Result<Self, Vec<String>> {
        let stamp = Stamp::of(path).ok();
        let map = load(path, &read)?;
        let current = Mutex::new(Current { stamp, map: Arc::new(map) });
        Ok(Self { path: path.to_owned(), read, current })
    }

    /// The map as the file says now. A file that became unusable is told of in the log, and what it
    /// said before stays in force.
    pub fn map(&self) -> Arc<NameMap> {
        let stamp = Stamp::of(&self.path).ok();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.stamp != stamp {
            // Noted before it is read: a change in between is seen the next time.
            current.stamp = stamp;
            match load(&self.path, &self.read) {
                Ok(map) => {
                    tracing::info!(file = %self.path.display(), accounts = map.len(), "the map of accounts was read again");
                    current.map = Arc::new(map);
                }
                Err(problems) => {
                    for problem in problems {
                        tracing::error!(file = %self.path.display(), problem, "the map of accounts can't be used; the one before stays in force");
                    }
                }
            }
        }
        Arc::clone(&current.map)
    }

    /// Whether the file as it is now can be used.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] with what is wrong first.
    pub fn check(&self) -> Result<(), BackendError> {
        load(&self.path, &self.read).map(|_| ()).map_err(|problems| BackendError::Unavailable {
            what: problems.into_iter().next().unwrap_or_default(),
            cure: format!("correct {}", self.path.display()),
        })
    }
}

fn load(path: &Path, read: &GuardedRead) -> Result<NameMap, Vec<String>> {
    let text = read(path).map_err(|problem| vec![problem])?;
    let shown = |error: super::MapError| format!("{}: {error}", path.display());
    NameMap::parse(&text).map_err(|errors| errors.into_iter().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.map");
        let line = |name: &str| format!("https://op.example {name} {name}\n");
        let read: GuardedRead =
            Arc::new(|path| fs::read_to_string(path).map_err(|error| error.to_string()));
        assert!(MapFile::open(&path, read.clone()).is_err());
        fs::write(&path, line("ada")).unwrap();
        let file = MapFile::open(&path, read).unwrap();
        assert_eq!(file.map().len(), 1);
        fs::write(&path, line("ada") + &line("bob")).unwrap();
        assert_eq!(file.map().len(), 2);
        fs::write(&path, "nonsense\n").unwrap();
        assert_eq!(file.map().len(), 2);
        let error = file.check().unwrap_err().to_string();
        assert!(error.contains("accounts.map: line 1"), "{error}");
        fs::write(&path, "").unwrap();
        assert_eq!(file.map().len(), 0);
        fs::remove_file(&path).unwrap();
        assert!(file.check().is_err());
    }
}
