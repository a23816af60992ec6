//! `mccli logout`: gives a login back to its provider and forgets it.

use crate::{
    cli::{LogoutLine, Options},
    error::{Error, Result},
};

/// Runs the command.
pub(super) fn run(_options: &Options, _line: &LogoutLine) -> Result<()> {
    Err(Error::Usage("this command is not built yet".to_owned()))
}
