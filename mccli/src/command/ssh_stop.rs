//! `mccli ssh-stop`: ends shared connections.

use crate::{
    cli::Options,
    error::{Error, Result},
};

/// Runs the command.
pub(super) fn run(_options: &Options, _host: Option<&str>) -> Result<()> {
    Err(Error::Usage("this command is not built yet".to_owned()))
}
