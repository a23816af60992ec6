//! The events of the audit log, and the line that each of them becomes.

use aws_lc_rs::digest;
use motley_proto::{Identity, UserName};
use serde::{Deserialize, Serialize};

/// Something that must be known afterwards, whatever the log level was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The daemon started.
    Started {
        /// Its version.
        version: String,
    },
    /// Somebody was let in.
    LoginGranted {
        /// Request id.
        request: String,
        /// Who.
        identity: Identity,
        /// As which account.
        name: UserName,
        /// From where.
        rhost: Option<String>,
        /// By `token`, `one_time_password`, `code` or `vouched_code`.
        by: String,
    },
    /// Somebody was not let in.
    LoginRefused {
        /// Request id.
        request: String,
        /// The name that was tried.
        user: String,
        /// From where.
        rhost: Option<String>,
        /// Why, for the operator.
        reason: String,
    },
    /// An account was made, adopted or changed.
    Deployed {
        /// Request id.
        request: String,
        /// Whose.
        identity: Identity,
        /// Its name.
        name: UserName,
        /// What was done, in words.
        what: String,
    },
    /// An identity was suspended.
    Suspended {
        /// Request id.
        request: String,
        /// Whom.
        identity: Identity,
        /// By whom.
        by: String,
    },
    /// An identity may come in again.
    Resumed {
        /// Request id.
        request: String,
        /// Whom.
        identity: Identity,
        /// By whom.
        by: String,
    },
    /// An account was limited.
    Limited {
        /// Request id.
        request: String,
        /// Whose.
        identity: Identity,
        /// By whom, and why.
        by: String,
    },
    /// A limit was lifted.
    Unlimited {
        /// Request id.
        request: String,
        /// Whose.
        identity: Identity,
        /// By whom, and why.
        by: String,
    },
    /// This node carries out what was ordered on another one, where its trail tells by whom.
    CarriedOut {
        /// Request id.
        request: String,
        /// Whose account.
        identity: Identity,
        /// What the account is now: `suspended`, `limited`, `removed` or `free`.
        what: String,
    },
    /// Somebody ordered an account to be taken away.
    Undeployed {
        /// Request id.
        request: String,
        /// Whose.
        identity: Identity,
        /// By whom, and why.
        by: String,
    },
    /// An account is gone.
    AccountRemoved {
        /// Request id.
        request: String,
        /// Whose it was.
        identity: Identity,
        /// Its name.
        name: UserName,
        /// What became of its home, in words.
        home: Option<String>,
    },
    /// An admin of the host asked for something that leaves no other trace here.
    AdminAsked {
        /// Request id.
        request: String,
        /// Uid of the admin's process.
        uid: u32,
        /// For what.
        what: String,
    },
    /// First line of a file that goes on where another one was put aside.
    Continued {
        /// Name of that other file.
        file: String,
    },
    /// A one-time password was issued.
    OneTimePasswordIssued {
        /// Request id.
        request: String,
        /// For whom.
        identity: Identity,
    },
    /// A code was given out.
    CodeIssued {
        /// Request id.
        request: String,
        /// For whom.
        identity: Identity,
        /// The one account that it opens.
        name: UserName,
        /// By whom: the holder of a token, or an admin on the host.
        by: String,
    },
    /// A code was used up, for better or worse.
    CodeUsed {
        /// Whose it was.
        identity: Identity,
        /// The one account that it opens.
        name: UserName,
        /// Who had given it out.
        by: String,
    },
}

/// One line of the file.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    /// Seconds since 1970-01-01 UTC.
    pub(super) time: i64,
    /// Address behind the REST request, where one led to the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub(super) event: Event,
    /// Hash of the line before, or [`START`].
    pub(super) previous: String,
}

/// What the very first line names as the one before.
pub(super) const START: &str = "start";

/// SHA-256 of a line without its end, in hex digits.
pub(super) fn hash_of(line: &str) -> String {
    let hash = digest::digest(&digest::SHA256, line.as_bytes());
    hash.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}
