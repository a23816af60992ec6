//! What an admin is told about accounts: pages of rows, and who set which mark when.

use super::{
    AccountRecord, Store, StoreError,
    account::{Query, select},
    spelling::issuer_texts,
};
use crate::clock::Timestamp;
use motley_proto::{Identity, Issuer, Subject};

/// When something was done to an account, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// When.
    pub at: Timestamp,
    /// Who, in words.
    pub by: String,
}

/// Everything that was done to one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// Suspended.
    pub suspended: Option<Marked>,
    /// Limited.
    pub limited: Option<Marked>,
    /// Is being taken away.
    pub leaving: Option<Marked>,
    /// When the account was taken away last.
    pub removed_at: Option<Timestamp>,
    /// When the row was made.
    pub created_at: Timestamp,
}

type MarksRow = (
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    i64,
);

fn marked(at: Option<i64>, by: Option<String>) -> Option<Marked> {
    at.map(|at| Marked { at: Timestamp(at), by: by.unwrap_or_default() })
}

impl Store {
    /// The rows behind this identity, in the order of issuer and subject: at most `limit`, of one
    /// issuer (under both spellings) if one is named.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn page(
        &self,
        after: Option<&Identity>,
        issuer: Option<&Issuer>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        // No issuer or subject is empty, so these come before all.
        let (from, subject) = match after {
            Some(last) => (last.issuer.to_string(), last.subject.to_string()),
            None => (String::new(), String::new()),
        };
        self.many(page_query(issuer, from, subject).bind(i64::from(limit))).await
    }

    /// Who marked the account of an identity, and when.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn marks_of(&self, identity: &Identity) -> Result<Option<Marks>, StoreError> {
        let query = sqlx::query_as(
            "SELECT suspended_at, suspended_by, limited_at, limited_by, leaving_at, leaving_by, removed_at, created_at
             FROM account WHERE issuer = $1 AND subject = $2",
        )
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string());
        let asked = self.in_time(async { Ok(query.fetch_optional(&self.pool).await?) });
        let row: Option<MarksRow> = asked.await?;
        Ok(row.map(|(suspended, suspender, limited, limiter, leaving, remover, removed, made)| {
            Marks {
                suspended: marked(suspended, suspender),
                limited: marked(limited, limiter),
                leaving: marked(leaving, remover),
                removed_at: removed.map(Timestamp),
                created_at: Timestamp(made),
            }
        }))
    }
}

fn page_query(issuer: Option<&Issuer>, from: String, subject: String) -> Query<'static> {
    match issuer {
        None => select("WHERE (issuer, subject) > ($1, $2) ORDER BY issuer, subject LIMIT $3")
            .bind(from)
            .bind(subject),
        Some(issuer) => {
            let [own, other] = both(issuer);
            select(
                "WHERE (issuer, subject) > ($1, $2) AND issuer IN ($3, $4)
                 ORDER BY issuer, subject LIMIT $5",
            )
            .bind(from)
            .bind(subject)
            .bind(own)
            .bind(other)
        }
    }
}

/// Both spellings of an issuer.
fn both(issuer: &Issuer) -> [String; 2] {
    match Subject::new("any") {
        Ok(subject) => issuer_texts(&Identity::new(issuer.clone(), subject)),
        Err(_) => [issuer.to_string(), issuer.to_string()],
    }
}
