//! Jobs of cron(8) and at(1) that wait for one account: put aside, and put back as they were.
//!
//! A job is moved as it is, within the spool, so owner, mode and labels stay and none is ever read,
//! copied or lost. Where they are held root alone can look, and neither cron nor at does.

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, RenameFlags, open, openat, renameat2},
    sys::stat::{Mode, fstat, fstatat, mkdirat},
    unistd::{UnlinkatFlags, fsync, unlinkat},
};
use std::{
    ffi::CStr,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

/// Where the jobs of both wait, below the root of the file system.
const SPOOL: &str = "var/spool/cron";
/// Directory of crontabs in it, each named like its account.
const CRONTABS: &str = "crontabs";
/// Directory of the jobs of at in it, each owned by its account.
const AT_JOBS: &str = "atjobs";
/// Directory in which jobs are held. Begins with a dot, which no account name does.
const SHELF: &str = ".motley-held";
/// How a crontab is called where it is held; a later one gets a number.
const CRONTAB: &str = "crontab";
/// What the name of a job of at begins with where it is held.
const AT_JOB: &str = "at-";
/// Bytes in the name of a job of at: queue, number, time.
const AT_NAME_BYTES: usize = 14;
/// Jobs of one name that are held at once.
const MAX_SAME: u32 = 100;

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC).union(OFlag::O_NOFOLLOW);
const NOFOLLOW: AtFlags = AtFlags::AT_SYMLINK_NOFOLLOW;

/// Why jobs could not be put aside or back.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// Somebody other than root may write where jobs wait or are held.
    #[error(
        "/{0} must belong to root and be writable by root only; run: chown root /{0} && chmod go-w /{0}"
    )]
    Unsafe(String),
    /// A step failed.
    #[error("{step} /{path}: {errno}")]
    Step {
        /// What was being done.
        step: &'static str,
        /// With what.
        path: String,
        /// What the system said.
        errno: Errno,
    },
}

/// What was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PutBack {
    /// Jobs that wait again.
    pub jobs: u32,
    /// Jobs whose place is taken or missing; they stay where they are held.
    pub left: u32,
    /// True if some of them are of at, which does not look for new ones by itself.
    pub of_at: bool,
}

/// The spool of one host, held open.
#[derive(Debug)]
pub struct Jobs {
    spool: OwnedFd,
}

impl Jobs {
    /// Opens the spool below `root`; `None` where there is no cron and no at.
    ///
    /// # Errors
    /// When it can't be opened, or somebody other than root may change what stands in it.
    pub fn open(root: &Path) -> Result<Option<Self>, JobsError> {
        let spool = match open(&root.join(SPOOL), DIRECTORY, Mode::empty()) {
            Ok(spool) => spool,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(step("open", SPOOL, errno)),
        };
        require_roots(&spool, SPOOL, 0o022)?;
        Ok(Some(Self { spool }))
    }

    /// Puts aside every job that waits for the account, and yields how many there were.
    ///
    /// # Errors
    /// When one can't be put aside; those before it are.
    pub fn hold(&self, name: &str, uid: u32) -> Result<u32, JobsError> {
        let mut held = 0;
        if let Some(from) = self.below(CRONTABS)?
            && is_file(&from, name, CRONTABS)?.is_some()
        {
            self.put_aside(&from, CRONTABS, name, &shelf_of(name, uid), CRONTAB)?;
            held += 1;
        }
        if let Some(from) = self.below(AT_JOBS)? {
            for job in list(&from, AT_JOBS)?.iter().filter(|job| is_at_job(job)) {
                if is_file(&from, job, AT_JOBS)? == Some(uid) {
                    let kept = format!("{AT_JOB}{job}");
                    self.put_aside(&from, AT_JOBS, job, &shelf_of(name, uid), &kept)?;
                    held += 1;
                }
            }
        }
        Ok(held)
    }

    /// Puts back every job that is held for the account. Where a crontab was made meanwhile, the
    /// held one stays aside.
    ///
    /// # Errors
    /// When one can't be put back; those before it are.
    pub fn put_back(&self, name: &str, uid: u32) -> Result<PutBack, JobsError> {
        let own = shelf_of(name, uid);
        let Some(shelf) = self.shelf_if_there()? else { return Ok(PutBack::default()) };
        let shown = format!("{SPOOL}/{SHELF}/{own}");
        let from = match openat(&shelf, own.as_str(), DIRECTORY, Mode::empty()) {
            Ok(from) => from,
            Err(Errno::ENOENT) => return Ok(PutBack::default()),
            Err(errno) => return Err(step("open", &shown, errno)),
        };
        let mut kept = list(&from, &shown)?;
        // The latest of several first: the account's owner meant it to replace the others.
        kept.sort_by_key(|kept| std::cmp::Reverse((kept.len(), kept.clone())));
        let mut done = PutBack::default();
        for kept in &kept {
            let (place, target) = match kept.strip_prefix(AT_JOB) {
                Some(job) => (AT_JOBS, job.split('.').next().unwrap_or_default()),
                None => (CRONTABS, name),
            };
            let back = match self.below(place)? {
                None => Err(Errno::ENOENT),
                Some(to) => {
                    let noreplace = RenameFlags::RENAME_NOREPLACE;
                    renameat2(&from, kept.as_str(), &to, target, noreplace)
                        .and_then(|()| fsync(&to))
                }
            };
            match back {
                Ok(()) => {
                    done.jobs += 1;
                    done.of_at |= place == AT_JOBS;
                }
                // Another stands there, or the program that it waits for is not installed now.
                Err(Errno::EEXIST | Errno::ENOENT) => done.left += 1,
                Err(errno) => return Err(step("put back", &format!("{shown}/{kept}"), errno)),
            }
        }
        if done.left == 0 {
            let _ = unlinkat(&shelf, own.as_str(), UnlinkatFlags::RemoveDir);
        }
        Ok(done)
    }

    /// Puts aside the jobs of an account that is removed, under the name of its archive, where they
    /// are never put back from.
    ///
    /// # Errors
    /// When a step fails.
    pub fn archive(&self, name: &str, uid: u32, archive: &str) -> Result<(), JobsError> {
        self.hold(name, uid)?;
        let Some(shelf) = self.shelf_if_there()? else { return Ok(()) };
        let own = shelf_of(name, uid);
        match renameat2(&shelf, own.as_str(), &shelf, archive, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) | Err(Errno::ENOENT | Errno::EEXIST) => Ok(()),
            Err(errno) => Err(step("rename to", &format!("{SPOOL}/{SHELF}/{archive}"), errno)),
        }
    }

    /// A directory of the spool; `None` where the program that it belongs to is not installed.
    fn below(&self, name: &str) -> Result<Option<OwnedFd>, JobsError> {
        match openat(&self.spool, name, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(step("open", &format!("{SPOOL}/{name}"), errno)),
        }
    }

    fn shelf_if_there(&self) -> Result<Option<OwnedFd>, JobsError> {
        let Some(shelf) = self.below(SHELF)? else { return Ok(None) };
        require_roots(&shelf, &format!("{SPOOL}/{SHELF}"), 0o077)?;
        Ok(Some(shelf))
    }

    fn put_aside(
        &self,
        from: &OwnedFd,
        place: &str,
        job: &str,
        own: &str,
        kept: &str,
    ) -> Result<(), JobsError> {
        make(&self.spool, SHELF)?;
        let shelf = self.shelf_if_there()?.ok_or_else(|| step("open", SHELF, Errno::ENOENT))?;
        make(&shelf, own)?;
        let to = openat(&shelf, own, DIRECTORY, Mode::empty())
            .map_err(|errno| step("open", &format!("{SPOOL}/{SHELF}/{own}"), errno))?;
        let numbered = (2..MAX_SAME).map(|number| format!("{kept}.{number}"));
        for kept in std::iter::once(kept.to_owned()).chain(numbered) {
            match renameat2(from, job, &to, kept.as_str(), RenameFlags::RENAME_NOREPLACE) {
                Err(Errno::EEXIST) => {}
                // It was run, or taken away by its owner.
                Err(Errno::ENOENT) => return Ok(()),
                done => {
                    let synced = done.and_then(|()| fsync(&to)).and_then(|()| fsync(from));
                    let at = format!("{SPOOL}/{place}/{job}");
                    return synced.map_err(|errno| step("put aside", &at, errno));
                }
            }
        }
        Err(step("put aside", &format!("{SPOOL}/{place}/{job}"), Errno::EEXIST))
    }
}

/// Directory in which the jobs of one account are held.
fn shelf_of(name: &str, uid: u32) -> String {
    format!("{name}-{uid}")
}

fn step(step: &'static str, path: &str, errno: Errno) -> JobsError {
    JobsError::Step { step, path: path.to_owned(), errno }
}

fn require_roots(fd: &OwnedFd, path: &str, closed: u32) -> Result<(), JobsError> {
    let stat = fstat(fd).map_err(|errno| step("look at", path, errno))?;
    if stat.st_uid != 0 || stat.st_mode & closed != 0 {
        return Err(JobsError::Unsafe(path.to_owned()));
    }
    Ok(())
}

fn make(parent: &OwnedFd, name: &str) -> Result<(), JobsError> {
    match mkdirat(parent, name, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(step("make", &format!("{SPOOL}/{name}"), errno)),
    }
}

/// The owner of a plain file; cron and at run nothing else.
fn is_file(directory: &OwnedFd, name: &str, place: &str) -> Result<Option<u32>, JobsError> {
    match fstatat(directory, name, NOFOLLOW) {
        Ok(stat) => {
            Ok((stat.st_mode & nix::libc::S_IFMT == nix::libc::S_IFREG).then_some(stat.st_uid))
        }
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(step("look at", &format!("{SPOOL}/{place}/{name}"), errno)),
    }
}

/// `a` to `z` or `A` to `Z` for the queue, then 13 hexadecimal digits. A job that runs begins
/// with `=` and is left to at.
fn is_at_job(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() == AT_NAME_BYTES
        && bytes.next().is_some_and(|queue| queue.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_hexdigit())
}

fn list(directory: &OwnedFd, path: &str) -> Result<Vec<String>, JobsError> {
    let failed = |errno| step("list", path, errno);
    let mut dir = Dir::openat(directory.as_fd(), ".", DIRECTORY, Mode::empty()).map_err(failed)?;
    let mut names = Vec::new();
    for entry in dir.iter() {
        let entry = entry.map_err(failed)?;
        let name: &CStr = entry.file_name();
        if let Ok(name) = name.to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
