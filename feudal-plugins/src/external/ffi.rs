//! Keeps descriptors from the program, which the safe interface to processes can't do.
#![allow(unsafe_code)]

use nix::libc;
use std::io;
use tokio::process::Command;

/// First descriptor behind standard input, output and error.
const FIRST: libc::c_uint = 3;

/// The program gets standard input, output and error, and none of the other descriptors that this
/// process has, whether or not whoever opened them thought of it.
pub(super) fn keep_descriptors(command: &mut Command) {
    let close = || {
        // SAFETY: a system call that takes integers only. The descriptors stay open until the
        // program is started, since the parent is told of a failure through one of them.
        let done = unsafe {
            libc::syscall(
                libc::SYS_close_range,
                FIRST,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec the closure makes one system call and reads `errno`; it neither
    // allocates nor takes a lock.
    unsafe { command.pre_exec(close) };
}
