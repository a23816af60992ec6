//! The commands, one module each.

mod account;
mod endpoint;
mod info;
mod manual;
mod otp;
mod ssh;

use crate::{
    cli::{Cli, Command, Options},
    error::Error,
    report,
    source::environment,
};
use std::process::ExitCode;

/// Runs the command; ssh does not come back.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let outer = cli.options;
    match cli.command {
        Command::Info(it) => legacy(outer.over(it.options), |o| info::run(&o, it.host.as_deref())),
        Command::Ssh(it) => legacy(outer.over(it.options), |o| {
            ssh::run(&o, &it.words, it.set_remote_env).map(|never| match never {})
        }),
        Command::Endpoint(it) => {
            modern(outer.over(it.options), |o| endpoint::run(&o, it.host.as_deref()))
        }
        Command::Status(it) => {
            modern(outer.over(it.options), |o| account::status(&o, it.host.as_deref()))
        }
        Command::Deploy(it) => {
            modern(outer.over(it.options), |o| account::deploy(&o, it.host.as_deref()))
        }
        Command::Suspend(it) => {
            let host = it.target.host;
            modern(outer.over(it.target.options), |o| account::suspend(&o, host.as_deref(), it.yes))
        }
        Command::Otp(it) => modern(outer.over(it.options), |o| otp::run(&o, it.host.as_deref())),
        Command::Admin(it) => account::administer(outer, it),
        Command::Completions { shell } => modern(outer, |_| manual::completions(shell)),
        Command::Man { command } => modern(outer, |_| manual::page(command.as_deref())),
    }
}

type Outcome = Result<(), Error>;

/// A command of the Python client: its own errors end with 1.
fn legacy(options: Options, command: impl FnOnce(Options) -> Outcome) -> ExitCode {
    finish(options, command, Error::legacy_code)
}

/// A command that tells failures apart by exit code.
fn modern(options: Options, command: impl FnOnce(Options) -> Outcome) -> ExitCode {
    finish(options, command, Error::code)
}

fn finish(
    options: Options,
    command: impl FnOnce(Options) -> Outcome,
    code: impl FnOnce(&Error) -> u8,
) -> ExitCode {
    report::set_level(options.level(&environment));
    match command(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error.to_string());
            ExitCode::from(code(&error))
        }
    }
}
