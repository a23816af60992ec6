//! `mccli rsync`: synchronises files with rsync over ssh.

use super::endpoint::real_name;
use crate::{argv::scp_remote, carrier::Carrier, cli::Options, error::Result, programs};
use std::{convert::Infallible, ffi::OsString};

/// Never comes back on success. `-e ssh …` of the user's finds our ssh too.
///
/// # Errors
/// When the broker or rsync can't be started.
pub(super) fn run(options: &Options, words: &[OsString]) -> Result<Infallible> {
    let carrier = Carrier::start(options, Vec::new(), hosts(words))?;
    let mut command = programs::command("rsync");
    command.args(words);
    carrier.become_program_of_programs(command)
}

/// The hosts on the line. Values of options that look like one were typed by the user too.
fn hosts(words: &[OsString]) -> Vec<String> {
    let remotes = words.iter().filter_map(|word| scp_remote(word));
    remotes.filter_map(|remote| real_name(&remote.host).ok()).collect()
}
