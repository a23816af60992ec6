//! `mccli ssh` and `mccli-ssh`: finds the service, makes the account, and becomes ssh with the token at its prompt.

use crate::{
    argv::SshWords,
    broker::{self, Reply},
    cli::Options,
    context, credential,
    entry::Entry,
    error::{Error, Result},
    forwarding,
    http::Http,
    master, named_hosts, programs, report,
    service::Service,
    shell_words,
    source::Token,
    ssh_config::{SSH_PORT, Settings},
    start::{self, Start},
    tty,
};
use motley_proto::login::CLIENT_LIMIT_BYTES;
use std::{convert::Infallible, ffi::OsString, path::PathBuf};

/// Options of ssh that print something or talk to a running master, and log in nowhere.
const WITHOUT_LOGIN: [u8; 4] = [b'G', b'O', b'Q', b'V'];

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
        return alone(words);
    }
    let settings = Settings::ask(words)?;
    // With -M a connection of one's own is wanted.
    if !options.dry_run && !line.has_option(b'M') && start::is_shared(&settings) {
        report::info("the connection to this host is there already");
        return alone(words);
    }
    let http = context::http(options, Some(&settings.hostname))?;
    let entry = if master::is_being_made() && settings.port == SSH_PORT {
        // The block in ssh's configuration names the host; what turns up there is not remembered.
        Entry::find(&http, options, settings)?
    } else if master::is_being_made() || line.is_of_a_program() {
        find_or_ask(&http, options, settings)?
    } else {
        Entry::find_named(&http, options, settings)?
    };
    let forwarding = forwarding::options(options, &entry.settings.hostname, set_remote_env)?;
    // Of use to somebody who is about to work there, and a nuisance to programs.
    if forwarding.is_empty() && line.command.is_empty() && tty::is_there() {
        forwarding::hint(options, &entry.settings.hostname)?;
    }
    if options.dry_run {
        let argv = [entry.login_option().to_vec(), forwarding, words.to_vec()].concat();
        let service = Service::new(&http, entry.endpoint.clone());
        let expression = token_expression(&service, &entry.token)?;
        print_dry_run(&expression, &["ssh".into()], &argv)?;
        std::process::exit(0);
    }
    let socket = entry.open(&http)?;
    let Entry { settings, user, .. } = entry;
    // A connection that plain ssh shares outlives this line, and ssh was told nothing of the kind.
    let last = match master::is_being_made() {
        true => Vec::new(),
        false => settings.host_key_options(),
    };
    Start { line: &line, settings: &settings, user: &user, first: forwarding, last }.run(&socket)
}

/// `mccli-ssh`: does what ssh does. The words are ssh's alone; where nothing is known that could log
/// in, or the words say who does, it is ssh and nothing else.
///
/// # Errors
/// When ssh can't be started, or when the command above has no way into the host.
pub(super) fn link(words: &[OsString]) -> Result<Infallible> {
    let line = SshWords::parse(words);
    let asks_only = WITHOUT_LOGIN.iter().any(|letter| line.has_option(*letter));
    if asks_only || line.names_user() || line.host().is_none() {
        return alone(words);
    }
    // What ssh does not understand, it says best itself.
    let Ok(settings) = Settings::ask(words) else { return alone(words) };
    if !line.has_option(b'M') && start::is_shared(&settings) {
        return alone(words);
    }
    if let Some(socket) = std::env::var_os(broker::SOCKET_VARIABLE).map(PathBuf::from) {
        let announce = || broker::announce(&socket, &settings, settings.asker());
        let reply = match announce() {
            Ok(Reply::Unnamed { endpoint, may_ask }) => {
                if !may_ask {
                    tty::ask_nobody();
                }
                match may_be_named(&settings, &endpoint) {
                    true => announce(),
                    false => return alone(words),
                }
            }
            other => other,
        };
        match reply {
            Ok(Reply::Welcome(user)) => {
                let last = settings.host_key_options();
                let start = Start {
                    line: &line,
                    settings: &settings,
                    user: &user,
                    first: Vec::new(),
                    last,
                };
                return start.run(&socket);
            }
            Ok(Reply::Refused(text)) => return Err(Error::Ssh(text)),
            Ok(Reply::Stranger(text)) => {
                report::info(&text);
                return alone(words);
            }
            // The user has seen why.
            Ok(_) => return alone(words),
            // The command above has ended, and left its environment behind.
            Err(text) => report::debug(&text),
        }
    }
    by_itself(words, &line, settings)
}

/// With sources from the environment and the configuration file. What fails is told, and ssh goes on
/// without: a key may do.
fn by_itself(words: &[OsString], line: &SshWords, settings: Settings) -> Result<Infallible> {
    let options = Options::default();
    let opened = context::http(&options, Some(&settings.hostname)).and_then(|http| {
        let entry = find_or_ask(&http, &options, settings)?;
        let first = forwarding::options(&options, &entry.settings.hostname, false)?;
        Ok((entry.open(&http)?, entry, first))
    });
    match opened {
        Ok((socket, entry, first)) => {
            let Entry { settings, user, .. } = entry;
            Start { line, settings: &settings, user: &user, first, last: Vec::new() }.run(&socket)
        }
        Err(error) => {
            match &error {
                Error::NoService(text) => report::info(text),
                Error::NotConfirmed => {}
                _ => report::warning(&format!("{error}\nGoing on as plain ssh.")),
            }
            alone(words)
        }
    }
}

/// The entry of a host that may have turned up below another program: the user is asked for a name that
/// was never given.
fn find_or_ask(http: &Http, options: &Options, settings: Settings) -> Result<Entry> {
    match Entry::find_if_named(http, options, settings.clone()) {
        Err(Error::UnnamedHost { host, endpoint, .. }) => {
            name_now(&settings, &host, &endpoint)?;
            Entry::find(http, options, settings)
        }
        found => found,
    }
}

/// Has the user name a host that turned up, unless ssh is to ask nothing.
fn name_now(settings: &Settings, host: &str, endpoint: &str) -> Result<()> {
    if settings.batch {
        return Err(named_hosts::unnamed(host, endpoint));
    }
    named_hosts::ask(&Options::default(), host, endpoint)
}

/// The same for the broker above, which looks at what is remembered.
fn may_be_named(settings: &Settings, endpoint: &str) -> bool {
    match name_now(settings, &settings.label(), endpoint) {
        Ok(()) => true,
        Err(Error::NotConfirmed) => false,
        Err(error) => {
            report::warning(&format!("{error}\nGoing on as plain ssh."));
            false
        }
    }
}

/// ssh without us.
fn alone(words: &[OsString]) -> Result<Infallible> {
    let mut command = programs::command("ssh");
    start::leave_names_out(&mut command);
    programs::become_it(command.args(words))
}

/// What a shell puts in for the token.
///
/// # Errors
/// When a one-time password is needed and the service has none.
pub(super) fn token_expression(service: &Service<'_>, token: &Token) -> Result<String> {
    Ok(if token.secret.len() > CLIENT_LIMIT_BYTES {
        credential::one_time_password(service, &token.secret)?.expose().to_owned()
    } else if let Some(recipe) = &token.recipe {
        format!("`{recipe}`")
    } else {
        shell_words::in_quotes(token.secret.expose())
    })
}

/// The command, with what it takes to answer its one prompt.
///
/// # Errors
/// When nobody reads it.
pub(super) fn print_dry_run(
    expression: &str,
    program: &[OsString],
    words: &[OsString],
) -> Result<()> {
    let command = shell_words::join(&[program, words].concat());
    report::result(&format!("SSHPASS={expression} sshpass -P 'Access Token' -e {command}\n"))?;
    Ok(())
}
