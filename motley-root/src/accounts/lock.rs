//! Waits for the lock of the account files, so that a busy host answers in our time and not in theirs.

use super::failed;
use motley_proto::task::TaskRefusal;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const RETRY: Duration = Duration::from_millis(50);

/// Returns when nobody holds the lock of lckpwdf(3).
///
/// The programs take it themselves; they would wait for it longer than the daemon waits for us.
///
/// # Errors
/// [`TaskRefusal::Busy`] when it stays taken until `until`.
pub(super) fn wait_until_free(root: &Path, until: Instant) -> Result<(), TaskRefusal> {
    let path = root.join("etc/.pwd.lock");
    let opened = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(&path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("open the lock of the account files", error)),
    };
    while is_held(&file).map_err(|e| failed("ask for the lock of the account files", e))? {
        if Instant::now() >= until {
            return Err(TaskRefusal::Busy);
        }
        thread::sleep(RETRY);
    }
    Ok(())
}

fn is_held(file: &File) -> Result<bool, Errno> {
    let kind = |kind: libc::c_int| libc::c_short::try_from(kind).map_err(|_| Errno::EINVAL);
    let mut wanted = libc::flock {
        l_type: kind(libc::F_WRLCK)?,
        l_whence: kind(libc::SEEK_SET)?,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_GETLK(&mut wanted))?;
    Ok(wanted.l_type != kind(libc::F_UNLCK)?)
}
