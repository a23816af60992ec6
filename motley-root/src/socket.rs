//! Provides the task socket: passed by the service manager, or made with safe modes from the start.

use crate::{
    ffi,
    ownership::{OwnershipError, require_root_only},
};
use nix::{
    sys::stat::{Mode, umask},
    unistd::Gid,
};
use std::{
    fs::DirBuilder,
    io,
    os::{
        fd::RawFd,
        unix::{
            fs::{DirBuilderExt, MetadataExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
};

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The service manager passed something else than one socket.
    #[error("the service manager passed {0} sockets; the unit must name exactly one ListenStream")]
    Passed(usize),
    /// The path has no directory or no name.
    #[error("{0} can't be a socket; give an absolute path")]
    Path(String),
    /// The directory could be changed by somebody else, who could then stand in for this process.
    #[error("the socket's directory is not safe")]
    Directory(#[from] OwnershipError),
    /// A step failed.
    #[error("{step} {path}: {source}")]
    Io {
        /// What was being done.
        step: &'static str,
        /// With what.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The listening socket and where it is.
#[derive(Debug)]
pub struct TaskSocket {
    /// The socket.
    pub listener: UnixListener,
    /// Its path, if this process made it and has to remove it.
    pub made: Option<PathBuf>,
}

/// Takes over the one socket that the service manager passed.
///
/// # Errors
/// When it passed another number of sockets.
pub fn take_passed(fds: &[RawFd]) -> Result<TaskSocket, SocketError> {
    match fds {
        [fd] => Ok(TaskSocket { listener: ffi::take_listener(*fd), made: None }),
        _ => Err(SocketError::Passed(fds.len())),
    }
}

/// Who, besides root, may use the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaemonUser {
    /// Its uid; it may own the directory.
    pub uid: u32,
    /// Its primary group; the socket belongs to it.
    pub gid: u32,
}

/// Makes the socket with mode 0660, owned by root and the daemon's group.
///
/// Owner and mode are right from the first moment: a change of mode by path afterwards could be
/// led to another file by whoever owns the directory.
///
/// # Errors
/// When somebody other than root and the daemon could write to the directory, or a step fails.
pub fn make(path: &Path, daemon: DaemonUser) -> Result<TaskSocket, SocketError> {
    let odd = || SocketError::Path(path.display().to_string());
    let directory = path.parent().filter(|_| path.is_absolute()).ok_or_else(odd)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(odd)?;
    make_directory(directory, daemon)?;
    require_safe(directory, daemon)?;
    let draft = directory.join(format!(".{name}.new"));
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &draft, error));
        }
        _ => {}
    }
    let listener = bind(&draft, daemon).map_err(|error| failed("listen on", &draft, error))?;
    // A rename replaces the socket of a predecessor without a moment in between.
    std::fs::rename(&draft, path).map_err(|error| failed("rename to", path, error))?;
    Ok(TaskSocket { listener, made: Some(path.to_owned()) })
}

fn failed(step: &'static str, path: &Path, source: io::Error) -> SocketError {
    SocketError::Io { step, path: path.display().to_string(), source }
}

/// A directory that is missing is made for the daemon, which has sockets of its own there.
fn make_directory(directory: &Path, daemon: DaemonUser) -> Result<(), SocketError> {
    if directory.exists() {
        return Ok(());
    }
    let before = umask(Mode::from_bits_truncate(0o022));
    let made = DirBuilder::new().recursive(true).mode(0o755).create(directory);
    umask(before);
    made.map_err(|error| failed("make", directory, error))?;
    require_root_only(directory)?;
    std::os::unix::fs::lchown(directory, Some(daemon.uid), Some(daemon.gid))
        .map_err(|error| failed("give away", directory, error))
}

fn require_safe(directory: &Path, daemon: DaemonUser) -> Result<(), SocketError> {
    let look = |error| failed("look at", directory, error);
    let real = directory.canonicalize().map_err(look)?;
    let meta = std::fs::symlink_metadata(&real).map_err(look)?;
    if meta.uid() != daemon.uid {
        require_root_only(&real)?;
    } else if meta.mode() & 0o022 != 0 {
        let (path, mode) = (real.display().to_string(), meta.mode() & 0o7777);
        return Err(OwnershipError::Writable { path, mode }.into());
    } else if let Some(parent) = real.parent() {
        require_root_only(parent)?;
    }
    Ok(())
}

fn bind(path: &Path, daemon: DaemonUser) -> io::Result<UnixListener> {
    let own = nix::unistd::getegid();
    let before = umask(Mode::from_bits_truncate(0o117));
    let bound = nix::unistd::setegid(Gid::from_raw(daemon.gid))
        .map_err(io::Error::from)
        .and_then(|()| UnixListener::bind(path));
    umask(before);
    nix::unistd::setegid(own)?;
    bound
}
