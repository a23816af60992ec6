//! `mccli sftp` and `mccli-sftp`: moves files with sftp.

use super::scp::{become_program, become_with_carrier};
use crate::{
    argv::{CopyWords, sftp_remote},
    carrier::Carrier,
    cli::Options,
    error::{Error, Result},
};
use std::{convert::Infallible, ffi::OsString};

/// Never comes back on success.
///
/// # Errors
/// Whatever keeps a host without a user from being entered.
pub(super) fn run(options: &Options, words: &[OsString]) -> Result<Infallible> {
    let line = CopyWords::of_sftp(words);
    // With -D there is no host: sftp talks to a program.
    let remote = line.operands.first().filter(|_| !line.has_option(b'D'));
    if remote.is_none() && !line.has_option(b'D') {
        return Err(Error::Usage("Please specify a HOST for sftp.".to_owned()));
    }
    let remotes: Vec<_> = remote.map(|operand| sftp_remote(operand)).into_iter().collect();
    become_program("sftp", options, &line, &remotes, words)
}

/// `mccli-sftp`: does what sftp does.
///
/// # Errors
/// When sftp can't be started.
pub(super) fn link(words: &[OsString]) -> Result<Infallible> {
    become_with_carrier("sftp", &Carrier::at_hand()?, words)
}
