//! The broker's folder, which only this user can enter: its socket, and the names under which others start this program.

use crate::{files, folders};
use nix::{sys::stat, unistd};
use std::{
    io,
    os::unix::{
        fs::{MetadataExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

/// Name under which ssh starts this program to answer a prompt.
pub(crate) const ASKPASS: &str = "mccli-askpass";
/// Folder with `ssh`, `scp` and `sftp` that log in by the broker.
const PROGRAMS: &str = "bin";
/// The socket.
const SOCKET: &str = "broker";

/// The folder; gone when dropped.
pub(super) struct Nest {
    folder: PathBuf,
    pub(super) listener: UnixListener,
}

impl Nest {
    /// Makes the folder and listens.
    pub(super) fn build() -> io::Result<Self> {
        let folder = unistd::mkdtemp(&base()?.join("mccli-XXXXXX"))?;
        match furnish(&folder) {
            Ok(listener) => Ok(Self { folder, listener }),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    /// Where the socket is.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        // Links are taken away, not followed.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn furnish(folder: &Path) -> io::Result<UnixListener> {
    let own_path = std::env::current_exe()?;
    symlink(&own_path, folder.join(ASKPASS))?;
    let programs = folder.join(PROGRAMS);
    std::fs::create_dir(&programs)?;
    for name in ["ssh", "scp", "sftp"] {
        symlink(&own_path, programs.join(name))?;
    }
    // mkdtemp makes the folder 0700; the socket is 0600 from its first moment.
    let before = stat::umask(stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(folder.join(SOCKET));
    // Folders that are made later must be such that one can enter them.
    stat::umask(before);
    listener
}

/// True if nobody else can have put there what is beside this socket: environments outlive brokers.
pub(crate) fn is_ours(socket: &Path) -> bool {
    let folder = socket.parent().map(std::fs::symlink_metadata);
    matches!(folder, Some(Ok(it)) if it.is_dir()
        && it.uid() == unistd::geteuid().as_raw()
        && it.mode() & 0o077 == 0)
}

/// The program that ssh starts to answer a prompt, beside this socket.
pub(crate) fn askpass_beside(socket: &Path) -> PathBuf {
    socket.with_file_name(ASKPASS)
}

/// The socket beside the askpass that was started under this name.
pub(crate) fn socket_beside(askpass: &Path) -> PathBuf {
    askpass.with_file_name(SOCKET)
}

/// The folder with `ssh`, `scp` and `sftp`, beside this socket.
pub(crate) fn programs_beside(socket: &Path) -> PathBuf {
    socket.with_file_name(PROGRAMS)
}

/// The runtime directory, else a folder of the user's: where others can make files, they could make
/// this one anew once it is gone, and what environments still name would be their programs.
fn base() -> io::Result<PathBuf> {
    if let Some(runtime) = folders::runtime() {
        return Ok(runtime);
    }
    let own = folders::state();
    files::private_folder(&own).map_err(|error| {
        let what = format!(
            "{}: {error}; without XDG_RUNTIME_DIR a folder in your home is needed",
            own.display()
        );
        io::Error::new(error.kind(), what)
    })?;
    Ok(own)
}
