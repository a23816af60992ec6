//! The ssh that runs the hook: what it is about to do, as far as its own command line tells.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

/// How many processes up the ssh may be: shells stand between where they do not replace themselves.
const MAX_DISTANCE: usize = 4;
/// Options of ssh(1) that take a value, OpenSSH 8.0 to 10.
const WITH_VALUE: &[u8] = b"BDEFIJLOPQRSWbceilmopw";
/// Settings that lead elsewhere, or past the shared connection.
const ELSEWHERE: [&str; 8] = [
    "controlpath",
    "proxyjump",
    "proxycommand",
    "hostname",
    "hostkeyalias",
    "bindaddress",
    "bindinterface",
    "proxyusefdpass",
];

/// What an ssh does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It logs in, with this file in the place of the user's configuration.
    Login(Option<PathBuf>),
    /// It prints its settings, or asks a shared connection.
    Look,
    /// It goes another way than its configuration says, or over a connection of its own.
    Elsewhere,
}

/// What the ssh above this process does; a login if there is none to be seen.
pub(crate) fn purpose() -> Purpose {
    let mut pid = nix::unistd::getppid().as_raw();
    for _ in 0..MAX_DISTANCE {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<OsString> =
            line.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        if program.file_name().is_some_and(|name| name == "ssh") {
            return read(words.get(1..).unwrap_or_default());
        }
        match parent(pid) {
            Some(next) if next > 1 => pid = next,
            _ => break,
        }
    }
    Purpose::Login(None)
}

/// The parent, from proc_pid_stat(5): the second field behind the name, which may hold anything.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn read(words: &[OsString]) -> Purpose {
    let mut config = None;
    let mut host_seen = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if !bytes.starts_with(b"-") {
            if host_seen {
                break;
            }
            host_seen = true;
            continue;
        }
        if bytes == b"--" {
            break;
        }
        let letters = bytes.get(1..).unwrap_or_default();
        let value_at = letters.iter().position(|letter| WITH_VALUE.contains(letter));
        let end = value_at.unwrap_or(letters.len());
        if letters.iter().take(end).any(|letter| *letter == b'G' || *letter == b'V') {
            return Purpose::Look;
        }
        if letters.iter().take(end).any(|letter| *letter == b'M') {
            return Purpose::Elsewhere;
        }
        let Some(letter) = value_at.and_then(|at| letters.get(at)) else { continue };
        let attached = letters.get(end + 1..).unwrap_or_default();
        let value = if attached.is_empty() {
            words.next().cloned().unwrap_or_default()
        } else {
            OsStr::from_bytes(attached).to_owned()
        };
        match letter {
            b'O' | b'Q' => return Purpose::Look,
            b'J' | b'S' | b'b' | b'B' => return Purpose::Elsewhere,
            b'o' if leads_elsewhere(&value) => return Purpose::Elsewhere,
            b'F' => config = Some(PathBuf::from(value)),
            _ => {}
        }
    }
    Purpose::Login(config)
}

fn leads_elsewhere(setting: &OsStr) -> bool {
    let text = setting.to_string_lossy().to_lowercase();
    let name = text.trim_start().split(|c: char| c == '=' || c.is_whitespace()).next();
    name.is_some_and(|name| ELSEWHERE.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_ssh_tells_what_it_does() {
        use Purpose::{Elsewhere, Login, Look};
        for (line, expected) in [
            ("cue", Login(None)),
            ("-T -D 1080 cue bash -G", Login(None)),
            ("-p 2222 -lbob cue -- -G", Login(None)),
            ("-vF cfg cue", Login(Some("cfg".into()))),
            ("-Fcfg cue", Login(Some("cfg".into()))),
            ("-G cue", Look),
            ("-vG cue", Look),
            ("cue -G", Look),
            ("-O check cue", Look),
            ("-l G cue", Login(None)),
            ("-J jump cue", Elsewhere),
            ("-o ProxyJump=jump cue", Elsewhere),
            ("-oproxycommand=nc cue", Elsewhere),
            ("-o ControlPath=x -o ControlMaster=auto cue", Elsewhere),
            ("-S none cue", Elsewhere),
            ("-o ConnectTimeout=5 -o BatchMode=yes cue", Login(None)),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(read(&words), expected, "{line}");
        }
    }
}
