//! Questions to the daemon, and what is said when it gives no answer.

use motley_proto::{
    admin::{AdminAnswer, AdminRequest},
    client::{Connection, ExchangeError},
    frame::Cap,
    text::escape,
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Longer than the daemon gives itself for an answer.
const TIME_LIMIT: Duration = Duration::from_secs(35);
/// User of the daemon, beside root the only one who may serve the socket.
const DAEMON_USER: &str = "motley";
/// Longest line of a reason that is shown, in characters.
const REASON_CHARACTERS: usize = 4000;

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The daemon refused it, or it failed.
    Failed(String),
    /// The command line makes no sense here.
    Usage(String),
    /// Nobody of that name.
    Nobody(String),
    /// The daemon does not answer.
    NoAnswer(String),
}

impl Failure {
    /// Exit status; 69 is EX_UNAVAILABLE of sysexits(3).
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Nobody(_) => 4,
            Self::NoAnswer(_) => 69,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Usage(text) | Self::Nobody(text) | Self::NoAnswer(text) => {
                f.write_str(text)
            }
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The daemon behind its admin socket.
#[derive(Debug)]
pub(crate) struct Daemon {
    socket: PathBuf,
}

impl Daemon {
    /// The one behind this socket.
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Asks, and takes refusals for failures.
    pub(crate) fn ask(&self, request: &AdminRequest) -> Result<AdminAnswer, Failure> {
        let answer = self.exchange(request).map_err(|error| self.explain(error))?;
        match answer {
            AdminAnswer::Refused(why) => Err(Failure::Failed(harmless(&why))),
            AdminAnswer::Nobody(why) => Err(Failure::Nobody(harmless(&why))),
            answer => Ok(answer),
        }
    }

    fn exchange(&self, request: &AdminRequest) -> Result<AdminAnswer, ExchangeError> {
        let mut connection =
            Connection::open(&self.socket, Cap::ADMIN, Instant::now() + TIME_LIMIT)?;
        // Some requests hold a token: nobody else may pose as the daemon.
        let user = nix::unistd::User::from_name(DAEMON_USER).ok().flatten();
        let own = nix::unistd::geteuid().as_raw();
        let peer = connection.peer()?.uid;
        if peer != own {
            connection.require_server(user.map(|user| user.uid.as_raw()))?;
        }
        connection.send(request)?;
        connection.receive()
    }

    fn explain(&self, error: ExchangeError) -> Failure {
        let socket = self.socket.display();
        match error {
            ExchangeError::Connect { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Failure::Failed(format!(
                    "you may not open {socket}: become root, or have root add you to the group of \
                     `[admin] group` (motley-admin) and log in again"
                ))
            }
            ExchangeError::Connect { source, .. } => Failure::NoAnswer(format!(
                "nobody listens on {socket} ({source}); is the service running? systemctl status \
                 motley-cue"
            )),
            ExchangeError::Deadline | ExchangeError::Closed => Failure::NoAnswer(format!(
                "the daemon gave no answer ({error}); its log may say why: journalctl -u motley-cue"
            )),
            error => Failure::Failed(error.to_string()),
        }
    }
}

/// A list of mistakes has many lines; nothing else in it may act on the terminal.
fn harmless(why: &str) -> String {
    let lines: Vec<String> = why.lines().map(|line| escape(line, REASON_CHARACTERS)).collect();
    lines.join("\n")
}

/// What is said when the daemon answers another question.
pub(crate) fn unexpected<T>() -> Result<T, Failure> {
    Err(Failure::Failed(
        "the daemon answered another question; install packages of the same release and restart it"
            .to_owned(),
    ))
}
