//! When accounts were used last, and what followed from not using them.

use super::{Store, StoreError, outbox, spellings};
use crate::clock::Timestamp;
use motley_proto::{Identity, Issuer, Subject};
use sqlx::AnyConnection;

/// Seconds between two notes about one account.
const PRECISION: i64 = 3600;

/// How an account was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    /// A login by token, one-time password or code.
    Login,
    /// A login that only the account phase saw, as by an ssh key.
    Key,
    /// A REST request with the person's token.
    Rest,
    /// Nobody used it: it is counted from now on.
    FirstSeen,
}

impl Use {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Key => "key",
            Self::Rest => "rest",
            Self::FirstSeen => "first_seen",
        }
    }
}

/// What idleness led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// The account was limited.
    Limited,
    /// It was suspended.
    Suspended,
}

/// By whom, in marks that idleness led to.
pub const IDLENESS: &str = "idleness";

impl Idle {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limited => "limited",
            Self::Suspended => "suspended",
        }
    }
}

/// The last use of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// Whose.
    pub identity: Identity,
    /// When, at most an hour early.
    pub used_at: Timestamp,
    /// How, as a word.
    pub how: String,
    /// Verified mail address.
    pub email: Option<String>,
    /// When the person was warned.
    pub warned_at: Option<Timestamp>,
    /// What idleness led to.
    pub acted: Option<Idle>,
}

type Row = (String, String, i64, String, Option<String>, Option<i64>, Option<String>);

const SELECT: &str = "SELECT issuer, subject, used_at, how, email, warned_at, acted FROM last_use";

/// Rows behind the one that was seen last, the longest idle first.
const BEHIND: &str =
    "(used_at, issuer, subject) > ($2, $3, $4) ORDER BY used_at, issuer, subject LIMIT $5";

fn read_row(row: Row) -> Result<LastUse, StoreError> {
    let (issuer, subject, used_at, how, email, warned_at, acted) = row;
    let issuer = Issuer::new(issuer).map_err(|_| StoreError::Corrupt("issuer"))?;
    let subject = Subject::new(subject).map_err(|_| StoreError::Corrupt("subject"))?;
    Ok(LastUse {
        identity: Identity::new(issuer, subject),
        used_at: Timestamp(used_at),
        how,
        email,
        warned_at: warned_at.map(Timestamp),
        acted: match acted.as_deref() {
            None => None,
            Some("limited") => Some(Idle::Limited),
            Some("suspended") => Some(Idle::Suspended),
            Some(_) => return Err(StoreError::Corrupt("outcome of idleness")),
        },
    })
}

impl Store {
    /// Notes a use of an account that is there, unless one was noted within the hour. A known address stays if none is told now.
    /// A warning is void with it; what idleness led to is not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn note_use(
        &self,
        identity: &Identity,
        how: Use,
        email: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.execute(sqlx::query(
            "INSERT INTO last_use (issuer, subject, used_at, how, email)
             SELECT issuer, subject, CAST($3 AS BIGINT), $4, $5 FROM account
             WHERE issuer = $1 AND subject = $2 AND phase = 'deployed'
             ON CONFLICT (issuer, subject) DO UPDATE SET used_at = excluded.used_at, how = excluded.how,
               email = COALESCE(excluded.email, last_use.email), warned_at = NULL
             WHERE last_use.used_at <= $6 OR last_use.used_at > excluded.used_at OR last_use.how = 'first_seen'
               OR (last_use.email IS NULL AND excluded.email IS NOT NULL)",
        )
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string())
        .bind(now.0)
        .bind(how.as_str().to_owned())
        .bind(email.map(str::to_owned))
        .bind(now.plus(-PRECISION).0))
        .await?;
        Ok(())
    }

    /// Begins to count for accounts of which no use is known. Yields how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin_counting(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done = self
            .execute(
                sqlx::query(
                    "INSERT INTO last_use (issuer, subject, used_at, how)
             SELECT issuer, subject, CAST($1 AS BIGINT), 'first_seen' FROM account
             WHERE phase = 'deployed' AND NOT EXISTS (SELECT 1 FROM last_use
               WHERE last_use.issuer = account.issuer AND last_use.subject = account.subject)",
                )
                .bind(now.0),
            )
            .await?;
        Ok(done)
    }

    /// The last use of an identity's account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_use(&self, identity: &Identity) -> Result<Option<LastUse>, StoreError> {
        let row = self.row_of(SELECT, identity).await?;
        row.map(read_row).transpose()
    }

    /// At most `limit` accounts that nobody has used since then and of which idleness has not led to
    /// `acted` or worse yet, the longest idle first, behind the one that was seen last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn idle_since(
        &self,
        since: Timestamp,
        not_yet: Idle,
        (behind, limit): (Option<&LastUse>, i64),
    ) -> Result<Vec<LastUse>, StoreError> {
        let condition = match not_yet {
            Idle::Limited => "acted IS NULL AND a.limited_at IS NULL",
            Idle::Suspended => "(acted IS NULL OR acted = 'limited')",
        };
        // What an admin has suspended, or is taking away, is left alone.
        let statement = format!(
            "{SELECT} WHERE used_at <= $1 AND EXISTS (SELECT 1 FROM account a
               WHERE a.issuer = last_use.issuer AND a.subject = last_use.subject AND a.phase = 'deployed'
                 AND a.suspended_at IS NULL AND a.leaving_at IS NULL AND {condition})
               AND {BEHIND}"
        );
        self.page_of_uses(statement, since, behind, limit).await
    }

    async fn page_of_uses(
        &self,
        statement: String,
        since: Timestamp,
        behind: Option<&LastUse>,
        limit: i64,
    ) -> Result<Vec<LastUse>, StoreError> {
        let (used_at, issuer, subject) =
            behind.map_or((i64::MIN, String::new(), String::new()), |last| {
                let identity = &last.identity;
                (last.used_at.0, identity.issuer.to_string(), identity.subject.to_string())
            });
        let rows: Vec<Row> = self
            .in_time(async {
                Ok(sqlx::query_as(sqlx::AssertSqlSafe(statement))
                    .bind(since.0)
                    .bind(used_at)
                    .bind(issuer)
                    .bind(subject)
                    .bind(limit)
                    .fetch_all(&self.pool)
                    .await?)
            })
            .await?;
        rows.into_iter().map(read_row).collect()
    }

    /// At most `limit` accounts that nobody has used since then, whose owners have an address and
    /// were not warned yet, in the same order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn to_be_warned(
        &self,
        since: Timestamp,
        (behind, limit): (Option<&LastUse>, i64),
    ) -> Result<Vec<LastUse>, StoreError> {
        let statement = format!(
            "{SELECT} WHERE used_at <= $1 AND acted IS NULL AND warned_at IS NULL AND email IS NOT NULL
               AND {BEHIND}"
        );
        self.page_of_uses(statement, since, behind, limit).await
    }

    /// Marks somebody warned and writes the mail, both or neither. False: too many mails wait.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn warn(
        &self,
        identity: &Identity,
        letter: &super::Letter,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.in_time(async {
            let mut write = self.write().await?;
            sqlx::query("UPDATE last_use SET warned_at = $3 WHERE issuer = $1 AND subject = $2")
                .bind(identity.issuer.to_string())
                .bind(identity.subject.to_string())
                .bind(now.0)
                .execute(&mut *write)
                .await?;
            if outbox::insert(&mut write, letter, now).await? == outbox::Put::NoRoom {
                return Ok(false);
            }
            write.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Counts anew from now, as after an admin has let somebody in again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_anew(&self, identity: &Identity, now: Timestamp) -> Result<(), StoreError> {
        self.execute(
            sqlx::query(
                "UPDATE last_use SET acted = NULL, warned_at = NULL, used_at = $3
             WHERE issuer = $1 AND subject = $2",
            )
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .bind(now.0),
        )
        .await?;
        Ok(())
    }

    /// Forgets the last use, address included, of an account that is gone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_use(&self, identity: &Identity) -> Result<(), StoreError> {
        self.execute(
            sqlx::query("DELETE FROM last_use WHERE issuer = $1 AND subject = $2")
                .bind(identity.issuer.to_string())
                .bind(identity.subject.to_string()),
        )
        .await?;
        Ok(())
    }
}

/// Notes in the transaction of a mark whether idleness led to it: what an admin orders, before or after,
/// is not lifted by the person's own return.
pub(super) async fn note_cause(
    connection: &mut AnyConnection,
    identity: &Identity,
    by: &str,
    mark: Idle,
) -> Result<(), StoreError> {
    let statement = match mark {
        Idle::Limited => {
            "UPDATE last_use SET acted = CASE WHEN $3 = $4 AND EXISTS (SELECT 1 FROM account
               WHERE account.issuer = $1 AND account.subject = $2 AND limited_by = $4)
             THEN 'limited' ELSE NULL END WHERE issuer = $1 AND subject = $2"
        }
        Idle::Suspended => {
            "UPDATE last_use SET acted = CASE WHEN $3 = $4 AND EXISTS (SELECT 1 FROM account
               WHERE account.issuer = $1 AND account.subject = $2 AND suspended_by = $4)
             THEN 'suspended' ELSE NULL END WHERE issuer = $1 AND subject = $2"
        }
    };
    for spelling in spellings(identity) {
        sqlx::query(statement)
            .bind(spelling.issuer.to_string())
            .bind(spelling.subject.to_string())
            .bind(by.to_owned())
            .bind(IDLENESS)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
