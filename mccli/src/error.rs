//! What can go wrong in the client, with its cause, the next step and the exit code.

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
    #[error("Failed on {call}: [HTTP {status}] {reason}")]
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
    #[error("No answer from {url}: {reason}")]
    Network {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The HTTP client can't be set up.
    #[error("the HTTP client can't be set up: {0}")]
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
    #[error("the askpass broker did not start: {0}")]
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
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
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
    /// Output could not be written.
    #[error("output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// Exit code for the commands that the Python client does not have.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config { .. } => 2,
            Self::NoToken(_) | Self::Login(_) | Self::NotValid => 3,
            Self::TokenRefused { .. } => 4,
            Self::NotAuthorised { .. } => 5,
            Self::Pending(..) => 6,
            Self::Locked(..) => 7,
            Self::NoService(_) | Self::Network { .. } | Self::PlainHttp(_) => 8,
            Self::Tls { .. } => 9,
            Self::TokenTooLong(_) => 10,
            _ => 1,
        }
    }

    /// Exit code for the commands that the Python client has too: 2 for usage, 1 for the rest.
    pub(crate) fn legacy_code(&self) -> u8 {
        if matches!(self, Self::Usage(_) | Self::Config { .. }) { 2 } else { 1 }
    }
}
