//! `mccli scp` and `mccli-scp`: copies files with scp, each host with its own login.
//!
//! scp starts one ssh per far end, and each of them is ours: the operands stay as they are, several
//! hosts and several identities need nothing more, and a user in an operand keeps us out of it.

use super::ssh::token_expression;
use crate::{
    argv::{CopyWords, Remote, scp_remote},
    broker::Login,
    carrier::Carrier,
    cli::Options,
    context,
    entry::Entry,
    error::{Error, Result},
    programs, report,
    service::Service,
    shell_words,
    ssh_config::Settings,
    start,
};
use std::{convert::Infallible, ffi::OsString};

/// Never comes back on success.
///
/// # Errors
/// Whatever keeps a host without a user from being entered.
pub(super) fn run(options: &Options, words: &[OsString]) -> Result<Infallible> {
    let line = CopyWords::of_scp(words);
    if line.operands.len() < 2 {
        return Err(Error::Usage(
            "Please specify at least one SOURCE and TARGET for scp.".to_owned(),
        ));
    }
    let remotes = line.operands.iter().map(checked).collect::<Result<Vec<_>>>()?;
    if options.dry_run {
        dry_run(options, &line, &remotes, words)?;
        std::process::exit(0);
    }
    let remotes: Vec<Remote> = remotes.into_iter().flatten().collect();
    become_program("scp", options, &line, &remotes, words)
}

/// `mccli-scp`: does what scp does.
///
/// # Errors
/// When scp can't be started.
pub(super) fn link(words: &[OsString]) -> Result<Infallible> {
    become_with_carrier("scp", &Carrier::at_hand()?, words)
}

/// Finds the way into each host at once, so that what is wrong is said before anything starts, and
/// becomes the program.
///
/// # Errors
/// Whatever keeps a host without a user from being entered.
pub(super) fn become_program(
    program: &str,
    options: &Options,
    line: &CopyWords,
    remotes: &[Remote],
    words: &[OsString],
) -> Result<Infallible> {
    let mut logins: Vec<Login> = Vec::new();
    for remote in remotes.iter().filter(|remote| is_ours(line, remote)) {
        let settings = Settings::ask(&line.ssh_words(remote))?;
        if start::is_shared(&settings) || logins.iter().any(|login| login.is_for(&settings)) {
            continue;
        }
        let http = context::http(options, Some(&settings.hostname))?;
        logins.push(Entry::find_named(&http, options, settings)?.login(&http)?);
    }
    become_with_carrier(program, &Carrier::start(options, logins, Vec::new())?, words)
}

/// The user's own `-S` comes later and wins.
pub(super) fn become_with_carrier(
    program: &str,
    carrier: &Carrier,
    words: &[OsString],
) -> Result<Infallible> {
    let mut command = programs::command(program);
    command.arg("-S").arg(carrier.ssh()).args(words);
    carrier.become_program(command)
}

fn is_ours(line: &CopyWords, remote: &Remote) -> bool {
    remote.user.is_none() && !line.names_user() && !line.has_option(b'S')
}

fn checked(operand: &OsString) -> Result<Option<Remote>> {
    match scp_remote(operand) {
        Some(remote) if remote.host.is_empty() => Err(Error::Ssh(format!(
            "SCP operand {} in [user@]host:[path] does not contain a host",
            operand.to_string_lossy()
        ))),
        found => Ok(found),
    }
}

/// What a shell needs to do the same with sshpass, in the words of version 0.7.
fn dry_run(
    options: &Options,
    line: &CopyWords,
    remotes: &[Option<Remote>],
    words: &[OsString],
) -> Result<()> {
    let ours: Vec<&Remote> =
        remotes.iter().flatten().filter(|remote| is_ours(line, remote)).collect();
    let with_user = remotes.iter().flatten().count() > ours.len();
    let Some(first) = ours.first() else {
        report::warning(
            "No motley_cue handling will be done. Either all specified paths are local, or users are specified for remotes.",
        );
        return print(&format!("{}\n", command(&[], words)));
    };
    if options.mc_endpoint.is_some() || (!with_user && ours.iter().all(|it| it.host == first.host))
    {
        let prompts = if options.mc_endpoint.is_some() { 1 } else { ours.len() };
        let (user, token) = look_up(options, line, first)?;
        let command = command(&["-o".into(), format!("User={user}").into()], words);
        return print(&match prompts {
            1 => format!("SSHPASS={token} sshpass -P 'Access Token' -e {command}\n"),
            _ => format!(
                "# you'll need to input the token below {prompts} times:\necho {token}\n{command}\n"
            ),
        });
    }
    dry_run_of_several(options, line, remotes)
}

fn dry_run_of_several(
    options: &Options,
    line: &CopyWords,
    remotes: &[Option<Remote>],
) -> Result<()> {
    let mut text =
        "# you'll need to input the tokens below when prompted, in this order:\n".to_owned();
    let mut operands = Vec::new();
    for (operand, remote) in line.operands.iter().zip(remotes) {
        match remote.as_ref().filter(|remote| is_ours(line, remote)) {
            Some(remote) => {
                let (user, token) = look_up(options, line, remote)?;
                text.push_str(&format!("echo {token}\n"));
                operands.push(with_user(operand, &user));
            }
            None => operands.push(operand.clone()),
        }
    }
    let words = [line.option_words(), operands].concat();
    print(&format!("{text}{}\n", command(&[], &words)))
}

fn look_up(options: &Options, line: &CopyWords, remote: &Remote) -> Result<(String, String)> {
    let settings = Settings::ask(&line.ssh_words(remote))?;
    let http = context::http(options, Some(&settings.hostname))?;
    let entry = Entry::find_named(&http, options, settings)?;
    let service = Service::new(&http, entry.endpoint.clone());
    let expression = token_expression(&service, &entry.token)?;
    Ok((entry.user.as_str().to_owned(), expression))
}

/// `host:path` as `user@host:path`, and URLs likewise.
fn with_user(operand: &OsString, user: &str) -> OsString {
    let text = operand.to_string_lossy();
    match text.strip_prefix("scp://") {
        Some(rest) => format!("scp://{user}@{rest}").into(),
        None => format!("{user}@{text}").into(),
    }
}

fn command(first: &[OsString], words: &[OsString]) -> String {
    shell_words::join(&[&["scp".into()], first, words].concat())
}

fn print(text: &str) -> Result<()> {
    report::result(text)?;
    Ok(())
}
