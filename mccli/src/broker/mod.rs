//! Holds the credential for ssh: a process beside ssh that answers expected prompts, and only those.
//!
//! ssh closes all descriptors at its start, and an environment can be read by every process of the
//! user; so a socket in a private folder is the one road from mccli to its askpass.

mod guests;
mod keeper;
mod logins;
mod nest;
mod process;
mod script;
mod wire;

pub(crate) use keeper::keep;
pub(crate) use nest::{ASKPASS, askpass_beside, is_ours, programs_beside, socket_beside};
pub(crate) use process::Process;
pub(crate) use wire::{Ask, Asker, Invitation, Login, Order, Reply, exposed_option};

use crate::{
    error::{Error, Result},
    ssh_config::Settings,
};
use motley_proto::{client::Connection, frame::Cap};
use nix::{
    sys::{prctl, resource},
    unistd,
};
use process::Seen;
use serde::{Deserialize, Serialize};
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use wire::Question;
use zeroize::Zeroizing;

/// First argument of the process that holds the credential.
pub(crate) const BROKER_ARGUMENT: &str = "__broker";
/// Variable by which `mccli-ssh` finds the broker of the command above it. It holds a path, nothing
/// secret.
pub(crate) const SOCKET_VARIABLE: &str = "MCCLI_ASKPASS_SOCK";
/// Longest time that an answer is waited for: the broker may have to ask the service.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// How the broker says that it is there.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Greeting {
    Socket(PathBuf),
    Failed(String),
}

/// Starts the broker; it lives until this process, or what it becomes, ends.
///
/// Returns the path of its socket.
///
/// # Errors
/// [`Error::Broker`].
pub(crate) fn start(order: &Order) -> Result<PathBuf> {
    let failed = |error: &dyn std::fmt::Display| Error::Broker(error.to_string());
    let mut text = Zeroizing::new(Vec::with_capacity(256 * 1024));
    serde_json::to_writer(&mut *text, order).map_err(|error| failed(&error))?;
    let own_path = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut command = Command::new(own_path);
    command.arg(BROKER_ARGUMENT);
    if order.options.is_none() {
        leave_behind(&mut command);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(&text).map_err(|error| failed(&error))?;
    }
    let mut line = String::new();
    if let Some(pipe) = child.stdout.take() {
        BufReader::new(pipe).read_line(&mut line).map_err(|error| failed(&error))?;
    }
    match serde_json::from_str(&line) {
        Ok(Greeting::Socket(path)) => Ok(path),
        Ok(Greeting::Failed(reason)) => Err(Error::Broker(reason)),
        Err(_) => Err(Error::Broker("it ended before it was ready".to_owned())),
    }
}

/// Enough to reach the service stays; variables that may hold tokens, and the folder, do not. Only
/// who has to find tokens needs those.
fn leave_behind(command: &mut Command) {
    command.env_clear().current_dir("/");
    command.envs(std::env::vars_os().filter(|(name, _)| {
        let kept = [
            "PATH",
            "HOME",
            "XDG_RUNTIME_DIR",
            "TMPDIR",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "REQUESTS_CA_BUNDLE",
        ];
        let lower = name.to_string_lossy().to_lowercase();
        kept.iter().any(|k| name == *k) || lower.ends_with("_proxy")
    }));
}

/// This process as the owner of a broker.
///
/// # Errors
/// [`Error::Broker`] without a /proc.
pub(crate) fn owner() -> Result<Process> {
    let own = Seen::itself().map(|seen| seen.process);
    own.ok_or_else(|| Error::Broker("/proc tells nothing of this process".to_owned()))
}

/// Asks the broker at this socket.
///
/// # Errors
/// When nobody listens there any more, for instance.
pub(crate) fn ask(socket: &Path, ask: Ask) -> std::result::Result<Reply, String> {
    if !is_ours(socket) {
        return Err(format!("{} is not in a folder of ours", socket.display()));
    }
    let question = Question { ask, asker: Seen::itself() };
    let exchange = || {
        let mut connection = Connection::open(socket, Cap::LOGIN, Instant::now() + ANSWER_LIMIT)?;
        connection.require_server(Some(unistd::getuid().as_raw()))?;
        connection.send(&question)?;
        connection.receive::<Reply>()
    };
    exchange().map_err(|error| error.to_string())
}

/// Announces the ssh that this process becomes or starts to the broker of a command above it.
///
/// # Errors
/// As [`ask`].
pub(crate) fn announce(
    socket: &Path,
    settings: &Settings,
    asker: Asker,
) -> std::result::Result<Reply, String> {
    ask(socket, Ask::Announce { settings: settings.clone(), asker })
}

/// Keeps other processes of the user out of this one, until it becomes another program.
pub(crate) fn forbid_inspection() {
    // Fails only on kernels that lack it; the secret is no worse off than before.
    let _ = prctl::set_dumpable(false);
}

/// Forbids core dumps for good, for processes that never become another program.
pub(crate) fn forbid_core_dumps() {
    let _ = resource::setrlimit(resource::Resource::RLIMIT_CORE, 0, 0);
}
