//! `mccli ssh-prepare`: starts or checks the shared connection that plain ssh uses.

use crate::{
    cli::{Options, SshPrepareLine},
    error::{Error, Result},
};

/// Runs the command.
pub(super) fn run(_options: &Options, _line: &SshPrepareLine) -> Result<()> {
    Err(Error::Usage("this command is not built yet".to_owned()))
}
