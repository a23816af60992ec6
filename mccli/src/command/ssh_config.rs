//! `mccli ssh-config`: the block in the configuration of ssh that makes plain ssh log in.

use crate::{
    cli::{Options, SshConfigLine},
    error::{Error, Result},
};

/// Runs the command.
pub(super) fn run(_options: &Options, _line: &SshConfigLine) -> Result<()> {
    Err(Error::Usage("this command is not built yet".to_owned()))
}
