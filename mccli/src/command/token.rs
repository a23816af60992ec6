//! `mccli token`: prints a token, checks whether there is one, or shows what it says.

use crate::{
    cli::{Options, TokenLine},
    error::{Error, Result},
};

/// Runs the command.
pub(super) fn run(_options: &Options, _line: &TokenLine) -> Result<()> {
    Err(Error::Usage("this command is not built yet".to_owned()))
}
