//! The flows of a login, free of PAM, sockets and clocks: these come in as parts.

use crate::codes::Ending;
use motley_proto::{
    LoginName, Secret,
    client::ExchangeError,
    login::{LoginRequest, Nonce, Step},
};
use std::time::{Duration, Instant};

pub(crate) mod account;
pub(crate) mod login;
#[cfg(test)]
mod script;

/// What PAM knows when it calls; read once, at entry.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// PAM service, normally `sshd`.
    pub(crate) service: String,
    /// The name to log in as. `PAM_USER` is read once and never set.
    pub(crate) user: LoginName,
    /// Address of the client, if PAM knows one.
    pub(crate) rhost: Option<String>,
    /// Terminal, if PAM knows one.
    pub(crate) tty: Option<String>,
}

/// What chance gives to one call.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    /// Ties the daemon's verdict to this call.
    pub(crate) nonce: Nonce,
    /// Added to the floor time of a failure, so that its steps can't be counted.
    pub(crate) jitter: Duration,
}

/// What the user typed.
pub(crate) enum Reply {
    /// Text of any length.
    Text(Secret),
    /// So many bytes that are no UTF-8. They are wiped already: no token looks like that.
    Binary(usize),
}

impl Reply {
    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Reply::Text(secret) => secret.len(),
            Reply::Binary(bytes) => *bytes,
        }
    }
}

/// The user can't be asked: no conversation, or the client went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoAnswer;

/// Show what is typed, or hide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// Show it.
    On,
    /// Hide it.
    Off,
}

/// The user at the other end, and the items that the modules of a stack share.
pub(crate) trait Conversation {
    /// Asks and waits as long as the user needs; sshd's `LoginGraceTime` ends it.
    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Reply, NoAnswer>;
    /// What an earlier module of the stack left in `PAM_AUTHTOK`.
    fn earlier_password(&mut self) -> Option<Reply>;
    /// Leaves an answer in `PAM_AUTHTOK` for the modules behind this one.
    fn hand_on(&mut self, password: &Secret);
    /// `PAM_USER` as it is now.
    fn user_now(&self) -> Option<Vec<u8>>;
}

/// Why there is no verdict.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// [`Ending::Unavailable`] or [`Ending::BadReply`].
    pub(crate) ending: Ending,
    /// For the log.
    pub(crate) reason: String,
}

impl From<ExchangeError> for Trouble {
    fn from(error: ExchangeError) -> Self {
        let ending = match error {
            ExchangeError::Frame(_) => Ending::BadReply,
            _ => Ending::Unavailable,
        };
        Trouble { ending, reason: format!("daemon: {error}") }
    }
}

/// The process behind the login socket.
pub(crate) trait Daemon {
    /// Says something and waits for the next step.
    fn exchange(&mut self, request: &LoginRequest) -> Result<Step, Trouble>;
    /// Says something that needs no step, as nothing depends on it.
    fn tell(&mut self, request: &LoginRequest) -> Result<(), Trouble>;
}

/// An account as the name service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name. Directories find accounts by other spellings, too.
    pub(crate) name: String,
    /// Its uid.
    pub(crate) uid: u32,
    /// Its comment field; for our accounts it holds the identity.
    pub(crate) gecos: String,
}

impl Entry {
    /// True if the comment field holds an identity (`sub@iss`, both percent-encoded): the mark of
    /// an account of ours that can be seen without the daemon.
    pub(crate) fn names_an_identity(&self) -> bool {
        let comment = self.gecos.split(',').next().unwrap_or_default();
        comment.split_once('@').is_some_and(|(subject, issuer)| {
            !subject.is_empty() && ["https%3A", "http%3A"].iter().any(|it| issuer.starts_with(it))
        })
    }
}

/// The name service could not be asked.
#[derive(Debug)]
pub(crate) struct NameServiceError(pub(crate) String);

/// The name service switch.
pub(crate) trait NameService {
    /// The account of that name, if there is one.
    fn look_up(&self, name: &str) -> Result<Option<Entry>, NameServiceError>;
}

/// The monotonic clock.
pub(crate) trait Clock {
    /// Now.
    fn now(&self) -> Instant;
    /// Waits until then.
    fn sleep_until(&self, then: Instant);
}

/// What a flow needs from outside.
pub(crate) struct Parts<'a> {
    /// The user.
    pub(crate) conversation: &'a mut dyn Conversation,
    /// The daemon.
    pub(crate) daemon: &'a mut dyn Daemon,
    /// The name service.
    pub(crate) names: &'a dyn NameService,
    /// The clock.
    pub(crate) clock: &'a dyn Clock,
}

/// How a call ended, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// How.
    pub(crate) ending: Ending,
    /// Why, for the log; the user never sees it.
    pub(crate) reason: String,
    /// What the user sees.
    pub(crate) message: Option<String>,
}

impl Report {
    /// A report without words for the user.
    pub(crate) fn new(ending: Ending, reason: impl Into<String>) -> Self {
        Self { ending, reason: reason.into(), message: None }
    }
}

impl From<Trouble> for Report {
    fn from(trouble: Trouble) -> Self {
        Self::new(trouble.ending, trouble.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_ours_is_known_by_the_identity_in_its_comment() {
        for (gecos, ours) in [
            ("6c61@https%3A%2F%2Fop.example%2F", true),
            ("6c61@https%3A%2F%2Fop.example%2F,,,", true),
            ("a%40b@http%3A%2F%2Flocalhost%3A8080", true),
            ("Alice Example,,,", false),
            ("", false),
            ("alice@example.org", false),
            ("@https%3A%2F%2Fop.example", false),
        ] {
            let entry = Entry { name: "alice".to_owned(), uid: 1000, gecos: gecos.to_owned() };
            assert_eq!(entry.names_an_identity(), ours, "{gecos:?}");
        }
    }
}
