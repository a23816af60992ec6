//! `mccli ssh`: finds the service, makes the account, and becomes ssh with the token at its prompt.

use crate::{
    argv::SshWords,
    cli::Options,
    context, credential,
    entry::{self, Entry},
    error::{Error, Result},
    report,
    service::Service,
    shell_words,
    source::{Token, behaves_as_0_7, environment},
    ssh_config::Settings,
};
use motley_proto::login::CLIENT_LIMIT_BYTES;
use std::{convert::Infallible, ffi::OsString, os::unix::process::CommandExt, process::Command};

/// Options of ssh that print something or talk to a running master, and log in nowhere.
const WITHOUT_LOGIN: [u8; 3] = [b'G', b'O', b'Q'];

/// Never comes back on success: the process is ssh then.
///
/// # Errors
/// Whatever keeps ssh from being started with a good chance to get in.
pub(super) fn run(
    options: &Options,
    words: &[OsString],
    set_remote_env: bool,
) -> Result<Infallible> {
    let line = SshWords::parse(words);
    if WITHOUT_LOGIN.iter().any(|letter| line.has_option(*letter)) {
        return become_ssh(Command::new("ssh").args(words));
    }
    let settings = Settings::ask(words)?;
    let http = context::http(options, Some(&settings.hostname))?;
    let entry = Entry::find(&http, options, settings)?;
    let forwarding = forwarding(options, set_remote_env);
    if options.dry_run {
        let argv = [entry.login_option().to_vec(), forwarding, words.to_vec()].concat();
        let service = Service::new(&http, entry.endpoint.clone());
        print_dry_run(&service, &entry.token, &argv)?;
        std::process::exit(0);
    }
    let socket = entry.open(&http)?;
    let mut command = Command::new("ssh");
    command
        .args(entry.login_option())
        .args(entry.settings.needed_options())
        .args(forwarding)
        .args(line.with_last_options(&entry.host_key_options()));
    entry::answer_prompts_of(&mut command, &socket)?;
    drop(entry);
    become_ssh(&mut command)
}

fn become_ssh(command: &mut Command) -> Result<Infallible> {
    Err(Error::Ssh(format!("ssh can't be started: {}", command.exec())))
}

/// The socket of oidc-agent under a name that nobody can guess, only when the user wants that:
/// whoever is root there can use the agent.
fn forwarding(options: &Options, set_remote_env: bool) -> Vec<OsString> {
    let wanted = (options.agent_forward || set_remote_env || behaves_as_0_7(&environment))
        && !options.no_agent_forward;
    let Some(socket) = environment("OIDC_SOCK") else { return Vec::new() };
    if !wanted {
        report::info("the socket of oidc-agent is not forwarded; --agent-forward does so");
        return Vec::new();
    }
    let remote = format!("/tmp/oidc-agent-{:016x}", rand::random::<u64>());
    let mut words = vec!["-R".into(), format!("{remote}:{socket}").into()];
    if set_remote_env {
        words.extend(["-o".into(), format!("SetEnv=OIDC_SOCK={remote}").into()]);
    }
    words
}

/// The command, with what it takes to answer its prompt.
fn print_dry_run(service: &Service<'_>, token: &Token, argv: &[OsString]) -> Result<()> {
    let credential = if token.secret.len() > CLIENT_LIMIT_BYTES {
        credential::one_time_password(service, &token.secret)?.expose().to_owned()
    } else if let Some(recipe) = &token.recipe {
        format!("`{recipe}`")
    } else {
        format!("'{}'", token.secret.expose())
    };
    let command = shell_words::join(argv);
    report::result(&format!("SSHPASS={credential} sshpass -P 'Access Token' -e ssh {command}\n"))?;
    Ok(())
}
