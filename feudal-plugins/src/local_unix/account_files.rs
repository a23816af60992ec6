//! passwd and group, indexed once and read again only when a file changed.

use super::snapshot::Snapshot;
use crate::backend::BackendError;
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Largest account file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// A file younger than this may change again without a new time stamp.
const SETTLED_AFTER: Duration = Duration::from_millis(20);

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let seen = fs::metadata(path)?;
        Ok(Self {
            device: seen.dev(),
            inode: seen.ino(),
            size: seen.size(),
            modified: (seen.mtime(), seen.mtime_nsec()),
            changed: (seen.ctime(), seen.ctime_nsec()),
        })
    }

    /// `now` is the system's and no parameter of ours: the kernel stamps files by it, to the nanosecond.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanos) = self.changed;
        let changed = u64::try_from(seconds).unwrap_or_default();
        let nanos = u64::try_from(nanos).unwrap_or_default();
        let at = UNIX_EPOCH + Duration::from_secs(changed) + Duration::from_nanos(nanos);
        now.duration_since(at).is_ok_and(|age| age > SETTLED_AFTER)
    }
}

/// A snapshot and the versions of the files that it was made of.
#[derive(Debug)]
struct Seen {
    stamps: [Stamp; 2],
    settled: bool,
    snapshot: Arc<Snapshot>,
}

impl Seen {
    fn read(passwd: &Path, group: &Path) -> io::Result<Self> {
        // Stamps first: a change between stamp and reading makes the next look-up read again.
        let stamps = [Stamp::of(passwd)?, Stamp::of(group)?];
        let now = SystemTime::now();
        let settled = stamps.iter().all(|stamp| stamp.is_settled(now));
        let snapshot = Arc::new(Snapshot::of(read_text(passwd)?, read_text(group)?));
        Ok(Self { stamps, settled, snapshot })
    }
}

/// The account files under a file-system root.
#[derive(Debug)]
pub(crate) struct AccountFiles {
    passwd: PathBuf,
    group: PathBuf,
    shadow: PathBuf,
    current: Mutex<Option<Seen>>,
    reading: tokio::sync::Mutex<()>,
}

impl AccountFiles {
    /// Files in `etc` under this root.
    pub(crate) fn under(root: &Path) -> Self {
        let etc = root.join("etc");
        Self {
            passwd: etc.join("passwd"),
            group: etc.join("group"),
            shadow: etc.join("shadow"),
            current: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// Version of the shadow file, which can be told without reading it.
    pub(super) fn shadow_stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.shadow).ok().filter(|stamp| stamp.is_settled(SystemTime::now()))
    }

    /// The accounts as they are now.
    pub(crate) async fn snapshot(&self) -> Result<Arc<Snapshot>, BackendError> {
        if let Some(current) = self.current()? {
            return Ok(current);
        }
        // One reads, the others wait for what it found.
        let _turn = self.reading.lock().await;
        if let Some(current) = self.current()? {
            return Ok(current);
        }
        let (passwd, group) = (self.passwd.clone(), self.group.clone());
        let read = move || Seen::read(&passwd, &group);
        let fresh = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(fresh)) => fresh,
            Ok(Err(error)) => return Err(unreadable(error)),
            Err(error) => return Err(unreadable(io::Error::other(error))),
        };
        let snapshot = Arc::clone(&fresh.snapshot);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(fresh);
        Ok(snapshot)
    }

    #[cfg(test)]
    pub(super) fn is_settled(&self) -> bool {
        self.current().is_ok_and(|current| current.is_some())
    }

    fn current(&self) -> Result<Option<Arc<Snapshot>>, BackendError> {
        let stamp = |path| Stamp::of(path).map_err(unreadable);
        let stamps = [stamp(&self.passwd)?, stamp(&self.group)?];
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = current.as_ref().filter(|kept| kept.settled && kept.stamps == stamps);
        Ok(kept.map(|kept| Arc::clone(&kept.snapshot)))
    }
}

fn unreadable(error: io::Error) -> BackendError {
    BackendError::Unavailable {
        what: format!("the account files can't be read: {error}"),
        cure: "/etc/passwd and /etc/group must be readable by the service".to_owned(),
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_FILE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // One odd byte in somebody's gecos field must not lock everybody out.
    Ok(String::from_utf8(fs::read(path)?)
        .unwrap_or_else(|odd| String::from_utf8_lossy(odd.as_bytes()).into_owned()))
}
