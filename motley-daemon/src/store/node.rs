//! The nodes that share the database, and which marks each of them has carried out.

use super::{Engine, Store, StoreError, account::read_tier};
use crate::clock::Timestamp;
use feudal_plugins::Tier;
use motley_proto::{
    Identity, NodeName,
    admin::{NodeOutcome, NodeRow},
    task::SessionsEnded,
};
use sqlx::AnyConnection;

/// Seconds after which a node that was not seen counts as away.
pub const DEAD_AFTER: i64 = 15;

/// How far a node is with the jobs and lingering services of an account that is limited or has the
/// shell of a lower tier. A suspension holds them by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LowerJobs {
    /// Nothing is held for that.
    #[default]
    Free,
    /// Holding or releasing them began, and did not end yet.
    Changing,
    /// They are held.
    Held,
}

impl LowerJobs {
    fn read(number: i64) -> Self {
        match number {
            0 => Self::Free,
            2 => Self::Held,
            _ => Self::Changing,
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Free => 0,
            Self::Changing => 1,
            Self::Held => 2,
        }
    }
}

/// What this node did about an identity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CarriedOut {
    /// The number of the marks that its account shows.
    pub version: i64,
    /// True when it locked the account for them.
    pub suspended: bool,
    /// Shell that the account had here before it was limited, if it is.
    pub limited_shell: Option<String>,
    /// True when it made or found the account.
    pub holds: bool,
    /// What ended here for it.
    pub sessions: SessionsEnded,
    /// How far it is with the jobs of a lower shell.
    pub jobs: LowerJobs,
}

type CarriedOutRow = (i64, i64, Option<String>, i64, i64, i64, i64);
type OutcomeRow = (String, i64, i64, i64, i64, i64);
type NodeFacts = (String, i64, i64, i64, i64);

impl Store {
    /// Says that this node lives, by the clock of the database, and compares this host's with it. False:
    /// another process lives under its name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn beat(&self, instance: &str, now: Timestamp) -> Result<bool, StoreError> {
        let ahead = self.compare_clocks(now).await?;
        self.in_time(async {
            let mut write = self.write().await?;
            let before: Option<String> =
                sqlx::query_scalar("SELECT instance FROM node WHERE name = $1")
                    .bind(self.node.to_string())
                    .fetch_optional(&mut *write)
                    .await?;
            sqlx::query(
                "INSERT INTO node (name, instance, seen_at, clock_ahead) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (name) DO UPDATE SET instance = excluded.instance,
                   seen_at = excluded.seen_at, clock_ahead = excluded.clock_ahead",
            )
            .bind(self.node.to_string())
            .bind(instance.to_owned())
            .bind(now.0.saturating_sub(ahead))
            .bind(ahead)
            .execute(&mut *write)
            .await?;
            write.commit().await?;
            Ok(before.is_none_or(|before| before == instance))
        })
        .await
    }

    /// The number of the latest change of marks.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn latest_mark(&self) -> Result<i64, StoreError> {
        let query = "SELECT value FROM mark_counter";
        let asked =
            self.in_time(async { Ok(sqlx::query_scalar(query).fetch_one(&self.pool).await?) });
        let latest = asked.await?;
        self.note_latest(latest);
        Ok(latest)
    }

    /// Has everything asked for again that may be older than a change on another node.
    pub fn expire_answers(&self) {
        self.recent.expire();
    }

    /// What this node did about an identity.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn carried_out(&self, identity: &Identity) -> Result<CarriedOut, StoreError> {
        let query = sqlx::query_as(
            "SELECT version, suspended, limited_shell, holds, sessions, processes, jobs FROM carried_out
             WHERE node = $1 AND issuer = $2 AND subject = $3",
        )
        .bind(self.node.to_string())
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string());
        let asked = self.in_time(async { Ok(query.fetch_optional(&self.pool).await?) });
        let row: Option<CarriedOutRow> = asked.await?;
        let read = |row: CarriedOutRow| {
            let (version, suspended, limited_shell, holds, sessions, processes, jobs) = row;
            CarriedOut {
                version,
                suspended: suspended != 0,
                limited_shell,
                holds: holds != 0,
                sessions: ended(sessions, processes),
                jobs: LowerJobs::read(jobs),
            }
        };
        Ok(row.map(read).unwrap_or_default())
    }

    /// Which tier's shell this node gave an account last, if it is known.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tier_here(&self, identity: &Identity) -> Result<Option<Tier>, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT tier FROM carried_out WHERE node = $1 AND issuer = $2 AND subject = $3",
        )
        .bind(self.node.to_string())
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string());
        let asked = self.in_time(async { Ok(query.fetch_optional(&self.pool).await?) });
        let row: Option<Option<String>> = asked.await?;
        row.flatten().map(|text| read_tier(&text)).transpose()
    }

    /// True unless it is known that this node never made or found the account of an identity.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn may_hold(&self, identity: &Identity) -> Result<bool, StoreError> {
        // A file may be older than these notes.
        Ok(self.engine == Engine::Sqlite || self.carried_out(identity).await?.holds)
    }

    /// Notes what this node did. Something newer that was noted meanwhile stays.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn note_carried_out(
        &self,
        identity: &Identity,
        done: &CarriedOut,
    ) -> Result<(), StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            sqlx::query(
                "INSERT INTO carried_out (node, issuer, subject, version, suspended, limited_shell, holds, sessions, processes, jobs)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                 ON CONFLICT (node, issuer, subject) DO UPDATE SET version = excluded.version,
                   suspended = excluded.suspended, limited_shell = excluded.limited_shell,
                   holds = excluded.holds, sessions = excluded.sessions, processes = excluded.processes,
                   jobs = excluded.jobs
                 WHERE carried_out.version <= excluded.version",
            )
            .bind(self.node.to_string())
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string())
            .bind(done.version)
            .bind(i64::from(done.suspended))
            .bind(done.limited_shell.clone())
            .bind(i64::from(done.holds))
            .bind(i64::from(done.sessions.sessions))
            .bind(i64::from(done.sessions.processes))
            .bind(done.jobs.number())
            .execute(&mut *write)
            .await?;
            write.commit().await
        })
        .await
    }

    /// Notes how far this node is with the jobs of a lower shell.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn note_lower_jobs(
        &self,
        identity: &Identity,
        jobs: LowerJobs,
    ) -> Result<(), StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            note(&mut write, &self.node, identity, Noted::Jobs(jobs)).await?;
            write.commit().await
        })
        .await
    }

    /// Notes that the account of an identity was found on this node.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn note_hold(&self, identity: &Identity) -> Result<(), StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            note(&mut write, &self.node, identity, Noted::Holds(true)).await?;
            write.commit().await
        })
        .await
    }

    /// Notes that a promise came to nothing on this node.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn drop_hold(&self, identity: &Identity) -> Result<(), StoreError> {
        self.in_time(async {
            let mut write = self.write_accounts().await?;
            note(&mut write, &self.node, identity, Noted::Holds(false)).await?;
            write.commit().await
        })
        .await
    }

    /// How far the other nodes are with marks of this number: those that live, and those that hold the
    /// account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outcomes(
        &self,
        identity: &Identity,
        version: i64,
        now: Timestamp,
    ) -> Result<Vec<NodeOutcome>, StoreError> {
        if self.engine == Engine::Sqlite {
            return Ok(Vec::new());
        }
        let now = self.database_time(now);
        let query = sqlx::query_as(
            "SELECT name, seen_at, COALESCE(version, 0), COALESCE(holds, 0), COALESCE(sessions, 0), COALESCE(processes, 0)
             FROM node LEFT JOIN carried_out ON node = name AND issuer = $1 AND subject = $2
             WHERE name <> $3 ORDER BY name",
        )
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string())
        .bind(self.node.to_string());
        let asked = self.in_time(async { Ok(query.fetch_all(&self.pool).await?) });
        let rows: Vec<OutcomeRow> = asked.await?;
        let mut outcomes = Vec::new();
        for (name, seen_at, carried_out, holds, sessions, processes) in rows {
            let (lives, done) = (lives(seen_at, now), carried_out >= version);
            if !lives && holds == 0 {
                continue;
            }
            let node = NodeName::new(name).map_err(|_| StoreError::Corrupt("node"))?;
            let sessions = if done { ended(sessions, processes) } else { SessionsEnded::default() };
            outcomes.push(NodeOutcome { node, done, lives, sessions });
        }
        Ok(outcomes)
    }

    /// How many nodes have not carried out the marks of an identity: those that live, those that hold
    /// its account, and this one.
    pub(super) async fn nodes_behind(
        &self,
        connection: &mut AnyConnection,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        // A file has one node, which may have had another name before.
        let alone = i64::from(self.engine == Engine::Sqlite);
        let now = self.database_time(now);
        let behind: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM (SELECT name, seen_at FROM node UNION SELECT $3, $4) AS nodes
               JOIN account ON account.issuer = $1 AND account.subject = $2
               LEFT JOIN carried_out ON node = nodes.name AND carried_out.issuer = $1 AND carried_out.subject = $2
             WHERE COALESCE(version, 0) < mark_version
               AND (nodes.name = $3 OR ($6 = 0 AND (nodes.seen_at > $5 OR COALESCE(holds, 0) = 1)))",
        )
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string())
        .bind(self.node.to_string())
        .bind(now.0)
        .bind(now.0 - DEAD_AFTER)
        .bind(alone)
        .fetch_one(connection)
        .await?;
        Ok(behind)
    }

    /// All nodes, with what each has still to do.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn nodes(&self, now: Timestamp) -> Result<Vec<NodeRow>, StoreError> {
        let query = sqlx::query_as(NODES);
        let now = self.database_time(now);
        let asked = self.in_time(async { Ok(query.fetch_all(&self.pool).await?) });
        let rows: Vec<NodeFacts> = asked.await?;
        let read = |(name, seen_at, clock_ahead, behind, accounts): NodeFacts| {
            let node = NodeName::new(name).map_err(|_| StoreError::Corrupt("node"))?;
            Ok(NodeRow {
                is_this: node == self.node,
                lives: node == self.node || lives(seen_at, now),
                node,
                seen_at,
                clock_ahead,
                behind: u64::try_from(behind).unwrap_or_default(),
                accounts: u64::try_from(accounts).unwrap_or_default(),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Forgets a node that does not come back: nothing waits for it any more. What it did is kept, so
    /// if it does come back it carries out what it missed. False: there is no such node.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_node(&self, node: &NodeName) -> Result<bool, StoreError> {
        self.in_time(async {
            let mut write = self.write().await?;
            let done = sqlx::query("DELETE FROM node WHERE name = $1")
                .bind(node.to_string())
                .execute(&mut *write)
                .await?;
            write.commit().await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }
}

const NODES: &str = "SELECT nodes.name, nodes.seen_at, nodes.clock_ahead,
       (SELECT COUNT(*) FROM account WHERE mark_version > COALESCE(
          (SELECT version FROM carried_out WHERE carried_out.node = nodes.name
             AND carried_out.issuer = account.issuer AND carried_out.subject = account.subject), 0)),
       (SELECT COUNT(*) FROM carried_out WHERE carried_out.node = nodes.name AND holds = 1)
     FROM node AS nodes ORDER BY nodes.name";

fn lives(seen_at: i64, now: Timestamp) -> bool {
    seen_at > now.0.saturating_sub(DEAD_AFTER)
}

fn ended(sessions: i64, processes: i64) -> SessionsEnded {
    let number = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    SessionsEnded {
        sessions: number(sessions),
        processes: number(processes),
        ..SessionsEnded::default()
    }
}

/// One thing that a node notes about the account of an identity.
#[derive(Debug, Clone, Copy)]
pub(super) enum Noted {
    /// Whether it has the account, or is about to make it.
    Holds(bool),
    /// How far it is with the jobs of a lower shell.
    Jobs(LowerJobs),
    /// Which tier's shell it gave the account last.
    Tier(Tier),
}

/// Notes it; everything else that was noted stays.
pub(super) async fn note(
    connection: &mut AnyConnection,
    node: &NodeName,
    identity: &Identity,
    noted: Noted,
) -> Result<(), StoreError> {
    let column = match noted {
        Noted::Holds(_) => "holds",
        Noted::Jobs(_) => "jobs",
        Noted::Tier(_) => "tier",
    };
    let statement = format!(
        "INSERT INTO carried_out (node, issuer, subject, {column}) VALUES ($1, $2, $3, $4)
         ON CONFLICT (node, issuer, subject) DO UPDATE SET {column} = excluded.{column}"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(node.to_string())
        .bind(identity.issuer.to_string())
        .bind(identity.subject.to_string());
    let query = match noted {
        Noted::Holds(holds) => query.bind(i64::from(holds)),
        Noted::Jobs(jobs) => query.bind(jobs.number()),
        Noted::Tier(tier) => query.bind(tier.as_str()),
    };
    query.execute(connection).await?;
    Ok(())
}
