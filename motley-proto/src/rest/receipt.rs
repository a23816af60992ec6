//! What a suspension or its end did, as clients of the REST interface are told.

use crate::{admin, task::SessionsEnded};
use serde::{Deserialize, Serialize};

/// What a suspension or its end did. Why something is pending stays in the log: it may tell of the inside
/// of the service, and these are people anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = StateReceipt))]
pub struct StateReceipt {
    /// One-time passwords that were dropped.
    #[serde(default)]
    pub one_time_passwords: u32,
    /// What ended on the node that was asked.
    #[serde(default)]
    pub ended: Ended,
    /// What is still to be done. A suspension holds meanwhile and goes on with it by itself; a
    /// resumption has to be asked for again.
    #[serde(default)]
    pub pending: Vec<String>,
    /// What the accounts here have no means of.
    #[serde(default)]
    pub not_done: Vec<String>,
    /// What the other login nodes did, where there are any.
    #[serde(default)]
    pub nodes: Vec<NodeReceipt>,
}

/// What ended on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SessionsEnded))]
pub struct Ended {
    /// Sessions.
    #[serde(default)]
    pub sessions: u32,
    /// Processes that were sent a signal.
    #[serde(default)]
    pub processes: u32,
    /// Processes that still ran when the time was up.
    #[serde(default)]
    pub remaining: u32,
    /// Jobs of cron and at that were put aside.
    #[serde(default)]
    pub jobs_held: u32,
}

/// How far another login node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeReceipt {
    /// Its name.
    pub node: String,
    /// Its account shows the change.
    pub done: bool,
    /// It was seen within the last seconds.
    pub lives: bool,
    /// What ended there.
    #[serde(default)]
    pub ended: Ended,
}

impl From<SessionsEnded> for Ended {
    fn from(ended: SessionsEnded) -> Self {
        let SessionsEnded { sessions, processes, remaining, jobs_held, .. } = ended;
        Self { sessions, processes, remaining, jobs_held }
    }
}

impl From<&admin::Receipt> for StateReceipt {
    fn from(receipt: &admin::Receipt) -> Self {
        // A note is what was tried, then why it failed.
        let tried = |note: &String| note.split(": ").next().unwrap_or_default().to_owned();
        let nodes = receipt.nodes.iter().map(|outcome| NodeReceipt {
            node: outcome.node.to_string(),
            done: outcome.done,
            lives: outcome.lives,
            ended: outcome.sessions.into(),
        });
        Self {
            one_time_passwords: receipt.one_time_passwords,
            ended: receipt.sessions.into(),
            pending: receipt.pending.iter().map(tried).collect(),
            not_done: receipt.not_done.iter().map(tried).collect(),
            nodes: nodes.collect(),
        }
    }
}
