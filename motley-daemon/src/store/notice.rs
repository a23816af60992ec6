//! Which of several processes sends a kind of mail, what was sent, and how it went.

use super::{Store, StoreError};
use crate::clock::Timestamp;
use motley_proto::Identity;

/// How a kind of mail went so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notice {
    /// When the mail server took the last one.
    pub sent_at: Option<Timestamp>,
    /// Attempts that failed since then.
    pub failures: u32,
    /// Why the last of them failed.
    pub last_error: Option<String>,
    /// When the next attempt is due after a failure.
    pub retry_at: Option<Timestamp>,
}

/// The right to send a kind of mail for a while.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// Name of the kind.
    pub kind: &'a str,
    /// Name of the process, never the same twice.
    pub holder: &'a str,
}

type Row = (Option<i64>, i64, Option<String>, Option<i64>);

impl Store {
    /// How a kind of mail went.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn notice(&self, kind: &str) -> Result<Notice, StoreError> {
        let query = sqlx::query_as(
            "SELECT sent_at, failures, last_error, retry_at FROM notice WHERE kind = $1",
        )
        .bind(kind.to_owned());
        let asked = self.in_time(async { Ok(query.fetch_optional(&self.pool).await?) });
        let row: Option<Row> = asked.await?;
        Ok(row.map_or_else(Notice::default, |(sent_at, failures, last_error, retry_at)| Notice {
            sent_at: sent_at.map(Timestamp),
            failures: u32::try_from(failures).unwrap_or(u32::MAX),
            last_error,
            retry_at: retry_at.map(Timestamp),
        }))
    }

    /// Takes the lease until then, unless another process has it. False: it has. Nodes compare these
    /// times, so they are those of the database's clock.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_lease(
        &self,
        lease: Lease<'_>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let (now, until) = (self.database_time(now), self.database_time(until));
        let query = sqlx::query(
            "INSERT INTO notice (kind, holder, held_until) VALUES ($1, $2, $3)
             ON CONFLICT (kind) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
             WHERE notice.holder IS NULL OR notice.holder = excluded.holder OR notice.held_until <= $4",
        )
        .bind(lease.kind.to_owned())
        .bind(lease.holder.to_owned())
        .bind(until.0)
        .bind(now.0);
        Ok(self.execute(query).await? > 0)
    }

    /// Gives the lease back without having sent anything.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn drop_lease(&self, lease: Lease<'_>) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE notice SET holder = NULL WHERE kind = $1 AND holder = $2")
            .bind(lease.kind.to_owned())
            .bind(lease.holder.to_owned());
        self.execute(query).await.map(drop)
    }

    /// Marks the people whom a mail was about, after the server took it, and gives the lease back.
    ///
    /// # Errors
    /// When the database does not answer; then the mail will be sent again.
    pub async fn note_sent(
        &self,
        lease: Lease<'_>,
        about: &[Identity],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.in_time(async {
            let mut write = self.write().await?;
            for identity in about {
                sqlx::query("UPDATE knock SET mailed_at = $3 WHERE issuer = $1 AND subject = $2")
                    .bind(identity.issuer.to_string())
                    .bind(identity.subject.to_string())
                    .bind(now.0)
                    .execute(&mut *write)
                    .await?;
            }
            sqlx::query(
                "UPDATE notice SET sent_at = $2, failures = 0, last_error = NULL, retry_at = NULL,
               holder = CASE WHEN holder = $3 THEN NULL ELSE holder END WHERE kind = $1",
            )
            .bind(lease.kind.to_owned())
            .bind(now.0)
            .bind(lease.holder.to_owned())
            .execute(&mut *write)
            .await?;
            write.commit().await
        })
        .await
    }

    /// Notes an attempt that failed, and gives the lease back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn note_not_sent(
        &self,
        lease: Lease<'_>,
        why: &str,
        retry_at: Timestamp,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE notice SET failures = failures + 1, last_error = $2, retry_at = $3,
               holder = CASE WHEN holder = $4 THEN NULL ELSE holder END WHERE kind = $1",
        )
        .bind(lease.kind.to_owned())
        .bind(why.to_owned())
        .bind(retry_at.0)
        .bind(lease.holder.to_owned());
        self.execute(query).await.map(drop)
    }
}
