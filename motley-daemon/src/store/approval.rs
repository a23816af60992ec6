//! Requests that wait for an admin, and what was accepted: one row for each identity.

mod decide;
mod submit;

pub use submit::{MAX_APPROVALS, MAX_APPROVALS_OF_ISSUER, NewApproval, Submitted};

use super::{Store, StoreError};
use crate::clock::Timestamp;
use feudal_plugins::Tier;
use motley_proto::{
    GroupName, Identity, Issuer, Subject,
    approval::{ApprovalId, ApprovalKind, ApprovalRef, ApprovalStatus},
    text::escape,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What somebody asks for, as it was when it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalIntent {
    /// Claim `name`, escaped and cut.
    pub full_name: Option<String>,
    /// Claim `email`, escaped and cut.
    pub email: Option<String>,
    /// The provider says that the address was verified.
    pub email_verified: bool,
    /// Claim `preferred_username`, escaped and cut.
    pub preferred_username: Option<String>,
    /// Primary group.
    pub primary_group: GroupName,
    /// Groups that are asked for.
    pub groups: BTreeSet<GroupName>,
    /// Word of the tier.
    pub tier: String,
    /// Claims that rules read, by source.
    pub claims: KeptClaims,
    /// True when another stack left it: the claims are what that one had noted, until the person comes
    /// by with others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_over: bool,
}

/// Verified claims that are kept for the moment of the decision.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptClaims {
    /// Of the userinfo endpoint.
    pub userinfo: Option<crate::verified::ClaimMap>,
    /// Of the introspection endpoint.
    pub introspection: Option<crate::verified::ClaimMap>,
    /// Of the token.
    pub token: Option<crate::verified::ClaimMap>,
}

/// A request, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Whose.
    pub identity: Identity,
    /// Which, in its present form.
    pub reference: ApprovalRef,
    /// What for.
    pub kind: ApprovalKind,
    /// How far it has come.
    pub status: ApprovalStatus,
    /// What is asked for.
    pub intent: ApprovalIntent,
    /// Groups that admins accepted and that the person has claimed ever since.
    pub accepted: BTreeSet<GroupName>,
    /// When it was first asked.
    pub requested_at: Timestamp,
    /// When this revision came.
    pub updated_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When somebody decided, and who.
    pub decided: Option<(Timestamp, String)>,
    /// Why carrying it out failed last.
    pub last_error: Option<String>,
}

impl Approval {
    /// True when it does not count any more. What was accepted does not end.
    pub fn is_over(&self, now: Timestamp) -> bool {
        matches!(self.status, ApprovalStatus::Pending | ApprovalStatus::Rejected)
            && self.expires_at <= now
    }

    /// The tier that was asked for.
    ///
    /// # Errors
    /// When the row holds another word.
    pub fn tier(&self) -> Result<Tier, StoreError> {
        super::account::read_tier(&self.intent.tier)
    }
}

type Row = (
    String,
    String,
    String,
    i64,
    String,
    String,
    String,
    String,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
);

const SELECT: &str = "SELECT issuer, subject, id, revision, kind, status, intent, accepted, \
     requested_at, updated_at, expires_at, decided_at, decided_by, last_error FROM approval";

fn read_row(row: Row) -> Result<Approval, StoreError> {
    let (
        issuer,
        subject,
        id,
        revision,
        kind,
        status,
        intent,
        accepted,
        first,
        last,
        ends,
        at,
        by,
        why,
    ) = row;
    let corrupt = StoreError::Corrupt;
    let id = ApprovalId::new(id).map_err(|_| corrupt("approval id"))?;
    let revision = u32::try_from(revision).map_err(|_| corrupt("revision"))?;
    let issuer = Issuer::new(issuer).map_err(|_| corrupt("issuer"))?;
    let subject = Subject::new(subject).map_err(|_| corrupt("subject"))?;
    Ok(Approval {
        identity: Identity::new(issuer, subject),
        reference: ApprovalRef { id, revision },
        kind: match kind.as_str() {
            "account" => ApprovalKind::Account,
            "groups" => ApprovalKind::Groups,
            _ => return Err(corrupt("kind of approval")),
        },
        status: match status.as_str() {
            "pending" => ApprovalStatus::Pending,
            "accepting" => ApprovalStatus::Accepting,
            "rejected" => ApprovalStatus::Rejected,
            "accepted" => ApprovalStatus::Accepted,
            _ => return Err(corrupt("status of approval")),
        },
        intent: serde_json::from_str(&intent).map_err(|_| corrupt("intent of approval"))?,
        accepted: accepted
            .split_whitespace()
            .map(GroupName::new)
            .collect::<Result<_, _>>()
            .map_err(|_| corrupt("accepted group"))?,
        requested_at: Timestamp(first),
        updated_at: Timestamp(last),
        expires_at: Timestamp(ends),
        decided: at.map(|at| (Timestamp(at), by.unwrap_or_default())),
        last_error: why,
    })
}

impl Store {
    /// The request of an identity, or what is left of one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn approval_of(&self, identity: &Identity) -> Result<Option<Approval>, StoreError> {
        let row = self.row_of(SELECT, identity).await?;
        row.map(read_row).transpose()
    }

    /// The request of that name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn approval(&self, id: &ApprovalId) -> Result<Option<Approval>, StoreError> {
        let statement = format!("{SELECT} WHERE id = $1");
        let query = sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(id.to_string());
        let row = self.row(query).await?;
        row.map(read_row).transpose()
    }

    /// At most `limit` requests that are open or rejected behind an identity, in the order of the
    /// identities.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn approvals_after(
        &self,
        after: Option<&Identity>,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Approval>, StoreError> {
        let (issuer, subject) = after.map_or_else(Default::default, |identity| {
            (identity.issuer.to_string(), identity.subject.to_string())
        });
        let statement = format!(
            "{SELECT} WHERE (issuer > $1 OR (issuer = $1 AND subject > $2)) AND status <> 'accepted'
               AND (expires_at > $3 OR status = 'accepting')
             ORDER BY issuer, subject LIMIT $4"
        );
        let rows: Vec<Row> = self
            .in_time(async {
                Ok(sqlx::query_as(sqlx::AssertSqlSafe(statement))
                    .bind(issuer)
                    .bind(subject)
                    .bind(now.0)
                    .bind(limit)
                    .fetch_all(&self.pool)
                    .await?)
            })
            .await?;
        // One that a newer release wrote, or that can't be read, must not hide the others.
        let read = |row: Row| {
            let id = escape(&row.2, 64);
            read_row(row)
                .inspect_err(|error| tracing::error!(id, %error, "a request is left out"))
                .ok()
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// How many requests nobody has decided yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn approvals_waiting(&self, now: Timestamp) -> Result<u64, StoreError> {
        let statement =
            "SELECT COUNT(*) FROM approval WHERE status = 'pending' AND expires_at > $1";
        let count: i64 = self
            .in_time(async {
                Ok(sqlx::query_scalar(statement).bind(now.0).fetch_one(&self.pool).await?)
            })
            .await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}
