//! What mccli, the broker and askpass say to each other.

use crate::{credential::Way, http::Trust};
use motley_proto::{Secret, UserName};
use serde::{Deserialize, Serialize};

/// What the broker is to do, sent over its standard input.
#[derive(Deserialize)]
pub(crate) struct Order {
    /// The process that becomes ssh.
    pub(crate) ssh_pid: i32,
    /// The token.
    pub(crate) token: Secret,
    /// Its one-time password, for [`Way::OneTimePassword`].
    pub(crate) password: Option<Secret>,
    /// How the credential is handed over.
    pub(crate) way: Way,
    /// Who logs in.
    pub(crate) user: UserName,
    /// The host as ssh writes it into prompts.
    pub(crate) host: String,
    /// ssh puts `(user@host) ` before the prompts of a server (OpenSSH 8.5 and later).
    pub(crate) prefixed: bool,
    /// Other ssh processes may ask too, for a jump host: only the one with `ssh_pid` is answered.
    pub(crate) jumps: bool,
    /// Other questions may go to the terminal; false in batch mode.
    pub(crate) terminal: bool,
    /// Where to ask why a token was refused.
    pub(crate) endpoint: String,
    /// How to ask there.
    pub(crate) trust: Trust,
}

/// An [`Order`] on its way into the pipe.
#[derive(Serialize)]
pub(super) struct WireOrder<'a> {
    ssh_pid: i32,
    token: &'a str,
    password: Option<&'a str>,
    way: Way,
    user: &'a UserName,
    host: &'a str,
    prefixed: bool,
    jumps: bool,
    terminal: bool,
    endpoint: &'a str,
    trust: &'a Trust,
}

impl Order {
    pub(super) fn wire(&self) -> WireOrder<'_> {
        WireOrder {
            ssh_pid: self.ssh_pid,
            token: self.token.expose(),
            password: self.password.as_ref().map(Secret::expose),
            way: self.way,
            user: &self.user,
            host: &self.host,
            prefixed: self.prefixed,
            jumps: self.jumps,
            terminal: self.terminal,
            endpoint: &self.endpoint,
            trust: &self.trust,
        }
    }
}

/// What askpass asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// The prompt, byte for byte as ssh gave it.
    pub(crate) prompt: String,
    /// The process that started askpass.
    pub(crate) parent: i32,
}

/// What askpass gets.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The credential, or a piece of it.
    Answer(Secret),
    /// The prompt is expected, but the answer was given before: what to tell the user.
    Spent(String),
    /// Not a prompt for us: ask the user on the terminal.
    AskUser,
    /// Not a prompt for us, and the user does not want to be asked.
    Nothing,
}

/// A [`Reply`] on its way into a frame.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireReply<'a> {
    Answer(&'a str),
    Spent(&'a str),
    AskUser,
    Nothing,
}

impl Reply {
    pub(super) fn wire(&self) -> WireReply<'_> {
        match self {
            Self::Answer(secret) => WireReply::Answer(secret.expose()),
            Self::Spent(text) => WireReply::Spent(text),
            Self::AskUser => WireReply::AskUser,
            Self::Nothing => WireReply::Nothing,
        }
    }
}
