//! Writes requests down, together with the mails about them, as long as there is room.

use super::{Approval, ApprovalIntent};
use crate::{
    clock::Timestamp,
    store::{
        Store, StoreError,
        outbox::{self, Letter, Put},
    },
};
use motley_proto::{
    Identity,
    approval::{ApprovalKind, ApprovalRef},
};

/// Most requests and rejections that are kept; further ones are not taken.
pub const MAX_APPROVALS: i64 = 10_000;
/// Most of them of people of one provider, so that none keeps those of others out.
pub const MAX_APPROVALS_OF_ISSUER: i64 = MAX_APPROVALS / 10;
/// Most bytes of them: they lie on the disk that suspensions are written to.
const MAX_BYTES: i64 = 64 * 1024 * 1024;
/// Most bytes of those of one provider.
const MAX_BYTES_OF_ISSUER: i64 = MAX_BYTES / 8;
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

/// Looks at all requests but the one of this person, in whose place the new one comes.
async fn has_room(
    connection: &mut sqlx::AnyConnection,
    identity: &Identity,
    bytes: usize,
) -> Result<bool, StoreError> {
    let (all, own, bytes_of_all, bytes_of_own): (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN issuer = $1 THEN 1 ELSE 0 END), 0),
           CAST(COALESCE(SUM(LENGTH(intent)), 0) AS BIGINT),
           CAST(COALESCE(SUM(CASE WHEN issuer = $1 THEN LENGTH(intent) ELSE 0 END), 0) AS BIGINT)
         FROM approval WHERE status <> 'accepted' AND NOT (issuer = $1 AND subject = $2)",
    )
    .bind(identity.issuer.to_string())
    .bind(identity.subject.to_string())
    .fetch_one(connection)
    .await?;
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    Ok(all < MAX_APPROVALS
        && own < MAX_APPROVALS_OF_ISSUER
        && bytes_of_all.saturating_add(bytes) <= MAX_BYTES
        && bytes_of_own.saturating_add(bytes) <= MAX_BYTES_OF_ISSUER)
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
        let intent =
            serde_json::to_string(new.intent).map_err(|_| StoreError::Corrupt("approval"))?;
        if !has_room(&mut write, new.identity, intent.len()).await? {
            return Ok(Submitted::Full);
        }
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
}
