//! mccli: log in over ssh with your home organisation's identity, in one command.

mod account;
mod argv;
mod askpass;
mod authorities;
mod broker;
mod cache;
mod caller;
mod carrier;
mod claims;
mod cli;
mod command;
mod config;
mod context;
mod credential;
mod duration;
mod endpoint;
mod entry;
mod error;
mod ffi;
mod files;
mod folders;
mod forwarding;
mod http;
mod login;
mod logins;
mod master;
mod named_hosts;
mod programs;
mod report;
mod service;
mod shell_words;
mod signals;
mod source;
mod ssh_block;
mod ssh_config;
mod start;
mod tty;

use clap::{FromArgMatches, error::ErrorKind};
use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    broker::forbid_inspection();
    let argv: Vec<OsString> = std::env::args_os().collect();
    if let Some((socket, prompt)) = askpass::wanted(&argv) {
        return askpass::run(&socket, &prompt);
    }
    if let Some(name) = argv::LinkName::of(&argv) {
        return command::link(name, argv.get(1..).unwrap_or_default());
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
    let command = cli::definition();
    let sorted = argv::sort_out(argv, &command);
    let wish = cli::Wish::of(&sorted);
    report::set_up(report::Level::Warning, wish.form, wish.colours);
    let parsed = command
        .color(wish.colour_of_help())
        .try_get_matches_from(sorted)
        .and_then(|matches| cli::Cli::from_arg_matches(&matches));
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayVersion => {
            let version = concat!("mccli, ", env!("CARGO_PKG_VERSION"), "\n");
            report::result(version).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
        }
        ErrorKind::DisplayHelp => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        _ => {
            cli::explain(&error, wish.form);
            ExitCode::from(2)
        }
    })
}
