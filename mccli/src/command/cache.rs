//! `mccli cache`: forgets what mccli remembers of services.

use crate::{
    cli::{CacheCommand, Options},
    error::{Error, Result},
};

/// Runs the command.
pub(super) fn run(_options: &Options, _command: &CacheCommand) -> Result<()> {
    Err(Error::Usage("this command is not built yet".to_owned()))
}
