//! The command lines of scp and sftp, taken apart as their own parsers do.

use super::ssh::value_is_next;
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

/// Options of scp(1) that take a value, OpenSSH 8.0 to 10.
pub(super) const SCP_WITH_VALUE: &[u8] = b"cDFiJloPSX";
/// Options of sftp(1) that take a value.
pub(super) const SFTP_WITH_VALUE: &[u8] = b"BbcDFiJloPRSsX";
/// Options of both that mean to ssh the same.
const OF_SSH: &[u8] = b"46ACFJciov";

/// A line of scp or sftp: options first, then operands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyWords {
    options: Vec<(u8, Option<OsString>)>,
    /// What is copied, or where to.
    pub(crate) operands: Vec<OsString>,
}

/// The far end that an operand names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The user, if the operand says so: then the login is the user's own affair.
    pub(crate) user: Option<String>,
    /// The host as ssh shall take it.
    pub(crate) host: String,
    /// The port of a URL.
    pub(crate) port: Option<String>,
}

impl CopyWords {
    /// The line of scp.
    pub(crate) fn of_scp(words: &[OsString]) -> Self {
        Self::parse(words, SCP_WITH_VALUE)
    }

    /// The line of sftp.
    pub(crate) fn of_sftp(words: &[OsString]) -> Self {
        Self::parse(words, SFTP_WITH_VALUE)
    }

    fn parse(words: &[OsString], with_value: &[u8]) -> Self {
        let mut options = Vec::new();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next_if(|w| w.as_bytes().starts_with(b"-") && *w != "-") {
            if word == "--" {
                break;
            }
            let mut letters = word.as_bytes().get(1..).unwrap_or_default();
            let separate = value_is_next(word.as_bytes(), with_value).then(|| words.next());
            while let Some((&letter, rest)) = letters.split_first() {
                if !with_value.contains(&letter) {
                    options.push((letter, None));
                    letters = rest;
                    continue;
                }
                let attached = || OsStr::from_bytes(rest).to_owned();
                options.push((letter, separate.flatten().cloned().or_else(|| Some(attached()))));
                break;
            }
        }
        Self { options, operands: words.cloned().collect() }
    }

    /// The options, each as a word of its own.
    pub(crate) fn option_words(&self) -> Vec<OsString> {
        let words = |(letter, value): &(u8, Option<OsString>)| {
            let name = OsString::from(format!("-{}", char::from(*letter)));
            std::iter::once(name).chain(value.clone()).collect::<Vec<_>>()
        };
        self.options.iter().flat_map(words).collect()
    }

    /// True if the line itself says who logs in everywhere: `-o User=`.
    pub(crate) fn names_user(&self) -> bool {
        self.options.iter().any(|(letter, value)| {
            *letter == b'o' && value.as_ref().is_some_and(|text| super::ssh::sets(text, "user"))
        })
    }

    /// True if this option is there.
    pub(crate) fn has_option(&self, letter: u8) -> bool {
        self.options.iter().any(|(it, _)| *it == letter)
    }

    /// The words with which ssh comes to this far end.
    pub(crate) fn ssh_words(&self, remote: &Remote) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        for (letter, value) in &self.options {
            let letter = match letter {
                b'P' if remote.port.is_none() => b'p',
                letter if OF_SSH.contains(letter) => *letter,
                _ => continue,
            };
            words.push(format!("-{}", char::from(letter)).into());
            words.extend(value.clone());
        }
        if let Some(port) = &remote.port {
            words.extend(["-p".into(), port.into()]);
        }
        words.extend(["--".into(), remote.host.clone().into()]);
        words
    }
}

/// What an operand of scp names; `None` for a file here.
pub(crate) fn scp_remote(operand: &OsStr) -> Option<Remote> {
    let text = operand.to_string_lossy();
    match text.strip_prefix("scp://") {
        Some(rest) => Some(of_url(rest)),
        None => text.get(..colon(&text)?).map(of_name),
    }
}

/// What the operand of sftp names; the path may be left out.
pub(crate) fn sftp_remote(operand: &OsStr) -> Remote {
    let text = operand.to_string_lossy();
    match text.strip_prefix("sftp://") {
        Some(rest) => of_url(rest),
        None => of_name(colon(&text).and_then(|at| text.get(..at)).unwrap_or(&text)),
    }
}

/// Where `host:` ends, as scp's own function of this name finds it: a file has a slash before any
/// colon, and an address with colons stands in brackets.
fn colon(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut in_brackets = bytes.first() == Some(&b'[');
    if bytes.first() == Some(&b':') {
        return None;
    }
    for (at, byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1);
        match byte {
            b'@' if next == Some(&b'[') => in_brackets = true,
            b']' if next == Some(&b':') && in_brackets => return Some(at + 1),
            b':' if !in_brackets => return Some(at),
            b'/' => return None,
            _ => {}
        }
    }
    None
}

fn of_name(text: &str) -> Remote {
    let (user, host) = split_user(text);
    Remote { user, host: without_brackets(host), port: None }
}

fn of_url(rest: &str) -> Remote {
    let authority = rest.split('/').next().unwrap_or(rest);
    let (user, place) = split_user(authority);
    let behind_brackets = place.rfind(']').map_or(0, |at| at + 1);
    let tail = place.get(behind_brackets..).unwrap_or_default();
    let (host, port) = match tail.rfind(':') {
        Some(at) => (
            place.get(..behind_brackets + at).unwrap_or(place),
            tail.get(at + 1..).filter(|port| !port.is_empty()).map(str::to_owned),
        ),
        None => (place, None),
    };
    Remote { user, host: without_brackets(host), port }
}

fn split_user(text: &str) -> (Option<String>, &str) {
    match text.rsplit_once('@') {
        Some((user, host)) => ((!user.is_empty()).then(|| user.to_owned()), host),
        None => (None, text),
    }
}

fn without_brackets(host: &str) -> String {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn operands_name_what_scp_takes_them_for() {
        for (operand, expected) in [
            ("file", None),
            ("./a:b", None),
            ("/x/a:b", None),
            (":x", None),
            ("h:", Some((None, "h", None))),
            ("h:a b", Some((None, "h", None))),
            ("bob@h:/x", Some((Some("bob"), "h", None))),
            ("a@b@h:x", Some((Some("a@b"), "h", None))),
            ("[::1]:x", Some((None, "::1", None))),
            ("bob@[::1]:x", Some((Some("bob"), "::1", None))),
            ("scp://h/x", Some((None, "h", None))),
            ("scp://h:2222/x", Some((None, "h", Some("2222")))),
            ("scp://bob@[::1]:2222/x", Some((Some("bob"), "::1", Some("2222")))),
            ("scp://[::1]", Some((None, "::1", None))),
        ] {
            let found = scp_remote(OsStr::new(operand));
            let found =
                found.as_ref().map(|it| (it.user.as_deref(), it.host.as_str(), it.port.as_deref()));
            assert_eq!(found, expected, "{operand}");
        }
        for (operand, host) in [("h", "h"), ("h:x", "h"), ("[::1]", "::1"), ("sftp://h:9/x", "h")] {
            assert_eq!(sftp_remote(OsStr::new(operand)).host, host, "{operand}");
        }
    }

    #[test]
    fn options_that_ssh_needs_reach_it_under_its_own_names() {
        let line = CopyWords::of_scp(&words(
            "-rvP 2222 -o A=b -oC=d -l 100 -S prog -J j -X nrequests=2 -O f h:",
        ));
        assert_eq!(line.operands, words("f h:"));
        let remote = scp_remote(OsStr::new("h:")).unwrap();
        assert_eq!(line.ssh_words(&remote), words("-v -p 2222 -o A=b -o C=d -J j -- h"));
        let url = scp_remote(OsStr::new("scp://h:9/")).unwrap();
        assert_eq!(line.ssh_words(&url), words("-v -o A=b -o C=d -J j -p 9 -- h"));
        assert!(line.has_option(b'O') && line.has_option(b'S') && !line.has_option(b'p'));
        let dashed = CopyWords::of_scp(&words("-- -x h:"));
        assert_eq!(dashed.operands, words("-x h:"));
        let batch = CopyWords::of_sftp(&words("-b - -R 9 h"));
        assert_eq!((batch.operands.clone(), batch.has_option(b'b')), (words("h"), true));
    }
}
