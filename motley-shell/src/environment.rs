//! The environment of what is started: made anew, with a few texts of the old one that can do no harm.

use std::ffi::{OsStr, OsString};

/// Where programs look for others; never what the environment says.
pub const PATH: &str = "/usr/bin:/bin";

/// Variables that are taken over, if nothing but plain characters stands in them.
const TAKEN_OVER: &[&str] = &["TERM", "LANG", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "TZ"];
/// Longest value that is taken over, in bytes.
const MAX_VALUE_BYTES: usize = 128;

/// Who is logged in, by the name service and not by the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Home directory.
    pub home: OsString,
}

/// The variables of what is started.
pub fn cleaned(
    person: &Person,
    shell: &str,
    old: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut fresh: Vec<(OsString, OsString)> = vec![
        ("PATH".into(), PATH.into()),
        ("HOME".into(), person.home.clone()),
        ("USER".into(), person.name.clone().into()),
        ("LOGNAME".into(), person.name.clone().into()),
        ("SHELL".into(), shell.into()),
    ];
    fresh.extend(old.filter(|(name, value)| is_harmless(name, value)));
    fresh
}

fn is_harmless(name: &OsStr, value: &OsStr) -> bool {
    let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { return false };
    let known = TAKEN_OVER.contains(&name)
        || name
            .strip_prefix("LC_")
            .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_uppercase()));
    // The C library passes over a colon in front of a zone's path.
    let absolute = value.trim_start_matches(':').starts_with('/') && name != "SSH_TTY";
    let plain = |b: u8| b.is_ascii_alphanumeric() || b" .:_+-@/".contains(&b);
    // A zone or terminal given by its path would be read from there.
    known
        && !absolute
        && !value.contains("..")
        && value.len() <= MAX_VALUE_BYTES
        && value.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r26_nothing_of_the_old_environment_can_change_what_a_program_does() {
        let old = [
            ("PATH", "/tmp"),
            ("HOME", "/tmp"),
            ("LD_PRELOAD", "/tmp/x.so"),
            ("LD_LIBRARY_PATH", "/tmp"),
            ("BASH_ENV", "/tmp/x"),
            ("ENV", "/tmp/x"),
            ("IFS", "x"),
            ("PYTHONPATH", "/tmp"),
            ("PAGER", "sh"),
            ("EDITOR", "sh"),
            ("SSH_AUTH_SOCK", "/tmp/agent"),
            ("SSH_ORIGINAL_COMMAND", "sh"),
            ("BASH_FUNC_ls%%", "() { sh; }"),
            ("LC_PATH", "/usr/../tmp"),
            ("LC_X=1", "a"),
            ("TERM", "() { :; }"),
            ("TZ", "/tmp/zone"),
            ("TZ", ":/tmp/zone"),
            ("LANG", "de_DE.UTF-8"),
            ("LC_ALL", "C"),
            ("SSH_TTY", "/dev/pts/3"),
            ("SSH_CONNECTION", "192.0.2.1 4711 192.0.2.2 22"),
            ("SSH_CLIENT", "::1 4711 22"),
        ];
        let old = old.into_iter().map(|(name, value)| (name.into(), value.into()));
        let person = Person { name: "kim".to_owned(), home: "/home/kim".into() };
        let text: Vec<String> = cleaned(&person, "/usr/bin/motley-limited-shell", old)
            .into_iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        let expected = [
            "PATH=/usr/bin:/bin",
            "HOME=/home/kim",
            "USER=kim",
            "LOGNAME=kim",
            "SHELL=/usr/bin/motley-limited-shell",
            "LANG=de_DE.UTF-8",
            "LC_ALL=C",
            "SSH_TTY=/dev/pts/3",
            "SSH_CONNECTION=192.0.2.1 4711 192.0.2.2 22",
            "SSH_CLIENT=::1 4711 22",
        ];
        assert_eq!(text, expected);
    }
}
