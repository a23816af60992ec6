//! Ends all sessions and processes of one uid, counted and in bounded time.
//!
//! An ssh session dies with its `sshd: NAME@…` process, which runs as the user; also a multiplexing
//! master that was opened before, which no account check would stop.

pub mod list;

use crate::{
    ffi,
    runner::{CommandRunner, Program},
};
use motley_proto::task::SessionsEnded;
use nix::sys::signal::Signal;
use std::{
    collections::HashSet,
    fs,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
    time::{Duration, Instant},
};

/// How long processes may take to end by themselves.
const GRACE: Duration = Duration::from_millis(800);
/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(3);
/// How long logind may take to answer.
const LOGIND_LIMIT: Duration = Duration::from_millis(1500);

#[derive(Debug)]
struct Process {
    pid: i32,
    handle: OwnedFd,
    session: u32,
    serves_ssh: bool,
}

/// Ends every session and process of this uid. `root` holds `proc` and `run`.
///
/// They are asked first and killed after that; the search is repeated until it finds nobody, for a
/// process may fork while it is looked for.
pub fn end_sessions(root: &Path, runner: &dyn CommandRunner, uid: u32) -> SessionsEnded {
    let begun = Instant::now();
    let first = find(root, uid);
    let known_to_logind = count_logind_sessions(root, uid);
    let sessions = known_to_logind.max(count_sessions(&first));
    let mut signalled = HashSet::new();
    if known_to_logind > 0 {
        // A failure is made good by the signals below.
        let _ = runner.run(Program::Loginctl, &["terminate-user", &uid.to_string()], LOGIND_LIMIT);
    }
    signal_all(&first, Signal::SIGTERM, &mut signalled);
    // A stopped process would not see the request.
    signal_all(&first, Signal::SIGCONT, &mut signalled);
    let mut left = wait_for_end(root, uid, begun + GRACE);
    while !left.is_empty() && begun.elapsed() < LIMIT {
        signal_all(&left, Signal::SIGKILL, &mut signalled);
        left = wait_for_end(root, uid, Instant::now() + Duration::from_millis(20));
    }
    SessionsEnded { sessions, processes: count(signalled.len()), remaining: count(left.len()) }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Sessions of this uid that logind knows (files of systemd-logind, `KEY=VALUE` lines).
fn count_logind_sessions(root: &Path, uid: u32) -> u32 {
    let wanted = format!("UID={uid}");
    let Ok(listing) = fs::read_dir(root.join("run/systemd/sessions")) else { return 0 };
    // Beside the files logind keeps a FIFO for each session, and to open one waits for its end.
    let files =
        listing.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let texts = files.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    count(texts.filter(|text| text.lines().any(|line| line == wanted)).count())
}

/// Sessions by the process table: connections of ssh, else kernel sessions.
fn count_sessions(processes: &[Process]) -> u32 {
    let ssh = processes.iter().filter(|process| process.serves_ssh).count();
    if ssh > 0 {
        return count(ssh);
    }
    count(processes.iter().map(|process| process.session).collect::<HashSet<_>>().len())
}

fn signal_all(processes: &[Process], signal: Signal, signalled: &mut HashSet<i32>) {
    for process in processes {
        if ffi::signal_process(&process.handle, signal).is_ok() {
            signalled.insert(process.pid);
        }
    }
}

fn wait_for_end(root: &Path, uid: u32, until: Instant) -> Vec<Process> {
    loop {
        let left = find(root, uid);
        if left.is_empty() || Instant::now() >= until {
            return left;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// All living processes of which a uid (real, effective, saved or file system) is this one.
fn find(root: &Path, uid: u32) -> Vec<Process> {
    let Ok(listing) = fs::read_dir(root.join("proc")) else { return Vec::new() };
    let pids = listing.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| open_if_of(root, pid, uid)).collect()
}

/// The handle is taken before the uid is read: a number used again for another process in between
/// would otherwise be signalled.
fn open_if_of(root: &Path, pid: i32, uid: u32) -> Option<Process> {
    let directory = root.join("proc").join(pid.to_string());
    // The owner of the directory is the effective uid; it spares reading most of the table.
    let owner = fs::metadata(&directory).ok()?.uid();
    if pid <= 1 || (owner != uid && owner != 0) {
        return None;
    }
    let handle = ffi::open_process(pid).ok()?;
    let status = fs::read_to_string(directory.join("status")).ok()?;
    if !belongs_to(&status, uid) || is_dead(&status) {
        return None;
    }
    let session = fs::read_to_string(directory.join("stat"));
    let session = session.ok().and_then(|text| session_of(&text)).unwrap_or_default();
    let title = fs::read(directory.join("cmdline")).unwrap_or_default();
    Some(Process { pid, handle, session, serves_ssh: title.starts_with(b"sshd") })
}

fn belongs_to(status: &str, uid: u32) -> bool {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    ids.split_whitespace().any(|id| id.parse() == Ok(uid))
}

fn is_dead(status: &str) -> bool {
    let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or_default();
    matches!(state.trim_start().chars().next(), Some('Z' | 'X'))
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
        assert!(belongs_to(status, 1001) && belongs_to(status, 0));
        assert!(!belongs_to(status, 5001) && !belongs_to("", 0));
        assert!(is_dead("State:\tZ (zombie)\n") && !is_dead(status));
    }

    #[test]
    fn the_session_is_found_behind_a_command_that_tries_to_hide_it() {
        assert_eq!(session_of("7 (a) S 9 9 ) S 1 7 42 34816 7"), Some(42));
        assert_eq!(session_of("7 (x"), None);
    }

    #[test]
    fn sessions_that_logind_knows_are_counted_by_uid() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("run/systemd/sessions");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("1"), "# x\nUID=5001\nUSER=a\n").unwrap();
        fs::write(directory.join("2"), "UID=50010\n").unwrap();
        // Opening this one would hang until somebody writes to it.
        nix::unistd::mkfifo(&directory.join("1.ref"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(count_logind_sessions(root.path(), 5001), 1);
    }
}
