//! The commands, one module each.

mod account;
mod cache;
mod doctor;
mod endpoint;
mod exec;
mod info;
mod login;
mod logout;
mod manual;
mod ops;
mod otp;
mod rsync;
mod scp;
mod sftp;
mod ssh;
mod ssh_config;
mod ssh_prepare;
mod ssh_stop;
mod token;
mod whoami;

use crate::{
    argv::LinkName,
    cli::{Cli, Command, Options, Passed, Target},
    error::Error,
    report,
    source::environment,
    tty,
};
use std::{convert::Infallible, ffi::OsString, process::ExitCode};

/// Runs the command; ssh does not come back.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let outer = cli.options;
    match cli.command {
        Command::Login(it) => modern(outer.over(it.options.clone()), |o| login::run(&o, &it)),
        Command::Logout(it) => modern(outer.over(it.options.clone()), |o| logout::run(&o, &it)),
        Command::Token(it) => modern(outer.over(it.options.clone()), |o| token::run(&o, &it)),
        Command::Whoami(it) => at(outer, it, whoami::run),
        Command::Info(it) => legacy(outer.over(it.options), |o| info::run(&o, it.host.as_deref())),
        Command::Ssh(it) => legacy(outer.over(it.options), |o| {
            ssh::run(&o, &it.words, it.set_remote_env).map(|never| match never {})
        }),
        Command::Scp(it) => passed(outer, it, scp::run, Error::legacy_code),
        Command::Sftp(it) => passed(outer, it, really(sftp::run), Error::legacy_code),
        Command::Rsync(it) => passed(outer, it, really(rsync::run), Error::code),
        Command::Exec(it) => passed(outer, it, really(exec::run), Error::code),
        Command::Ops(it) => at(outer, it, ops::run),
        Command::Endpoint(it) => at(outer, it, endpoint::run),
        Command::Status(it) => at(outer, it, account::status),
        Command::Deploy(it) => at(outer, it, account::deploy),
        Command::Suspend(it) => {
            let host = it.target.host;
            modern(outer.over(it.target.options), |o| account::suspend(&o, host.as_deref(), it.yes))
        }
        Command::Otp(it) => at(outer, it, otp::run),
        Command::Admin(it) => account::administer(outer, it),
        Command::SshConfig(it) => {
            modern(outer.over(it.options.clone()), |o| ssh_config::run(&o, &it))
        }
        Command::SshPrepare(it) => {
            modern(outer.over(it.options.clone()), |o| ssh_prepare::run(&o, &it))
        }
        Command::SshStop(it) => at(outer, it, ssh_stop::run),
        Command::Doctor(it) => at(outer, it, doctor::run),
        Command::Cache(it) => modern(outer, |o| cache::run(&o, &it)),
        Command::Completions { shell } => modern(outer, |_| manual::completions(shell)),
        Command::Man { command, into } => modern(outer, |_| match into {
            Some(folder) => manual::pages(&folder),
            None => manual::page(&command),
        }),
    }
}

/// Does what ssh, scp or sftp does, under a name that says which; nothing of the line is ours.
pub(crate) fn link(name: LinkName, words: &[OsString]) -> ExitCode {
    let run = match name {
        LinkName::Ssh => ssh::link,
        LinkName::Scp => scp::link,
        LinkName::Sftp => sftp::link,
    };
    // 255 is what ssh itself ends with when there is no connection.
    finish(Options::default(), |_| run(words).map(|never| match never {}), |_| 255)
}

/// A command about one host.
fn at(
    outer: Options,
    target: Target,
    command: impl FnOnce(&Options, Option<&str>) -> Outcome,
) -> ExitCode {
    modern(outer.over(target.options), |options| command(&options, target.host.as_deref()))
}

/// A command that becomes another program.
fn passed(
    outer: Options,
    line: Passed,
    command: impl FnOnce(&Options, &[OsString]) -> Result<Infallible, Error>,
    code: impl Fn(&Error) -> u8,
) -> ExitCode {
    let run = |options: Options| command(&options, &line.words).map(|never| match never {});
    finish(outer.over(line.options), run, code)
}

type Outcome = Result<(), Error>;

/// A command that has no way of only showing what it would do.
fn really(
    command: impl FnOnce(&Options, &[OsString]) -> Result<Infallible, Error>,
) -> impl FnOnce(&Options, &[OsString]) -> Result<Infallible, Error> {
    |options, words| {
        refuse_dry_run(options)?;
        command(options, words)
    }
}

fn refuse_dry_run(options: &Options) -> Outcome {
    match options.dry_run {
        true => Err(Error::Usage(
            "--dry-run is for ssh and scp; nothing was done\nLeave it out.".to_owned(),
        )),
        false => Ok(()),
    }
}

/// A command of the Python client: its own errors end with 1.
fn legacy(options: Options, command: impl FnOnce(Options) -> Outcome) -> ExitCode {
    finish(options, command, Error::legacy_code)
}

/// A command that tells failures apart by exit code.
fn modern(options: Options, command: impl FnOnce(Options) -> Outcome) -> ExitCode {
    let run = |options: Options| {
        refuse_dry_run(&options)?;
        command(options)
    };
    finish(options, run, Error::code)
}

fn finish(
    options: Options,
    command: impl FnOnce(Options) -> Outcome,
    code: impl Fn(&Error) -> u8,
) -> ExitCode {
    report::set_up(options.level(&environment), options.form(), options.colours());
    if options.no_input {
        tty::ask_nobody();
    }
    match command(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::failure(&error, code(&error));
            ExitCode::from(code(&error))
        }
    }
}
