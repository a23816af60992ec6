//! People who knocked: their identity is valid, but nobody lets them in.

use crate::identity::Identity;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a person who was not authorised lacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The provider is not configured.
    Provider,
    /// The provider's section has no rule that lets anybody in.
    Rule,
    /// The memberships of `authorised_vos`.
    Membership,
    /// A place in `authorised_users`.
    Listing,
    /// The audience, in the token.
    Audience,
}

impl Missing {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] =
        [Self::Provider, Self::Rule, Self::Membership, Self::Listing, Self::Audience];

    /// The word for files and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Rule => "rule",
            Self::Membership => "membership",
            Self::Listing => "listing",
            Self::Audience => "audience",
        }
    }

    /// The sentence for admins.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Provider => "the provider is not configured",
            Self::Rule => "no rule of the provider's section lets anybody in",
            Self::Membership => "not a member of what authorised_vos asks for",
            Self::Listing => "not one of authorised_users",
            Self::Audience => "the token is for another audience",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One identity that knocked. Names are remote text, escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knock {
    /// Who.
    pub identity: Identity,
    /// What was missing at the last attempt.
    pub missing: Vec<Missing>,
    /// Claim `preferred_username`.
    pub preferred_username: Option<String>,
    /// Claim `email`.
    pub email: Option<String>,
    /// Claim `name`.
    pub name: Option<String>,
    /// First attempt, in seconds since 1970.
    pub first_at: i64,
    /// Last attempt, in seconds since 1970.
    pub last_at: i64,
    /// Attempts.
    pub count: u64,
    /// The admins were mailed about this one.
    pub mailed: bool,
}

/// A page of the table, in the order of the identities.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KnockPage {
    /// The rows.
    pub rows: Vec<Knock>,
    /// There are more behind the last row.
    pub more: bool,
}

/// How mail to the admins goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NotifyStatus {
    /// How often there is a digest: `off`, `hourly`, `daily` or `weekly`.
    pub unauthorised: String,
    /// When the last digest was taken by the mail server, in seconds since 1970.
    pub sent_at: Option<i64>,
    /// Attempts that failed since then.
    pub failures: u32,
    /// Why the last of them failed, and what to do.
    pub last_error: Option<String>,
    /// When the next attempt is due after a failure, in seconds since 1970.
    pub retry_at: Option<i64>,
}
