//! Deletes a directory with all that is below: no link is followed and no mount is entered.
//!
//! Its owner chose how wide and how deep it is. Names are taken from the directory one after another
//! and never collected; what lies too deep is moved up to the top and deleted from there.

use super::{DIRECTORY, HomeError, NOFOLLOW, shown, step};
use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, OpenHow, RenameFlags, ResolveFlag, openat2, renameat, renameat2},
    sys::stat::{Mode, fstatat},
    unistd::{UnlinkatFlags, unlinkat},
};
use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::Instant,
};

/// Deepest directory that is opened, counted from the top.
const MAX_DEPTH: usize = 32;
/// How often a directory that seemed to be empty is looked through again: some file systems pass
/// over names while others are removed.
const PASSES: usize = 16;

/// How far a deletion came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletion {
    /// Nothing is left.
    Whole,
    /// The time was over; the next call goes on.
    NotYet,
}

/// Deletes what stands under the name, until the time is over; each call deletes something.
///
/// # Errors
/// The first thing that stays, such as a mount; everything beside it is deleted all the same.
pub(super) fn delete(
    parent: BorrowedFd<'_>,
    name: &CStr,
    at: &Path,
    until: Option<Instant>,
) -> Result<Deletion, HomeError> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(Deletion::Whole),
        Err(Errno::EISDIR) => {}
        Err(errno) => return Err(step("remove", at, errno)),
    }
    let top = open_below(parent, name).map_err(|errno| step("remove", at, errno))?;
    let mut run = Run { top: top.as_fd(), free: 0, lifted: 0, first: None, until };
    let mut passes = 0;
    loop {
        let lifted = run.lifted;
        run.first = None;
        let errno = match run.clear(run.top, at, MAX_DEPTH) {
            Cleared::NotYet => return Ok(Deletion::NotYet),
            Cleared::InPart => Errno::ENOTEMPTY,
            Cleared::Whole => match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => return Ok(Deletion::Whole),
                Err(errno) => errno,
            },
        };
        passes += 1;
        // What was moved up in this pass may not have been seen in it.
        let more = run.lifted > lifted || (run.first.is_none() && passes < PASSES);
        if errno != Errno::ENOTEMPTY || !more {
            return Err(run.first.take().unwrap_or_else(|| step("remove", at, errno)));
        }
    }
}

/// Opens a directory, unless it is a link or a mount, also one of the same file system.
fn open_below(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_NO_XDEV
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_BENEATH;
    let how = OpenHow::new().flags(DIRECTORY | OFlag::O_NOFOLLOW).resolve(resolve);
    openat2(parent, name, how)
}

/// What became of the content of a directory, or of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cleared {
    /// It is gone.
    Whole,
    /// Something stays, and is noted.
    InPart,
    /// The time was over.
    NotYet,
}

/// One call of [`delete`].
struct Run<'a> {
    top: BorrowedFd<'a>,
    /// Number in the next name that is tried at the top.
    free: u64,
    /// Directories that were moved up.
    lifted: u64,
    /// The first thing that stays.
    first: Option<HomeError>,
    until: Option<Instant>,
}

impl Run<'_> {
    fn clear(&mut self, here: BorrowedFd<'_>, at: &Path, depth: usize) -> Cleared {
        let mut dir = match Dir::openat(here, ".", DIRECTORY, Mode::empty()) {
            Ok(dir) => dir,
            Err(errno) => return self.keep(step("list", at, errno)),
        };
        let mut done = Cleared::Whole;
        for entry in dir.iter() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => return self.keep(step("list", at, errno)),
            };
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            match self.remove(here, entry.file_name(), at, depth) {
                Cleared::Whole => {}
                Cleared::InPart => done = Cleared::InPart,
                Cleared::NotYet => return Cleared::NotYet,
            }
            if self.until.is_some_and(|until| Instant::now() >= until) {
                return Cleared::NotYet;
            }
        }
        done
    }

    fn remove(&mut self, here: BorrowedFd<'_>, name: &CStr, at: &Path, depth: usize) -> Cleared {
        match unlinkat(here, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Cleared::Whole,
            Err(Errno::EISDIR) => {}
            Err(errno) => return self.keep(step("remove", &shown(at, name), errno)),
        }
        let at = shown(at, name);
        let Some(depth) = depth.checked_sub(1) else { return self.lift(here, name, &at) };
        let fd = match open_below(here, name) {
            Ok(fd) => fd,
            Err(errno) => return self.keep(step("remove", &at, errno)),
        };
        for _ in 0..PASSES {
            match self.clear(fd.as_fd(), &at, depth) {
                Cleared::Whole => {}
                other => return other,
            }
            match unlinkat(here, name, UnlinkatFlags::RemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => return Cleared::Whole,
                Err(Errno::ENOTEMPTY) => {}
                Err(errno) => return self.keep(step("remove", &at, errno)),
            }
        }
        self.keep(step("remove", &at, Errno::ENOTEMPTY))
    }

    /// Moves a directory up to the top, under a name that is free there.
    fn lift(&mut self, here: BorrowedFd<'_>, name: &CStr, at: &Path) -> Cleared {
        loop {
            let free = format!(".motley-{}", self.free);
            self.free += 1;
            match rename_new(here, name, self.top, &free) {
                Ok(()) => {
                    self.lifted += 1;
                    return Cleared::Whole;
                }
                Err(Errno::EEXIST) => {}
                Err(errno) => return self.keep(step("move up", at, errno)),
            }
        }
    }

    fn keep(&mut self, error: HomeError) -> Cleared {
        self.first.get_or_insert(error);
        Cleared::InPart
    }
}

/// Renames without ever replacing what is there.
pub(super) fn rename_new<N: ?Sized + nix::NixPath>(
    from: BorrowedFd<'_>,
    name: &N,
    to: BorrowedFd<'_>,
    new: &str,
) -> Result<(), Errno> {
    match renameat2(from, name, to, new, RenameFlags::RENAME_NOREPLACE) {
        // Network file systems do not know the flag; only root can come in between here.
        Err(Errno::EINVAL | Errno::ENOSYS) => match fstatat(to, new, NOFOLLOW) {
            Err(Errno::ENOENT) => renameat(from, name, to, new),
            Ok(_) => Err(Errno::EEXIST),
            Err(errno) => Err(errno),
        },
        done => done,
    }
}
