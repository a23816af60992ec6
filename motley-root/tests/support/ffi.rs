//! Changes the credentials of one thread, which the safe wrappers can't: they change the process.
#![allow(unsafe_code)]

use std::{
    ffi::CString,
    io,
    os::fd::{FromRawFd, OwnedFd},
};

/// Makes this thread, and no other, run under the uid and gid. There is no way back.
pub fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: both calls take integers only; by raw system call they concern this thread alone.
    let done = unsafe {
        libc::syscall(libc::SYS_setresgid, gid, gid, gid) == 0
            && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keeps whoever opens the directory waiting until the handle is dropped, as a file system does that
/// does not answer (fanotify(7)). The handle is readable once somebody waits.
pub fn hold_opening(directory: &str) -> io::Result<OwnedFd> {
    let path = CString::new(directory)?;
    let mask = libc::FAN_OPEN_PERM | libc::FAN_ONDIR;
    // SAFETY: the first call takes integers and makes a descriptor for us; the second reads the path,
    // which lives for the call.
    unsafe {
        let fd = libc::fanotify_init(libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let handle = OwnedFd::from_raw_fd(fd);
        match libc::fanotify_mark(fd, libc::FAN_MARK_ADD, mask, libc::AT_FDCWD, path.as_ptr()) {
            0 => Ok(handle),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
