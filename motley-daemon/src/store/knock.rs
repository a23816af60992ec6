//! People who knocked without being authorised: a bounded table, written in bundles.

use super::{Store, StoreError};
use crate::clock::Timestamp;
use motley_proto::{
    Identity, Issuer, Subject,
    knock::{Knock, Missing},
};
use sqlx::AnyConnection;

/// Most identities that are kept; the one that knocked longest ago goes first.
pub const MAX_KNOCKS: i64 = 10_000;

type Row = (
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    i64,
    i64,
    i64,
    Option<i64>,
);

const COLUMNS: &str = "SELECT issuer, subject, missing, preferred_username, email, name, first_at, last_at, attempts, mailed_at FROM knock";

impl Store {
    /// Adds a bundle of attempts in one transaction, and forgets the oldest identities beyond `cap`.
    ///
    /// # Errors
    /// When the database does not answer; then none of them was added.
    pub async fn add_knocks(&self, fresh: &[Knock], cap: i64) -> Result<(), StoreError> {
        self.in_time(async {
            let mut write = self.write().await?;
            for knock in fresh {
                add(&mut write, knock).await?;
            }
            let all: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM knock").fetch_one(&mut *write).await?;
            if all > cap {
                sqlx::query(
                    "DELETE FROM knock WHERE (issuer, subject) IN
                   (SELECT issuer, subject FROM knock ORDER BY last_at, issuer, subject LIMIT $1)",
                )
                .bind(all - cap)
                .execute(&mut *write)
                .await?;
            }
            write.commit().await
        })
        .await
    }

    /// At most `limit` rows behind an identity, in the order of the identities.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn knocks_after(
        &self,
        after: Option<&Identity>,
        limit: i64,
    ) -> Result<Vec<Knock>, StoreError> {
        let (issuer, subject) = after.map_or_else(Default::default, |identity| {
            (identity.issuer.to_string(), identity.subject.to_string())
        });
        let statement = format!(
            "{COLUMNS} WHERE issuer > $1 OR (issuer = $1 AND subject > $2)
             ORDER BY issuer, subject LIMIT $3"
        );
        let query =
            sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(issuer).bind(subject).bind(limit);
        let asked = self.in_time(async { Ok(query.fetch_all(&self.pool).await?) });
        let rows: Vec<Row> = asked.await?;
        rows.into_iter().map(read_row).collect()
    }

    /// Everybody about whom no mail was sent yet; who knocked last comes first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn knocks_to_mail(&self) -> Result<Vec<Knock>, StoreError> {
        let statement = format!(
            "{COLUMNS} WHERE mailed_at IS NULL ORDER BY last_at DESC, issuer, subject LIMIT $1"
        );
        let query = sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(MAX_KNOCKS);
        let asked = self.in_time(async { Ok(query.fetch_all(&self.pool).await?) });
        let rows: Vec<Row> = asked.await?;
        rows.into_iter().map(read_row).collect()
    }

    /// Forgets everybody and says how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn clear_knocks(&self) -> Result<u64, StoreError> {
        self.execute(sqlx::query("DELETE FROM knock")).await
    }

    /// Forgets who has not knocked since then.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep_knocks(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.execute(sqlx::query("DELETE FROM knock WHERE last_at < $1").bind(before.0)).await
    }
}

async fn add(connection: &mut AnyConnection, knock: &Knock) -> Result<(), StoreError> {
    let words: Vec<&str> = knock.missing.iter().map(|missing| missing.as_str()).collect();
    sqlx::query(
        "INSERT INTO knock (issuer, subject, missing, preferred_username, email, name, first_at, last_at, attempts)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (issuer, subject) DO UPDATE SET
           missing = excluded.missing, preferred_username = excluded.preferred_username,
           email = excluded.email, name = excluded.name, last_at = excluded.last_at,
           attempts = knock.attempts + excluded.attempts",
    )
    .bind(knock.identity.issuer.to_string())
    .bind(knock.identity.subject.to_string())
    .bind(words.join(" "))
    .bind(knock.preferred_username.clone())
    .bind(knock.email.clone())
    .bind(knock.name.clone())
    .bind(knock.first_at)
    .bind(knock.last_at)
    .bind(i64::try_from(knock.count).unwrap_or(i64::MAX))
    .execute(connection)
    .await?;
    Ok(())
}

fn read_row(row: Row) -> Result<Knock, StoreError> {
    let (issuer, subject, missing, preferred_username, email, name, first, last, count, mailed) =
        row;
    let issuer = Issuer::new(issuer).map_err(|_| StoreError::Corrupt("issuer"))?;
    let subject = Subject::new(subject).map_err(|_| StoreError::Corrupt("subject"))?;
    // A word of a newer release says nothing to this one.
    let known = |word: &str| Missing::ALL.into_iter().find(|missing| missing.as_str() == word);
    Ok(Knock {
        identity: Identity::new(issuer, subject),
        missing: missing.split(' ').filter_map(known).collect(),
        preferred_username,
        email,
        name,
        first_at: first,
        last_at: last,
        count: u64::try_from(count).unwrap_or_default(),
        mailed: mailed.is_some(),
    })
}
