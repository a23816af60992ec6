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
    let undumped = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    note("core dumps stay on", if may_dump_core() { undumped } else { Ok(()) });
    note("tracing stays on", prctl::set_dumpable(false));
    note("new privileges stay possible", prctl::set_no_new_privs());
    // A network namespace of its own has no way out; Unix sockets in the file system still work.
    let left = unshare(CloneFlags::CLONE_NEWNET);
    // Refused where the unit has taken the network away already.
    note("the network stays reachable", if has_network() { left } else { Ok(()) });
    close_inherited(kept);
    missed
}

/// The unit may have set the limit and forbidden the call.
fn may_dump_core() -> bool {
    let Ok(table) = std::fs::read_to_string("/proc/self/limits") else { return true };
    let line = table.lines().find_map(|line| line.strip_prefix("Max core file size"));
    !line.is_some_and(|line| line.split_whitespace().take(2).eq(["0", "0"]))
}

/// True if there is any interface besides the loopback one and unused tunnels.
fn has_network() -> bool {
    let Ok(table) = std::fs::read_to_string("/proc/self/net/dev") else { return true };
    let names = table.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim);
    names.into_iter().any(|name| !matches!(name, "lo" | "sit0" | "tunl0" | "ip6tnl0"))
}

fn close_inherited(kept: &[RawFd]) {
    let Ok(listing) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers: Vec<RawFd> =
        listing.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in numbers.into_iter().filter(|fd| *fd > 2 && !kept.contains(fd)) {
        let _ = nix::unistd::close(fd);
    }
}
