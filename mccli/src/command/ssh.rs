//! `mccli ssh`: finds the service, makes the account, and becomes ssh with the token at its prompt.

use crate::{
    account::{self, Deployment},
    argv::SshWords,
    broker::{self, Order},
    cli::Options,
    context::{self, Wishes},
    credential::{self, Way},
    error::{Error, Result},
    http::Http,
    report,
    service::Service,
    shell_words,
    source::{Token, behaves_as_0_7, environment},
    ssh_config::{self, Settings},
    tty,
};
use motley_proto::{Secret, UserName, login::CLIENT_LIMIT_BYTES};
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
    if !settings.prefixes_prompts {
        ssh_config::require_askpass()?;
    }
    let http = Http::new(options.trust())?;
    let service = context::find_service(&http, options, Some(&settings.hostname))?;
    let facts = service.info()?;
    let token = context::find_token(options, &Wishes::new(&service, &facts))?;
    let deployment = if options.no_deploy { Deployment::Unwanted } else { Deployment::Wanted };
    let user = account::login_name(&service, &facts, &token.secret, deployment)?;

    let forwarding = forwarding(options, set_remote_env);
    if options.dry_run {
        let argv = [login(&user), forwarding, words.to_vec()].concat();
        print_dry_run(&service, &token, &argv)?;
        std::process::exit(0);
    }
    let takes_chunks = facts.info.chunked_prompt && settings.prefixes_prompts;
    let mode = options.otp.unwrap_or_default();
    let order = order(&service, token.secret, &user, &settings, |length| {
        credential::choose(length, takes_chunks, mode)
    })?;
    let socket = broker::start(&order)?;
    drop(order);
    let mut command = Command::new("ssh");
    command
        .args(login(&user))
        .args(settings.needed_options())
        .args(forwarding)
        .args(line.with_last_options(&host_key_options(&settings)))
        .env("SSH_ASKPASS", own_path()?)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env(broker::SOCKET_VARIABLE, socket);
    become_ssh(&mut command)
}

fn login(user: &UserName) -> Vec<OsString> {
    vec!["-l".into(), user.as_str().into()]
}

fn own_path() -> Result<std::path::PathBuf> {
    std::env::current_exe().map_err(Error::Output)
}

fn become_ssh(command: &mut Command) -> Result<Infallible> {
    Err(Error::Ssh(format!("ssh can't be started: {}", command.exec())))
}

/// What the broker needs to answer the prompts of this one login.
fn order(
    service: &Service<'_>,
    token: Secret,
    user: &UserName,
    settings: &Settings,
    choose: impl FnOnce(usize) -> Result<Way>,
) -> Result<Order> {
    let way = choose(token.len())?;
    if !settings.prefixes_prompts && settings.jumps {
        return Err(Error::Ssh(
            "this ssh does not say which host asks, so with a jump host the token could go to the wrong one\nUpdate OpenSSH to 8.5 or later.".to_owned(),
        ));
    }
    let password = match way {
        Way::OneTimePassword => Some(credential::one_time_password(service, &token)?),
        Way::Whole | Way::Chunks => None,
    };
    report::debug(&format!("the token goes through ssh as {way:?}"));
    Ok(Order {
        ssh_pid: nix::unistd::getpid().as_raw(),
        token,
        password,
        way,
        user: user.clone(),
        host: settings.host_in_prompts().to_owned(),
        prefixed: settings.prefixes_prompts,
        jumps: settings.jumps,
        terminal: !settings.batch,
        endpoint: service.endpoint().to_owned(),
        trust: service.http().trust().clone(),
    })
}

/// New hosts are accepted and changed keys refused where nobody can be asked; where somebody can,
/// or where the user decided, nothing is touched.
fn host_key_options(settings: &Settings) -> Vec<OsString> {
    if settings.asks_about_host_keys && !tty::is_there() {
        vec!["-o".into(), "StrictHostKeyChecking=accept-new".into()]
    } else {
        Vec::new()
    }
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
