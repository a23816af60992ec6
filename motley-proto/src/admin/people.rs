//! What an admin is told about people and their accounts.

use crate::{
    identity::{Identity, Issuer},
    names::{GroupName, UserName},
    rest::AccountState,
    task::AccountSessions,
};
use serde::{Deserialize, Serialize};

/// Which accounts are wanted. What is not named does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountQuery {
    /// In this state.
    pub state: Option<AccountState>,
    /// Of this issuer; one slash at its end may be more or less.
    pub issuer: Option<Issuer>,
    /// With this text in name, subject or issuer, in upper or lower case.
    pub matching: Option<String>,
    /// Behind this one, in the order of issuer and subject.
    pub after: Option<Identity>,
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

/// Accounts, as many as fit into one answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AccountPage {
    /// Those that are wanted.
    pub rows: Vec<AccountRow>,
    /// Where to go on, if there may be more. A page without rows may still have one.
    pub next: Option<Identity>,
}

/// When something was done, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When, in seconds since 1970-01-01.
    pub at: i64,
    /// By whom, and why.
    pub by: String,
}

/// The last time that somebody was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginFact {
    /// When, in seconds since 1970-01-01.
    pub at: i64,
    /// Whence.
    pub from: Option<String>,
    /// By `token` or `one_time_password`.
    pub by: String,
}

/// Everything about one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDetails {
    /// Whose.
    pub identity: Identity,
    /// Local name, now or once.
    pub name: Option<UserName>,
    /// Uid, now or once.
    pub uid: Option<u32>,
    /// State.
    pub state: AccountState,
    /// Assurance tier whose shell was given last.
    pub tier: Option<String>,
    /// Login shell.
    pub shell: Option<String>,
    /// Home directory.
    pub home: Option<String>,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// Those of them that motley joined.
    pub managed_groups: Vec<GroupName>,
    /// Suspended.
    pub suspended: Option<Mark>,
    /// Kept limited by an admin.
    pub limited: Option<Mark>,
    /// Being taken away.
    pub leaving: Option<Mark>,
    /// When the account was taken away last, in seconds since 1970-01-01.
    pub removed_at: Option<i64>,
    /// Since when the person is known here, in seconds since 1970-01-01.
    pub known_since: Option<i64>,
    /// Number of sessions, if that could be found out.
    pub sessions: Option<u32>,
    /// Last time that the person was let in, if the end of the audit trail tells.
    pub last_login: Option<LoginFact>,
    /// Last use of any kind, at most an hour early, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_use: Option<UseFact>,
    /// What could not be found out.
    pub unknown: Vec<String>,
}

/// The last use of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseFact {
    /// When, in seconds since 1970-01-01.
    pub at: i64,
    /// `login`, `key` or `rest`; `first_seen` when nobody used it since that is counted.
    pub how: String,
    /// When the person was warned that it would be limited or suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned_at: Option<i64>,
    /// `limited` or `suspended`, when idleness led to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted: Option<String>,
}

/// Sessions of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsRow {
    /// Whose.
    pub identity: Identity,
    /// Its name.
    pub name: UserName,
    /// What runs.
    pub running: AccountSessions,
}

/// Sessions of several accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionsPage {
    /// Accounts on which something runs.
    pub rows: Vec<SessionsRow>,
    /// Accounts of which that could not be found out, with the reason.
    pub unknown: Vec<String>,
    /// Where to go on, if there may be more.
    pub next: Option<Identity>,
}
