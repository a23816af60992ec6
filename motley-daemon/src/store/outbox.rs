//! Mails that the mail server has not taken yet: written with what they tell of, so none is lost.

use super::{Store, StoreError};
use crate::clock::Timestamp;
use motley_proto::approval::OutboxStatus;

/// Most mails that wait. Further ones are not taken, so nobody pushes out what waits for others.
pub(super) const MAX_LETTERS: i64 = 5_000;

/// A mail that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Names it.
    pub id: String,
    /// Address of a person; `None`: the admins.
    pub addressee: Option<String>,
    /// One line.
    pub subject: String,
    /// The text.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// Attempts that failed.
    pub failures: u32,
}

type Row = (String, Option<String>, String, String, i64, i64);

/// What became of a mail that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits until it is due.
    New,
    /// It took the place of one of the same name that was not sent yet, and is due when that was.
    Replaced,
    /// Too many wait.
    NoRoom,
}

/// Adds a mail within the transaction of what it tells of.
pub(super) async fn insert(
    connection: &mut sqlx::AnyConnection,
    letter: &Letter,
    due: Timestamp,
) -> Result<Put, StoreError> {
    let same: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM outbox WHERE id = $1")
        .bind(letter.id.clone())
        .fetch_one(&mut *connection)
        .await?;
    let all: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM outbox").fetch_one(&mut *connection).await?;
    if same == 0 && all >= MAX_LETTERS {
        tracing::error!(
            mails = all,
            "too many mails wait, so one is not written; see `motleyctl status`"
        );
        return Ok(Put::NoRoom);
    }
    sqlx::query(
        "INSERT INTO outbox (id, addressee, subject, body, created_at, retry_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET addressee = excluded.addressee, subject = excluded.subject,
           body = excluded.body, created_at = excluded.created_at",
    )
    .bind(letter.id.clone())
    .bind(letter.addressee.clone())
    .bind(letter.subject.clone())
    .bind(letter.body.clone())
    .bind(letter.created_at.0)
    .bind(due.0)
    .execute(connection)
    .await?;
    Ok(if same == 0 { Put::New } else { Put::Replaced })
}

impl Store {
    /// The oldest mails whose next attempt is due.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn letters_due(&self, now: Timestamp, limit: i64) -> Result<Vec<Letter>, StoreError> {
        let rows: Vec<Row> = self
            .in_time(async {
                Ok(sqlx::query_as(
                    "SELECT id, addressee, subject, body, created_at, failures FROM outbox
             WHERE retry_at <= $1 ORDER BY created_at, id LIMIT $2",
                )
                .bind(now.0)
                .bind(limit)
                .fetch_all(&self.pool)
                .await?)
            })
            .await?;
        let letter = |(id, addressee, subject, body, created, failures): Row| Letter {
            id,
            addressee,
            subject,
            body,
            created_at: Timestamp(created),
            failures: u32::try_from(failures).unwrap_or(u32::MAX),
        };
        Ok(rows.into_iter().map(letter).collect())
    }

    /// Writes a mail. False: too many wait.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_letter(&self, letter: &Letter) -> Result<bool, StoreError> {
        self.in_time(async {
            let mut write = self.write().await?;
            let put = insert(&mut write, letter, letter.created_at).await?;
            write.commit().await?;
            Ok(put != Put::NoRoom)
        })
        .await
    }

    /// Forgets a mail that the server took, unless another has taken its place meanwhile.
    ///
    /// # Errors
    /// When the database does not answer; then it will be sent again.
    pub async fn forget_letter(&self, letter: &Letter) -> Result<(), StoreError> {
        let statement = "DELETE FROM outbox WHERE id = $1 AND created_at = $2 AND body = $3";
        let query = sqlx::query(statement).bind(letter.id.clone()).bind(letter.created_at.0);
        self.execute(query.bind(letter.body.clone())).await?;
        Ok(())
    }

    /// Notes that a mail was not taken, and when it is tried again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn note_letter_failed(
        &self,
        id: &str,
        why: &str,
        retry_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.execute(sqlx::query(
            "UPDATE outbox SET failures = failures + 1, last_error = $2, retry_at = $3 WHERE id = $1",
        )
        .bind(id.to_owned())
        .bind(why.to_owned())
        .bind(retry_at.0))
        .await?;
        Ok(())
    }

    /// Gives up mails from before then. Yields how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep_letters(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.execute(sqlx::query("DELETE FROM outbox WHERE created_at < $1").bind(before.0)).await
    }

    /// How many mails wait, and how the worst of them fares.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outbox(&self) -> Result<OutboxStatus, StoreError> {
        let waiting: i64 = self
            .in_time(async {
                Ok(sqlx::query_scalar("SELECT COUNT(*) FROM outbox").fetch_one(&self.pool).await?)
            })
            .await?;
        let worst: Option<(i64, Option<String>, i64)> = self
            .in_time(async {
                Ok(sqlx::query_as(
                    "SELECT failures, last_error, retry_at FROM outbox WHERE failures > 0
             ORDER BY failures DESC, id LIMIT 1",
                )
                .fetch_optional(&self.pool)
                .await?)
            })
            .await?;
        let (failures, last_error, retry_at) = match worst {
            Some((failures, why, at)) => {
                (u32::try_from(failures).unwrap_or(u32::MAX), why, Some(at))
            }
            None => (0, None, None),
        };
        Ok(OutboxStatus {
            waiting: u64::try_from(waiting).unwrap_or_default(),
            failures,
            last_error,
            retry_at,
        })
    }
}
