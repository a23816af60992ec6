//! Ends all sessions and processes of one uid, counted and in bounded time.
//!
//! An ssh session dies with its `sshd: NAME@…` process, which runs as the user; also a multiplexing
//! master that was opened before, which no account check would stop. A login that has passed its
//! account check and is not yet a session is a process of root's still: it is ended too, and does not
//! count, for anybody can ask for any name.

pub mod list;
mod table;
mod whose;

pub use whose::Whose;

use crate::{
    ffi,
    runner::{CommandRunner, Program},
};
use motley_proto::{names::is_protected_id, task::SessionsEnded};
use nix::sys::signal::Signal;
use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};
use table::Found;

/// How long processes may take to end by themselves.
const GRACE: Duration = Duration::from_millis(800);
/// How long sshd may take to close what it had opened for a session.
const FAREWELL: Duration = Duration::from_millis(300);
/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(3);
/// How long logind may take to answer.
const LOGIND_LIMIT: Duration = Duration::from_millis(1500);

/// Why it can't be told who is there. Nobody then counts as gone.
#[derive(Debug, thiserror::Error)]
pub enum SightError {
    /// The process table can't be read.
    #[error("the process table can't be read: {0}")]
    Unreadable(io::Error),
    /// It does not show the processes of others.
    #[error(
        "/proc shows not all processes: {0}; mount it without hidepid, or let this helper see all"
    )]
    Hidden(io::Error),
    /// It can't be told which further uids are the account's.
    #[error("/etc/subuid can't be read whole: {0}")]
    Lent(io::Error),
}

/// What was met so far. Numbers only: a handle for each of many processes would use up all that
/// this process may hold open.
#[derive(Debug, Default)]
struct Tally {
    signalled: HashSet<i32>,
    kernel_sessions: HashSet<u32>,
    connections: HashSet<i32>,
}

impl Tally {
    /// Sessions by the process table: connections of ssh, else kernel sessions.
    fn sessions(&self) -> u32 {
        let connections = self.connections.len();
        count(if connections > 0 { connections } else { self.kernel_sessions.len() })
    }
}

/// Ends every session and process of an account. `root` holds `proc` and `run`.
///
/// They are asked first and killed after that; the search is repeated until it finds nobody, for a
/// process may fork while it is looked for. A process that can't be looked at counts as remaining.
///
/// # Errors
/// When the process table can't be read or hides processes.
pub fn end_sessions(
    root: &Path,
    runner: &dyn CommandRunner,
    whose: &Whose,
) -> Result<SessionsEnded, SightError> {
    let begun = Instant::now();
    table::require_sight(root)?;
    let mut tally = Tally::default();
    sweep(root, whose, &[], &mut tally)?;
    let uid = whose.uid.to_string();
    let known_to_logind = count_logind_sessions(root, whose.uid);
    let sessions = known_to_logind.max(tally.sessions());
    // Also without a session: a user manager that lingers would start what is killed here again.
    if known_to_logind > 0 || root.join("run/systemd/users").join(&uid).exists() {
        // A failure is made good by the signals below.
        let _ = runner.run(Program::Loginctl, &["terminate-user", &uid], LOGIND_LIMIT);
    }
    // A stopped process would not see the request.
    sweep(root, whose, &[Signal::SIGTERM, Signal::SIGCONT], &mut tally)?;
    signal_monitors(root, whose, Signal::SIGTERM);
    wait_for_end(root, whose, begun + GRACE)?;
    end_monitors(root, whose);
    let mut left = sweep(root, whose, &[], &mut tally)?;
    while left > 0 && begun.elapsed() < LIMIT {
        // Stopped ones no longer fork, and keep the places that others would fork into.
        sweep(root, whose, &[Signal::SIGSTOP], &mut tally)?;
        sweep(root, whose, &[Signal::SIGKILL], &mut tally)?;
        left = wait_for_end(root, whose, Instant::now() + Duration::from_millis(20))?;
    }
    let processes = count(tally.signalled.len());
    Ok(SessionsEnded { sessions, processes, remaining: count(left), ..SessionsEnded::default() })
}

/// How many of sshd's processes for the account got the signal.
fn signal_monitors(root: &Path, whose: &Whose, signal: Signal) -> usize {
    let Ok(listing) = fs::read_dir(root.join("proc")) else { return 0 };
    let pids = listing.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| table::signal_monitor(root, *pid, whose, signal)).count()
}

/// Ends a login that is under way; a session's process has ended by now, or does so.
fn end_monitors(root: &Path, whose: &Whose) {
    let until = Instant::now() + FAREWELL;
    while signal_monitors(root, whose, Signal::SIGTERM) > 0 {
        if Instant::now() >= until {
            signal_monitors(root, whose, Signal::SIGKILL);
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Tells atd(8) to look for jobs, which it does only now and then by itself.
pub fn wake_at(root: &Path) {
    let pid = fs::read_to_string(root.join("run/atd.pid")).ok();
    let Some(pid) = pid.and_then(|text| text.trim().parse::<i32>().ok()) else { return };
    let Ok(process) = ffi::open_process(pid) else { return };
    let directory = root.join("proc").join(pid.to_string());
    let is_at = fs::read(directory.join("comm")).is_ok_and(|name| name == b"atd\n");
    // It runs as root or as the user of the spool, so nobody else can pass for it.
    let is_systems = fs::metadata(&directory).is_ok_and(|meta| is_protected_id(meta.uid()));
    if pid > 1 && is_at && is_systems {
        let _ = ffi::signal_process(&process, Signal::SIGHUP);
    }
}

/// How many processes of an account there are, those that can't be looked at included.
///
/// # Errors
/// As [`end_sessions`].
pub fn remaining(root: &Path, whose: &Whose) -> Result<u32, SightError> {
    table::require_sight(root)?;
    sweep(root, whose, &[], &mut Tally::default()).map(count)
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
    let texts = files.filter_map(|entry| fs::read(entry.path()).ok());
    let is_theirs = |text: &Vec<u8>| String::from_utf8_lossy(text).lines().any(|l| l == wanted);
    count(texts.filter(is_theirs).count())
}

fn wait_for_end(root: &Path, whose: &Whose, until: Instant) -> Result<usize, SightError> {
    loop {
        let left = sweep(root, whose, &[], &mut Tally::default())?;
        if left == 0 || Instant::now() >= until {
            return Ok(left);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Goes once through the process table, sends the signals to every process of theirs, and yields
/// how many were there.
fn sweep(
    root: &Path,
    whose: &Whose,
    signals: &[Signal],
    tally: &mut Tally,
) -> Result<usize, SightError> {
    let mut left = 0;
    for entry in fs::read_dir(root.join("proc")).map_err(SightError::Unreadable)? {
        let name = entry.map_err(SightError::Unreadable)?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        match table::meet(root, pid, whose, signals) {
            Ok(Found::Nobody) => {}
            Ok(Found::Theirs { kernel_session, serves_ssh, signalled }) => {
                left += 1;
                tally.kernel_sessions.insert(kernel_session);
                if serves_ssh {
                    tally.connections.insert(pid);
                }
                if signalled {
                    tally.signalled.insert(pid);
                }
            }
            // Nobody may count as gone of whom nothing is known.
            Err(_) => left += 1,
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{Finished, RunError};

    struct NoPrograms;
    impl CommandRunner for NoPrograms {
        fn run(&self, _: Program, _: &[&str], _: Duration) -> Result<Finished, RunError> {
            Ok(Finished { status: Some(1), complaint: String::new() })
        }
    }

    /// A process table of our own, with nobody in it but the first process and this one.
    fn table() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for pid in ["1", "self"] {
            let directory = root.path().join("proc").join(pid);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("status"), "State:\tS\nUid:\t0\t0\t0\t0\n").unwrap();
        }
        root
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

    #[test]
    fn r28_nobody_counts_as_gone_while_the_process_table_can_not_be_read() {
        let uid = nix::unistd::geteuid().as_raw();
        let root = table();
        let whose = Whose::read(root.path(), "x", uid).unwrap();
        let ended = end_sessions(root.path(), &NoPrograms, &whose).unwrap();
        assert_eq!((ended.processes, ended.remaining), (0, 0));
        // A process whose status can't be read is there all the same.
        fs::create_dir_all(root.path().join("proc/4000000/status")).unwrap();
        let ended = end_sessions(root.path(), &NoPrograms, &whose).unwrap();
        assert_eq!((ended.processes, ended.remaining), (0, 1));
        assert_eq!(remaining(root.path(), &whose).unwrap(), 1);
        // As with hidepid: others are not shown at all.
        fs::remove_dir_all(root.path().join("proc/1")).unwrap();
        let blind = end_sessions(root.path(), &NoPrograms, &whose);
        assert!(matches!(blind, Err(SightError::Hidden(_))), "{blind:?}");
        fs::remove_dir_all(root.path().join("proc")).unwrap();
        assert!(end_sessions(root.path(), &NoPrograms, &whose).is_err());
    }
}
