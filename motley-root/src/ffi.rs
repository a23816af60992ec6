//! The few system calls that have no safe wrapper.
#![allow(unsafe_code)]

use nix::{errno::Errno, sys::signal::Signal};
use std::{
    ffi::CStr,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::{net::UnixListener, process::CommandExt},
    },
    process::Command,
    sync::{Mutex, PoisonError},
};

// CLOSE_RANGE_CLOEXEC: marked and not closed at once, for the standard library reports errors by one.
const CLOSE_ON_EXEC: libc::c_int = 4;

/// Longest entry of an account that is read, in bytes.
const LONGEST_ENTRY: usize = 1024 * 1024;

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

/// One listing at a time: the C library has one place in it for the whole process.
static LISTING: Mutex<()> = Mutex::new(());

/// Tells name and primary gid of every account that the sources of names list (getpwent_r(3)), as long as
/// the answer is to go on.
pub(crate) fn list_accounts(mut go_on: impl FnMut(&str, u32) -> bool) -> io::Result<()> {
    let _alone = LISTING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: nobody else of this process is in the listing while the lock is held.
    unsafe { libc::setpwent() };
    let done = list_from_here(&mut go_on);
    // SAFETY: as before.
    unsafe { libc::endpwent() };
    done
}

fn list_from_here(go_on: &mut impl FnMut(&str, u32) -> bool) -> io::Result<()> {
    let mut texts: Vec<libc::c_char> = vec![0; 4096];
    loop {
        let mut entry = std::mem::MaybeUninit::<libc::passwd>::uninit();
        let mut found = std::ptr::null_mut();
        // SAFETY: all pointers are to memory of ours that lives for the call, and the length is that of
        // the buffer.
        let code = unsafe {
            libc::getpwent_r(entry.as_mut_ptr(), texts.as_mut_ptr(), texts.len(), &raw mut found)
        };
        match code {
            // An entry that found no room comes again.
            libc::ERANGE if texts.len() < LONGEST_ENTRY => texts.resize(texts.len() * 2, 0),
            libc::ENOENT => return Ok(()),
            0 if found.is_null() => return Ok(()),
            0 => {
                // SAFETY: the call filled the entry, whose name ends in a zero within the buffer.
                let (name, gid) = unsafe {
                    let entry = entry.assume_init_ref();
                    (CStr::from_ptr(entry.pw_name).to_string_lossy(), entry.pw_gid)
                };
                if !go_on(&name, gid) {
                    return Ok(());
                }
            }
            code => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// Seconds since the system started, time asleep included; what proc_pid_stat(5) counts from.
pub(crate) fn seconds_since_boot() -> Option<i64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours that lives for the call.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    (done == 0).then_some(time.tv_sec)
}
