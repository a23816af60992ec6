//! `mccli completions` and `mccli man`: generated from the command line's own definition.

use crate::{cli::Cli, error::Result};
use clap::CommandFactory;
use std::io;

/// Writes the completion script.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<()> {
    clap_complete::generate(shell, &mut Cli::command(), "mccli", &mut io::stdout());
    Ok(())
}

/// Writes the manual page: the program first, then each command.
pub(super) fn page() -> Result<()> {
    let mut command = Cli::command();
    command.build();
    clap_mangen::Man::new(command).render(&mut io::stdout())?;
    Ok(())
}
