//! Runs a command inside the sandbox: `sandbox -- COMMAND…` (a shell when none is given).

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use motley_tests::sandbox::{self, Surroundings};

/// Private /etc, /home, /var, /root, /run, /dev and network for one command; gone when it ends.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Directory that must stay visible although it lies below a private one (repeatable).
    #[arg(long, value_name = "DIR")]
    keep: Vec<PathBuf>,
    /// Host name inside.
    #[arg(long, default_value = "login-node")]
    name: String,
    /// The command and its arguments; an interactive shell when left out.
    #[arg(last = true)]
    command: Vec<OsString>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut words = arguments.command.iter();
    let mut command = Command::new(words.next().map_or("bash".into(), OsString::clone));
    command.args(words);
    let mut keep = arguments.keep;
    keep.push(std::env::current_dir().context("cannot name the working directory")?);
    let code = sandbox::enter(command, &Surroundings { host: arguments.name, keep })?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
