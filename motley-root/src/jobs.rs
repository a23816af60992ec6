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
/// Names that are looked at before others have their turn.
const AT_ONCE: usize = 256;
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

    /// Puts aside every job that waits for the account, and yields how many there were. `pause` is
    /// called between any few hundred of them, of which there may be a million.
    ///
    /// # Errors
    /// When one can't be put aside, or `pause` fails; those before it are.
    pub fn hold<E: From<JobsError>>(
        &self,
        name: &str,
        uid: u32,
        mut pause: impl FnMut() -> Result<(), E>,
    ) -> Result<u32, E> {
        let mut held = Holding { jobs: self, own: shelf_of(name, uid), shelf: None, count: 0 };
        if let Some(from) = self.below(CRONTABS)?
            && is_file(&from, name, CRONTABS)?.is_some()
        {
            held.put_aside(&from, CRONTABS, name, CRONTAB)?;
            held.sync(&from, CRONTABS)?;
        }
        if let Some(from) = self.below(AT_JOBS)? {
            let done = each(&from, AT_JOBS, &mut pause, |job| {
                if is_at_job(job) && is_file(&from, job, AT_JOBS)? == Some(uid) {
                    held.put_aside(&from, AT_JOBS, job, &format!("{AT_JOB}{job}"))?;
                }
                Ok(())
            });
            held.sync(&from, AT_JOBS)?;
            done?;
        }
        Ok(held.count)
    }

    /// Puts back every job that is held for the account. Where a crontab was made meanwhile, the
    /// held one stays aside. `pause` is called as by [`Jobs::hold`].
    ///
    /// # Errors
    /// When one can't be put back, or `pause` fails; those before it are.
    pub fn put_back<E: From<JobsError>>(
        &self,
        name: &str,
        uid: u32,
        mut pause: impl FnMut() -> Result<(), E>,
    ) -> Result<PutBack, E> {
        let own = shelf_of(name, uid);
        let Some(shelf) = self.shelf_if_there()? else { return Ok(PutBack::default()) };
        let shown = format!("{SPOOL}/{SHELF}/{own}");
        let from = match openat(&shelf, own.as_str(), DIRECTORY, Mode::empty()) {
            Ok(from) => from,
            Err(Errno::ENOENT) => return Ok(PutBack::default()),
            Err(errno) => return Err(step("open", &shown, errno).into()),
        };
        let (crontabs, at_jobs) = (self.below(CRONTABS)?, self.below(AT_JOBS)?);
        let mut done = PutBack::default();
        let mut kept_crontabs = Vec::new();
        let listed = each(&from, &shown, &mut pause, |kept| {
            match kept.strip_prefix(AT_JOB) {
                Some(job) => {
                    let job = job.split('.').next().unwrap_or_default();
                    let is_back = bring_back(&from, kept, at_jobs.as_ref(), job, &shown)?;
                    done.of_at |= is_back;
                    done.count(is_back);
                }
                None if kept_crontabs.len() < MAX_SAME as usize => {
                    kept_crontabs.push(kept.to_owned());
                }
                None => done.count(false),
            }
            Ok(())
        });
        // The latest of several first: the account's owner meant it to replace the others.
        kept_crontabs.sort_by_key(|kept| std::cmp::Reverse((kept.len(), kept.clone())));
        for kept in &kept_crontabs {
            done.count(bring_back(&from, kept, crontabs.as_ref(), name, &shown)?);
        }
        for (directory, place) in [(crontabs, CRONTABS), (at_jobs, AT_JOBS)] {
            if let Some(directory) = directory {
                fsync(&directory).map_err(|errno| step("write", place, errno))?;
            }
        }
        listed?;
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
        self.hold(name, uid, || Ok::<(), JobsError>(()))?;
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

    /// The directory in which jobs of one account are held, made if it is not there.
    fn open_own(&self, own: &str) -> Result<OwnedFd, JobsError> {
        make(&self.spool, SHELF)?;
        let shelf = self.shelf_if_there()?.ok_or_else(|| step("open", SHELF, Errno::ENOENT))?;
        make(&shelf, own)?;
        openat(&shelf, own, DIRECTORY, Mode::empty())
            .map_err(|errno| step("open", &format!("{SPOOL}/{SHELF}/{own}"), errno))
    }

    fn shelf_if_there(&self) -> Result<Option<OwnedFd>, JobsError> {
        let Some(shelf) = self.below(SHELF)? else { return Ok(None) };
        require_roots(&shelf, &format!("{SPOOL}/{SHELF}"), 0o077)?;
        Ok(Some(shelf))
    }
}

impl PutBack {
    fn count(&mut self, is_back: bool) {
        match is_back {
            true => self.jobs += 1,
            false => self.left += 1,
        }
    }
}

/// Jobs of one account on their way to where they are held.
struct Holding<'a> {
    jobs: &'a Jobs,
    /// Name of the directory.
    own: String,
    /// The directory, once there is something to put there.
    shelf: Option<OwnedFd>,
    count: u32,
}

impl Holding<'_> {
    fn put_aside(
        &mut self,
        from: &OwnedFd,
        place: &str,
        job: &str,
        kept: &str,
    ) -> Result<(), JobsError> {
        let to = match self.shelf.take() {
            Some(to) => to,
            None => self.jobs.open_own(&self.own)?,
        };
        let numbered = (2..MAX_SAME).map(|number| format!("{kept}.{number}"));
        let mut done = Err(Errno::EEXIST);
        for kept in std::iter::once(kept.to_owned()).chain(numbered) {
            done = renameat2(from, job, &to, kept.as_str(), RenameFlags::RENAME_NOREPLACE);
            if done != Err(Errno::EEXIST) {
                break;
            }
        }
        self.shelf = Some(to);
        match done {
            Ok(()) => self.count += 1,
            // It was run, or taken away by its owner.
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(step("put aside", &format!("{SPOOL}/{place}/{job}"), errno)),
        }
        Ok(())
    }

    /// Once for all of them: each alone would take as long as all do.
    fn sync(&self, from: &OwnedFd, place: &str) -> Result<(), JobsError> {
        let Some(to) = &self.shelf else { return Ok(()) };
        let done = fsync(to).and_then(|()| fsync(from));
        done.map_err(|errno| step("write", &format!("{SPOOL}/{place}"), errno))
    }
}

/// True if the job waits again; false if something stands in its place, or the program that it waits
/// for is not installed now.
fn bring_back(
    from: &OwnedFd,
    kept: &str,
    to: Option<&OwnedFd>,
    target: &str,
    shown: &str,
) -> Result<bool, JobsError> {
    let Some(to) = to else { return Ok(false) };
    match renameat2(from, kept, to, target, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EEXIST | Errno::ENOENT) => Ok(false),
        Err(errno) => Err(step("put back", &format!("{shown}/{kept}"), errno)),
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

/// Calls `act` with one name after another, of which none is collected, and `pause` in between.
fn each<E: From<JobsError>>(
    directory: &OwnedFd,
    path: &str,
    pause: &mut impl FnMut() -> Result<(), E>,
    mut act: impl FnMut(&str) -> Result<(), JobsError>,
) -> Result<(), E> {
    let failed = |errno| step("list", path, errno);
    let mut dir = Dir::openat(directory.as_fd(), ".", DIRECTORY, Mode::empty()).map_err(failed)?;
    for (number, entry) in (1_usize..).zip(dir.iter()) {
        let entry = entry.map_err(failed)?;
        let name: &CStr = entry.file_name();
        if let Ok(name) = name.to_str()
            && !matches!(name, "." | "..")
        {
            act(name)?;
        }
        if number.is_multiple_of(AT_ONCE) {
            pause()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
