//! Requests that wait for an admin, and what was accepted: one row for each identity.

use super::{
    Store, StoreError,
    outbox::{self, Letter, Put},
};
use crate::clock::Timestamp;
use feudal_plugins::Tier;
use motley_proto::{
    GroupName, Identity, Issuer, Subject,
    approval::{ApprovalId, ApprovalKind, ApprovalRef, ApprovalStatus},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most requests and rejections that are kept; further ones are not taken.
pub const MAX_APPROVALS: i64 = 10_000;
/// Most of them of people of one provider, so that none keeps those of others out.
pub const MAX_APPROVALS_OF_ISSUER: i64 = MAX_APPROVALS / 10;
/// Seconds between two mails about requests of one person.
const BETWEEN_MAILS: i64 = 600;

/// What became of a request that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// It is written, with the mails about it.
    Written,
    /// Somebody changed the one in whose place it comes.
    Changed,
    /// Too many wait, of all people or of this provider's.
    Full,
}

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

/// A request to be written.
#[derive(Debug)]
pub struct NewApproval<'a> {
    /// Whose.
    pub identity: &'a Identity,
    /// Under which name and revision.
    pub reference: &'a ApprovalRef,
    /// What for.
    pub kind: ApprovalKind,
    /// What is asked for.
    pub intent: &'a ApprovalIntent,
    /// When it was first asked.
    pub requested_at: Timestamp,
    /// Now.
    pub now: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
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

fn words(groups: &BTreeSet<GroupName>) -> String {
    groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(" ")
}

async fn has_room(
    connection: &mut sqlx::AnyConnection,
    issuer: &Issuer,
) -> Result<bool, StoreError> {
    let (all, own): (i64, i64) = sqlx::query_as(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN issuer = $1 THEN 1 ELSE 0 END), 0)
         FROM approval WHERE status <> 'accepted'",
    )
    .bind(issuer.to_string())
    .fetch_one(connection)
    .await?;
    Ok(all < MAX_APPROVALS && own < MAX_APPROVALS_OF_ISSUER)
}

/// Writes the mails about a request, some time after the last ones about the same person: who changes
/// his mind every second shall not fill anybody's mailbox.
async fn post(
    connection: &mut sqlx::AnyConnection,
    new: &NewApproval<'_>,
    letters: &[Letter],
) -> Result<(), StoreError> {
    let (issuer, subject) = (new.identity.issuer.to_string(), new.identity.subject.to_string());
    let statement = "SELECT mailed_at FROM approval WHERE issuer = $1 AND subject = $2";
    let last: Option<i64> = sqlx::query_scalar(statement)
        .bind(issuer.clone())
        .bind(subject.clone())
        .fetch_one(&mut *connection)
        .await?;
    let due = last.map_or(new.now, |last| Timestamp(last).plus(BETWEEN_MAILS).max(new.now));
    let mut is_new = false;
    for letter in letters {
        is_new |= outbox::insert(&mut *connection, letter, due).await? == Put::New;
    }
    if is_new {
        sqlx::query("UPDATE approval SET mailed_at = $3 WHERE issuer = $1 AND subject = $2")
            .bind(issuer)
            .bind(subject)
            .bind(due.0)
            .execute(connection)
            .await?;
    }
    Ok(())
}

impl Store {
    /// The request of an identity, or what is left of one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn approval_of(&self, identity: &Identity) -> Result<Option<Approval>, StoreError> {
        let statement = format!("{SELECT} WHERE issuer = $1 AND subject = $2");
        let row: Option<Row> = self
            .in_time(async {
                Ok(sqlx::query_as(sqlx::AssertSqlSafe(statement))
                    .bind(identity.issuer.to_string())
                    .bind(identity.subject.to_string())
                    .fetch_optional(&self.pool)
                    .await?)
            })
            .await?;
        row.map(read_row).transpose()
    }

    /// The request of that name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn approval(&self, id: &ApprovalId) -> Result<Option<Approval>, StoreError> {
        let statement = format!("{SELECT} WHERE id = $1");
        let row: Option<Row> = self
            .in_time(async {
                Ok(sqlx::query_as(sqlx::AssertSqlSafe(statement))
                    .bind(id.to_string())
                    .fetch_optional(&self.pool)
                    .await?)
            })
            .await?;
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
        rows.into_iter().map(read_row).collect()
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

    /// Writes a request in the place of what `seen` names, together with the mails about it, or
    /// nothing. `note` is called when all is written, just before it counts; its failure takes it back.
    /// Mails take the place of earlier ones of the same name that were not sent yet.
    ///
    /// # Errors
    /// When the database does not answer, or that of `note`.
    pub async fn submit<E: From<StoreError> + Send>(
        &self,
        new: &NewApproval<'_>,
        seen: Option<&Approval>,
        letters: &[Letter],
        note: impl FnOnce() -> Result<(), E> + Send,
    ) -> Result<Submitted, E> {
        let mut noted = Ok(());
        let submitted = self.in_time(async {
        let mut write = self.write().await?;
        let is_open = seen.is_some_and(|seen| seen.status != ApprovalStatus::Accepted);
        if !is_open && !has_room(&mut write, &new.identity.issuer).await? {
            return Ok(Submitted::Full);
        }
        let intent =
            serde_json::to_string(new.intent).map_err(|_| StoreError::Corrupt("approval"))?;
        // Without a row that was seen there is none whose id this could be.
        let (id, revision, status) = seen.map_or_else(
            || (String::new(), 0, "pending"),
            |seen| {
                let reference = &seen.reference;
                (reference.id.to_string(), i64::from(reference.revision), seen.status.as_str())
            },
        );
        let done = sqlx::query(
            "INSERT INTO approval (issuer, subject, id, revision, kind, status, intent, requested_at, updated_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7, $8, $9)
             ON CONFLICT (issuer, subject) DO UPDATE SET id = excluded.id, revision = excluded.revision,
               kind = excluded.kind, status = excluded.status, intent = excluded.intent,
               requested_at = excluded.requested_at, updated_at = excluded.updated_at,
               expires_at = excluded.expires_at, decided_at = NULL, decided_by = NULL, last_error = NULL
             WHERE approval.id = $10 AND approval.revision = $11 AND approval.status = $12",
        )
        .bind(new.identity.issuer.to_string())
        .bind(new.identity.subject.to_string())
        .bind(new.reference.id.to_string())
        .bind(i64::from(new.reference.revision))
        .bind(new.kind.as_str().to_owned())
        .bind(intent)
        .bind(new.requested_at.0)
        .bind(new.now.0)
        .bind(new.expires_at.0)
        .bind(id)
        .bind(revision)
        .bind(status.to_owned())
        .execute(&mut *write)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(Submitted::Changed);
        }
        post(&mut write, new, letters).await?;
        noted = note();
        if noted.is_ok() {
            write.commit().await?;
        }
        Ok(Submitted::Written)
        })
        .await?;
        noted.map(|()| submitted)
    }

    /// Lets exactly one of several deciders act: from `from` to `to`, in this revision only. False:
    /// somebody else has decided, or it changed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn decide(
        &self,
        reference: &ApprovalRef,
        (from, to): (ApprovalStatus, ApprovalStatus),
        by: &str,
        (now, expires_at): (Timestamp, Timestamp),
    ) -> Result<bool, StoreError> {
        let done = self.execute(sqlx::query(
            "UPDATE approval SET status = $4, decided_at = $5, decided_by = $6, expires_at = $7
             WHERE id = $1 AND revision = $2 AND status = $3",
        )
        .bind(reference.id.to_string())
        .bind(i64::from(reference.revision))
        .bind(from.as_str().to_owned())
        .bind(to.as_str().to_owned())
        .bind(now.0)
        .bind(by.to_owned())
        .bind(expires_at.0))
        .await?;
        Ok(done > 0)
    }

    /// Notes that what was accepted could not be carried out: it waits again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reopen(&self, reference: &ApprovalRef, why: &str) -> Result<(), StoreError> {
        self.execute(sqlx::query(
            "UPDATE approval SET status = 'pending', decided_at = NULL, decided_by = NULL, last_error = $3
             WHERE id = $1 AND revision = $2 AND status = 'accepting'",
        )
        .bind(reference.id.to_string())
        .bind(i64::from(reference.revision))
        .bind(why.to_owned()))
        .await?;
        Ok(())
    }

    /// Lets requests wait again whose carrying out began before then and never ended: the process
    /// died over it. Yields how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reopen_abandoned(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = self
            .execute(
                sqlx::query(
                    "UPDATE approval SET status = 'pending', decided_at = NULL, decided_by = NULL,
               last_error = 'the service stopped before it was carried out'
             WHERE status = 'accepting' AND decided_at < $1",
                )
                .bind(before.0),
            )
            .await?;
        Ok(done)
    }

    /// Records what admins have accepted for an identity, and that nothing is open.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn note_accepted(
        &self,
        identity: &Identity,
        accepted: &BTreeSet<GroupName>,
    ) -> Result<(), StoreError> {
        self.execute(
            sqlx::query(
                "UPDATE approval SET status = 'accepted', accepted = $3, last_error = NULL
             WHERE issuer = $1 AND subject = $2",
            )
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .bind(words(accepted)),
        )
        .await?;
        Ok(())
    }

    /// Records which of the accepted groups are still claimed, whatever is open.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_accepted(
        &self,
        identity: &Identity,
        accepted: &BTreeSet<GroupName>,
    ) -> Result<(), StoreError> {
        self.execute(
            sqlx::query("UPDATE approval SET accepted = $3 WHERE issuer = $1 AND subject = $2")
                .bind(identity.issuer.to_string())
                .bind(identity.subject.to_string())
                .bind(words(accepted)),
        )
        .await?;
        Ok(())
    }

    /// Forgets the request of an identity, its rejection, and what was accepted. False: there was none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_approval(&self, identity: &Identity) -> Result<bool, StoreError> {
        let done = self
            .execute(
                sqlx::query("DELETE FROM approval WHERE issuer = $1 AND subject = $2")
                    .bind(identity.issuer.to_string())
                    .bind(identity.subject.to_string()),
            )
            .await?;
        Ok(done > 0)
    }

    /// Takes back an open request in this form, or its rejection. What was accepted before stays.
    /// False: it changed, or is being carried out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn withdraw(&self, reference: &ApprovalRef) -> Result<bool, StoreError> {
        self.in_time(async {
        let mut write = self.write().await?;
        let kept = sqlx::query(
            "UPDATE approval SET status = 'accepted', last_error = NULL
             WHERE id = $1 AND revision = $2 AND status IN ('pending', 'rejected')
               AND (kind = 'groups' OR accepted <> '')",
        )
        .bind(reference.id.to_string())
        .bind(i64::from(reference.revision))
        .execute(&mut *write)
        .await?
        .rows_affected();
        let gone = sqlx::query(
            "DELETE FROM approval WHERE id = $1 AND revision = $2 AND status IN ('pending', 'rejected')",
        )
        .bind(reference.id.to_string())
        .bind(i64::from(reference.revision))
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(kept + gone > 0)
        })
        .await
    }

    /// Forgets what has ended by itself: first accounts that nobody decided about, and rejections.
    /// Yields how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep_approvals(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.in_time(async {
            let mut write = self.write().await?;
            let kept = sqlx::query(
                "UPDATE approval SET status = 'accepted', last_error = NULL
             WHERE status IN ('pending', 'rejected') AND expires_at <= $1
               AND (kind = 'groups' OR accepted <> '')",
            )
            .bind(now.0)
            .execute(&mut *write)
            .await?
            .rows_affected();
            let gone = sqlx::query(
                "DELETE FROM approval WHERE status IN ('pending', 'rejected') AND expires_at <= $1",
            )
            .bind(now.0)
            .execute(&mut *write)
            .await?
            .rows_affected();
            write.commit().await?;
            Ok(kept + gone)
        })
        .await
    }
}
