//! What mccli, the broker, askpass and `mccli-ssh` say to each other.

use super::process::{Process, Seen};
use crate::{cli::Options, credential::Way, http::Trust, ssh_config::Settings};
use motley_proto::{Secret, UserName};
use serde::{Deserialize, Serialize, Serializer};

/// What the broker is to do, sent over its standard input.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    /// The process that the broker serves and ends with.
    pub(crate) owner: Process,
    /// The one ssh that logs in by the first of the logins, if the owner starts or becomes it.
    pub(crate) guest: Option<Invitation>,
    /// What is known already.
    pub(crate) logins: Vec<Login>,
    /// How to find the way into further hosts, for ssh processes that are announced later.
    pub(crate) options: Option<Options>,
    /// Hosts on the user's own line, aliases resolved: further hosts need to be named elsewhere.
    pub(crate) named: Vec<String>,
    /// The user wants no questions at all: `--no-input`.
    pub(crate) silent: bool,
}

/// Which ssh may ask for a login, seen from the process that announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asker {
    /// The process becomes ssh.
    Itself,
    /// It starts ssh.
    Child,
}

/// One ssh that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    /// Who asks.
    pub(crate) asker: Asker,
    /// Other questions may go to the terminal; false in batch mode.
    pub(crate) terminal: bool,
}

/// What one account on one host is entered with.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Login {
    /// The host to connect to, aliases resolved.
    pub(crate) hostname: String,
    /// The port there.
    pub(crate) port: u16,
    /// The host as ssh writes it into prompts.
    pub(crate) host: String,
    /// ssh puts `(user@host) ` before the prompts of a server (OpenSSH 8.5 and later).
    pub(crate) prefixed: bool,
    /// Who logs in.
    pub(crate) user: UserName,
    /// The token.
    #[serde(serialize_with = "exposed")]
    pub(crate) token: Secret,
    /// How it is handed over.
    pub(crate) way: Way,
    /// Where one-time passwords and the reason of a refusal are asked for.
    pub(crate) endpoint: String,
    /// How to ask there.
    pub(crate) trust: Trust,
}

/// Writes a secret in full: for the pipe to the broker, which is private to both ends.
pub(crate) fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// [`exposed`] for what may be absent.
pub(crate) fn exposed_option<S: Serializer>(
    secret: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

/// What is asked at the socket, and what the asker says of itself.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question {
    /// What.
    pub(crate) ask: Ask,
    /// By whom; the kernel's word counts where it tells one.
    pub(super) asker: Option<Seen>,
}

/// What is asked.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// By askpass: a prompt, byte for byte as ssh gave it.
    Prompt(String),
    /// By a process that becomes or starts ssh: where it goes.
    Announce {
        /// What ssh makes of the host.
        settings: Settings,
        /// Which process asks later.
        asker: Asker,
    },
}

/// What askpass gets.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The credential, or a piece of it.
    Answer(Secret),
    /// No answer any more: what to tell the user.
    Spent(String),
    /// Not a prompt for us: ask the user on the terminal.
    AskUser,
    /// Not a prompt for us, and the user does not want to be asked.
    Nothing,
    /// Announced: the account to log in to.
    Welcome(UserName),
    /// There is no service on that host; ssh goes there by itself.
    Stranger(String),
    /// There is one, and the user never named the host.
    Unnamed {
        /// Where it is.
        endpoint: String,
        /// The user may be asked for a name now.
        may_ask: bool,
    },
    /// There is one, and no way in.
    Refused(String),
}

/// A [`Reply`] on its way into a frame.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireReply<'a> {
    Answer(&'a str),
    Spent(&'a str),
    AskUser,
    Nothing,
    Welcome(&'a UserName),
    Stranger(&'a str),
    Unnamed { endpoint: &'a str, may_ask: bool },
    Refused(&'a str),
}

impl Reply {
    pub(super) fn wire(&self) -> WireReply<'_> {
        match self {
            Self::Answer(secret) => WireReply::Answer(secret.expose()),
            Self::Spent(text) => WireReply::Spent(text),
            Self::AskUser => WireReply::AskUser,
            Self::Nothing => WireReply::Nothing,
            Self::Welcome(user) => WireReply::Welcome(user),
            Self::Stranger(text) => WireReply::Stranger(text),
            Self::Unnamed { endpoint, may_ask } => {
                WireReply::Unnamed { endpoint, may_ask: *may_ask }
            }
            Self::Refused(text) => WireReply::Refused(text),
        }
    }
}
