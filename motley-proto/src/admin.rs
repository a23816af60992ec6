//! What an admin on the host asks the daemon over the admin socket.

use crate::{identity::Identity, names::UserName, rest::AccountState, task::SessionsEnded};
use serde::{Deserialize, Serialize};

/// Whom an admin means: by identity, or by local name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// Issuer and subject.
    Identity(Identity),
    /// Name of the local account.
    Name(UserName),
}

/// What an admin asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AdminRequest {
    /// How is the daemon?
    Status,
    /// All accounts that the store knows.
    Accounts,
    /// Refuse this person from now on and end the sessions.
    Suspend {
        /// Whom.
        target: Target,
    },
    /// Let this person in again.
    Resume {
        /// Whom.
        target: Target,
    },
    /// Finish or roll back whatever a crash left behind.
    Reconcile,
    /// Load the configuration anew.
    Reload,
}

/// One account in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// Whose.
    pub identity: Identity,
    /// Local name, once there is one.
    pub name: Option<UserName>,
    /// State.
    pub state: AccountState,
}

/// What a suspension or resumption did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whom it was about.
    pub identity: Identity,
    /// Local name, if there is an account.
    pub name: Option<UserName>,
    /// State now.
    pub state: AccountState,
    /// One-time passwords that were dropped.
    pub one_time_passwords: u32,
    /// Sessions ended.
    pub sessions: SessionsEnded,
    /// What could not be done yet and is retried.
    pub pending: Vec<String>,
}

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Version of the daemon.
    pub version: String,
    /// Where it listens.
    pub listening: Vec<String>,
    /// Issuers it trusts.
    pub issuers: Vec<String>,
    /// Accounts in the store.
    pub accounts: u64,
    /// Whether the root helper answers.
    pub root_helper: bool,
}

/// What loading the configuration anew came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// The files that hold now.
    pub files: Vec<String>,
    /// What is doubtful in them.
    pub warnings: Vec<String>,
    /// Options that changed and take effect at the next start only, as `[section] option`.
    pub restart: Vec<String>,
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminAnswer {
    /// To [`AdminRequest::Status`].
    Status(DaemonStatus),
    /// To [`AdminRequest::Accounts`].
    Accounts(Vec<AccountRow>),
    /// To [`AdminRequest::Suspend`] and [`AdminRequest::Resume`].
    Receipt(Receipt),
    /// To [`AdminRequest::Reconcile`]: one line for each repair.
    Reconciled(Vec<String>),
    /// To [`AdminRequest::Reload`].
    Reloaded(ReloadReport),
    /// The request was refused or failed; the text says why and what to do.
    Refused(String),
}
