//! Lists sessions and processes of one uid, for an admin who wants to know who is there.

use super::{Whose, table};
use crate::ffi;
use motley_proto::task::{AccountSessions, ProcessFact, SessionFact};
use std::{fs, path::Path};

/// Most of each that one answer holds: it must fit into a frame of the task socket.
const MAX_SESSIONS: usize = 24;
const MAX_PROCESSES: usize = 48;
/// Ticks of a second in proc_pid_stat(5), the same on every architecture that we build for.
const TICKS: i64 = 100;

/// A process as /proc shows it.
struct Seen {
    fact: ProcessFact,
    /// What stands behind `sshd: ` in its title, if it serves a connection.
    connection: Option<String>,
}

/// Sessions and processes of an account. `root` holds `proc` and `run`, `now` is in seconds since 1970.
///
/// Sessions are read where systemd-logind writes them down, as sd_session_get_uid(3) does, so that
/// no program has to be asked; without logind each connection of ssh counts as one.
pub fn list(root: &Path, whose: &Whose, now: i64) -> AccountSessions {
    let mut seen = processes(root, whose, now);
    seen.sort_by_key(|process| (process.fact.since, process.fact.pid));
    let mut sessions = logind_sessions(root, whose.uid);
    if sessions.is_empty() {
        sessions = seen.iter().filter_map(connection).collect();
    }
    sessions.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
    let found = sessions.len() + seen.len();
    sessions.truncate(MAX_SESSIONS);
    let processes: Vec<_> =
        seen.into_iter().take(MAX_PROCESSES).map(|process| process.fact).collect();
    let left_out = found - sessions.len() - processes.len();
    AccountSessions { sessions, processes, left_out: u32::try_from(left_out).unwrap_or(u32::MAX) }
}

fn logind_sessions(root: &Path, uid: u32) -> Vec<SessionFact> {
    let Ok(listing) = fs::read_dir(root.join("run/systemd/sessions")) else { return Vec::new() };
    // Beside the files logind keeps a FIFO for each session, and to open one waits for its end.
    let files =
        listing.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let facts = files.filter_map(|entry| {
        let text = fs::read(entry.path()).ok()?;
        let text = String::from_utf8_lossy(&text);
        logind_session(&entry.file_name().to_string_lossy(), &text, uid)
    });
    facts.collect()
}

fn logind_session(id: &str, text: &str, uid: u32) -> Option<SessionFact> {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.filter(|value| !value.is_empty())
    };
    let is_manager = value("CLASS").is_some_and(|class| class.starts_with("manager"));
    if value("UID")?.parse() != Ok(uid) || is_manager {
        return None;
    }
    let micros: Option<i64> = value("REALTIME").and_then(|text| text.parse().ok());
    let shown = |key| value(key).map(|text| plain(text, 64));
    Some(SessionFact {
        id: plain(id, 32),
        since: micros.map(|micros| micros / 1_000_000),
        tty: shown("TTY"),
        remote_host: shown("REMOTE_HOST"),
        service: shown("SERVICE"),
    })
}

fn connection(process: &Seen) -> Option<SessionFact> {
    let title = process.connection.as_ref()?;
    let tty = title.rsplit_once('@').map(|(_, tty)| tty).filter(|tty| *tty != "notty");
    Some(SessionFact {
        id: format!("ssh:{}", process.fact.pid),
        since: process.fact.since,
        tty: tty.map(|tty| plain(tty, 32)),
        remote_host: None,
        service: Some("sshd".to_owned()),
    })
}

fn processes(root: &Path, whose: &Whose, now: i64) -> Vec<Seen> {
    let Ok(listing) = fs::read_dir(root.join("proc")) else { return Vec::new() };
    let booted = ffi::seconds_since_boot().map(|up| now.saturating_sub(up));
    let pids = listing.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| process(root, pid, whose, booted)).collect()
}

fn process(root: &Path, pid: u32, whose: &Whose, booted: Option<i64>) -> Option<Seen> {
    let directory = root.join("proc").join(pid.to_string());
    if !table::is_theirs(&directory, whose).ok()? {
        return None;
    }
    let stat = fs::read(directory.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let title = table::title(&directory);
    let connection = title.strip_prefix("sshd: ").or_else(|| title.strip_prefix("sshd-session: "));
    let connection = connection.and_then(|rest| rest.split('\0').next()).map(str::to_owned);
    let (command, tty, start) = parts(&stat)?;
    let fact = ProcessFact {
        pid,
        since: booted.and_then(|boot| boot.checked_add(start?.checked_div(TICKS)?)),
        command: plain(command, 16),
        tty: tty.and_then(terminal),
    };
    Some(Seen { fact, connection })
}

/// The text as one that no terminal acts upon and that JSON makes no longer; people choose the names
/// of their processes.
fn plain(text: &str, limit: usize) -> String {
    let fits = |c: char| (c.is_ascii_graphic() || c == ' ') && c != '"' && c != '\\';
    text.chars().take(limit).map(|c| if fits(c) { c } else { '?' }).collect()
}

/// Command, terminal number and start in ticks: fields 2, 7 and 22 of proc_pid_stat(5). The command
/// may hold anything, also `)`.
fn parts(stat: &str) -> Option<(&str, Option<u32>, Option<i64>)> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, command) = head.split_once('(')?;
    let mut fields = rest.split_whitespace();
    let tty = fields.nth(4).and_then(|field| field.parse::<i32>().ok());
    let start = fields.nth(14).and_then(|field| field.parse().ok());
    Some((command, tty.and_then(|tty| u32::try_from(tty).ok()), start))
}

/// Name of a terminal by its device number (devices.txt of the kernel): 136 to 143 are
/// pseudo-terminals, 4 are consoles.
fn terminal(device: u32) -> Option<String> {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    match major {
        136..=143 => Some(format!("pts/{}", (major - 136) * 256 + minor)),
        4 if minor < 64 => Some(format!("tty{minor}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use motley_proto::{frame::Cap, task::TaskDone};

    #[test]
    fn a_session_of_logind_is_told_with_terminal_time_and_origin() {
        let text = "# x\nUID=5001\nUSER=a\nCLASS=user\nTTY=pts/3\nREMOTE=1\nREMOTE_HOST=192.0.2.7\n\
                    SERVICE=sshd\nREALTIME=1800000000123456\n";
        let fact = logind_session("7", text, 5001).unwrap();
        assert_eq!((fact.id.as_str(), fact.since), ("7", Some(1_800_000_000)));
        assert_eq!(fact.tty.as_deref(), Some("pts/3"));
        assert_eq!(fact.remote_host.as_deref(), Some("192.0.2.7"));
        assert_eq!(logind_session("7", text, 5002), None);
        assert_eq!(logind_session("8", "UID=5001\nCLASS=manager\n", 5001), None);
    }

    #[test]
    fn the_line_of_a_process_is_read_whatever_its_command_is() {
        let stat = "7 (a) S 9 9 ) S 1 7 42 34819 7 0 1 2 3 4 5 6 7 8 20 0 1 0 12300 9 9";
        let (command, tty, start) = parts(stat).unwrap();
        assert_eq!((command, tty, start), ("a) S 9 9 ", Some(34_819), Some(12_300)));
        assert_eq!(terminal(34_819).as_deref(), Some("pts/3"));
        assert_eq!(terminal((137 << 8) | 1).as_deref(), Some("pts/257"));
        assert_eq!((terminal(1025).as_deref(), terminal(0)), (Some("tty1"), None));
    }

    #[test]
    fn r03_the_longest_list_fits_into_a_frame() {
        let hostile = "\u{1b}\"\\ü".repeat(64);
        let session = SessionFact {
            id: plain(&hostile, 32),
            since: Some(i64::MAX),
            tty: Some(plain(&hostile, 64)),
            remote_host: Some(plain(&hostile, 64)),
            service: Some(plain(&hostile, 64)),
        };
        let process = ProcessFact {
            pid: u32::MAX,
            since: Some(i64::MAX),
            command: plain(&hostile, 16),
            tty: Some("pts/1048575".to_owned()),
        };
        let list = AccountSessions {
            sessions: vec![session; MAX_SESSIONS],
            processes: vec![process; MAX_PROCESSES],
            left_out: u32::MAX,
        };
        motley_proto::frame::encode(&TaskDone::SessionList(list), Cap::TASK).unwrap();
    }
}
