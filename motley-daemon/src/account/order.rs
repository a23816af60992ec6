//! Who orders a change of somebody's account, and why.

use crate::store::IDLENESS;
use motley_proto::{Identity, admin::Reason};

/// Who asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspender {
    /// The person.
    Oneself,
    /// An admin with a token.
    Admin(Identity),
    /// An admin on this host.
    Host {
        /// Uid of the admin's process.
        uid: u32,
    },
    /// Nobody: the account was not used for long.
    Idleness,
}

impl std::fmt::Display for Suspender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Oneself => f.write_str("oneself"),
            Self::Admin(identity) => write!(f, "admin {}", identity.unique_id()),
            Self::Idleness => f.write_str(IDLENESS),
            Self::Host { uid } => write!(f, "admin on the host, uid {uid}"),
        }
    }
}

/// An order, as it is written into audit trail and store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Whose.
    pub by: Suspender,
    /// Why, in the admin's words.
    pub reason: Option<Reason>,
}

impl From<Suspender> for Order {
    fn from(by: Suspender) -> Self {
        Self { by, reason: None }
    }
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.reason {
            None => write!(f, "{}", self.by),
            Some(reason) => write!(f, "{}: {reason}", self.by),
        }
    }
}
