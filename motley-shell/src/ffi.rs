//! The few system calls that have no safe wrapper.
#![allow(unsafe_code)]

use std::{io, os::unix::process::CommandExt, process::Command};

/// Signals that a terminal sends to all that runs in it.
const OF_THE_TERMINAL: [libc::c_int; 3] = [libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP];

/// From now on this process is not ended or stopped from the keyboard.
pub fn ignore_the_keyboard() {
    for signal in OF_THE_TERMINAL {
        // SAFETY: SIG_IGN runs no code of ours; the call takes integers only.
        unsafe {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}

/// Lets the child be ended and stopped from the keyboard, as any program.
pub fn obey_the_keyboard(command: &mut Command) {
    let prepare = || {
        for signal in OF_THE_TERMINAL {
            // SAFETY: the call is async-signal-safe and takes integers only.
            if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec; it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(prepare);
    }
}
