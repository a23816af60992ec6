//! A lock between processes, on a file beside the data, so that it holds wherever the data are seen.

use super::{Result, StoreError};
use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Longest wait: longer than the refresh that somebody else is doing can take.
const LIMIT: Duration = Duration::from_secs(60);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Held until dropped, or until the process ends in whatever way.
pub(crate) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Waits for the lock.
    pub(super) fn take(path: PathBuf) -> Result<Self> {
        let failed = |source| StoreError::System { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&path)
            .map_err(failed)?;
        let end = Instant::now() + LIMIT;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(locked) => return Ok(Self { _file: locked }),
                Err((_, errno)) if errno != nix::errno::Errno::EWOULDBLOCK => {
                    return Err(failed(errno.into()));
                }
                Err(_) if Instant::now() > end => return Err(StoreError::Locked(path)),
                Err((file, _)) => file,
            };
            std::thread::sleep(PAUSE);
        }
    }
}
