//! Marks of suspension in the store, and whether the back end shows them yet.

use super::{Store, StoreError, spelling::issuer_texts};
use crate::clock::Timestamp;
use motley_proto::Identity;
use sqlx::SqliteConnection;

impl Store {
    /// Marks an identity suspended, known or not, before anything else is done about it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn suspend(
        &self,
        identity: &Identity,
        by: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO account (issuer, subject, phase, suspended_at, suspended_by, unsettled, created_at)
             VALUES ($1, $2, 'none', $3, $4, 1, $3)
             ON CONFLICT (issuer, subject) DO UPDATE SET
               suspended_at = COALESCE(account.suspended_at, excluded.suspended_at),
               suspended_by = COALESCE(account.suspended_by, excluded.suspended_by), unsettled = 1",
        )
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string())
        .bind(now.0)
        .bind(by.to_owned())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes the mark of a suspension away, after the back end did. A limit that may not have been
    /// applied yet stays unsettled.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn resume(&self, identity: &Identity) -> Result<(), StoreError> {
        let statement = "UPDATE account SET suspended_at = NULL, suspended_by = NULL,
               unsettled = CASE WHEN limited_at IS NULL THEN 0 ELSE unsettled END
             WHERE issuer = $1 AND subject = $2";
        self.update(statement, identity).await
    }

    /// Records that the back end may not show what the store says, so that a crash is repaired.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unsettle(&self, identity: &Identity) -> Result<(), StoreError> {
        self.update("UPDATE account SET unsettled = 1 WHERE issuer = $1 AND subject = $2", identity)
            .await
    }

    /// Records that the back end shows what the store says about this identity.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn settle(&self, identity: &Identity) -> Result<(), StoreError> {
        self.update("UPDATE account SET unsettled = 0 WHERE issuer = $1 AND subject = $2", identity)
            .await
    }

    /// Records that the back end shows the suspension of this identity. Whether it shows the limit,
    /// if there is one, the next look will tell.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn settle_suspension(&self, identity: &Identity) -> Result<(), StoreError> {
        let statement =
            "UPDATE account SET unsettled = CASE WHEN limited_at IS NULL THEN 0 ELSE unsettled END
             WHERE issuer = $1 AND subject = $2";
        self.update(statement, identity).await
    }

    pub(super) async fn update(
        &self,
        statement: &'static str,
        identity: &Identity,
    ) -> Result<(), StoreError> {
        sqlx::query(statement)
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// True when the identity is marked, under either spelling of its issuer. For statements that must
/// come before the mark or not at all.
pub(super) async fn is_suspended(
    connection: &mut SqliteConnection,
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
