//! What another stack left, taken into the store: accounts, and requests that wait for an admin.

use crate::{
    approval::ApprovalKind,
    identity::Identity,
    names::{GroupName, UserName},
    rest::AccountState,
};
use serde::{Deserialize, Serialize};

/// What becomes of one account that the back end shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// The store does not know it yet; it is, or would be, noted.
    New,
    /// The store knows the person under another name or uid; what the back end shows is, or would
    /// be, noted, and the old name and uid are nobody else's for ever.
    Changed {
        /// Name and uid in the store, in words.
        before: String,
    },
    /// It can't be noted.
    Conflict {
        /// Why, and what to do about it.
        why: String,
    },
}

/// One account that is to be taken over, or can't be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRow {
    /// Whose.
    pub identity: Identity,
    /// Its name.
    pub name: UserName,
    /// Its uid, if the back end tells.
    pub uid: Option<u32>,
    /// Its state in the back end.
    pub state: AccountState,
    /// What becomes of it.
    pub outcome: ImportOutcome,
}

/// What came of some of the accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImportPage {
    /// Accounts that are not simply known already.
    pub rows: Vec<ImportRow>,
    /// Accounts that the store knew as they are.
    pub known: u32,
    /// What an admin should mend in the account files; told with the first page.
    pub oddities: Vec<String>,
    /// Where to go on, if there may be more.
    pub next: Option<Identity>,
}

/// How far a request had come in the other stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftState {
    /// It waits, and no admin was told yet.
    Untold,
    /// It waits, and the admins were told.
    Told,
    /// An admin said no.
    Rejected,
}

/// A request that another stack kept for its admins. It holds no claims and no command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftRequest {
    /// Who asks.
    pub identity: Identity,
    /// For what.
    pub kind: ApprovalKind,
    /// How far it had come.
    pub state: LeftState,
    /// Claim `name`.
    pub full_name: Option<String>,
    /// Claim `email`.
    pub email: Option<String>,
    /// The name that the account was to get.
    pub name: Option<UserName>,
    /// The primary group that it was to get.
    pub primary_group: Option<GroupName>,
    /// The shell that it was to get.
    pub shell: Option<String>,
    /// Groups that are asked for.
    pub groups: Vec<GroupName>,
}

/// What becomes of a request that another stack left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestOutcome {
    /// It waits here, or would.
    New,
    /// Nothing: it is known or settled already.
    Known,
    /// It can't be taken over.
    Conflict {
        /// Why, and what to do about it.
        why: String,
    },
}
