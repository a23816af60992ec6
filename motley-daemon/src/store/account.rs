//! What the store knows about accounts.

use super::{Store, StoreError, spelling::issuer_texts};
use crate::clock::Timestamp;
use feudal_plugins::Tier;
use motley_proto::{Identity, Issuer, Subject, Uid, UserName, text::escape};

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
    /// When the account was taken away last.
    pub removed_at: Option<Timestamp>,
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

    /// True when the account was taken away and nobody has deployed it since; name and uid stay
    /// promised.
    pub fn was_removed(&self) -> bool {
        self.phase == Phase::None && self.removed_at.is_some() && self.name.is_some()
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

pub(super) fn read_tier(word: &str) -> Result<Tier, StoreError> {
    match word {
        "full" => Ok(Tier::Full),
        "limited" => Ok(Tier::Limited),
        "restricted" => Ok(Tier::Restricted),
        _ => Err(StoreError::Corrupt("tier")),
    }
}

const COLUMNS: &str = "issuer, subject, name, uid, phase, tier, suspended_at, mark_version, limited_at, limited_shell, leaving_at, removed_at";

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
    Option<i64>,
);

pub(super) fn read_row(row: Row) -> Result<AccountRecord, StoreError> {
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
        removed,
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
        removed_at: removed.map(Timestamp),
        mark_version,
    })
}

pub(super) type Query<'a> = super::write::RowQuery<'a, Row>;

impl Store {
    async fn one(&self, query: Query<'_>) -> Result<Option<AccountRecord>, StoreError> {
        Ok(self.many(query).await?.into_iter().next())
    }

    pub(super) async fn many(&self, query: Query<'_>) -> Result<Vec<AccountRecord>, StoreError> {
        let rows = self.in_time(async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        let mut records: Vec<_> = rows.into_iter().map(read_row).collect::<Result<_, _>>()?;
        self.look_over(&mut records);
        Ok(records)
    }

    /// As [`Store::many`], for work on many people: one row that can't be read must not keep the
    /// others waiting.
    async fn readable(&self, query: Query<'_>) -> Result<Vec<AccountRecord>, StoreError> {
        let rows = self.in_time(async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        let read = |row: Row| {
            let whose = format!("{} {}", escape(&row.1, 255), escape(&row.0, 255));
            let told = |error: &StoreError| tracing::error!(whose, %error, "a row is left out");
            read_row(row).inspect_err(told).ok()
        };
        let mut records: Vec<_> = rows.into_iter().filter_map(read).collect();
        self.look_over(&mut records);
        Ok(records)
    }

    fn look_over(&self, records: &mut [AccountRecord]) {
        self.seen.compare(records);
        // An answer from before the mark must not serve when the database goes away.
        for record in records.iter().filter(|record| record.is_suspended()) {
            self.recent.forget(&record.identity);
        }
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
        let suspended =
            records.iter().any(AccountRecord::is_suspended) || self.seen.misses(identity, &records);
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

    /// Rows that a crash or a failing back end left between two states, or whose marks or jobs this node
    /// has not settled.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unfinished(&self) -> Result<Vec<AccountRecord>, StoreError> {
        let query = select(
            "WHERE phase = 'reserved' OR leaving_at IS NOT NULL OR mark_version > COALESCE(
               (SELECT version FROM carried_out WHERE node = $1 AND carried_out.issuer = account.issuer
                  AND carried_out.subject = account.subject), 0)
               OR EXISTS (SELECT 1 FROM carried_out WHERE node = $1 AND jobs = 1
                  AND carried_out.issuer = account.issuer AND carried_out.subject = account.subject)
             ORDER BY created_at",
        );
        self.readable(query.bind(self.node.to_string())).await
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
        self.readable(query.bind(self.node.to_string())).await
    }
}

pub(super) fn select(condition: &'static str) -> Query<'static> {
    // Both parts are constants of this file; nothing from outside becomes part of the statement.
    sqlx::query_as(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM account {condition}")))
}
