//! What an admin is told about the nodes that share one database.

use crate::{node::NodeName, task::SessionsEnded};
use serde::{Deserialize, Serialize};

/// What another node did about a change of somebody's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeOutcome {
    /// Which.
    pub node: NodeName,
    /// True when its account shows the change.
    pub done: bool,
    /// True when it was seen within the last seconds.
    pub lives: bool,
    /// What ended there.
    pub sessions: SessionsEnded,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Its name.
    pub node: NodeName,
    /// True for the one that answers.
    pub is_this: bool,
    /// True when it was seen within the last seconds.
    pub lives: bool,
    /// When it was seen last, in seconds since 1970.
    pub seen_at: i64,
    /// By how many seconds its clock is ahead of the database's; behind if negative.
    #[serde(default)]
    pub clock_ahead: i64,
    /// Changes of accounts that it has still to carry out.
    pub behind: u64,
    /// Accounts that it made or found.
    pub accounts: u64,
}
