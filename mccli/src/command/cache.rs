//! `mccli cache`: forgets what mccli remembers of services.

use crate::{
    cache,
    cli::{CacheCommand, Options},
    error::{Error, Result},
    folders, report,
};

/// Forgets it all.
///
/// # Errors
/// [`Error::File`] when something can't be removed.
pub(super) fn run(_options: &Options, command: &CacheCommand) -> Result<()> {
    match command {
        CacheCommand::Clear => {
            let path = folders::cache();
            let count = cache::clear(&path).map_err(|source| Error::File { path, source })?;
            report::info(&format!("forgot {count} answers"));
            Ok(())
        }
    }
}
