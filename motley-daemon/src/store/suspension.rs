//! Marks of suspension in the store.

use super::{
    Idle, Store, StoreError, activity::note_cause, mark::next_version, spelling::issuer_texts,
};
use crate::clock::Timestamp;
use motley_proto::Identity;
use sqlx::AnyConnection;

impl Store {
    /// Marks an identity suspended, known or not, before anything else is done about it. Returns the
    /// number of its marks. Who ordered it first is remembered, but anybody's order outranks idleness.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn suspend(
        &self,
        identity: &Identity,
        by: &str,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        // Also when it fails: nobody knows whether the mark came to the database then.
        self.recent.forget(identity);
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            let version = next_version(&mut write).await?;
            sqlx::query(
                "INSERT INTO account (issuer, subject, phase, suspended_at, suspended_by, mark_version, created_at)
                 VALUES ($1, $2, 'none', $3, $4, $5, $3)
                 ON CONFLICT (issuer, subject) DO UPDATE SET
                   suspended_at = COALESCE(account.suspended_at, excluded.suspended_at),
                   suspended_by = CASE
                     WHEN account.suspended_by IS NULL OR account.suspended_by = 'idleness'
                     THEN excluded.suspended_by ELSE account.suspended_by END,
                   mark_version = excluded.mark_version",
            )
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .bind(now.0)
            .bind(by.to_owned())
            .bind(version)
            .execute(&mut *write)
            .await?;
            note_cause(&mut write, identity, by, Idle::Suspended).await?;
            write.commit().await?;
            Ok(version)
        })
        .await
    }

    /// Takes the mark of a suspension away, after the back end of this node did. Returns the number of
    /// the marks.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn resume(&self, identity: &Identity) -> Result<i64, StoreError> {
        let statement =
            "UPDATE account SET suspended_at = NULL, suspended_by = NULL, mark_version = $3
             WHERE issuer = $1 AND subject = $2";
        self.renew(statement, identity).await
    }

    /// The same, if idleness led to it: an admin on another node may have ordered it meanwhile.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn resume_idle(&self, identity: &Identity) -> Result<i64, StoreError> {
        let statement =
            "UPDATE account SET suspended_at = NULL, suspended_by = NULL, mark_version = $3
             WHERE issuer = $1 AND subject = $2 AND suspended_by = 'idleness'";
        self.renew(statement, identity).await
    }
}

/// True when the identity is marked, under either spelling of its issuer. For statements that must
/// come before the mark or not at all.
pub(super) async fn is_suspended(
    connection: &mut AnyConnection,
    identity: &Identity,
) -> Result<bool, StoreError> {
    let [own, other] = issuer_texts(identity);
    let marks: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM account WHERE issuer IN ($1, $2) AND subject = $3 AND suspended_at IS NOT NULL",
    )
    .bind(own)
    .bind(other)
    .bind(identity.subject.to_string())
    .fetch_one(connection)
    .await?;
    Ok(marks > 0)
}
