//! The one place where a number from the service manager becomes a file descriptor.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Takes over the descriptors that systemd passed, with their names (`sd_listen_fds_with_names(3)`).
///
/// Call once, before anything else opens or closes descriptors.
///
/// # Errors
/// When the environment that announces them is malformed.
pub fn passed_sockets() -> std::io::Result<Vec<(OwnedFd, String)>> {
    let passed: Vec<(RawFd, String)> = sd_notify::listen_fds_with_names()?.collect();
    // SAFETY: LISTEN_PID was compared with our pid by `listen_fds_with_names`, so these numbers are
    // open descriptors that the service manager left to this process and nobody else owns.
    Ok(passed.into_iter().map(|(fd, name)| (unsafe { OwnedFd::from_raw_fd(fd) }, name)).collect())
}
