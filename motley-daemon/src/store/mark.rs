//! Marks of limits and removals in the store; like those of suspensions they come first.

use super::{Store, StoreError};
use crate::clock::Timestamp;
use motley_proto::Identity;
use sqlx::sqlite::SqliteQueryResult;

impl Store {
    /// Marks an account limited, before its shell is changed. `shell` is the one it has now; of an
    /// account that is limited already the first is remembered.
    ///
    /// # Errors
    /// When the database does not answer, [`StoreError::NoRow`] when it does not know the identity.
    pub async fn limit(
        &self,
        identity: &Identity,
        by: &str,
        shell: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE account SET
               limited_by = CASE WHEN limited_at IS NULL THEN $3 ELSE limited_by END,
               limited_shell = CASE WHEN limited_at IS NULL THEN $4 ELSE limited_shell END,
               limited_at = COALESCE(limited_at, $5), unsettled = 1
             WHERE issuer = $1 AND subject = $2",
        )
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string())
        .bind(by.to_owned())
        .bind(shell.to_owned())
        .bind(now.0)
        .execute(&self.pool)
        .await?;
        require_row(&done)
    }

    /// Takes the mark of a limit away, after the back end did.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unlimit(&self, identity: &Identity) -> Result<(), StoreError> {
        // What is unsettled about a suspension stays so.
        let statement =
            "UPDATE account SET limited_at = NULL, limited_by = NULL, limited_shell = NULL,
               unsettled = CASE WHEN suspended_at IS NULL THEN 0 ELSE unsettled END
             WHERE issuer = $1 AND subject = $2";
        self.update(statement, identity).await
    }

    /// Marks an account as one that is taken away, before anything else is done about it.
    ///
    /// # Errors
    /// As [`Store::limit`].
    pub async fn begin_removal(
        &self,
        identity: &Identity,
        by: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE account SET leaving_by = CASE WHEN leaving_at IS NULL THEN $3 ELSE leaving_by END,
               leaving_at = COALESCE(leaving_at, $4)
             WHERE issuer = $1 AND subject = $2",
        )
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string())
        .bind(by.to_owned())
        .bind(now.0)
        .execute(&self.pool)
        .await?;
        require_row(&done)
    }

    /// Records that the account is gone. Name and uid stay promised to this identity, and so do the
    /// marks of a suspension or limit.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn end_removal(&self, identity: &Identity, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE account SET phase = 'none', tier = NULL, limited_shell = NULL,
               leaving_at = NULL, leaving_by = NULL, removed_at = $3,
               unsettled = CASE WHEN suspended_at IS NULL THEN 0 ELSE unsettled END
             WHERE issuer = $1 AND subject = $2 AND leaving_at IS NOT NULL",
        )
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string())
        .bind(now.0)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Nobody is told of a mark that was not made.
fn require_row(done: &SqliteQueryResult) -> Result<(), StoreError> {
    if done.rows_affected() == 0 { Err(StoreError::NoRow) } else { Ok(()) }
}
