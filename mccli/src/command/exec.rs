//! `mccli exec`: runs a program whose ssh logs in by itself.

use crate::{carrier::Carrier, cli::Options, error::Result};
use std::{convert::Infallible, ffi::OsString, process::Command};

/// Never comes back on success.
///
/// # Errors
/// When the broker or the program can't be started.
pub(super) fn run(options: &Options, words: &[OsString]) -> Result<Infallible> {
    let carrier = Carrier::start(options, Vec::new(), Vec::new())?;
    let (program, rest) = words.split_first().ok_or_else(|| {
        crate::error::Error::Usage("give a command: mccli exec -- COMMAND".to_owned())
    })?;
    let mut command = Command::new(program);
    command.args(rest);
    carrier.become_program_of_programs(command)
}
