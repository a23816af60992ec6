//! Sockets to listen on: those that systemd passed, else those that the configuration names.

use super::source::Scheme;
use crate::config::Listen;
use std::{
    fs, io,
    net::SocketAddr,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};
use tokio::net::{TcpListener, UnixListener};

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address can't be listened on.
    #[error("cannot listen on {place}: {source}")]
    Bind {
        /// The address or path.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// systemd passed a socket that has no place here.
    #[error(
        "systemd passed a socket named {0:?}; FileDescriptorName= must be rest, login, admin or health"
    )]
    UnknownName(String),
}

/// A socket that accepts HTTP clients.
pub enum HttpListener {
    /// Internet address.
    Tcp(TcpListener, SocketAddr),
    /// Path in the file system, for a reverse proxy on this host.
    Unix(UnixListener, PathBuf),
}

impl HttpListener {
    /// Where it listens, for people; over TCP with this scheme.
    pub fn place(&self, scheme: Scheme) -> String {
        match self {
            Self::Tcp(_, address) => format!("{}://{address}", scheme.as_str()),
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// Opens what the configuration names. A Unix socket is for everybody: who may do what is
    /// decided by the token, and health is no secret.
    ///
    /// # Errors
    /// [`ListenError::Bind`].
    pub async fn open(place: &Listen) -> Result<Self, ListenError> {
        match place {
            Listen::Unix(path) => Ok(Self::Unix(bind(path, 0o666)?, path.clone())),
            Listen::Tcp(address) => {
                let failed = |source| ListenError::Bind { place: address.to_string(), source };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                Ok(Self::Tcp(listener, bound))
            }
        }
    }
}

/// All sockets of the daemon.
#[derive(Default)]
pub struct Listeners {
    /// For REST clients.
    pub rest: Vec<HttpListener>,
    /// For the PAM module.
    pub login: Option<UnixListener>,
    /// For `motleyctl`.
    pub admin: Option<UnixListener>,
    /// For the machines that watch this one.
    pub health: Vec<HttpListener>,
}

impl Listeners {
    /// Sorts the sockets that systemd passed by their names.
    ///
    /// # Errors
    /// When a socket has an unknown name or is of the wrong kind.
    pub fn adopt(passed: Vec<(OwnedFd, String)>) -> Result<Self, ListenError> {
        let mut listeners = Self::default();
        for (fd, name) in passed {
            let failed = |source| ListenError::Bind { place: name.clone(), source };
            match name.as_str() {
                "login" => listeners.login = Some(unix(fd).map_err(failed)?),
                "admin" => listeners.admin = Some(unix(fd).map_err(failed)?),
                "rest" => listeners.rest.push(http(fd).map_err(failed)?),
                "health" => listeners.health.push(http(fd).map_err(failed)?),
                _ => return Err(ListenError::UnknownName(name)),
            }
        }
        Ok(listeners)
    }
}

fn unix(fd: OwnedFd) -> io::Result<UnixListener> {
    let listener = std::os::unix::net::UnixListener::from(fd);
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

fn http(fd: OwnedFd) -> io::Result<HttpListener> {
    let listener = std::net::TcpListener::from(fd);
    listener.set_nonblocking(true)?;
    match listener.local_addr() {
        Ok(address) => Ok(HttpListener::Tcp(TcpListener::from_std(listener)?, address)),
        Err(_) => {
            let listener = unix(OwnedFd::from(listener))?;
            let path = listener.local_addr()?.as_pathname().map(Path::to_owned).unwrap_or_default();
            Ok(HttpListener::Unix(listener, path))
        }
    }
}

/// Opens a Unix socket with exactly this mode. A socket that a dead process left is replaced; one
/// that a living process serves is not.
///
/// # Errors
/// [`ListenError::Bind`].
pub fn bind(path: &Path, mode: u32) -> Result<UnixListener, ListenError> {
    let failed = |source| ListenError::Bind { place: format!("unix:{}", path.display()), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        fs::create_dir_all(folder).map_err(failed)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    // Not followed: a link, or a file that a mistake in the configuration names, is not ours to remove.
    if let Ok(found) = path.symlink_metadata() {
        if !found.file_type().is_socket() {
            return Err(failed(io::Error::other("something that is no socket is in the way")));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(failed(io::ErrorKind::AddrInUse.into()));
        }
        fs::remove_file(path).map_err(failed)?;
    }
    // The process runs under umask 077, so the socket is closed to others until its mode is set.
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_socket_that_nobody_serves_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("motley.db");
        fs::write(&file, "kept").unwrap();
        assert!(bind(&file, 0o600).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(bind(&link, 0o600).is_err());

        let place = folder.path().join("login.sock");
        let first = bind(&place, 0o600).unwrap();
        assert!(bind(&place, 0o600).is_err(), "somebody serves it");
        drop(first);
        assert!(bind(&place, 0o600).is_ok());
    }
}
