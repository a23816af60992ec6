//! `mccli login`: logs in at a provider and keeps the login.

use crate::{
    cli::{LoginLine, Options},
    error::{Error, Result},
};

/// Runs the command.
pub(super) fn run(_options: &Options, _line: &LoginLine) -> Result<()> {
    Err(Error::Usage("this command is not built yet".to_owned()))
}
