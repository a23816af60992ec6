//! The marked part of an `authorized_keys` file, written without being led anywhere by its owner.
//!
//! The home is its owner's, who may swap anything in it at any moment while root works there. So
//! each directory is opened once, not followed if it is a link nor entered if it is a mount, which may
//! never answer, and looked at through its descriptor; the file is never opened for writing but replaced
//! by a new one.

use motley_proto::SshKey;
use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, renameat},
    sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat},
    unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, unlinkat},
};
use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
};

const DIRECTORY: &str = ".ssh";
const FILE: &str = "authorized_keys";
/// The new file, until it takes the place of the old one.
const DRAFT: &str = ".authorized_keys.motley";
/// Most that the file may hold, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// First and last line of our part.
const BEGIN: &str = "# BEGIN keys of the OpenID provider, kept by motley: changes here are lost";
const END: &str = "# END keys of the OpenID provider";

const OPEN: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC)
    // Opening a pipe would wait for its other end.
    .union(OFlag::O_NONBLOCK);

const IS_MOUNT: &str = "is a mount, which is not entered";

/// Opens what stands there, unless it is a link or a mount, also one of the same file system.
fn open_here(parent: &OwnedFd, name: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_NO_XDEV
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_BENEATH;
    openat2(parent, name, OpenHow::new().flags(flags).resolve(resolve))
}

/// Why the keys were not written.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// What is there is not as sshd wants it, or could lead elsewhere.
    #[error("{path} {what}")]
    Unsafe {
        /// Below the home.
        path: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A step failed.
    #[error("{step} {path}: {errno}")]
    Step {
        /// What was being done.
        step: &'static str,
        /// Below the home.
        path: &'static str,
        /// What the system said.
        errno: Errno,
    },
}

/// Makes our part of the file hold exactly these keys; lines of its owner stay. True if the file was
/// changed. Without keys and without a file nothing is made.
///
/// # Errors
/// When something other than the owner's own plain directory and file stands in their places.
pub fn keep(home: &OwnedFd, uid: u32, gid: u32, keys: &[SshKey]) -> Result<bool, KeysError> {
    let Some(directory) = open_directory(home, uid, gid, !keys.is_empty())? else {
        return Ok(false);
    };
    let before = read(&directory, uid)?;
    let after = with_keys(before.as_deref().unwrap_or_default(), keys);
    if before.as_deref().unwrap_or_default() == after.as_slice() {
        return Ok(false);
    }
    replace(&directory, uid, gid, &after)?;
    Ok(true)
}

/// The text with our part replaced. A part whose end its owner took away is the owner's from then on.
///
/// One pass: the file's owner chooses what stands in it, and everybody's tasks wait meanwhile.
fn with_keys(text: &[u8], keys: &[SshKey]) -> Vec<u8> {
    let is = |line: &[u8], mark: &str| line.trim_ascii_end() == mark.as_bytes();
    let mut kept = Vec::with_capacity(text.len());
    // How much was kept when the part began in which this line may lie.
    let mut part: Option<usize> = None;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if is(line, BEGIN) {
            part = Some(kept.len());
        } else if is(line, END) {
            if let Some(before) = part.take() {
                kept.truncate(before);
            }
        } else {
            kept.extend_from_slice(line);
        }
    }
    if keys.is_empty() {
        return kept;
    }
    if !kept.is_empty() && !kept.ends_with(b"\n") {
        kept.push(b'\n');
    }
    for line in std::iter::once(BEGIN).chain(keys.iter().map(SshKey::as_str)).chain([END]) {
        kept.extend_from_slice(line.as_bytes());
        kept.push(b'\n');
    }
    kept
}

/// The directory, made if it is not there and shall be.
fn open_directory(
    home: &OwnedFd,
    uid: u32,
    gid: u32,
    make: bool,
) -> Result<Option<OwnedFd>, KeysError> {
    let flags = OPEN | OFlag::O_DIRECTORY;
    let open = || match open_here(home, DIRECTORY, flags) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::ENOENT) => Ok(None),
        Err(Errno::ELOOP | Errno::ENOTDIR) => Err(wrong(DIRECTORY, "is no directory")),
        Err(Errno::EXDEV) => Err(wrong(DIRECTORY, IS_MOUNT)),
        Err(errno) => Err(step("open", DIRECTORY, errno)),
    };
    let found = open()?;
    if found.is_none() && !make {
        return Ok(None);
    }
    let made = match found {
        Some(_) => None,
        None => make_directory(home)?,
    };
    let opened = match found {
        Some(fd) => Some(fd),
        None => open()?,
    };
    let fd = opened.ok_or_else(|| step("open", DIRECTORY, Errno::ENOENT))?;
    let stat = fstat(&fd).map_err(|errno| step("look at", DIRECTORY, errno))?;
    match made {
        Some(made) if stat.st_uid == 0 => {
            require_fresh(&fd, &stat, &made)?;
            fchown(&fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .and_then(|()| fsync(home))
                .map_err(|errno| step("give away", DIRECTORY, errno))?;
        }
        _ => require_own(DIRECTORY, &stat, uid)?,
    }
    Ok(Some(fd))
}

/// What was made; `None` when somebody else was quicker.
fn make_directory(home: &OwnedFd) -> Result<Option<FileStat>, KeysError> {
    match mkdirat(home, DIRECTORY, Mode::S_IRWXU) {
        Ok(()) => open_here(home, DIRECTORY, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .and_then(fstat)
            .map(Some)
            .map_err(|errno| step("look at", DIRECTORY, errno)),
        Err(Errno::EEXIST) => Ok(None),
        Err(errno) => Err(step("make", DIRECTORY, errno)),
    }
}

/// The owner of the home may swap in another directory of root's that lies there, which must not
/// become theirs with what is in it.
fn require_fresh(fd: &OwnedFd, stat: &FileStat, made: &FileStat) -> Result<(), KeysError> {
    let same = (stat.st_dev, stat.st_ino) == (made.st_dev, made.st_ino);
    let is_closed = stat.st_mode & 0o777 == 0o700;
    if same && is_closed && is_empty(fd)? {
        Ok(())
    } else {
        Err(wrong(DIRECTORY, "belongs to root and is not the one that was made"))
    }
}

fn is_empty(fd: &OwnedFd) -> Result<bool, KeysError> {
    let failed = |errno| step("list", DIRECTORY, errno);
    let flags = OPEN | OFlag::O_DIRECTORY;
    let mut listing = Dir::openat(fd, ".", flags, Mode::empty()).map_err(failed)?;
    for entry in listing.iter() {
        if !matches!(entry.map_err(failed)?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The content of the file; `None` when there is none.
fn read(directory: &OwnedFd, uid: u32) -> Result<Option<Vec<u8>>, KeysError> {
    let fd = match open_here(directory, FILE, OPEN) {
        Ok(fd) => fd,
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ELOOP) => return Err(wrong(FILE, "is a link")),
        Err(Errno::EXDEV) => return Err(wrong(FILE, IS_MOUNT)),
        Err(errno) => return Err(step("open", FILE, errno)),
    };
    let stat = fstat(&fd).map_err(|errno| step("look at", FILE, errno))?;
    if stat.st_mode & nix::libc::S_IFMT != nix::libc::S_IFREG {
        return Err(wrong(FILE, "is no plain file"));
    }
    require_own(FILE, &stat, uid)?;
    // A second name may stand where its owner has no right to write.
    if stat.st_nlink != 1 {
        return Err(wrong(FILE, "has another name too"));
    }
    let mut text = Vec::new();
    File::from(fd).take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        step("read", FILE, errno)
    })?;
    if text.len() as u64 > MAX_BYTES {
        return Err(wrong(FILE, "is longer than 1 MiB"));
    }
    Ok(Some(text))
}

fn require_own(path: &'static str, stat: &FileStat, uid: u32) -> Result<(), KeysError> {
    if stat.st_uid != uid {
        Err(wrong(path, "belongs to somebody else"))
    } else if stat.st_mode & 0o022 != 0 {
        Err(wrong(path, "is writable by others, so that sshd would not read it"))
    } else {
        Ok(())
    }
}

/// The new file is root's until it is whole, and takes the old one's place in one step.
fn replace(directory: &OwnedFd, uid: u32, gid: u32, text: &[u8]) -> Result<(), KeysError> {
    match unlinkat(directory, DRAFT, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(step("remove", DRAFT, errno)),
    }
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let fd = openat(directory, DRAFT, flags, Mode::S_IRUSR | Mode::S_IWUSR)
        .map_err(|errno| step("make", DRAFT, errno))?;
    let mut file = File::from(fd);
    let written = file.write_all(text).map_err(|error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        step("write", DRAFT, errno)
    });
    let done = written.and_then(|()| {
        fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .and_then(|()| fchmod(&file, Mode::S_IRUSR | Mode::S_IWUSR))
            .and_then(|()| fsync(&file))
            .and_then(|()| renameat(directory, DRAFT, directory, FILE))
            .and_then(|()| fsync(directory))
            .map_err(|errno| step("put in place", FILE, errno))
    });
    done.inspect_err(|_| {
        let _ = unlinkat(directory, DRAFT, UnlinkatFlags::NoRemoveDir);
    })
}

fn wrong(path: &'static str, what: &'static str) -> KeysError {
    KeysError::Unsafe { path, what }
}

fn step(step: &'static str, path: &'static str, errno: Errno) -> KeysError {
    KeysError::Step { step, path, errno }
}

#[cfg(test)]
mod tests;
