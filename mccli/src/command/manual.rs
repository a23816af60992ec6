//! `mccli completions` and `mccli man`: generated from the command line's own definition.

use crate::{
    cli,
    error::{Error, Result},
};
use std::io;

/// Writes the completion script.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<()> {
    clap_complete::generate(shell, &mut cli::definition(), "mccli", &mut io::stdout());
    Ok(())
}

/// Writes the manual page.
///
/// # Errors
/// [`Error::Usage`] for a command that does not exist.
pub(super) fn page(name: Option<&str>) -> Result<()> {
    let root = cli::definition();
    let command = match name {
        None => root,
        Some(name) => root
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Error::Usage(format!("there is no command {name}")))?,
    };
    clap_mangen::Man::new(command).render(&mut io::stdout())?;
    Ok(())
}
