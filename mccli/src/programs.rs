//! Other programs, found in PATH past the names under which this one stands there too.

use crate::error::{Error, Result};
use std::{
    convert::Infallible,
    io::ErrorKind,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

/// A program by its full path: what it starts under its own name, as ssh does for jump hosts, is then
/// the same program and not this one. Its bare name if it is nowhere; starting it tells so.
pub(crate) fn command(name: &str) -> Command {
    Command::new(find(name).unwrap_or_else(|| PathBuf::from(name)))
}

fn find(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok().and_then(|path| identity(&path));
    std::env::split_paths(&std::env::var_os("PATH")?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_program(path) && (own.is_none() || identity(path) != own))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|it| it.is_file() && it.mode() & 0o111 != 0)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|it| (it.dev(), it.ino()))
}

/// Becomes the program; comes back only when that fails.
///
/// # Errors
/// [`Error::Ssh`] with the name of the program.
pub(crate) fn become_it(command: &mut Command) -> Result<Infallible> {
    let error = command.exec();
    Err(not_started(command, &error))
}

/// Why a program did not start, and the cure.
pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Error {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    Error::Ssh(match error.kind() {
        ErrorKind::NotFound => format!("there is no {name} in PATH; install it"),
        _ => format!("{name} can't be started: {error}"),
    })
}
