//! mccli: log in over ssh with your home organisation's identity, in one command.

mod account;
mod argv;
mod askpass;
mod broker;
mod cache;
mod caller;
mod claims;
mod cli;
mod command;
mod config;
mod context;
mod credential;
mod endpoint;
mod entry;
mod error;
mod ffi;
mod files;
mod folders;
mod http;
mod login;
mod logins;
mod master;
mod report;
mod service;
mod shell_words;
mod source;
mod ssh_block;
mod ssh_config;
mod tty;

use clap::{FromArgMatches, error::ErrorKind};
use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    broker::forbid_inspection();
    let argv: Vec<OsString> = std::env::args_os().collect();
    if let Some((socket, prompt)) = askpass::wanted(&argv) {
        return askpass::run(&socket, &prompt);
    }
    if argv.len() == 2 && argv.last().is_some_and(|word| word == broker::BROKER_ARGUMENT) {
        return broker::keep();
    }
    match parse(argv) {
        Ok(cli) => command::run(cli),
        Err(code) => code,
    }
}

fn parse(argv: Vec<OsString>) -> Result<cli::Cli, ExitCode> {
    let mut command = cli::definition();
    let sorted = argv::sort_out(argv, &command);
    let parsed = command
        .try_get_matches_from_mut(sorted)
        .and_then(|matches| cli::Cli::from_arg_matches(&matches));
    parsed.map_err(|error| {
        if error.kind() == ErrorKind::DisplayVersion {
            let version = concat!("mccli, ", env!("CARGO_PKG_VERSION"), "\n");
            return report::result(version).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        let _ = error.print();
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}
