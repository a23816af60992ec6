//! Makes and removes home directories by descriptor, so that no name can lead anywhere else.
//!
//! A home is filled under a name that no account can have and then renamed: it is there whole or
//! not at all, and what was there before is never taken over.

mod delete;

use crate::ownership::{OwnershipError, require_root_only};
use delete::{Deletion, delete, rename_new};
use nix::{
    dir::{Dir, Type},
    errno::Errno,
    fcntl::{AtFlags, OFlag, open, openat, readlinkat},
    sys::stat::{FileStat, Mode, fchmod, fstat, fstatat, mkdirat},
    unistd::{Gid, Uid, fchown, fchownat, symlinkat},
};
use std::{
    ffi::{CStr, CString},
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Why a home can't be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Somebody other than root may write into the directory of homes.
    #[error(
        "{0} must belong to root and be writable by root only; run: chown root {0} && chmod go-w {0}"
    )]
    UnsafeBase(String),
    /// Somebody other than root may look into the directory of homes that were put aside.
    #[error(
        "{0} must be a directory of root's, closed to everybody else; move it away, or run: chown root:root {0} && chmod 0700 {0}"
    )]
    UnsafeShelf(String),
    /// Something that is not this account's home stands in its place.
    #[error("{path} is {what}; move it away")]
    InTheWay {
        /// Where the home was to be.
        path: String,
        /// What is there.
        what: String,
    },
    /// A step failed.
    #[error("{step} {path}: {errno}")]
    Step {
        /// What was being done.
        step: &'static str,
        /// With what.
        path: String,
        /// What the system said.
        errno: Errno,
    },
}

/// What stands where a home is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// A directory of this uid.
    Directory(u32),
    /// A link, pipe, file or device.
    Other,
}

/// To whom a home belongs and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHome<'a> {
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
    /// Directory whose content it begins with.
    pub skel: &'a Path,
}

/// Directory beside the homes in which those of removed accounts are put aside. Begins with a dot,
/// which no account name does.
const SHELF: &str = ".removed";
/// Deepest directory that is copied.
const MAX_DEPTH: usize = 32;
/// Largest file that is copied from the skeleton, in bytes.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// A directory in which homes are made, held open.
#[derive(Debug)]
pub struct HomeBase {
    fd: OwnedFd,
    path: PathBuf,
}

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC).union(OFlag::O_NONBLOCK);

const NOFOLLOW: AtFlags = AtFlags::AT_SYMLINK_NOFOLLOW;

impl HomeBase {
    /// Opens it. The path comes from root's configuration, so links on the way are followed.
    ///
    /// # Errors
    /// When it does not exist, or somebody other than root may write it or a directory above: whoever
    /// can rename it decides where homes are made.
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        let failed = |errno| step("open", path, errno);
        let real = require_root_only(path).map_err(|error| match error {
            OwnershipError::Io { source, .. } => {
                failed(source.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
            }
            OwnershipError::Owner { path, .. } | OwnershipError::Writable { path, .. } => {
                HomeError::UnsafeBase(path)
            }
        })?;
        let fd = open(&real, DIRECTORY, Mode::empty()).map_err(failed)?;
        let stat = fstat(&fd).map_err(failed)?;
        if stat.st_uid != 0 || stat.st_mode & 0o022 != 0 {
            return Err(HomeError::UnsafeBase(path.display().to_string()));
        }
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Says what stands under a name.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn look(&self, name: &str) -> Result<Seen, HomeError> {
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) if is_directory(&stat) => Ok(Seen::Directory(stat.st_uid)),
            Ok(_) => Ok(Seen::Other),
            Err(Errno::ENOENT) => Ok(Seen::Nothing),
            Err(errno) => Err(step("look at", &self.path.join(name), errno)),
        }
    }

    /// Makes the home, or leaves it as it is when it is there and belongs to its owner.
    ///
    /// # Errors
    /// [`HomeError::InTheWay`] when anything else stands there.
    pub fn make(&self, name: &str, home: &NewHome<'_>) -> Result<(), HomeError> {
        match self.look(name)? {
            Seen::Directory(uid) if uid == home.uid => return Ok(()),
            Seen::Nothing => {}
            other => return Err(self.in_the_way(name, other)),
        }
        let draft = draft_name(name);
        self.remove_tree(&draft)?;
        let at = self.path.join(&draft);
        mkdirat(&self.fd, draft.as_str(), Mode::S_IRWXU).map_err(|e| step("make", &at, e))?;
        let fd = self.open_below(&draft)?;
        copy_skeleton(home, fd.as_fd(), &at)?;
        finish_directory(fd, home, &at)?;
        self.put_in_place(&draft, name)
    }

    /// Opens the home of this uid; `None` when there is no such directory.
    ///
    /// # Errors
    /// When the system does not open it.
    pub fn open_home(&self, name: &str, uid: u32) -> Result<Option<OwnedFd>, HomeError> {
        if self.look(name)? != Seen::Directory(uid) {
            return Ok(None);
        }
        let fd = self.open_below(name)?;
        let stat = fstat(&fd).map_err(|errno| step("look at", &self.path.join(name), errno))?;
        Ok((stat.st_uid == uid).then_some(fd))
    }

    /// Removes a home that was made for this uid; anything else stays.
    ///
    /// # Errors
    /// When a step fails; then part of it remains.
    pub fn remove(&self, name: &str, uid: u32) -> Result<(), HomeError> {
        self.remove_tree(&draft_name(name))?;
        if self.look(name)? == Seen::Directory(uid) { self.remove_tree(name) } else { Ok(()) }
    }

    /// Puts a home of this uid aside, whole and in one step, where root alone can look into it. False
    /// when there is no such home, or a file system of its own is mounted there.
    ///
    /// Nothing in the home is opened, so nothing in it can lead anywhere; what is mounted below goes
    /// along as it is.
    ///
    /// # Errors
    /// [`HomeError::UnsafeShelf`], or when a step fails; then the home is where it was.
    pub fn put_aside(&self, name: &str, uid: u32, archive: &str) -> Result<bool, HomeError> {
        if self.look(name)? != Seen::Directory(uid) {
            return Ok(false);
        }
        let shelf = self.open_shelf()?;
        let at = self.path.join(SHELF).join(archive);
        match rename_new(self.fd.as_fd(), name, shelf.as_fd(), archive) {
            Err(Errno::EBUSY | Errno::EXDEV) => return Ok(false),
            done => done,
        }
        .and_then(|()| nix::unistd::fsync(&shelf))
        .and_then(|()| nix::unistd::fsync(&self.fd))
        .map_err(|errno| step("put aside as", &at, errno))?;
        Ok(true)
    }

    /// Where a home that was put aside lies; `None` when there is none of that name.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn aside(&self, archive: &str) -> Result<Option<PathBuf>, HomeError> {
        let at = Path::new(SHELF).join(archive);
        match fstatat(&self.fd, &at, NOFOLLOW) {
            Ok(_) => Ok(Some(self.path.join(at))),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(step("look at", &self.path.join(at), errno)),
        }
    }

    /// Deletes homes that were put aside under a name with this ending, each for this long before it
    /// is the next one's turn, until none is left.
    ///
    /// No link is followed and no mount is entered, whatever file system it shows. Depth and number of
    /// files do not count.
    ///
    /// # Errors
    /// [`HomeError::UnsafeShelf`], or the first thing that can't be removed; then it stays, and what is
    /// beside it is gone.
    pub fn delete_aside(&self, ending: &str, turn: Duration) -> Result<(), HomeError> {
        match fstatat(&self.fd, SHELF, NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(step("look at", &self.path.join(SHELF), errno)),
            Ok(_) => {}
        }
        let shelf = self.open_shelf()?;
        let at = self.path.join(SHELF);
        let mut waiting = list(shelf.as_fd(), &at)?;
        waiting.retain(|(name, _)| name.to_bytes().ends_with(ending.as_bytes()));
        let mut first = Ok(());
        while !waiting.is_empty() {
            waiting.retain(|(name, _)| {
                let until = Instant::now() + turn;
                match delete(shelf.as_fd(), name, &shown(&at, name), Some(until)) {
                    Ok(Deletion::NotYet) => true,
                    Ok(Deletion::Whole) => false,
                    // One that can't be deleted keeps no other.
                    Err(error) => {
                        if first.is_ok() {
                            first = Err(error);
                        }
                        false
                    }
                }
            });
        }
        first
    }

    fn open_shelf(&self) -> Result<OwnedFd, HomeError> {
        let at = self.path.join(SHELF);
        match mkdirat(&self.fd, SHELF, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(step("make", &at, errno)),
        }
        let unsafe_shelf = || HomeError::UnsafeShelf(at.display().to_string());
        let shelf = openat(&self.fd, SHELF, DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty()).map_err(
            |errno| match errno {
                Errno::ELOOP | Errno::ENOTDIR => unsafe_shelf(),
                errno => step("open", &at, errno),
            },
        )?;
        let stat = fstat(&shelf).map_err(|errno| step("look at", &at, errno))?;
        if stat.st_uid != 0 || stat.st_mode & 0o077 != 0 { Err(unsafe_shelf()) } else { Ok(shelf) }
    }

    fn in_the_way(&self, name: &str, seen: Seen) -> HomeError {
        let what = match seen {
            Seen::Directory(uid) => format!("a directory of uid {uid}"),
            Seen::Nothing | Seen::Other => "no directory".to_owned(),
        };
        HomeError::InTheWay { path: self.path.join(name).display().to_string(), what }
    }

    fn open_below(&self, name: &str) -> Result<OwnedFd, HomeError> {
        openat(&self.fd, name, DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())
            .map_err(|errno| step("open", &self.path.join(name), errno))
    }

    /// Renames without ever replacing what is there.
    fn put_in_place(&self, draft: &str, name: &str) -> Result<(), HomeError> {
        let done = match rename_new(self.fd.as_fd(), draft, self.fd.as_fd(), name) {
            Err(Errno::EEXIST) => return Err(self.in_the_way(name, self.look(name)?)),
            done => done,
        };
        let synced = done.and_then(|()| nix::unistd::fsync(&self.fd));
        synced.map_err(|errno| step("rename to", &self.path.join(name), errno))
    }

    fn remove_tree(&self, name: &str) -> Result<(), HomeError> {
        let at = self.path.join(name);
        let Ok(name) = CString::new(name) else { return Ok(()) };
        delete(self.fd.as_fd(), &name, &at, None).map(drop)
    }
}

/// Begins with a dot, which no account name does.
fn draft_name(name: &str) -> String {
    format!(".{name}.new")
}

fn step(step: &'static str, path: &Path, errno: Errno) -> HomeError {
    HomeError::Step { step, path: path.display().to_string(), errno }
}

fn is_directory(stat: &FileStat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFDIR
}

fn shown(path: &Path, name: &CStr) -> PathBuf {
    path.join(name.to_string_lossy().as_ref())
}

/// Names in a directory that is root's, read whole before anything in it changes.
fn list(fd: BorrowedFd<'_>, path: &Path) -> Result<Vec<(CString, Option<Type>)>, HomeError> {
    let failed = |errno| step("list", path, errno);
    let mut dir = Dir::openat(fd, ".", DIRECTORY, Mode::empty()).map_err(failed)?;
    let mut names = Vec::new();
    for entry in dir.iter() {
        let entry = entry.map_err(failed)?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    Ok(names)
}

fn copy_skeleton(home: &NewHome<'_>, to: BorrowedFd<'_>, at: &Path) -> Result<(), HomeError> {
    match open(home.skel, DIRECTORY, Mode::empty()) {
        Ok(from) => copy_directory(home, (from.as_fd(), home.skel), (to, at), MAX_DEPTH),
        // A site without a skeleton has empty homes.
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(step("open", home.skel, errno)),
    }
}

type Place<'a> = (BorrowedFd<'a>, &'a Path);

fn copy_directory(
    home: &NewHome<'_>,
    from: Place<'_>,
    to: Place<'_>,
    depth: usize,
) -> Result<(), HomeError> {
    for (name, _) in list(from.0, from.1)? {
        let source = shown(from.1, &name);
        let stat = fstatat(from.0, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
            .map_err(|errno| step("look at", &source, errno))?;
        match stat.st_mode & libc::S_IFMT {
            libc::S_IFREG => copy_file(home, from, to, &name, stat.st_mode)?,
            libc::S_IFLNK => copy_link(home, from, to, &name)?,
            libc::S_IFDIR if depth > 0 => {
                let below =
                    openat(from.0, name.as_c_str(), DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())
                        .map_err(|errno| step("open", &source, errno))?;
                let path = shown(to.1, &name);
                mkdirat(to.0, name.as_c_str(), Mode::S_IRWXU)
                    .map_err(|e| step("make", &path, e))?;
                let made =
                    openat(to.0, name.as_c_str(), DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())
                        .map_err(|errno| step("open", &path, errno))?;
                copy_directory(home, (below.as_fd(), &source), (made.as_fd(), &path), depth - 1)?;
                let mode = stat.st_mode & 0o755;
                finish_directory(made, &NewHome { mode, ..home.clone() }, &path)?;
            }
            // Pipes, sockets and devices have no place in a skeleton, and reading one can hang.
            _ => {}
        }
    }
    Ok(())
}

fn copy_file(
    home: &NewHome<'_>,
    from: Place<'_>,
    to: Place<'_>,
    name: &CStr,
    mode: libc::mode_t,
) -> Result<(), HomeError> {
    let (source, path) = (shown(from.1, name), shown(to.1, name));
    let read = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let write = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let input = openat(from.0, name, read, Mode::empty()).map_err(|e| step("open", &source, e))?;
    let output =
        openat(to.0, name, write, Mode::S_IRUSR).map_err(|errno| step("make", &path, errno))?;
    let (input, mut output) = (File::from(input), File::from(output));
    io::copy(&mut io::Read::take(input, MAX_FILE_BYTES), &mut output)
        .map_err(|error| step("copy to", &path, errno_of(&error)))?;
    give(&output, home).map_err(|errno| step("give away", &path, errno))?;
    // Never a set-id bit: root's programs in the skeleton must not run as the user's.
    fchmod(&output, Mode::from_bits_truncate(mode & 0o755))
        .map_err(|e| step("set mode of", &path, e))
}

fn copy_link(
    home: &NewHome<'_>,
    from: Place<'_>,
    to: Place<'_>,
    name: &CStr,
) -> Result<(), HomeError> {
    let path = shown(to.1, name);
    let target =
        readlinkat(from.0, name).map_err(|errno| step("read", &shown(from.1, name), errno))?;
    symlinkat(target.as_os_str(), to.0, name)
        .and_then(|()| {
            let owner = (Some(Uid::from_raw(home.uid)), Some(Gid::from_raw(home.gid)));
            fchownat(to.0, name, owner.0, owner.1, AtFlags::AT_SYMLINK_NOFOLLOW)
        })
        .map_err(|errno| step("link", &path, errno))
}

fn give(file: impl AsFd, home: &NewHome<'_>) -> Result<(), Errno> {
    fchown(file, Some(Uid::from_raw(home.uid)), Some(Gid::from_raw(home.gid)))
}

fn finish_directory(fd: OwnedFd, home: &NewHome<'_>, path: &Path) -> Result<(), HomeError> {
    fchmod(&fd, Mode::from_bits_truncate(home.mode))
        .and_then(|()| give(&fd, home))
        .and_then(|()| nix::unistd::fsync(&fd))
        .map_err(|errno| step("finish", path, errno))
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests;
