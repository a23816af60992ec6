//! Requests that wait for an admin: who asks for which account or groups, and how they are named.

use crate::{
    admin::Mark,
    identity::Identity,
    names::{GroupName, UserName, text_type},
    rest::AccountState,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Characters of an [`ApprovalId`].
const ID_CHARACTERS: usize = 8;
/// Crockford's alphabet in lower case: no i, l, o and u, which are taken for other characters.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a text does not name a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalRefError {
    /// The part before the dot is no id.
    #[error("has no id of 8 characters before the dot, as in k7dm3xqp.1")]
    Id,
    /// The part behind the dot is no number.
    #[error(
        "has no revision behind the dot, as in k7dm3xqp.1; `motleyctl approvals list` shows it"
    )]
    Revision,
}

fn check_id(text: &str) -> Result<(), ApprovalRefError> {
    let fits = text.len() == ID_CHARACTERS && text.bytes().all(|byte| ALPHABET.contains(&byte));
    if fits { Ok(()) } else { Err(ApprovalRefError::Id) }
}

text_type! {
    /// Names a request for as long as it is there: 8 random characters.
    ApprovalId, check_id, ApprovalRefError
}

impl ApprovalId {
    /// Writes 5 random bytes as an id.
    pub fn from_bytes(bytes: [u8; 5]) -> Self {
        let number = bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        let digit = |at: u32| {
            let value = usize::try_from(number >> (5 * at) & 31).unwrap_or_default();
            ALPHABET.get(value).copied().map_or('0', char::from)
        };
        Self((0..8u32).rev().map(digit).collect())
    }
}

/// A request as an admin saw it: `ID.REVISION`. When the request changes, so does the revision, and
/// nobody accepts what he has not seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApprovalRef {
    /// Which request.
    pub id: ApprovalId,
    /// In which form, from 1.
    pub revision: u32,
}

impl fmt::Display for ApprovalRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id, self.revision)
    }
}

impl FromStr for ApprovalRef {
    type Err = ApprovalRefError;
    fn from_str(text: &str) -> Result<Self, ApprovalRefError> {
        let (id, revision) = text.split_once('.').unwrap_or((text, ""));
        let id = ApprovalId::new(id)?;
        let is_number = !revision.is_empty() && revision.bytes().all(|byte| byte.is_ascii_digit());
        let revision = revision.parse().ok().filter(|number| is_number && *number > 0);
        Ok(Self { id, revision: revision.ok_or(ApprovalRefError::Revision)? })
    }
}

impl TryFrom<String> for ApprovalRef {
    type Error = ApprovalRefError;
    fn try_from(text: String) -> Result<Self, ApprovalRefError> {
        text.parse()
    }
}

impl From<ApprovalRef> for String {
    fn from(reference: ApprovalRef) -> String {
        reference.to_string()
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalKind {
    /// A first account, with these groups.
    Account,
    /// Further groups of an account that is there.
    Groups,
}

impl ApprovalKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Groups => "groups",
        }
    }
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// Nobody has decided.
    Pending,
    /// Accepted, and being carried out.
    Accepting,
    /// An admin said no.
    Rejected,
    /// Carried out. What is left is what was accepted.
    Accepted,
}

impl ApprovalStatus {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepting => "accepting",
            Self::Rejected => "rejected",
            Self::Accepted => "accepted",
        }
    }
}

/// A request, as admins see it. Names and addresses are remote text, escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRow {
    /// Names it in the form that is shown here.
    pub reference: ApprovalRef,
    /// Who asks.
    pub identity: Identity,
    /// For what.
    pub kind: ApprovalKind,
    /// How far it has come.
    pub status: ApprovalStatus,
    /// Name of the account, or the one that was promised before.
    pub name: Option<UserName>,
    /// Claim `name`.
    pub full_name: Option<String>,
    /// Claim `email`.
    pub email: Option<String>,
    /// The provider says that the address was verified.
    pub email_verified: bool,
    /// Claim `preferred_username`.
    pub preferred_username: Option<String>,
    /// Primary group of the account.
    pub primary_group: GroupName,
    /// Groups that are asked for.
    pub groups: Vec<GroupName>,
    /// Assurance shell tier.
    pub tier: String,
    /// When it was first asked, in seconds since 1970.
    pub requested_at: i64,
    /// When this revision came, in seconds since 1970.
    pub updated_at: i64,
    /// When the request, or its rejection, ends by itself, in seconds since 1970.
    pub expires_at: i64,
    /// Who decided, and when.
    pub decided: Option<Mark>,
    /// Why carrying it out failed last.
    pub last_error: Option<String>,
}

/// A page of requests, in the order of the identities.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ApprovalPage {
    /// The rows.
    pub rows: Vec<ApprovalRow>,
    /// There are more behind the last row.
    pub more: bool,
}

/// What an admin does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalDecision {
    /// Check everything again and carry it out.
    Accept,
    /// Say no, until that expires or is lifted.
    Reject,
    /// Forget the request or its rejection: the person may ask again.
    Forget,
}

impl ApprovalDecision {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Forget => "forget",
        }
    }
}

/// What a decision came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalReceipt {
    /// The request.
    pub reference: ApprovalRef,
    /// Whose it was.
    pub identity: Identity,
    /// Local name, if there is an account.
    pub name: Option<UserName>,
    /// State of the account now.
    pub state: AccountState,
    /// What was done, in a sentence.
    pub message: String,
}

/// How mail about requests and accounts goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutboxStatus {
    /// Mails that were not taken by the mail server yet.
    pub waiting: u64,
    /// Most attempts that failed for one of them.
    pub failures: u32,
    /// Why the last attempt failed, and what to do.
    pub last_error: Option<String>,
    /// When the next attempt is due, in seconds since 1970.
    pub retry_at: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r40_a_request_is_named_with_its_revision_or_not_at_all() {
        let reference: ApprovalRef = "k7dm3xqp.12".parse().unwrap();
        assert_eq!((reference.id.as_str(), reference.revision), ("k7dm3xqp", 12));
        for text in [
            "",
            "k7dm3xqp",
            "k7dm3xqp.",
            "k7dm3xqp.0",
            "k7dm3xqp.+1",
            "k7dm3xqp.-1",
            "k7dm3xqp.1 ",
            "k7dm3xq.1",
            "K7DM3XQP.1",
            "k7dm3xqi.1",
            "k7dm3xqp.99999999999",
            "k7dm3xqp.1.1",
            "; rm -rf.1",
        ] {
            assert!(text.parse::<ApprovalRef>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn r45_every_id_that_is_drawn_reads_back(bytes in any::<[u8; 5]>(), revision in 1..u32::MAX) {
            let reference = ApprovalRef { id: ApprovalId::from_bytes(bytes), revision };
            prop_assert_eq!(reference.to_string().parse::<ApprovalRef>().unwrap(), reference);
        }
    }
}
