//! `mccli rsync`: synchronises files with rsync over ssh.

use crate::{carrier::Carrier, cli::Options, error::Result, programs};
use std::{convert::Infallible, ffi::OsString};

/// Never comes back on success. `-e ssh …` of the user's finds our ssh too.
///
/// # Errors
/// When the broker or rsync can't be started.
pub(super) fn run(options: &Options, words: &[OsString]) -> Result<Infallible> {
    let carrier = Carrier::start(options, Vec::new())?;
    let mut command = programs::command("rsync");
    command.args(words);
    carrier.become_program_of_programs(command)
}
