//! Reads the local account files, and asks the name service who else is known on this host.

mod expiries;
mod groups;
mod names;
#[cfg(test)]
mod tests;
mod text;
mod users;

pub use expiries::Expiries;
pub use groups::Groups;
pub use names::{NameService, SystemNames};
pub use users::{UserEntry, Users};

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use text::read_text;

/// A file of accounts can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct ReadError {
    /// The file.
    pub path: String,
    /// What the system said.
    pub source: io::Error,
}

/// What tells one state of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug)]
struct Cached<T> {
    path: PathBuf,
    kept: Mutex<Option<(Stamp, Arc<T>)>>,
}

impl<T> Cached<T> {
    fn new(path: PathBuf) -> Self {
        Self { path, kept: Mutex::new(None) }
    }

    fn read(&self, read: fn(File) -> io::Result<T>) -> Result<Arc<T>, ReadError> {
        let failed = |source| ReadError { path: self.path.display().to_string(), source };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&std::fs::metadata(&self.path).map_err(failed)?);
        if let Some((_, table)) = kept.as_ref().filter(|(then, _)| *then == now) {
            return Ok(table.clone());
        }
        let file = File::open(&self.path).map_err(failed)?;
        let now = stamp(&file.metadata().map_err(failed)?);
        let table = Arc::new(read(file).map_err(failed)?);
        *kept = Some((now, table.clone()));
        Ok(table)
    }
}

fn stamp(meta: &std::fs::Metadata) -> Stamp {
    Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    }
}

/// True if a line of gshadow(5) names somebody behind its password.
fn lists(line: &str, name: &str) -> bool {
    line.split(':').skip(2).any(|list| list.split(',').any(|other| other == name))
}

/// The account files below one root directory, read again only when they changed.
#[derive(Debug)]
pub struct Database {
    users: Cached<Users>,
    groups: Cached<Groups>,
    expiries: Cached<Expiries>,
    gshadow: PathBuf,
}

/// The account files at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// passwd(5).
    pub users: Arc<Users>,
    /// group(5).
    pub groups: Arc<Groups>,
    /// shadow(5).
    pub expiries: Arc<Expiries>,
}

impl Database {
    /// Files are read from `root/etc`; `root` is `/` on a real system.
    pub fn new(root: &Path) -> Self {
        let etc = root.join("etc");
        Self {
            users: Cached::new(etc.join("passwd")),
            groups: Cached::new(etc.join("group")),
            expiries: Cached::new(etc.join("shadow")),
            gshadow: etc.join("gshadow"),
        }
    }

    /// True if gshadow(5) lists this name as a member of a group, or as one who may add members.
    ///
    /// # Errors
    /// When the file is there and can't be read.
    pub fn is_in_gshadow(&self, name: &str) -> Result<bool, ReadError> {
        match std::fs::read(&self.gshadow) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                // Nearly always the whole text lacks the name, which is found out fast.
                Ok(text.contains(name) && text.lines().any(|line| lists(line, name)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ReadError { path: self.gshadow.display().to_string(), source }),
        }
    }

    /// Reads all three files.
    ///
    /// # Errors
    /// When one of them can't be read. A malformed line is no error: it is passed over.
    pub fn read(&self) -> Result<Snapshot, ReadError> {
        Ok(Snapshot {
            users: self.users.read(|file| read_text(file).map(Users::of))?,
            groups: self.groups.read(|file| read_text(file).map(Groups::of))?,
            expiries: self.expiries.read(Expiries::read)?,
        })
    }
}
