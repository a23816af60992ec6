//! What can go wrong in the client, with its cause, the next step and the exit code.
//!
//! The text of an error is one line that says what is wrong, then indented lines with details if
//! there are any, then lines that say what to do.

use serde_json::{Value, json};
use std::{io, path::PathBuf};

/// Result of the client's own work.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why the client stops before ssh takes over. No text in here ever holds a token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// No source gave a token.
    #[error("{0}")]
    NoToken(String),
    /// The service refused the token (HTTP 401).
    #[error(
        "Failed on {call}: [HTTP 401] {reason}\nThe service does not accept this token; get a new one from the provider and try again."
    )]
    TokenRefused {
        /// Which request.
        call: &'static str,
        /// What the service said.
        reason: String,
    },
    /// The service knows the identity and does not let it in (HTTP 403).
    #[error(
        "Failed on {call}: [HTTP 403] {reason}\nYour identity may not use this service; ask the contact that `mccli info HOST` shows."
    )]
    NotAuthorised {
        /// Which request.
        call: &'static str,
        /// What the service said.
        reason: String,
    },
    /// Any other refusal of a request.
    #[error(
        "Failed on {call}: [HTTP {status}] {reason}\nIf it stays so, tell the contact that `mccli info HOST` shows."
    )]
    Refused {
        /// Which request.
        call: &'static str,
        /// HTTP status code.
        status: u16,
        /// What the service said.
        reason: String,
    },
    /// The account waits for approval.
    #[error("Your account is not ready: {0}\nTry again when you are told that it is approved.{1}")]
    Pending(String, String),
    /// The account is locked.
    #[error("Your account is {0}: {1}")]
    Locked(motley_proto::rest::AccountState, String),
    /// The answer of the service can't be used.
    #[error(
        "The service answered {call} with something unusable: {reason}\nTell its operators; nothing was sent to ssh."
    )]
    BadAnswer {
        /// Which request.
        call: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// No endpoint.
    #[error("{0}")]
    NoService(String),
    /// There is a service, and the user never named the host.
    #[error(
        "{host} has a service at {endpoint}, but you never named that host to mccli, so it gets no token\nRun `mccli ssh {words}` once, or add a rule [host.\"{host}\"] to config.toml."
    )]
    UnnamedHost {
        /// The host, with the port where it is not the usual one.
        host: String,
        /// The same as words of ssh.
        words: String,
        /// What was found there.
        endpoint: String,
    },
    /// A certificate was not accepted.
    #[error(
        "SSL certificate verification failed for {url}: {reason}\nUse --ca-file FILE if the site has its own CA, or --insecure if you wish to ignore SSL certificate verification."
    )]
    Tls {
        /// What was asked.
        url: String,
        /// What the TLS library said.
        reason: String,
    },
    /// The network failed.
    #[error(
        "No answer from {url}: {reason}\nCheck name and network; `mccli doctor HOST` tries each step by itself."
    )]
    Network {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The HTTP client can't be set up.
    #[error(
        "the HTTP client can't be set up: {0}\nCheck the variables of proxies and certificate authorities."
    )]
    Http(String),
    /// Plain http where it is not allowed.
    #[error(
        "{0} is plain http: everybody on the way could read the token\nUse https, or --allow-http if you know the network."
    )]
    PlainHttp(String),
    /// ssh cuts answers after 1023 bytes, and the service offers no way around.
    #[error(
        "Sorry, your token is too long ({0} >= 1024) and the service does not support one-time passwords\nAsk your provider for fewer scopes, or the service's operators to switch one-time passwords on."
    )]
    TokenTooLong(usize),
    /// ssh itself.
    #[error("{0}")]
    Ssh(String),
    /// The process that holds the token for ssh did not come up.
    #[error(
        "the askpass broker did not start: {0}\nIt needs /proc and a folder that is yours alone: XDG_RUNTIME_DIR, or one below your home."
    )]
    Broker(String),
    /// The configuration file can't be used.
    #[error("{path}: {reason}", path = .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// The configuration file of ssh can't be changed.
    #[error("{path}: {reason}", path = .path.display())]
    SshConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A file of the user's can't be used.
    #[error("{path}: {source}\nIt must be there, be yours, and be readable.", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `mccli doctor` found something that keeps the user from logging in.
    #[error("{count} failed; the first is: {first}")]
    Checks {
        /// How many, with the word for them.
        count: String,
        /// The first that failed.
        first: &'static str,
        /// Its exit code.
        code: u8,
    },
    /// Logging in at a provider failed.
    #[error(transparent)]
    Login(#[from] crate::login::LoginError),
    /// A stored login can't be read or written.
    #[error(transparent)]
    Store(#[from] crate::logins::StoreError),
    /// A check that prints nothing found no valid token.
    #[error("")]
    NotValid,
    /// The user said no.
    #[error("not confirmed; nothing was changed")]
    NotConfirmed,
    /// The user broke off.
    #[error("interrupted")]
    Interrupted,
    /// Input or output failed.
    #[error("output: {0}")]
    Output(io::Error),
}

impl From<io::Error> for Error {
    /// A question on the terminal that the user breaks off is no fault of the terminal.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::Interrupted => Self::Interrupted,
            _ => Self::Output(error),
        }
    }
}

impl Error {
    /// The same for scripts.
    pub(crate) fn json(&self) -> Value {
        json!({
            "code": self.word(),
            "message": self.message(),
            "hint": self.hint(),
            "http_status": self.http_status(),
        })
    }

    /// One word for scripts.
    fn word(&self) -> &'static str {
        self.kind().0
    }

    /// Exit code for the commands that the Python client does not have.
    pub(crate) fn code(&self) -> u8 {
        self.kind().1
    }

    /// Exit code for the commands that the Python client has too: 2 for usage, 1 for the rest.
    pub(crate) fn legacy_code(&self) -> u8 {
        match self.code() {
            code @ (2 | 130) => code,
            _ => 1,
        }
    }

    /// Word and exit code.
    fn kind(&self) -> (&'static str, u8) {
        match self {
            Self::Refused { .. } => ("refused", 1),
            Self::BadAnswer { .. } => ("bad_answer", 1),
            Self::Http(_) => ("http_client", 1),
            Self::Ssh(_) => ("ssh", 1),
            Self::Broker(_) => ("broker", 1),
            Self::SshConfig { .. } => ("ssh_config", 1),
            Self::File { .. } => ("file", 1),
            Self::Store(_) => ("store", 1),
            Self::NotConfirmed => ("not_confirmed", 1),
            Self::Checks { code, .. } => ("checks_failed", *code),
            Self::Output(_) => ("output", 1),
            Self::Usage(_) => ("usage", 2),
            Self::Config { .. } => ("configuration", 2),
            Self::NoToken(_) | Self::NotValid => ("no_token", 3),
            Self::Login(_) => ("login", 3),
            Self::TokenRefused { .. } => ("token_refused", 4),
            Self::NotAuthorised { .. } => ("not_authorised", 5),
            Self::Pending(..) => ("pending", 6),
            Self::Locked(..) => ("locked", 7),
            Self::NoService(_) => ("no_service", 8),
            Self::UnnamedHost { .. } => ("unnamed_host", 8),
            Self::Network { .. } => ("unreachable", 8),
            Self::PlainHttp(_) => ("plain_http", 8),
            Self::Tls { .. } => ("tls", 9),
            Self::TokenTooLong(_) => ("token_too_long", 10),
            Self::Interrupted => ("interrupted", 130),
        }
    }

    /// What is wrong, with details.
    pub(crate) fn message(&self) -> String {
        self.split().0
    }

    /// What to do.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(self.split().1).filter(|hint| !hint.is_empty())
    }

    fn split(&self) -> (String, String) {
        let text = self.to_string();
        let lines: Vec<&str> = text.lines().collect();
        let details = lines.iter().skip(1).take_while(|line| line.starts_with(' ')).count();
        let (message, hint) = lines.split_at((details + 1).min(lines.len()));
        (message.join("\n"), hint.join("\n"))
    }

    /// Status code of the answer, where one came.
    pub(crate) fn http_status(&self) -> Option<u16> {
        match self {
            Self::TokenRefused { .. } => Some(401),
            Self::NotAuthorised { .. } => Some(403),
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
