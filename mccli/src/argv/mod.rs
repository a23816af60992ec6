//! Tells mccli's own words from those of the program that it becomes: own options of `ssh` stand before the host or directly after it.

mod copy;
mod ssh;

pub(crate) use copy::{CopyWords, Remote, scp_remote, sftp_remote};
pub(crate) use ssh::SshWords;

use clap::Command;
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
};

/// A program of OpenSSH that this one stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkName {
    /// ssh.
    Ssh,
    /// scp.
    Scp,
    /// sftp.
    Sftp,
}

impl LinkName {
    /// By the name under which this program was started: `mccli-ssh`, or just `ssh`.
    pub(crate) fn of(argv: &[OsString]) -> Option<Self> {
        let name = Path::new(argv.first()?).file_name()?.to_str()?;
        match name.strip_prefix("mccli-").unwrap_or(name) {
            "ssh" => Some(Self::Ssh),
            "scp" => Some(Self::Scp),
            "sftp" => Some(Self::Sftp),
            _ => None,
        }
    }
}

/// How a command tells own words from those of the program that it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grammar {
    /// Options with these letters take a value; behind the host stands a remote command.
    Ssh,
    /// Options with these letters take a value; operands follow. The program has no long options.
    Copy(&'static [u8]),
    /// Own options come first; the first other word and all behind it are the program's. These long
    /// options are the program's too.
    Leading(&'static [&'static str]),
}

/// Long options that rsync has as well: behind `rsync` they are rsync's.
const OF_RSYNC: [&str; 5] = ["config", "debug", "dry-run", "quiet", "timeout"];

fn grammar_of(command: &str) -> Option<Grammar> {
    Some(match command {
        "ssh" => Grammar::Ssh,
        "scp" => Grammar::Copy(copy::SCP_WITH_VALUE),
        "sftp" => Grammar::Copy(copy::SFTP_WITH_VALUE),
        "rsync" => Grammar::Leading(&OF_RSYNC),
        "exec" => Grammar::Leading(&[]),
        _ => return None,
    })
}

/// Puts the own options of `mccli … ssh …`, and of the other commands that become a program, first
/// and a `--` before the words of the program, so that the parser of the command line never looks
/// into them.
pub(crate) fn sort_out(argv: Vec<OsString>, command: &Command) -> Vec<OsString> {
    let Some(at) = subcommand_at(&argv, command) else { return argv };
    let name = argv.get(at).and_then(|word| word.to_str()).unwrap_or_default();
    let (Some(grammar), Some(definition)) = (grammar_of(name), command.find_subcommand(name))
    else {
        return argv;
    };
    let mut sorted = argv;
    let rest = sorted.split_off(at + 1);
    let (own, words) = match grammar {
        Grammar::Leading(theirs) => lead(rest, definition, theirs),
        Grammar::Ssh | Grammar::Copy(_) => separate(rest, definition, grammar),
    };
    sorted.extend(own);
    if !words.is_empty() {
        let is_ended =
            matches!(grammar, Grammar::Leading(_)) && words.first().is_some_and(|w| w == "--");
        sorted.extend((!is_ended).then(|| "--".into()));
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
    long(command, name).is_some_and(|arg| arg.get_action().takes_values())
}

fn has_long(command: &Command, name: &str) -> bool {
    long(command, name).is_some()
}

fn long<'a>(command: &'a Command, name: &str) -> Option<&'a clap::Arg> {
    command.get_arguments().find(|arg| {
        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
    })
}

fn separate(
    rest: Vec<OsString>,
    command: &Command,
    grammar: Grammar,
) -> (Vec<OsString>, Vec<OsString>) {
    let with_value = match grammar {
        Grammar::Copy(letters) => letters,
        _ => ssh::WITH_VALUE,
    };
    let (mut own, mut words) = (Vec::new(), Vec::new());
    let mut host_seen = false;
    let mut rest = rest.into_iter();
    while let Some(word) = rest.next() {
        let bytes = word.as_bytes();
        // These programs have no long options, so every one is ours, misspelt ones too.
        if is_own(bytes) {
            let takes_value = takes_next(&word, command);
            own.push(word);
            own.extend(takes_value.then(|| rest.next()).flatten());
        } else if bytes.starts_with(b"-") && bytes != b"-" && bytes != b"--" {
            let takes_value = ssh::value_is_next(bytes, with_value);
            words.push(word);
            words.extend(takes_value.then(|| rest.next()).flatten());
        } else {
            let may_follow = grammar != Grammar::Ssh || !host_seen;
            let more_options_follow = may_follow && bytes != b"--";
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

/// Takes the own options from the front.
fn lead(rest: Vec<OsString>, command: &Command, theirs: &[&str]) -> (Vec<OsString>, Vec<OsString>) {
    let mut own = Vec::new();
    let mut rest = rest.into_iter().peekable();
    let is_ours = |word: &OsString| {
        let name = word.to_str().and_then(|text| text.strip_prefix("--"));
        name.is_some_and(|name| {
            let name = name.split('=').next().unwrap_or(name);
            !theirs.contains(&name) && (theirs.is_empty() || has_long(command, name))
        }) && word != "--"
            || theirs.is_empty() && (word == "-h" || word == "-V" || word == "-q")
    };
    while let Some(word) = rest.next_if(is_ours) {
        let takes_value = takes_next(&word, command);
        own.push(word);
        own.extend(takes_value.then(|| rest.next()).flatten());
    }
    (own, rest.collect())
}

fn is_own(word: &[u8]) -> bool {
    (word.starts_with(b"--") && word.len() > 2) || word == b"-h" || word == b"-V"
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
            ("mccli scp f h: --oidc a", "mccli scp --oidc a -- f h:"),
            ("mccli scp --oidc a -rP 22 f g h:", "mccli scp --oidc a -- -rP 22 f g h:"),
            ("mccli scp -- --debug h:", "mccli scp -- -- --debug h:"),
            ("mccli scp -X --debug f h:", "mccli scp -- -X --debug f h:"),
            ("mccli sftp -b - --otp always h", "mccli sftp --otp always -- -b - h"),
            ("mccli rsync --oidc a -av --debug f h:", "mccli rsync --oidc a -- -av --debug f h:"),
            ("mccli rsync --dry-run --oidc f h:", "mccli rsync -- --dry-run --oidc f h:"),
            ("mccli rsync --archive f h:", "mccli rsync -- --archive f h:"),
            ("mccli exec --oidc a -- git --debug", "mccli exec --oidc a -- git --debug"),
            ("mccli exec --oidc=a git --debug", "mccli exec --oidc=a -- git --debug"),
            ("mccli exec -h", "mccli exec -h"),
            ("mccli exec --nonsense git", "mccli exec --nonsense -- git"),
            ("mccli info h", "mccli info h"),
            ("mccli --help", "mccli --help"),
        ] {
            assert_eq!(sort_out(words(line), &command), words(expected), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn r45_no_word_is_lost_or_doubled(
            line in "(ssh|scp|rsync|exec|-[a-zA-Z]{0,3}|--|--[a-z]{1,8}|--oidc|[a-z]{1,3}| ){0,12}( (ssh|-[a-zA-Z]{0,3}|--|--oidc|--debug|[a-z]{0,3})){0,10}"
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
}
