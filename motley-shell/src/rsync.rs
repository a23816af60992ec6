//! What a client of rsync(1) may ask of its server side: a list of options, and nothing that is not on it.
//!
//! Other options start programs (`--daemon --config`), write files of their own (`--log-file`), or
//! have the server read further arguments where nobody looks at them (`-s`, `--secluded-args`).

use crate::commands::Command;

/// Name of the program.
const PROGRAM: &str = "rsync";
/// First argument without which it starts whatever it is told to.
pub(crate) const SERVER: &str = "--server";
/// With it the server side reads only.
const SENDER: &str = "--sender";

/// Letters without a value. `s` is none of them.
const LETTERS: &str = "ACDEHIJKLNORSUWXbcdgklmnopqrtuvxyz";
/// Letters whose value is a number.
const NUMBERED: [char; 2] = ['@', 'B'];
/// Long options that clients send. What any of them writes lies where files are copied to.
const OPTIONS: &[&str] = &[
    "append",
    "backup-dir",
    "block-size",
    "bwlimit",
    "checksum-choice",
    "checksum-seed",
    "compare-dest",
    "compress-choice",
    "compress-level",
    "compress-threads",
    "copy-dest",
    "copy-unsafe-links",
    "delay-updates",
    "delete",
    "delete-after",
    "delete-before",
    "delete-delay",
    "delete-during",
    "delete-excluded",
    "delete-missing-args",
    "dirs",
    "existing",
    "fake-super",
    "files-from",
    "force",
    "from0",
    "fsync",
    "fuzzy",
    "group",
    "groupmap",
    "hard-links",
    "iconv",
    "ignore-errors",
    "ignore-existing",
    "ignore-missing-args",
    "ignore-times",
    "info",
    "inplace",
    "link-dest",
    "links",
    "list-only",
    "log-format",
    "max-alloc",
    "max-delete",
    "max-size",
    "min-size",
    "mkpath",
    "modify-window",
    "msgs2stderr",
    "munge-links",
    "new-compress",
    "no-W",
    "no-implied-dirs",
    "no-msgs2stderr",
    "no-r",
    "no-relative",
    "no-specials",
    "numeric-ids",
    "old-compress",
    "one-file-system",
    "open-noatime",
    "owner",
    "partial",
    "partial-dir",
    "perms",
    "preallocate",
    "recursive",
    "safe-links",
    "sender",
    "size-only",
    "skip-compress",
    "specials",
    "stats",
    "stderr",
    "suffix",
    "super",
    "temp-dir",
    "timeout",
    "times",
    "use-qsort",
    "usermap",
];
/// Long options by which it deletes what was sent.
const DELETIONS: &[&str] = &["remove-sent-files", "remove-source-files"];

/// True if the listed command starts it.
pub(crate) fn is_started_by(command: &Command) -> bool {
    command.program.rsplit('/').next() == Some(PROGRAM)
}

/// True if the list gives this argument, and none before it that is no such switch.
pub(crate) fn is_fixed(command: &Command, argument: &str) -> bool {
    let switches = [SERVER, SENDER];
    let mut given = command.arguments.iter().take_while(|given| switches.contains(&given.as_str()));
    command.arguments.first().is_some_and(|first| first == SERVER)
        && given.any(|given| given == argument)
}

/// True if these words, typed behind the listed command, ask for what it is listed for.
///
/// Options may stand anywhere (popt(3)), so every word that begins with `-` must be a known one.
pub(crate) fn allows(command: &Command, behind: &[String]) -> bool {
    let deletes = !is_fixed(command, SENDER);
    behind.iter().filter_map(|word| word.strip_prefix('-')).all(|option| {
        match option.strip_prefix('-') {
            Some(long) => {
                let name = long.split('=').next().unwrap_or_default();
                OPTIONS.contains(&name) || (deletes && DELETIONS.contains(&name))
            }
            None => is_cluster(option) || is_number(option),
        }
    })
}

/// Letters, at the end of which `e` brings what the client is able to do, as in `vlogDtpre.iLsfxC`.
fn is_cluster(letters: &str) -> bool {
    let (letters, abilities) = match letters.split_once('e') {
        Some((letters, abilities)) => (letters, Some(abilities)),
        None => (letters, None),
    };
    let is_able = abilities.is_none_or(|text| {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('.');
        rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphanumeric()))
    });
    let is_empty = letters.is_empty() && abilities.is_none();
    !is_empty && is_able && letters.chars().all(|letter| LETTERS.contains(letter))
}

fn is_number(option: &str) -> bool {
    let digits = option.strip_prefix(NUMBERED).unwrap_or_default();
    !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
}
