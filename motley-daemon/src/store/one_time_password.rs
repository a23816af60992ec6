//! One-time passwords in the store: put once, taken at most once by whichever process comes first.

use super::{Store, StoreError, suspension::is_suspended};
use crate::clock::Timestamp;
use motley_proto::{Identity, Issuer, Subject};

/// An access token that only its one-time password can open, and whose it was when it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedToken {
    /// For whom the password was issued.
    pub identity: Identity,
    /// The sealed access token.
    pub sealed: Vec<u8>,
    /// When the password ends.
    pub expires_at: Timestamp,
}

/// Outcome of an attempt to store a one-time password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is stored.
    Done,
    /// The identity holds too many others.
    TooMany,
    /// All identities together hold too many.
    Full,
    /// The identity is suspended.
    Suspended,
}

/// How much is kept of one kind of password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most that one identity may hold.
    pub per_identity: i64,
    /// Most that all identities together may hold.
    pub total: i64,
    /// Most bytes that all tokens together may take, sealed: a token may be long, and the disk of
    /// the database is what a suspension and an account are written to as well.
    pub bytes: i64,
}

impl Bounds {
    /// True when there is no room for so many bytes beside `count` others with `bytes` bytes.
    pub(super) fn are_reached(&self, (count, bytes): (i64, i64), more: usize) -> bool {
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        count >= self.total || bytes.saturating_add(more) > self.bytes
    }
}

impl Store {
    /// Stores or renews a one-time password under its digest, unless this identity already holds
    /// as many others as it may, or all together do, or it is suspended.
    ///
    /// The suspension is looked at in the same transaction: a password is either stored before the
    /// mark, and dropped with the others, or not at all.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_one_time_password(
        &self,
        digest: &[u8; 32],
        token: &SealedToken,
        bounds: Bounds,
    ) -> Result<Put, StoreError> {
        self.in_time(async {
        let mut write = self.write().await?;
        if is_suspended(&mut write, &token.identity).await? {
            return Ok(Put::Suspended);
        }
        let held: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM one_time_password WHERE issuer = $1 AND subject = $2 AND digest <> $3",
        )
        .bind(token.identity.issuer.to_string())
        .bind(token.identity.subject.to_string())
        .bind(digest.to_vec())
        .fetch_one(&mut *write)
        .await?;
        if held >= bounds.per_identity {
            return Ok(Put::TooMany);
        }
        let others: (i64, i64) = sqlx::query_as(
            "SELECT COUNT(*), COALESCE(SUM(LENGTH(sealed)), 0) FROM one_time_password WHERE digest <> $1",
        )
        .bind(digest.to_vec())
        .fetch_one(&mut *write)
        .await?;
        if bounds.are_reached(others, token.sealed.len()) {
            return Ok(Put::Full);
        }
        sqlx::query(
            "INSERT INTO one_time_password (digest, issuer, subject, sealed, expires_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (digest) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at",
        )
        .bind(digest.to_vec())
        .bind(token.identity.issuer.to_string())
        .bind(token.identity.subject.to_string())
        .bind(token.sealed.clone())
        .bind(token.expires_at.0)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(Put::Done)
        })
        .await
    }

    /// Takes a one-time password out of the store. Of any number of racing processes exactly one gets
    /// it, and only after the row is gone for good. Guesses cost no write.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_one_time_password(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<SealedToken>, StoreError> {
        self.in_time(async {
            let known: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM one_time_password WHERE digest = $1")
                    .bind(digest.to_vec())
                    .fetch_one(&self.pool)
                    .await?;
            if known == 0 {
                return Ok(None);
            }
            let mut write = self.write().await?;
            let row: Option<(String, String, Vec<u8>, i64)> = sqlx::query_as(
                "DELETE FROM one_time_password WHERE digest = $1 RETURNING issuer, subject, sealed, expires_at",
            )
            .bind(digest.to_vec())
            .fetch_optional(&mut *write)
            .await?;
            // PostgreSQL tells the row before it is gone for good.
            write.commit().await?;
            let Some((issuer, subject, sealed, expires_at)) = row else { return Ok(None) };
            let issuer = Issuer::new(issuer).map_err(|_| StoreError::Corrupt("issuer"))?;
            let subject = Subject::new(subject).map_err(|_| StoreError::Corrupt("subject"))?;
            let token = SealedToken {
                identity: Identity::new(issuer, subject),
                sealed,
                expires_at: Timestamp(expires_at),
            };
            Ok((token.expires_at > now).then_some(token))
        })
        .await
    }

    /// Drops all one-time passwords of an identity and says how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn drop_one_time_passwords(&self, identity: &Identity) -> Result<u64, StoreError> {
        let statement = "DELETE FROM one_time_password WHERE issuer = $1 AND subject = $2";
        let query = sqlx::query(statement)
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string());
        self.execute(query).await
    }

    /// Drops all that are past their time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep_one_time_passwords(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.execute(
            sqlx::query("DELETE FROM one_time_password WHERE expires_at <= $1").bind(now.0),
        )
        .await
    }
}
