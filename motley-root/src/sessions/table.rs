//! The process table: whose a process is, and a signal to it and to no other.

use super::{SightError, Whose};
use crate::ffi;
use nix::{errno::Errno, sys::signal::Signal};
use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Most bytes of a status that are read: what is asked for stands in its first lines.
const STATUS_BYTES: u64 = 4096;
/// Most bytes of a command line that are read, which its process may make megabytes long.
const TITLE_BYTES: u64 = 256;

/// What a number in the process table stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nobody of theirs, or nobody any more.
    Nobody,
    /// A living process of theirs.
    Theirs { kernel_session: u32, serves_ssh: bool, signalled: bool },
}

/// Makes sure that the table shows other people's processes: under hidepid of proc(5) all of them
/// would seem to be gone. The first process is always there.
pub(super) fn require_sight(root: &Path) -> Result<(), SightError> {
    let proc = root.join("proc");
    for always in ["self", "1"] {
        read_start(&proc.join(always).join("status"), STATUS_BYTES).map_err(SightError::Hidden)?;
    }
    Ok(())
}

/// Looks at a process and, if it is theirs, sends it the signals.
///
/// # Errors
/// When it is there and can't be looked at.
pub(super) fn meet(root: &Path, pid: i32, whose: &Whose, signals: &[Signal]) -> io::Result<Found> {
    match look(root, pid, whose, signals) {
        Err(error) if is_gone(&error) => Ok(Found::Nobody),
        found => found,
    }
}

fn is_gone(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|raw| matches!(Errno::from_raw(raw), Errno::ENOENT | Errno::ESRCH))
}

fn look(root: &Path, pid: i32, whose: &Whose, signals: &[Signal]) -> io::Result<Found> {
    let directory = root.join("proc").join(pid.to_string());
    if pid <= 1 || !is_theirs(&directory, whose)? {
        return Ok(Found::Nobody);
    }
    let mut signalled = false;
    if !signals.is_empty() {
        // The handle is taken before the uid is read once more: a number used again for another
        // process in between would otherwise be signalled.
        let handle = ffi::open_process(pid)?;
        if !is_theirs(&directory, whose)? {
            return Ok(Found::Nobody);
        }
        for signal in signals {
            signalled |= ffi::signal_process(&handle, *signal).is_ok();
        }
    }
    // Only for counting: whoever is killed meanwhile has neither.
    let stat = read_start(&directory.join("stat"), STATUS_BYTES).unwrap_or_default();
    let kernel_session = session_of(&String::from_utf8_lossy(&stat)).unwrap_or_default();
    let serves_ssh = title(&directory).starts_with("sshd");
    Ok(Found::Theirs { kernel_session, serves_ssh, signalled })
}

/// Sends a signal to a process of root's by which sshd serves the account or lets it in. True if
/// there was one.
pub(super) fn signal_monitor(root: &Path, pid: i32, whose: &Whose, signal: Signal) -> bool {
    let directory = root.join("proc").join(pid.to_string());
    let is_one = || {
        let is_roots = fs::metadata(&directory).is_ok_and(|meta| meta.uid() == 0);
        is_roots && pid > 1 && whose.is_monitor(&title(&directory))
    };
    if !is_one() {
        return false;
    }
    // As for processes of theirs: the number may have been used again.
    ffi::open_process(pid)
        .is_ok_and(|handle| is_one() && ffi::signal_process(&handle, signal).is_ok())
}

/// True for a living process of which a uid (real, effective, saved or file system) is theirs.
///
/// A lent uid counts in a user namespace of its own only, for nobody gets it elsewhere. Where a site
/// gave such a number to somebody in a directory, that person's processes are left alone.
pub(super) fn is_theirs(directory: &Path, whose: &Whose) -> io::Result<bool> {
    // The owner of the directory is the effective uid alone, so the status of everybody is read.
    // A process names itself, in whatever bytes it likes.
    let status = read_start(&directory.join("status"), STATUS_BYTES)?;
    let status = String::from_utf8_lossy(&status);
    if is_dead(&status) {
        return Ok(false);
    }
    let is_lent = uids(&status).any(|id| whose.is_lent(id));
    Ok(uids(&status).any(|id| id == whose.uid) || (is_lent && is_apart(directory)?))
}

/// True if the process is in another user namespace than this one.
fn is_apart(directory: &Path) -> io::Result<bool> {
    let map = |of: &Path| read_start(&of.join("uid_map"), STATUS_BYTES);
    Ok(map(directory)? != map(&directory.with_file_name("self"))?)
}

/// The beginning of the command line.
pub(super) fn title(directory: &Path) -> String {
    let bytes = read_start(&directory.join("cmdline"), TITLE_BYTES).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn read_start(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn uids(status: &str) -> impl Iterator<Item = u32> {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    ids.split_whitespace().filter_map(|id| id.parse().ok())
}

/// A process whose first thread ended shows as a zombie while its other threads go on.
fn is_dead(status: &str) -> bool {
    let value = |key| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    match value("State:").and_then(|state| state.chars().next()) {
        Some('X') => true,
        Some('Z') => matches!(value("Threads:"), Some("0" | "1")),
        _ => false,
    }
}

/// Field 6 of proc_pid_stat(5); the command in field 2 may hold anything, also `)`.
fn session_of(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_belongs_to_a_uid_by_any_of_its_four() {
        let status = "Name:\tx\nState:\tS (sleeping)\nUid:\t1001\t0\t0\t0\nGid:\t5001\t5001\n";
        assert_eq!(uids(status).collect::<Vec<_>>(), [1001, 0, 0, 0]);
        assert_eq!(uids("").count(), 0);
        assert!(is_dead("State:\tZ (zombie)\nThreads:\t1\n") && !is_dead(status));
        assert!(!is_dead("State:\tZ (zombie)\nThreads:\t2\n"), "its other threads go on");
    }

    #[test]
    fn r28_a_process_that_acts_as_somebody_else_is_still_theirs() {
        let directory = tempfile::tempdir().unwrap();
        // The directory belongs to neither, as that of a process whose effective uid is a third one.
        let path = directory.path().join("status");
        let status = |ids: &str| fs::write(&path, format!("Uid:\t{ids}\n"));
        let whose = Whose::read(directory.path(), "x", 58_001).unwrap();
        for (ids, theirs) in [
            ("58001\t58002\t58002\t58002", true),
            ("58002\t58002\t58001\t58002", true),
            ("58002\t58002\t58002\t58002", false),
        ] {
            status(ids).unwrap();
            assert_eq!(is_theirs(directory.path(), &whose).unwrap(), theirs, "{ids}");
        }
    }

    #[test]
    fn r28_a_name_that_is_no_text_hides_no_process() {
        let directory = tempfile::tempdir().unwrap();
        let uid = nix::unistd::geteuid().as_raw();
        let ids = format!("{uid}\t7\n");
        let text = [b"Name:\ta\xff\nState:\tS\nUid:\t7\t7\t".as_slice(), ids.as_bytes()];
        fs::write(directory.path().join("status"), text.concat()).unwrap();
        let whose = Whose::read(directory.path(), "x", uid).unwrap();
        assert!(is_theirs(directory.path(), &whose).unwrap());
    }

    #[test]
    fn a_lent_uid_counts_in_another_user_namespace_only() {
        let root = tempfile::tempdir().unwrap();
        let [own, other] = ["self", "77"].map(|pid| root.path().join(pid));
        for directory in [&own, &other, &root.path().join("etc")] {
            fs::create_dir(directory).unwrap();
        }
        fs::write(root.path().join("etc/subuid"), "jdoe:100000:9\n").unwrap();
        let uid = nix::unistd::geteuid().as_raw().max(5001);
        let whose = Whose::read(root.path(), "jdoe", uid).unwrap();
        fs::write(other.join("status"), "Uid:\t100003\t100003\t100003\t100003\n").unwrap();
        fs::write(own.join("uid_map"), "0 0 4294967295\n").unwrap();
        for (map, theirs) in [("0 0 4294967295\n", false), ("0 100000 9\n", true)] {
            fs::write(other.join("uid_map"), map).unwrap();
            assert_eq!(is_theirs(&other, &whose).unwrap(), theirs, "{map}");
        }
    }

    #[test]
    fn a_long_command_line_is_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("cmdline"), "sshd: ".to_owned() + &"x".repeat(1 << 20))
            .unwrap();
        assert_eq!(title(directory.path()).len(), 256);
    }

    #[test]
    fn the_session_is_found_behind_a_command_that_tries_to_hide_it() {
        assert_eq!(session_of("7 (a) S 9 9 ) S 1 7 42 34816 7"), Some(42));
        assert_eq!(session_of("7 (x"), None);
    }
}
