//! The command line of ssh, taken apart as ssh's own parser does.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

/// Options of ssh(1) that take a value, OpenSSH 8.0 to 10.
pub(super) const WITH_VALUE: &[u8] = b"BDEFIJLOPQRSWbceilmopw";

/// Options that decide how the connection is made; the others are about what is done over it.
const OF_THE_CONNECTION: &[u8] = b"46ACFIJKabcikmopqv";

/// The words of ssh, in the parts that ssh itself sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshWords {
    /// Everything up to the command: options, host, options after it.
    opening: Vec<OsString>,
    /// Where in `opening` a `--` stands that ends the options, if there is one.
    ends_at: Option<usize>,
    /// Where in `opening` the host stands, if there is one.
    host_at: Option<usize>,
    /// The remote command.
    pub(crate) command: Vec<OsString>,
}

/// One option and its value.
struct Found<'a> {
    letter: u8,
    value: Option<&'a OsStr>,
}

impl SshWords {
    /// Finds the parts.
    pub(crate) fn parse(words: &[OsString]) -> Self {
        let (mut ends_at, mut host_at) = (None, None);
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let bytes = word.as_bytes();
            if bytes == b"--" && ends_at.is_none() {
                ends_at = Some(at);
                at += 1;
            } else if ends_at.is_none() && bytes.starts_with(b"-") && bytes != b"-" {
                at += if value_is_next(bytes, WITH_VALUE) { 2 } else { 1 };
            } else if host_at.is_some() {
                break;
            } else {
                host_at = Some(at);
                at += 1;
            }
            if ends_at.is_some() && host_at.is_some() {
                break;
            }
        }
        let (opening, command) = words.split_at(at.min(words.len()));
        Self { opening: opening.to_vec(), ends_at, host_at, command: command.to_vec() }
    }

    /// The host as it was given.
    pub(crate) fn host(&self) -> Option<&OsStr> {
        self.host_at.and_then(|at| self.opening.get(at)).map(OsString::as_os_str)
    }

    /// True if one of ssh's options is this letter.
    pub(crate) fn has_option(&self, letter: u8) -> bool {
        self.options().iter().any(|option| option.letter == letter)
    }

    /// True if the line itself says who logs in: `-l`, `-o User=`, `user@host`.
    pub(crate) fn names_user(&self) -> bool {
        let in_host = self.host().is_some_and(|host| host.as_bytes().contains(&b'@'));
        in_host
            || self.options().iter().any(|option| match option.letter {
                b'l' => true,
                b'o' => option.value.is_some_and(|value| sets(value, "user")),
                _ => false,
            })
    }

    /// True if git or rsync wrote this line, and with it the host: they run their own other half there.
    pub(crate) fn is_of_a_program(&self) -> bool {
        let text = self.command.join(OsStr::new(" "));
        let text = text.to_string_lossy();
        let git = [
            "upload-pack ",
            "receive-pack ",
            "upload-archive ",
            "lfs-authenticate ",
            "lfs-transfer ",
        ];
        let of_git = |rest: &str| git.iter().any(|name| rest.starts_with(name));
        let is_git = [text.strip_prefix("git-"), text.strip_prefix("git ")];
        is_git.into_iter().flatten().any(of_git) || text.starts_with("rsync --server")
    }

    /// Options that decide how the connection is made, and the host.
    pub(crate) fn of_the_connection(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        for Found { letter, value } in self.options() {
            if OF_THE_CONNECTION.contains(&letter) {
                words.push(format!("-{}", char::from(letter)).into());
                words.extend(value.map(OsStr::to_owned));
            }
        }
        words.extend(self.host().map(OsStr::to_owned));
        words
    }

    /// All words, with more options where those of the user still win: behind the user's.
    pub(crate) fn with_last_options(&self, more: &[OsString]) -> Vec<OsString> {
        let (before, after) = self.opening.split_at(self.ends_at.unwrap_or(self.opening.len()));
        [before, more, after, &self.command].concat()
    }

    fn options(&self) -> Vec<Found<'_>> {
        let end = self.ends_at.unwrap_or(self.opening.len());
        let mut words = self.opening.iter().take(end).enumerate();
        let mut found = Vec::new();
        while let Some((at, word)) = words.next() {
            if Some(at) == self.host_at {
                continue;
            }
            let mut letters = word.as_bytes().get(1..).unwrap_or_default();
            while let Some((&letter, rest)) = letters.split_first() {
                if !WITH_VALUE.contains(&letter) {
                    found.push(Found { letter, value: None });
                    letters = rest;
                    continue;
                }
                let value = match rest {
                    [] => words.next().map(|(_, next)| next.as_os_str()),
                    _ => Some(OsStr::from_bytes(rest)),
                };
                found.push(Found { letter, value });
                break;
            }
        }
        found
    }
}

/// True if the text of `-o` sets this keyword: `Key=value` or `Key value`.
pub(super) fn sets(text: &OsStr, keyword: &str) -> bool {
    let text = text.to_string_lossy();
    let name = text.trim_start().split(|c: char| c == '=' || c.is_whitespace()).next();
    name.is_some_and(|name| name.eq_ignore_ascii_case(keyword))
}

/// True if the last option in a word like `-vp` takes the next word as its value.
pub(super) fn value_is_next(word: &[u8], with_value: &[u8]) -> bool {
    match word.iter().skip(1).position(|letter| with_value.contains(letter)) {
        Some(at) => at + 2 == word.len(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn later_options_stand_before_the_command_and_behind_the_users() {
        let more = words("-o X=y");
        for (line, expected) in [
            ("h", "h -o X=y"),
            ("-v h cmd a", "-v h -o X=y cmd a"),
            ("h -p 22 cmd -o Z", "h -p 22 -o X=y cmd -o Z"),
            ("-- h -p 22", "-o X=y -- h -p 22"),
            ("h -- cmd", "h -o X=y -- cmd"),
            ("-p 1 h -t -- cmd", "-p 1 h -t -o X=y -- cmd"),
        ] {
            let parsed = SshWords::parse(&words(line));
            assert_eq!(parsed.with_last_options(&more), words(expected), "{line}");
        }
    }

    #[test]
    fn lines_that_git_and_rsync_write_are_told_from_those_of_people() {
        for (line, expected) in [
            ("-p 2222 h git-upload-pack '/x.git'", true),
            ("-o SendEnv=GIT_PROTOCOL h git-receive-pack '/x'", true),
            ("h git upload-archive '/x'", true),
            ("h git-lfs-authenticate x download", true),
            ("h rsync --server --sender -logDtpre.iLsfxC . /x", true),
            ("h git log", false),
            ("h git-shell", false),
            ("h rsync -a x y", false),
            ("h echo git-upload-pack x", false),
            ("h", false),
        ] {
            assert_eq!(SshWords::parse(&words(line)).is_of_a_program(), expected, "{line}");
        }
    }

    #[test]
    fn options_of_ssh_are_told_from_their_values_and_from_the_command() {
        for (line, letter, expected) in [
            ("-G h", b'G', true),
            ("-vG h", b'G', true),
            ("-pG h", b'G', false),
            ("-p -G h", b'G', false),
            ("h -G", b'G', true),
            ("h cmd -G", b'G', false),
            ("-O check h", b'O', true),
            ("-Ocheck h", b'O', true),
            ("-- h -G", b'G', false),
        ] {
            assert_eq!(SshWords::parse(&words(line)).has_option(letter), expected, "{line}");
        }
    }

    #[test]
    fn the_host_and_a_user_on_the_line_are_found() {
        for (line, host, named) in [
            ("h", "h", false),
            ("-p 22 -v h id -l x", "h", false),
            ("bob@h", "bob@h", true),
            ("ssh://bob@h:22", "ssh://bob@h:22", true),
            ("ssh://h:22", "ssh://h:22", false),
            ("-l bob h", "h", true),
            ("-lbob h", "h", true),
            ("-vl bob h", "h", true),
            ("-o User=bob h", "h", true),
            ("-oUSER=bob h", "h", true),
            ("-oUserKnownHostsFile=x h", "h", false),
            ("h -l bob id", "h", true),
            ("-J bob@j h", "h", false),
            ("-x -oA=b -s -- h sftp", "h", false),
            ("-x -l bob -- h sftp", "h", true),
        ] {
            let parsed = SshWords::parse(&words(line));
            assert_eq!(parsed.host(), Some(OsStr::new(host)), "{line}");
            assert_eq!(parsed.names_user(), named, "{line}");
        }
        let spaced = ["-o", "User bob", "h"].map(OsString::from);
        assert!(SshWords::parse(&spaced).names_user());
        assert_eq!(SshWords::parse(&words("-v -p")).host(), None);
    }

    #[test]
    fn what_belongs_to_the_connection_is_told_from_what_is_done_over_it() {
        let line = "-tvp 22 -L 1:h:2 -D 3 -f -J j h -N -o A=b -s sub cmd -p 9";
        let parsed = SshWords::parse(&words(line));
        assert_eq!(parsed.of_the_connection(), words("-v -p 22 -J j -o A=b h"));
    }
}
