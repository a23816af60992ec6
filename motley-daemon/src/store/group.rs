//! Which text of a provider each local group is made from.

use super::{Store, StoreError, write::RowQuery};
use crate::clock::Timestamp;
use motley_proto::{GroupName, Issuer};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

/// What is kept of a local group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupText {
    /// The local group.
    pub name: GroupName,
    /// The text that it is made from, in lower case.
    pub text: String,
    /// Provider of the person who asserted it first.
    pub issuer: Issuer,
    /// When.
    pub noted_at: Timestamp,
}

type Row = (String, String, String, i64);

/// Rows that are asked for at once; below the number of values that any database takes.
const AT_ONCE: usize = 500;

impl Store {
    /// The texts of these groups, of those that have one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn group_texts(
        &self,
        names: &[&GroupName],
    ) -> Result<BTreeMap<GroupName, String>, StoreError> {
        let mut found = BTreeMap::new();
        for names in names.chunks(AT_ONCE) {
            let places: Vec<String> = (1..=names.len()).map(|n| format!("${n}")).collect();
            let statement =
                format!("SELECT name, text FROM group_text WHERE name IN ({})", places.join(", "));
            let mut query = sqlx::query_as(AssertSqlSafe(statement));
            for name in names {
                query = query.bind(name.to_string());
            }
            let asked = self.in_time(async { Ok(query.fetch_all(&self.pool).await?) });
            let rows: Vec<(String, String)> = asked.await?;
            for (name, text) in rows {
                found.insert(read_name(name)?, text);
            }
        }
        Ok(found)
    }

    /// Keeps texts of groups that have none yet; the first one who does so wins.
    ///
    /// # Errors
    /// When the database does not answer; then none is kept.
    pub async fn note_group_texts(
        &self,
        texts: &BTreeMap<GroupName, String>,
        issuer: &Issuer,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.in_time(async {
            let mut write = self.write().await?;
            for (name, text) in texts {
                sqlx::query(
                    "INSERT INTO group_text (name, text, issuer, noted_at) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (name) DO NOTHING",
                )
                .bind(name.to_string())
                .bind(text.clone())
                .bind(issuer.to_string())
                .bind(now.0)
                .execute(&mut *write)
                .await?;
            }
            write.commit().await
        })
        .await
    }

    /// At most `limit` groups behind this one, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn group_texts_after(
        &self,
        after: Option<&GroupName>,
        limit: i64,
    ) -> Result<Vec<GroupText>, StoreError> {
        let query: RowQuery<'_, Row> = sqlx::query_as(
            "SELECT name, text, issuer, noted_at FROM group_text
             WHERE name > $1 ORDER BY name LIMIT $2",
        )
        .bind(after.map_or_else(String::new, GroupName::to_string))
        .bind(limit);
        let asked = self.in_time(async { Ok(query.fetch_all(&self.pool).await?) });
        asked.await?.into_iter().map(read_row).collect()
    }

    /// What is kept of one group.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn group_text(&self, name: &GroupName) -> Result<Option<GroupText>, StoreError> {
        let query: RowQuery<'_, Row> =
            sqlx::query_as("SELECT name, text, issuer, noted_at FROM group_text WHERE name = $1")
                .bind(name.to_string());
        self.row(query).await?.map(read_row).transpose()
    }

    /// Forgets the text of a group: the next one counts. False when none was kept.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_group(&self, name: &GroupName) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM group_text WHERE name = $1").bind(name.to_string());
        Ok(self.execute(query).await? > 0)
    }
}

fn read_name(name: String) -> Result<GroupName, StoreError> {
    GroupName::new(name).map_err(|_| StoreError::Corrupt("group"))
}

fn read_row((name, text, issuer, noted_at): Row) -> Result<GroupText, StoreError> {
    Ok(GroupText {
        name: read_name(name)?,
        text,
        issuer: Issuer::new(issuer).map_err(|_| StoreError::Corrupt("issuer"))?,
        noted_at: Timestamp(noted_at),
    })
}
