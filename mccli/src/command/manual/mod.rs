//! `mccli completions` and `mccli man`: generated from the command line's own definition.

mod sections;

use crate::{
    cli,
    error::{Error, Result},
};
use clap::{Arg, Command};
use clap_mangen::Man;
use std::{
    io::{self, Write},
    path::Path,
};

/// Writes the completion script.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<()> {
    clap_complete::generate(shell, &mut cli::definition(), "mccli", &mut io::stdout());
    Ok(())
}

/// Writes one manual page: of mccli, or of the command of this name.
///
/// # Errors
/// [`Error::Usage`] for a command that does not exist.
pub(super) fn page(names: &[String]) -> Result<()> {
    let root = cli::definition();
    let mut command = &root;
    for name in names {
        command = command
            .find_subcommand(name)
            .ok_or_else(|| Error::Usage(format!("there is no command {}", names.join(" "))))?;
    }
    write(command, &mut io::stdout())?;
    Ok(())
}

/// Writes the pages of mccli and of all its commands into a folder.
///
/// # Errors
/// [`Error::File`].
pub(super) fn pages(folder: &Path) -> Result<()> {
    each(&cli::definition(), &mut |command| {
        let path = folder.join(format!("{}.1", page_name(command)));
        let written = std::fs::File::create(&path).and_then(|mut file| write(command, &mut file));
        written.map_err(|source| Error::File { path, source })
    })
}

fn each(command: &Command, visit: &mut impl FnMut(&Command) -> Result<()>) -> Result<()> {
    visit(command)?;
    command
        .get_subcommands()
        .filter(|below| !below.is_hide_set() && below.get_name() != "help")
        .try_for_each(|below| each(below, visit))
}

fn page_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn write(command: &Command, out: &mut dyn Write) -> io::Result<()> {
    let name = page_name(command).to_owned();
    let usage = command.clone().render_usage().to_string();
    let shown =
        command.clone().mut_args(with_aliases).mut_subcommands(|below| match below.get_name() {
            "help" => below.hide(true),
            _ => below,
        });
    let man = Man::new(shown)
        .title(&name)
        .manual("User Commands")
        .source(concat!("mccli ", env!("CARGO_PKG_VERSION")));
    man.render_title(out)?;
    man.render_name_section(out)?;
    sections::synopsis(usage.trim_start_matches("Usage: "), out)?;
    man.render_description_section(out)?;
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(out)?;
    }
    man.render_options_section(out)?;
    sections::write(&name, out)
}

/// The other names of an option, which the page would not show.
fn with_aliases(option: Arg) -> Arg {
    let names: Vec<String> = option
        .get_visible_aliases()
        .unwrap_or_default()
        .iter()
        .map(|name| format!("--{name}"))
        .collect();
    match (names.as_slice(), option.get_help().map(ToString::to_string)) {
        ([], _) | (_, None) => option,
        (names, Some(help)) => option.help(format!("{help}. Also: {}", names.join(", "))),
    }
}
