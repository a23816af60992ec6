//! Tells mccli's own words from ssh's: own options stand before the host or directly after it.

use clap::Command;
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

/// Options of ssh(1) that take a value, OpenSSH 8.0 to 10.
const WITH_VALUE: &[u8] = b"BDEFIJLOPQRSWbceilmopw";

/// Puts the own options of `mccli … ssh …` first and a `--` before the words of ssh, so that the
/// parser of the command line never looks into a remote command.
pub(crate) fn sort_out(argv: Vec<OsString>, command: &Command) -> Vec<OsString> {
    let Some(at) = subcommand_at(&argv, command) else { return argv };
    let (Some("ssh"), Some(ssh)) =
        (argv.get(at).and_then(|word| word.to_str()), command.find_subcommand("ssh"))
    else {
        return argv;
    };
    let mut sorted = argv;
    let rest = sorted.split_off(at + 1);
    let (own, words) = separate(rest, ssh);
    sorted.extend(own);
    if !words.is_empty() {
        sorted.push("--".into());
        sorted.extend(words);
    }
    sorted
}

fn subcommand_at(argv: &[OsString], command: &Command) -> Option<usize> {
    let mut at = 1;
    loop {
        let word = argv.get(at)?.as_bytes();
        if !word.starts_with(b"-") {
            return Some(at);
        }
        at += if takes_next(argv.get(at)?, command) { 2 } else { 1 };
    }
}

/// True for a long option whose value is the next word.
fn takes_next(word: &OsStr, command: &Command) -> bool {
    let Some(name) = word.to_str().and_then(|text| text.strip_prefix("--")) else { return false };
    command
        .get_arguments()
        .find(|arg| {
            arg.get_long() == Some(name)
                || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
        })
        .is_some_and(|arg| arg.get_action().takes_values())
}

fn separate(rest: Vec<OsString>, command: &Command) -> (Vec<OsString>, Vec<OsString>) {
    let (mut own, mut words) = (Vec::new(), Vec::new());
    let mut host_seen = false;
    let mut rest = rest.into_iter();
    while let Some(word) = rest.next() {
        let bytes = word.as_bytes();
        // ssh has no long options, so every one is ours, misspelt ones too.
        if is_own(bytes) {
            let with_value = takes_next(&word, command);
            own.push(word);
            own.extend(with_value.then(|| rest.next()).flatten());
        } else if bytes.starts_with(b"-") && bytes != b"-" && bytes != b"--" {
            let with_value = value_is_next(bytes);
            words.push(word);
            words.extend(with_value.then(|| rest.next()).flatten());
        } else {
            let more_options_follow = !host_seen && bytes != b"--";
            host_seen = true;
            words.push(word);
            if !more_options_follow {
                words.extend(rest);
                break;
            }
        }
    }
    (own, words)
}

fn is_own(word: &[u8]) -> bool {
    (word.starts_with(b"--") && word.len() > 2) || word == b"-h" || word == b"-V"
}

/// True if the last option in a word like `-vp` takes the next word as its value.
fn value_is_next(word: &[u8]) -> bool {
    match word.iter().skip(1).position(|letter| WITH_VALUE.contains(letter)) {
        Some(at) => at + 2 == word.len(),
        None => false,
    }
}

/// The words of ssh, in the parts that ssh itself sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshWords {
    /// Everything up to the command: options, host, options after it.
    pub(crate) opening: Vec<OsString>,
    /// Where in `opening` a `--` stands that ends the options, if there is one.
    ends_at: Option<usize>,
    /// The remote command.
    pub(crate) command: Vec<OsString>,
}

impl SshWords {
    /// Finds the parts as ssh's own parser does.
    pub(crate) fn parse(words: &[OsString]) -> Self {
        let mut ends_at = None;
        let mut host_seen = false;
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let bytes = word.as_bytes();
            if bytes == b"--" && ends_at.is_none() {
                ends_at = Some(at);
                at += 1;
            } else if ends_at.is_none() && bytes.starts_with(b"-") && bytes != b"-" {
                at += if value_is_next(bytes) { 2 } else { 1 };
            } else if host_seen {
                break;
            } else {
                host_seen = true;
                at += 1;
            }
            if ends_at.is_some() && host_seen {
                break;
            }
        }
        let (opening, command) = words.split_at(at.min(words.len()));
        Self { opening: opening.to_vec(), ends_at, command: command.to_vec() }
    }

    /// True if one of ssh's options is this letter.
    pub(crate) fn has_option(&self, letter: u8) -> bool {
        let end = self.ends_at.unwrap_or(self.opening.len());
        let mut words = self.opening.iter().take(end);
        while let Some(word) = words.next() {
            let bytes = word.as_bytes();
            if !bytes.starts_with(b"-") {
                continue;
            }
            let value_at = bytes.iter().skip(1).position(|l| WITH_VALUE.contains(l));
            let letters = bytes.iter().skip(1).take(value_at.map_or(bytes.len(), |at| at + 1));
            if letters.into_iter().any(|l| *l == letter) {
                return true;
            }
            if value_is_next(bytes) {
                words.next();
            }
        }
        false
    }

    /// All words, with more options where those of the user still win: behind the user's.
    pub(crate) fn with_last_options(&self, more: &[OsString]) -> Vec<OsString> {
        let (before, after) = self.opening.split_at(self.ends_at.unwrap_or(self.opening.len()));
        [before, more, after, &self.command].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::definition;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn own_options_are_found_before_the_host_and_directly_after_it() {
        let command = definition();
        for (line, expected) in [
            ("mccli ssh h", "mccli ssh -- h"),
            ("mccli ssh --oidc a h id", "mccli ssh --oidc a -- h id"),
            ("mccli ssh h --oidc a --mc-endpoint U", "mccli ssh --oidc a --mc-endpoint U -- h"),
            ("mccli ssh h --oidc=a -v ls --oidc b", "mccli ssh --oidc=a -- h -v ls --oidc b"),
            ("mccli ssh h git log --debug", "mccli ssh -- h git log --debug"),
            ("mccli ssh h ls -h", "mccli ssh -- h ls -h"),
            ("mccli ssh h cmd -V", "mccli ssh -- h cmd -V"),
            ("mccli ssh -V", "mccli ssh -V"),
            ("mccli ssh -h", "mccli ssh -h"),
            ("mccli ssh h -- --debug", "mccli ssh -- h -- --debug"),
            ("mccli ssh -- h --debug", "mccli ssh -- -- h --debug"),
            ("mccli ssh -p 22 h", "mccli ssh -- -p 22 h"),
            ("mccli ssh -p --debug h", "mccli ssh -- -p --debug h"),
            ("mccli ssh -vp 22 --debug h x", "mccli ssh --debug -- -vp 22 h x"),
            ("mccli ssh -p22 h x", "mccli ssh -- -p22 h x"),
            ("mccli ssh -o A=b -J j h -t x", "mccli ssh -- -o A=b -J j h -t x"),
            ("mccli --oidc ssh ssh h", "mccli --oidc ssh ssh -- h"),
            ("mccli --debug --token=ssh ssh h", "mccli --debug --token=ssh ssh -- h"),
            ("mccli ssh", "mccli ssh"),
            ("mccli info h", "mccli info h"),
            ("mccli --help", "mccli --help"),
        ] {
            assert_eq!(sort_out(words(line), &command), words(expected), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn r45_no_word_is_lost_or_doubled(
            line in "(ssh|-[a-zA-Z]{0,3}|--|--[a-z]{1,8}|--oidc|[a-z]{1,3}| ){0,12}( (ssh|-[a-zA-Z]{0,3}|--|--oidc|--debug|[a-z]{0,3})){0,10}"
        ) {
            let command = definition();
            let before = words(&format!("mccli {line}"));
            let after = sort_out(before.clone(), &command);
            let mut kept = before.clone();
            let mut sorted = after.clone();
            kept.sort();
            sorted.sort();
            if sorted.len() != kept.len() {
                kept.push("--".into());
                kept.sort();
            }
            proptest::prop_assert_eq!(sorted, kept);
            let parsed = SshWords::parse(&before);
            proptest::prop_assert_eq!(parsed.with_last_options(&[]), before);
        }
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
}
