//! Holds the credential for ssh: a process beside ssh that answers expected prompts, and only those.
//!
//! ssh closes all descriptors at its start, and an environment can be read by every process of the
//! user; so a socket in a private folder is the one road from mccli to its askpass.

mod keeper;
mod script;
mod wire;

pub(crate) use keeper::keep;
pub(crate) use wire::{Ask, Order, Reply};

use crate::error::{Error, Result};
use motley_proto::frame::{Cap, encode};
use nix::sys::{prctl, resource};
use serde::{Deserialize, Serialize};
use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

/// First argument of the process that holds the credential.
pub(crate) const BROKER_ARGUMENT: &str = "__broker";
/// Variable by which askpass finds the broker. It holds a path, nothing secret.
pub(crate) const SOCKET_VARIABLE: &str = "MCCLI_ASKPASS_SOCK";
/// Longest time that askpass waits for an answer: the broker may have to ask the service.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// How the broker says that it is there.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Greeting {
    Socket(PathBuf),
    Failed(String),
}

/// Starts the broker; it lives until this process, which is about to become ssh, ends.
///
/// Returns the path of its socket.
///
/// # Errors
/// [`Error::Broker`].
pub(crate) fn start(order: &Order) -> Result<PathBuf> {
    let failed = |error: &dyn std::fmt::Display| Error::Broker(error.to_string());
    let frame = encode(&order.wire(), Cap::LOGIN).map_err(|error| failed(&error))?;
    let own_path = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut command = Command::new(own_path);
    command.arg(BROKER_ARGUMENT).env_clear().current_dir("/");
    // Enough to reach the service; variables that may hold tokens stay behind.
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
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(&frame).map_err(|error| failed(&error))?;
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

/// Keeps other processes of the user out of this one, until it becomes another program.
pub(crate) fn forbid_inspection() {
    // Fails only on kernels that lack it; the secret is no worse off than before.
    let _ = prctl::set_dumpable(false);
}

/// Forbids core dumps for good, for processes that never become another program.
pub(crate) fn forbid_core_dumps() {
    let _ = resource::setrlimit(resource::Resource::RLIMIT_CORE, 0, 0);
}
