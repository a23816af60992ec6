//! Reservations, accounts and suspensions in the store.

use super::{Store, StoreError, node::set_holds, spelling::issuer_texts};
use crate::clock::Timestamp;
use feudal_plugins::Tier;
use motley_proto::{Identity, Issuer, Subject, Uid, UserName};
use std::collections::HashSet;

/// How far an account has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No account: the row holds marks, or the name and uid of an account that was taken away.
    None,
    /// Name and uid are promised, the account may or may not exist.
    Reserved,
    /// The account was made or adopted.
    Deployed,
}

impl Phase {
    fn read(text: &str) -> Result<Self, StoreError> {
        match text {
            "none" => Ok(Self::None),
            "reserved" => Ok(Self::Reserved),
            "deployed" => Ok(Self::Deployed),
            _ => Err(StoreError::Corrupt("phase")),
        }
    }
}

/// What the store knows about one identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Whose.
    pub identity: Identity,
    /// Local name, once promised.
    pub name: Option<UserName>,
    /// Uid, once promised.
    pub uid: Option<Uid>,
    /// How far it has come.
    pub phase: Phase,
    /// Assurance shell tier that was applied last.
    pub tier: Option<Tier>,
    /// Since when it is suspended.
    pub suspended_at: Option<Timestamp>,
    /// Since when an admin keeps it limited.
    pub limited_at: Option<Timestamp>,
    /// Shell that it had before, if it is limited.
    pub limited_shell: Option<String>,
    /// Since when it is being taken away.
    pub leaving_at: Option<Timestamp>,
    /// The number of its marks: each change of them got the next one. 0: never marked.
    pub mark_version: i64,
}

impl AccountRecord {
    /// True when the back end's uid is the promised one, or one of both is not known.
    pub fn agrees_with(&self, uid: Option<u32>) -> bool {
        self.uid.is_none_or(|own| uid.is_none_or(|uid| own.get() == uid))
    }

    /// True when this identity gets nothing.
    pub fn is_suspended(&self) -> bool {
        self.suspended_at.is_some()
    }

    /// True when an admin keeps the account limited.
    pub fn is_limited(&self) -> bool {
        self.limited_at.is_some()
    }

    /// True when the account is being taken away.
    pub fn is_leaving(&self) -> bool {
        self.leaving_at.is_some()
    }
}

/// What is known about an identity, with the marks of both spellings of its issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its own row.
    pub record: Option<AccountRecord>,
    /// True when it is suspended, under whichever spelling.
    pub suspended: bool,
}

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

fn read_tier(word: &str) -> Result<Tier, StoreError> {
    match word {
        "full" => Ok(Tier::Full),
        "limited" => Ok(Tier::Limited),
        "restricted" => Ok(Tier::Restricted),
        _ => Err(StoreError::Corrupt("tier")),
    }
}

const COLUMNS: &str = "issuer, subject, name, uid, phase, tier, suspended_at, mark_version, limited_at, limited_shell, leaving_at";

type Row = (
    String,
    String,
    Option<String>,
    Option<i64>,
    String,
    Option<String>,
    Option<i64>,
    i64,
    Option<i64>,
    Option<String>,
    Option<i64>,
);

fn read_row(row: Row) -> Result<AccountRecord, StoreError> {
    let (
        issuer,
        subject,
        name,
        uid,
        phase,
        tier,
        suspended_at,
        mark_version,
        limited,
        shell,
        leaving,
    ) = row;
    let issuer = Issuer::new(issuer).map_err(|_| StoreError::Corrupt("issuer"))?;
    let subject = Subject::new(subject).map_err(|_| StoreError::Corrupt("subject"))?;
    let name = name.map(UserName::new).transpose().map_err(|_| StoreError::Corrupt("name"))?;
    let uid = match uid {
        None => None,
        Some(uid) => {
            let uid = u32::try_from(uid).map_err(|_| StoreError::Corrupt("uid"))?;
            Some(Uid::new(uid).map_err(|_| StoreError::Corrupt("uid"))?)
        }
    };
    Ok(AccountRecord {
        identity: Identity::new(issuer, subject),
        name,
        uid,
        phase: Phase::read(&phase)?,
        tier: tier.as_deref().map(read_tier).transpose()?,
        suspended_at: suspended_at.map(Timestamp),
        limited_at: limited.map(Timestamp),
        limited_shell: shell,
        leaving_at: leaving.map(Timestamp),
        mark_version,
    })
}

pub(super) type Query<'a> = sqlx::query::QueryAs<'a, sqlx::Any, Row, sqlx::any::AnyArguments>;

impl Store {
    async fn one(&self, query: Query<'_>) -> Result<Option<AccountRecord>, StoreError> {
        Ok(self.many(query).await?.into_iter().next())
    }

    pub(super) async fn many(&self, query: Query<'_>) -> Result<Vec<AccountRecord>, StoreError> {
        let rows = self.in_time(async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        let records: Vec<_> = rows.into_iter().map(read_row).collect::<Result<_, _>>()?;
        // An answer from before the mark must not serve when the database goes away.
        for record in records.iter().filter(|record| record.is_suspended()) {
            self.recent.forget(&record.identity);
        }
        Ok(records)
    }

    /// What is known about an identity.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account_of(
        &self,
        identity: &Identity,
    ) -> Result<Option<AccountRecord>, StoreError> {
        let query = select("WHERE issuer = $1 AND subject = $2")
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string());
        self.one(query).await
    }

    /// What is known about an identity, and whether it is suspended under either spelling.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn known_of(&self, identity: &Identity) -> Result<Known, StoreError> {
        let [own, other] = issuer_texts(identity);
        let query = select("WHERE issuer IN ($1, $2) AND subject = $3")
            .bind(own)
            .bind(other)
            .bind(identity.subject.to_string());
        let records = self.many(query).await?;
        let suspended = records.iter().any(AccountRecord::is_suspended);
        let record = records.into_iter().find(|record| record.identity == *identity);
        Ok(Known { record, suspended })
    }

    /// Whom a name was promised to. While the database does not answer, an earlier answer serves within
    /// the offline window.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account_named(
        &self,
        name: &UserName,
    ) -> Result<Option<AccountRecord>, StoreError> {
        match self.one(select("WHERE name = $1").bind(name.to_string())).await {
            Err(error @ StoreError::Unreachable(_)) => {
                let warm = self.warm_named(name).and_then(|known| known.record.clone());
                warm.map(Some).ok_or(error)
            }
            done => done,
        }
    }

    /// All rows, in the order in which they were made.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn accounts(&self) -> Result<Vec<AccountRecord>, StoreError> {
        self.many(select("ORDER BY created_at, issuer, subject")).await
    }

    /// Rows that a crash or a failing back end left between two states, or whose marks this node has
    /// not carried out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unfinished(&self) -> Result<Vec<AccountRecord>, StoreError> {
        let query = select(
            "WHERE phase = 'reserved' OR leaving_at IS NOT NULL OR mark_version > COALESCE(
               (SELECT version FROM carried_out WHERE node = $1 AND carried_out.issuer = account.issuer
                  AND carried_out.subject = account.subject), 0)
             ORDER BY created_at",
        );
        self.many(query.bind(self.node.to_string())).await
    }

    /// Rows whose marks this node has not carried out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn to_carry_out(&self) -> Result<Vec<AccountRecord>, StoreError> {
        let query = select(
            "WHERE mark_version > COALESCE(
               (SELECT version FROM carried_out WHERE node = $1 AND carried_out.issuer = account.issuer
                  AND carried_out.subject = account.subject), 0)
             ORDER BY mark_version",
        );
        self.many(query.bind(self.node.to_string())).await
    }

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
                set_holds(&mut write, &self.node, identity, true).await?;
                write.commit().await?;
                if record.phase == Phase::None {
                    record.phase = Phase::Reserved;
                }
                return Ok(Reservation::Held(Box::new(record)));
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
            set_holds(&mut write, &self.node, identity, true).await?;
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
            set_holds(&mut write, &self.node, identity, false).await?;
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
                "INSERT INTO retired (name, uid, retired_at) SELECT name, uid, $3 FROM account
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

    /// Records that the account of an identity exists under this name and uid on this node. Without a
    /// uid, one that was known stays.
    ///
    /// # Errors
    /// When the database does not answer, or the name or uid was promised to somebody else.
    pub async fn commit(
        &self,
        identity: &Identity,
        name: &UserName,
        uid: Option<Uid>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            // An admin renamed or renumbered the account: what it had before stays this person's.
            let statement =
                "INSERT INTO retired (name, uid, retired_at) SELECT name, uid, $5 FROM account
                 WHERE issuer = $1 AND subject = $2 AND name IS NOT NULL AND (name <> $3 OR uid <> $4)";
            promise(statement, identity, name, uid, now).execute(&mut *write).await?;
            let statement = "INSERT INTO account (issuer, subject, name, uid, phase, created_at) VALUES ($1, $2, $3, $4, 'deployed', $5)
                 ON CONFLICT (issuer, subject) DO UPDATE SET name = excluded.name,
                   uid = COALESCE(excluded.uid, account.uid), phase = 'deployed'";
            promise(statement, identity, name, uid, now).execute(&mut *write).await?;
            set_holds(&mut write, &self.node, identity, true).await?;
            write.commit().await
        })
        .await
    }

    /// Records which tier's shell the account was given.
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

pub(super) fn select(condition: &'static str) -> Query<'static> {
    // Both parts are constants of this file; nothing from outside becomes part of the statement.
    sqlx::query_as(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM account {condition}")))
}
