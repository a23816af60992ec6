//! Changes the credentials of one thread, which the safe wrappers can't: they change the process.
#![allow(unsafe_code)]

use std::io;

/// Makes this thread, and no other, run under the uid and gid. There is no way back.
pub fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: both calls take integers only; by raw system call they concern this thread alone.
    let done = unsafe {
        libc::syscall(libc::SYS_setresgid, gid, gid, gid) == 0
            && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}
