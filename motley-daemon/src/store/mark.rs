//! Marks of limits and removals in the store; like those of suspensions they come first.
//!
//! Every change of marks gets the next number, by which each node knows what it has to carry out.

use super::{Idle, Store, StoreError, activity::note_cause};
use crate::clock::Timestamp;
use motley_proto::Identity;
use sqlx::{AnyConnection, any::AnyQueryResult};

/// How a removal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every node has done its part, and the account is gone.
    Everywhere,
    /// Another node has not.
    NotYet,
}

impl Store {
    /// Marks an account limited, before its shell is changed. `shell` is the one it has now; of an
    /// account that is limited already the first is remembered. Who ordered it first is too, but
    /// anybody's order outranks idleness. Returns the number of the marks.
    ///
    /// # Errors
    /// When the database does not answer, [`StoreError::NoRow`] when it does not know the identity.
    pub async fn limit(
        &self,
        identity: &Identity,
        by: &str,
        shell: &str,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            let version = next_version(&mut write).await?;
            let done = sqlx::query(
                "UPDATE account SET
                   limited_by = CASE WHEN limited_at IS NULL OR limited_by = 'idleness'
                     THEN $3 ELSE limited_by END,
                   limited_shell = CASE WHEN limited_at IS NULL THEN $4 ELSE limited_shell END,
                   limited_at = COALESCE(limited_at, $5), mark_version = $6
                 WHERE issuer = $1 AND subject = $2",
            )
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .bind(by.to_owned())
            .bind(shell.to_owned())
            .bind(now.0)
            .bind(version)
            .execute(&mut *write)
            .await?;
            require_row(&done)?;
            note_cause(&mut write, identity, by, Idle::Limited).await?;
            write.commit().await?;
            Ok(version)
        })
        .await
    }

    /// Takes the mark of a limit away, after the back end of this node did. Returns the number of the
    /// marks.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unlimit(&self, identity: &Identity) -> Result<i64, StoreError> {
        let statement =
            "UPDATE account SET limited_at = NULL, limited_by = NULL, limited_shell = NULL,
               mark_version = $3 WHERE issuer = $1 AND subject = $2";
        self.renew(statement, identity).await
    }

    /// The same, if idleness led to it: an admin on another node may have ordered it meanwhile.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unlimit_idle(&self, identity: &Identity) -> Result<i64, StoreError> {
        let statement =
            "UPDATE account SET limited_at = NULL, limited_by = NULL, limited_shell = NULL,
               mark_version = $3 WHERE issuer = $1 AND subject = $2 AND limited_by = 'idleness'";
        self.renew(statement, identity).await
    }

    /// Gives the marks of an identity the next number: the back ends may not show them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn renew_marks(&self, identity: &Identity) -> Result<i64, StoreError> {
        self.renew(
            "UPDATE account SET mark_version = $3 WHERE issuer = $1 AND subject = $2",
            identity,
        )
        .await
    }

    /// Marks an account as one that is taken away, before anything else is done about it. Returns the
    /// number of the marks.
    ///
    /// # Errors
    /// As [`Store::limit`].
    pub async fn begin_removal(
        &self,
        identity: &Identity,
        by: &str,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            self.recent.forget(identity);
            let version = next_version(&mut write).await?;
            let done = sqlx::query(
                "UPDATE account SET leaving_by = CASE WHEN leaving_at IS NULL THEN $3 ELSE leaving_by END,
                   leaving_at = COALESCE(leaving_at, $4), mark_version = $5
                 WHERE issuer = $1 AND subject = $2",
            )
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .bind(by.to_owned())
            .bind(now.0)
            .bind(version)
            .execute(&mut *write)
            .await?;
            require_row(&done)?;
            write.commit().await?;
            Ok(version)
        })
        .await
    }

    /// Records that the account is gone, if every node has done its part. Name and uid stay promised to
    /// this identity, and so do the marks of a suspension or limit.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn end_removal(
        &self,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<Ended, StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            if self.nodes_behind(&mut write, identity, now).await? > 0 {
                return Ok(Ended::NotYet);
            }
            sqlx::query(
                "UPDATE account SET phase = 'none', tier = NULL, limited_shell = NULL,
                   leaving_at = NULL, leaving_by = NULL, removed_at = $3
                 WHERE issuer = $1 AND subject = $2 AND leaving_at IS NOT NULL",
            )
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .bind(now.0)
            .execute(&mut *write)
            .await?;
            write.commit().await?;
            Ok(Ended::Everywhere)
        })
        .await
    }

    /// Changes the marks of an identity: `$1` issuer, `$2` subject, `$3` the next number.
    pub(super) async fn renew(
        &self,
        statement: &'static str,
        identity: &Identity,
    ) -> Result<i64, StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            let version = next_version(&mut write).await?;
            sqlx::query(statement)
                .bind(identity.issuer.to_string())
                .bind(identity.subject.to_string())
                .bind(version)
                .execute(&mut *write)
                .await?;
            write.commit().await?;
            Ok(version)
        })
        .await
    }
}

/// The next number. As there is one writer at a time, who sees it sees all that came before.
pub(super) async fn next_version(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    let statement = "UPDATE mark_counter SET value = value + 1 RETURNING value";
    Ok(sqlx::query_scalar(statement).fetch_one(connection).await?)
}

/// Nobody is told of a mark that was not made.
fn require_row(done: &AnyQueryResult) -> Result<(), StoreError> {
    if done.rows_affected() == 0 { Err(StoreError::NoRow) } else { Ok(()) }
}
