//! What an admin on the host asks the daemon over the admin socket.

use crate::{
    code::Code,
    identity::Identity,
    knock::{KnockPage, NotifyStatus},
    names::UserName,
    rest::AccountState,
    task::SessionsEnded,
};
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
    /// Give this person a code for one login, without a token.
    IssueCode {
        /// Whom.
        target: Target,
    },
    /// Who knocked without being authorised: one page of the table.
    Knocks {
        /// The last identity of the page before; `None` for the first page.
        after: Option<Identity>,
    },
    /// Forget everybody who knocked.
    ClearKnocks,
    /// Send a mail to the admins now, to see whether that works.
    TestNotify,
}

/// A code that an admin of the host gives to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCode {
    /// The code; told here and nowhere else.
    pub code: Code,
    /// Whose it is.
    pub identity: Identity,
    /// The one name under which it lets in.
    pub name: UserName,
    /// When it ends, in seconds since 1970.
    pub expires_at: i64,
    /// For how many seconds it is good.
    pub lifetime: i64,
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
    /// How mail to the admins goes.
    #[serde(default)]
    pub notify: NotifyStatus,
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
    /// To [`AdminRequest::IssueCode`].
    Code(IssuedCode),
    /// To [`AdminRequest::Knocks`].
    Knocks(KnockPage),
    /// To [`AdminRequest::ClearKnocks`]: how many were forgotten.
    KnocksCleared(u64),
    /// To [`AdminRequest::TestNotify`]: what the mail server said.
    Notified(String),
    /// The request was refused or failed; the text says why and what to do.
    Refused(String),
}
