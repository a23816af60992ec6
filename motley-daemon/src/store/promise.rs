//! Names and uids that are promised to identities, for ever and on all nodes.

use super::{
    AccountRecord, Phase, Store, StoreError,
    account::{read_row, select},
    former::check_promises,
    node::{Noted, note},
};
use crate::clock::Timestamp;
use feudal_plugins::Tier;
use motley_proto::{Identity, Uid, UserName};
use std::{collections::HashSet, ops::RangeInclusive};

/// Outcome of an attempt to promise a name and uid to an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// Promised, now or earlier; the record says which name and uid.
    Held(Box<AccountRecord>),
    /// The name was promised to somebody else, now or in the past.
    NameTaken,
    /// The uid was promised to somebody else, now or in the past.
    UidTaken,
}

impl Store {
    /// The next uid that nobody was ever promised, at least `first`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn next_uid(&self, first: u32) -> Result<u32, StoreError> {
        let query = "SELECT COALESCE(MAX(uid), 0) + 1 FROM (SELECT uid FROM account UNION ALL SELECT uid FROM retired) AS given";
        let asked =
            self.in_time(async { Ok(sqlx::query_scalar(query).fetch_one(&self.pool).await?) });
        let next: i64 = asked.await?;
        Ok(u32::try_from(next).map_err(|_| StoreError::Corrupt("uid"))?.max(first))
    }

    /// One more than the largest uid within a range that anybody was ever promised, or its first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn next_uid_in(&self, range: &RangeInclusive<u32>) -> Result<u32, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT MAX(uid) FROM (SELECT uid FROM account UNION ALL SELECT uid FROM retired) AS given
             WHERE uid BETWEEN $1 AND $2",
        )
        .bind(i64::from(*range.start()))
        .bind(i64::from(*range.end()));
        let asked = self.in_time(async { Ok(query.fetch_one(&self.pool).await?) });
        let largest: Option<i64> = asked.await?;
        let next = largest.map_or(i64::from(*range.start()), |largest| largest.saturating_add(1));
        u32::try_from(next).map_err(|_| StoreError::Corrupt("uid"))
    }

    /// All names that were promised to anybody, now or in the past.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn promised_names(&self) -> Result<HashSet<String>, StoreError> {
        let query =
            "SELECT name FROM account WHERE name IS NOT NULL UNION SELECT name FROM retired";
        let asked =
            self.in_time(async { Ok(sqlx::query_scalar(query).fetch_all(&self.pool).await?) });
        let names: Vec<String> = asked.await?;
        Ok(names.into_iter().collect())
    }

    /// Promises a name, and a uid unless the back end numbers its accounts, to an identity, in one
    /// transaction. Who was promised something before, here or on another node, is promised the same.
    /// From now on the promise counts as used on this node.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reserve(
        &self,
        identity: &Identity,
        name: &UserName,
        uid: Option<Uid>,
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            let known = select("WHERE issuer = $1 AND subject = $2")
                .bind(identity.issuer.to_string())
                .bind(identity.subject.to_string())
                .fetch_optional(&mut *write)
                .await?
                .map(read_row)
                .transpose()?;
            if let Some(mut record) = known.filter(|record| record.name.is_some()) {
                sqlx::query(
                    "UPDATE account SET phase = 'reserved'
                     WHERE issuer = $1 AND subject = $2 AND phase = 'none'",
                )
                .bind(identity.issuer.to_string())
                .bind(identity.subject.to_string())
                .execute(&mut *write)
                .await?;
                note(&mut write, &self.node, identity, Noted::Holds(true)).await?;
                write.commit().await?;
                if record.phase == Phase::None {
                    record.phase = Phase::Reserved;
                }
                return Ok(Reservation::Held(Box::new(record)));
            }
            if self.seen.went_back() {
                return Err(StoreError::WentBack);
            }
            if is_promised(&mut write, sqlx::query_scalar(NAME_TAKEN).bind(name.to_string())).await? {
                return Ok(Reservation::NameTaken);
            }
            if let Some(uid) = uid {
                let query = sqlx::query_scalar(UID_TAKEN).bind(i64::from(uid.get()));
                if is_promised(&mut write, query).await? {
                    return Ok(Reservation::UidTaken);
                }
            }
            let statement = "INSERT INTO account (issuer, subject, name, uid, phase, created_at) VALUES ($1, $2, $3, $4, 'reserved', $5)
                 ON CONFLICT (issuer, subject) DO UPDATE SET name = excluded.name, uid = excluded.uid, phase = 'reserved'";
            promise(statement, identity, name, uid, now).execute(&mut *write).await?;
            note(&mut write, &self.node, identity, Noted::Holds(true)).await?;
            write.commit().await?;
            match self.account_of(identity).await? {
                Some(record) => Ok(Reservation::Held(Box::new(record))),
                None => Err(StoreError::Corrupt("reservation")),
            }
        })
        .await
    }

    /// Takes back a promise whose account could not be made here. Nobody gets its name and uid again.
    /// False: another node uses the promise, so it stays.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release(
        &self,
        record: &AccountRecord,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let identity = &record.identity;
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            note(&mut write, &self.node, identity, Noted::Holds(false)).await?;
            // Another attempt may have deployed the account meanwhile, here or elsewhere.
            let free: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM account WHERE issuer = $1 AND subject = $2 AND phase = 'reserved'
                   AND name = $3 AND NOT EXISTS (SELECT 1 FROM carried_out
                     WHERE carried_out.issuer = $1 AND carried_out.subject = $2 AND holds = 1)",
            )
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .bind(record.name.as_ref().map(ToString::to_string))
            .fetch_one(&mut *write)
            .await?;
            if free == 0 {
                write.commit().await?;
                return Ok(false);
            }
            sqlx::query(
                "INSERT INTO retired (name, uid, retired_at, issuer, subject)
                 SELECT name, uid, $3, issuer, subject FROM account
                 WHERE issuer = $1 AND subject = $2",
            )
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .bind(now.0)
            .execute(&mut *write)
            .await?;
            sqlx::query(
                "UPDATE account SET name = NULL, uid = NULL, phase = 'none'
                 WHERE issuer = $1 AND subject = $2",
            )
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .execute(&mut *write)
            .await?;
            write.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Takes back a promise of a name that the back end knows, and that may still be given to whom it
    /// is meant for; [`Store::release`] is for names that turned out to be somebody else's. What
    /// another node uses stays.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unpromise(&self, identity: &Identity) -> Result<(), StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            note(&mut write, &self.node, identity, Noted::Holds(false)).await?;
            sqlx::query(
                "UPDATE account SET name = NULL, uid = NULL, phase = 'none'
                 WHERE issuer = $1 AND subject = $2 AND phase = 'reserved'
                   AND NOT EXISTS (SELECT 1 FROM carried_out
                     WHERE carried_out.issuer = $1 AND carried_out.subject = $2 AND holds = 1)",
            )
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .execute(&mut *write)
            .await?;
            write.commit().await
        })
        .await
    }

    /// Records that the account of an identity exists under this name and uid on this node. Without a
    /// uid, one that was known stays.
    ///
    /// # Errors
    /// [`StoreError::NamePromised`] and [`StoreError::UidPromised`], or when the database does not
    /// answer.
    pub async fn commit(
        &self,
        identity: &Identity,
        name: &UserName,
        uid: Option<Uid>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            check_promises(&mut write, identity, name, uid).await?;
            // An admin renamed or renumbered the account: what it had before stays this person's.
            let statement =
                "INSERT INTO retired (name, uid, retired_at, issuer, subject)
                 SELECT name, uid, $5, issuer, subject FROM account
                 WHERE issuer = $1 AND subject = $2 AND name IS NOT NULL AND (name <> $3 OR uid <> $4)";
            promise(statement, identity, name, uid, now).execute(&mut *write).await?;
            let statement = "INSERT INTO account (issuer, subject, name, uid, phase, created_at) VALUES ($1, $2, $3, $4, 'deployed', $5)
                 ON CONFLICT (issuer, subject) DO UPDATE SET name = excluded.name,
                   uid = COALESCE(excluded.uid, account.uid), phase = 'deployed'";
            promise(statement, identity, name, uid, now).execute(&mut *write).await?;
            note(&mut write, &self.node, identity, Noted::Holds(true)).await?;
            write.commit().await
        })
        .await
    }

    /// Records which tier's shell the account was given, here last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_tier(&self, identity: &Identity, tier: Tier) -> Result<(), StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            sqlx::query("UPDATE account SET tier = $3 WHERE issuer = $1 AND subject = $2")
                .bind(identity.issuer.to_string())
                .bind(identity.subject.to_string())
                .bind(tier.as_str())
                .execute(&mut *write)
                .await?;
            note(&mut write, &self.node, identity, Noted::Tier(tier)).await?;
            write.commit().await
        })
        .await
    }
}

const NAME_TAKEN: &str = "SELECT (SELECT COUNT(*) FROM account WHERE name = $1) + (SELECT COUNT(*) FROM retired WHERE name = $1)";
const UID_TAKEN: &str = "SELECT (SELECT COUNT(*) FROM account WHERE uid = $1) + (SELECT COUNT(*) FROM retired WHERE uid = $1)";

type Count = sqlx::query::QueryScalar<'static, sqlx::Any, i64, sqlx::any::AnyArguments>;

/// True when anybody was promised it, now or in the past.
async fn is_promised(
    connection: &mut sqlx::AnyConnection,
    count: Count,
) -> Result<bool, StoreError> {
    Ok(count.fetch_one(connection).await? != 0)
}

type Statement = sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments>;

/// A statement about who has which name and uid: `$1` issuer, `$2` subject, `$3` name, `$4` uid,
/// `$5` now.
fn promise(
    statement: &'static str,
    identity: &Identity,
    name: &UserName,
    uid: Option<Uid>,
    now: Timestamp,
) -> Statement {
    sqlx::query(statement)
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string())
        .bind(name.to_string())
        .bind(uid.map(|uid| i64::from(uid.get())))
        .bind(now.0)
}
