//! What an admin on the host asks the daemon over the admin socket.
//!
//! Lists are paged: a page that is full names the place where the next one begins.

mod group;
mod import;
mod node;
mod people;
mod token;
mod trail;

pub use group::{GroupPage, GroupRow};
pub use import::{ImportOutcome, ImportPage, ImportRow, LeftRequest, LeftState, RequestOutcome};
pub use node::{NodeOutcome, NodeRow};
pub use people::{
    AccountDetails, AccountPage, AccountQuery, AccountRow, LoginFact, Mark, SessionsPage,
    SessionsRow, UseFact,
};
pub use token::{
    EntitlementFact, EntitlementParts, HeldToken, PersonFact, PreviewFact, RuleFact, SectionFact,
    TokenReport, Verdict, WhyReport,
};
pub use trail::{BrokenLine, TrailCheck, TrailCursor, TrailFilter, TrailPage, TrailStart};

use crate::{
    approval::{
        ApprovalDecision, ApprovalId, ApprovalPage, ApprovalReceipt, ApprovalRef, ApprovalRow,
        OutboxStatus,
    },
    code::Code,
    facts::ProviderStatus,
    identity::Identity,
    knock::{KnockPage, NotifyStatus},
    names::{GroupName, UserName, text_type},
    node::NodeName,
    rest::AccountState,
    task::{HomeFate, SessionsEnded},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whom an admin means: by identity, or by local name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// Issuer and subject.
    Identity(Identity),
    /// Name of the local account.
    Name(UserName),
}

/// Why a text can't be the reason of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReasonError {
    /// There is no text.
    #[error("is empty")]
    Empty,
    /// Longer than 200 bytes.
    #[error("is longer than 200 bytes")]
    TooLong,
    /// It would break a line of the audit trail or act on a terminal.
    #[error("has a control character, or one that hides or reorders text")]
    ControlCharacter,
}

fn check_reason(text: &str) -> Result<(), ReasonError> {
    match text {
        "" => Err(ReasonError::Empty),
        text if text.len() > 200 => Err(ReasonError::TooLong),
        text if text.chars().any(crate::text::acts) => Err(ReasonError::ControlCharacter),
        _ => Ok(()),
    }
}

text_type! {
    /// Why an admin orders something, in his own words: one line of 1 to 200 bytes.
    Reason, check_reason, ReasonError
}

/// A change of somebody's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Refuse this person from now on and end the sessions.
    Suspend,
    /// Let this person in again.
    Resume,
    /// Leave the account the shell of tier limited, until that is lifted.
    Limit,
    /// Lift that.
    Unlimit,
    /// Take the account away.
    Undeploy,
}

/// What an admin asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AdminRequest {
    /// How is the daemon?
    Status,
    /// Accounts that the store knows.
    Accounts(AccountQuery),
    /// Everything about one account.
    Account {
        /// Whose.
        target: Target,
    },
    /// Change somebody's account.
    Change {
        /// How.
        change: Change,
        /// Whose.
        target: Target,
        /// Why.
        reason: Option<Reason>,
    },
    /// What runs on one account.
    Sessions {
        /// Whose.
        target: Target,
    },
    /// What runs on all accounts.
    AllSessions {
        /// Behind this one, in the order of issuer and subject.
        after: Option<Identity>,
    },
    /// Why can, or can't, this person come in?
    Why {
        /// Who.
        target: Target,
    },
    /// Why can, or can't, the holder of this token come in?
    WhyToken {
        /// The token.
        token: HeldToken,
    },
    /// What is this token?
    Token {
        /// The token.
        token: HeldToken,
    },
    /// How are the providers?
    Providers {
        /// Whether they are asked now, or what is known is told.
        probe: bool,
    },
    /// Lines of the audit trail.
    Trail {
        /// Which.
        filter: TrailFilter,
        /// From where on.
        start: TrailStart,
    },
    /// Read the audit trail through.
    VerifyTrail,
    /// Put the audit trail aside and begin a new file.
    RotateTrail,
    /// Finish or roll back whatever a crash left behind.
    Reconcile,
    /// Note accounts that another stack made: names, uids and locks.
    Import {
        /// Whether it is done, or only told what would be done.
        apply: bool,
        /// Behind this one, in the order of issuer and subject.
        after: Option<Identity>,
    },
    /// Take requests over that another stack kept for its admins.
    ImportRequests {
        /// Whether it is done, or only told what would be done.
        apply: bool,
        /// Which.
        requests: Vec<LeftRequest>,
    },
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
    /// Which nodes share the database?
    Nodes,
    /// Wait no longer for a node that does not come back.
    ForgetNode {
        /// Which.
        node: NodeName,
    },
    /// Local groups, and the groups of providers that they are made from: one page.
    Groups {
        /// The last name of the page before; `None` for the first page.
        after: Option<GroupName>,
    },
    /// Forget what a local group is made from, as when it was renamed at the provider.
    ReleaseGroup {
        /// Which.
        name: GroupName,
    },
    /// Requests that wait for an admin, and those that were rejected.
    Approvals {
        /// The last identity of the page before; `None` for the first page.
        after: Option<Identity>,
    },
    /// One request.
    Approval {
        /// Which.
        id: ApprovalId,
    },
    /// Decide about a request.
    Decide {
        /// How.
        decision: ApprovalDecision,
        /// About which, as it was seen.
        reference: ApprovalRef,
        /// Why.
        reason: Option<Reason>,
    },
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

/// What a change of somebody's account did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whom it was about.
    pub identity: Identity,
    /// Local name, if there is an account or was one.
    pub name: Option<UserName>,
    /// State now.
    pub state: AccountState,
    /// One-time passwords that were dropped.
    pub one_time_passwords: u32,
    /// Sessions ended.
    pub sessions: SessionsEnded,
    /// What became of the home, if the account was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<HomeFate>,
    /// What could not be done yet. Of a suspension it is retried; a resumption has to be ordered again.
    pub pending: Vec<String>,
    /// What the back end has no means of doing, so nobody retries it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_done: Vec<String>,
    /// What the other nodes did, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeOutcome>,
}

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Version of the daemon.
    pub version: String,
    /// Seconds since it started.
    pub uptime: u64,
    /// Since when the configuration holds, in seconds since 1970-01-01.
    pub configured_at: i64,
    /// Files of the configuration.
    pub files: Vec<String>,
    /// Where it listens.
    pub listening: Vec<String>,
    /// Issuers it trusts.
    pub issuers: Vec<String>,
    /// Accounts in the store.
    pub accounts: u64,
    /// The same by state, as far as store and account files tell; locks that somebody set without
    /// motley are not looked for.
    pub states: BTreeMap<String, u64>,
    /// Whether the root helper answers.
    pub root_helper: bool,
    /// How mail to the admins goes.
    #[serde(default)]
    pub notify: NotifyStatus,
    /// Requests that wait for an admin; `None` where accounts need no approval.
    #[serde(default)]
    pub approvals: Option<u64>,
    /// How mail about requests and accounts goes.
    #[serde(default)]
    pub outbox: OutboxStatus,
    /// Why it does not, and what to do.
    pub root_helper_problem: Option<String>,
    /// Whether the store answers.
    pub store: bool,
    /// The file of the audit trail.
    pub audit: String,
    /// Its size, in bytes.
    pub audit_bytes: u64,
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
    Accounts(AccountPage),
    /// To [`AdminRequest::Account`]. Boxed, as are others that would make every answer large.
    Account(Box<AccountDetails>),
    /// To [`AdminRequest::Change`].
    Receipt(Receipt),
    /// To [`AdminRequest::Sessions`] and [`AdminRequest::AllSessions`].
    Sessions(SessionsPage),
    /// To [`AdminRequest::Why`] and [`AdminRequest::WhyToken`].
    Why(Box<WhyReport>),
    /// To [`AdminRequest::Token`].
    Token(Box<TokenReport>),
    /// To [`AdminRequest::Providers`].
    Providers(Vec<ProviderStatus>),
    /// To [`AdminRequest::Trail`].
    Trail(TrailPage),
    /// To [`AdminRequest::VerifyTrail`].
    TrailChecked(TrailCheck),
    /// To [`AdminRequest::RotateTrail`]: where the file is now.
    TrailRotated(String),
    /// To [`AdminRequest::Reconcile`]: one line for each repair.
    Reconciled(Vec<String>),
    /// To [`AdminRequest::Import`].
    Imported(ImportPage),
    /// To [`AdminRequest::ImportRequests`]: what becomes of each, in their order.
    RequestsImported(Vec<RequestOutcome>),
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
    /// To [`AdminRequest::Nodes`] and [`AdminRequest::ForgetNode`]: those that are known now.
    Nodes(Vec<NodeRow>),
    /// To [`AdminRequest::Groups`].
    Groups(GroupPage),
    /// To [`AdminRequest::ReleaseGroup`]: what was kept of it.
    GroupReleased(GroupRow),
    /// To [`AdminRequest::Approvals`].
    Approvals(ApprovalPage),
    /// To [`AdminRequest::Approval`].
    Approval(Box<ApprovalRow>),
    /// To [`AdminRequest::Decide`].
    Decided(ApprovalReceipt),
    /// Nobody of that name, or no account of that identity; the text says what to do.
    Nobody(String),
    /// The request was refused or failed; the text says why and what to do.
    Refused(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r31_a_reason_is_one_short_line() {
        for bad in ["", "two\nlines", "\u{1b}[2J", "\u{202e}gnp", "a\u{200b}b", &"x".repeat(201)] {
            assert!(Reason::new(bad).is_err(), "{bad:?}");
        }
        assert!(Reason::new("left the project – ticket 7").is_ok());
    }
}
