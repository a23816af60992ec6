//! The few system calls that have no safe wrapper.
#![allow(unsafe_code)]

use nix::{errno::Errno, sys::signal::Signal};
use std::{
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::{net::UnixListener, process::CommandExt},
    },
    process::Command,
};

// CLOSE_RANGE_CLOEXEC: marked and not closed at once, for the standard library reports errors by one.
const CLOSE_ON_EXEC: libc::c_int = 4;

/// Takes over a listening socket that the service manager passed.
pub(crate) fn take_listener(fd: RawFd) -> UnixListener {
    // SAFETY: the number comes from LISTEN_FDS, where the service manager hands the descriptor
    // over to this process; it is taken once, before anything else could own it.
    unsafe { UnixListener::from_raw_fd(fd) }
}

/// Makes the child of this command die with the thread that started it, and closes to it every
/// descriptor but the standard three.
///
/// An orphan that still edits the account files while the next helper repairs them would undo the
/// repair.
pub(crate) fn confine_child(command: &mut Command) {
    let parent = nix::unistd::getpid().as_raw();
    let kill = libc::c_ulong::try_from(libc::SIGKILL).unwrap_or(9);
    let prepare = move || {
        // SAFETY: these calls are async-signal-safe and touch no memory of ours.
        unsafe {
            if libc::prctl(libc::PR_SET_PDEATHSIG, kill) != 0 {
                return Err(io::Error::last_os_error());
            }
            // Ours are close-on-exec anyway; this catches what a library may have opened.
            libc::close_range(3, libc::c_uint::MAX, CLOSE_ON_EXEC);
            if libc::getppid() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec; it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// A handle that stays with one process even when its number is used again (pidfd_open(2)).
pub(crate) fn open_process(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes two integers; no memory is passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us, close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to the process behind the handle (pidfd_send_signal(2)).
pub(crate) fn signal_process(process: &OwnedFd, signal: Signal) -> Result<(), Errno> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open for the time of the call, and a null siginfo is allowed.
    let done = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal as i32, none, 0)
    };
    Errno::result(done).map(drop)
}

/// Seconds since the system started, time asleep included; what proc_pid_stat(5) counts from.
pub(crate) fn seconds_since_boot() -> Option<i64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours that lives for the call.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    (done == 0).then_some(time.tv_sec)
}
