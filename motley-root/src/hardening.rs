//! Takes away what this process does not need, before it looks at anything from outside.

use nix::{
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        stat::{Mode, umask},
    },
};
use std::os::fd::RawFd;

/// Closes inherited descriptors except those that are `kept`, forbids core dumps, tracing by others
/// and new privileges, and leaves the network.
///
/// Returns what could not be done. Nothing of it is needed for correct work, and the service's unit
/// does the same again from outside.
pub fn harden(kept: &[RawFd]) -> Vec<String> {
    let mut missed = Vec::new();
    let mut note = |what: &str, done: nix::Result<()>| {
        if let Err(errno) = done {
            missed.push(format!("{what}: {errno}"));
        }
    };
    umask(Mode::from_bits_truncate(0o077));
    note("core dumps stay on", setrlimit(Resource::RLIMIT_CORE, 0, 0));
    note("tracing stays on", prctl::set_dumpable(false));
    note("new privileges stay possible", prctl::set_no_new_privs());
    // A network namespace of its own has no way out; Unix sockets in the file system still work.
    note("the network stays reachable", unshare(CloneFlags::CLONE_NEWNET));
    close_inherited(kept);
    missed
}

fn close_inherited(kept: &[RawFd]) {
    let Ok(listing) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers: Vec<RawFd> =
        listing.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in numbers.into_iter().filter(|fd| *fd > 2 && !kept.contains(fd)) {
        let _ = nix::unistd::close(fd);
    }
}
