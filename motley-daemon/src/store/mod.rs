//! What must outlive a restart: names and uids promised, suspensions, one-time passwords.
//!
//! The back end says whether an account exists; the store says what was promised and forbidden. It is
//! a file of this host (SQLite), or a server that several nodes share (PostgreSQL), with the same
//! statements for both.

mod account;
mod activity;
mod approval;
mod clock;
mod code;
mod engine;
mod former;
mod group;
mod knock;
mod mark;
mod node;
mod notice;
mod one_time_password;
mod outbox;
mod promise;
mod recent;
mod report;
mod seen;
mod spelling;
mod suspension;
mod url;
mod write;

pub use account::{AccountRecord, Known, Phase};
pub use activity::{IDLENESS, Idle, LastUse, Use};
pub use approval::{
    Approval, ApprovalIntent, KeptClaims, MAX_APPROVALS, MAX_APPROVALS_OF_ISSUER, NewApproval,
    Submitted,
};
pub use code::{CodeKind, SealedCode};
pub use engine::Engine;
pub use group::GroupText;
pub use knock::MAX_KNOCKS;
pub use mark::Ended;
pub use node::{CarriedOut, DEAD_AFTER, LowerJobs};
pub use notice::{Lease, Notice};
pub use one_time_password::{Bounds, Put, SealedToken};
pub use outbox::Letter;
pub use promise::Reservation;
pub use report::{Marked, Marks};
pub use spelling::spellings;
pub use url::{StoreUrl, StoreUrlError};

use motley_proto::{NodeName, Uid, UserName};
use sqlx::AnyPool;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or failed.
    #[error("database: {0}")]
    Database(sqlx::Error),
    /// The database does not answer.
    #[error(
        "the database does not answer ({0}); see that it runs, and that this host can reach it"
    )]
    Unreachable(String),
    /// Others who write were not done in time.
    #[error("the database is busy with what others write; try again in a moment")]
    Busy,
    /// The tables could not be brought to this release's form.
    #[error("database migration: {0}; was the database written by a newer release?")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The URL is not one that this build can open.
    #[error("store url: it {0}")]
    Url(#[from] StoreUrlError),
    /// What was to be marked has no row, so the mark would hold nothing.
    #[error("the database has no row of this identity to mark; nothing was done about the account")]
    NoRow,
    /// The name of an account was promised to another identity, now or in the past.
    #[error(
        "the name {0} was promised to somebody else; give the account another one (usermod --login)"
    )]
    NamePromised(UserName),
    /// The uid of an account was promised to another identity, now or in the past.
    #[error(
        "the uid {0} was promised to somebody else; give the account another one (usermod --uid)"
    )]
    UidPromised(Uid),
    /// Names and uids that were given since can't be told any more.
    #[error(
        "the database went back to an older state, so nobody is promised a new name or uid; see the log, and restart the daemons when what is missing was ordered again"
    )]
    WentBack,
    /// A row holds a value that no release writes.
    #[error("the database holds an invalid {0}; restore it from a backup or remove that row")]
    Corrupt(&'static str),
}

/// Conditions of PostgreSQL that end by themselves: it shuts down, starts, has no room, gave up a
/// statement, a lock or a transaction that took too long, or takes no writes while another server
/// takes over.
const PASSING: &[&str] =
    &["57P01", "57P02", "57P03", "53300", "08006", "08001", "57014", "55P03", "25P03", "25006"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(cause) => Self::Unreachable(cause.to_string()),
            sqlx::Error::PoolTimedOut => Self::Unreachable(write::SILENT.to_owned()),
            sqlx::Error::Database(cause)
                if cause.code().is_some_and(|code| PASSING.contains(&code.as_ref())) =>
            {
                Self::Unreachable(cause.message().to_owned())
            }
            _ => Self::Database(error),
        }
    }
}

/// Where the store is, and for which node it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The database.
    pub url: StoreUrl,
    /// This node.
    pub node: NodeName,
    /// For how long the last answer about an identity serves while the database gives none.
    pub offline_window: Duration,
}

/// Connections to the database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    engine: Engine,
    node: NodeName,
    recent: Arc<recent::Recent>,
    outage: Arc<write::Outage>,
    seen: Arc<seen::Seen>,
    ahead: Arc<clock::Ahead>,
    clear: Arc<former::Clear>,
    /// Who may begin to write.
    writers: Arc<Semaphore>,
}

/// How many of this process wait for their turn to write at the database; more wait here.
const WRITERS: usize = 2;
/// How long a start waits for a server that does not answer yet.
const START: Duration = Duration::from_secs(30);
/// How long it waits between two attempts.
const BETWEEN: Duration = Duration::from_millis(500);

impl Store {
    /// Opens the database for the only node, makes it if it is a file that does not exist, and brings
    /// its tables up to date.
    ///
    /// # Errors
    /// As [`Store::open_for`].
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let (node, url) = (NodeName::localhost(), StoreUrl::new(url)?);
        Self::open_for(&StoreSettings { url, node, offline_window: Duration::ZERO }).await
    }

    /// Opens the database for a node. A server that does not answer yet is waited for.
    ///
    /// # Errors
    /// When it can't be opened or its tables are newer than this release.
    pub async fn open_for(settings: &StoreSettings) -> Result<Self, StoreError> {
        let engine = settings.url.engine();
        let deadline = tokio::time::Instant::now() + START;
        let pool = loop {
            match engine.open(&settings.url).await {
                Err(StoreError::Unreachable(why)) if tokio::time::Instant::now() < deadline => {
                    tracing::warn!(url = %settings.url, why, "the database does not answer yet");
                    tokio::time::sleep(BETWEEN).await;
                }
                done => break done?,
            }
        };
        let recent = Arc::new(recent::Recent::new(engine, settings.offline_window));
        let writers = Arc::new(Semaphore::new(WRITERS));
        let (node, outage) = (settings.node.clone(), Arc::default());
        let (seen, ahead, clear) = (Arc::default(), Arc::default(), Arc::default());
        Ok(Self { pool, engine, node, recent, outage, seen, ahead, clear, writers })
    }

    /// Asks the database once whether it would do, without changing anything in it.
    ///
    /// # Errors
    /// Why it would not.
    pub async fn probe(url: &StoreUrl) -> Result<(), StoreError> {
        url.engine().probe(url).await
    }

    /// True when the database answers.
    pub async fn is_ready(&self) -> bool {
        let asked = self.in_time(async {
            sqlx::query("SELECT 1").execute(&self.pool).await.map_err(StoreError::from)
        });
        asked.await.is_ok()
    }

    /// Which database it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// For which node it is opened.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// Waits for running statements and closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
pub(crate) mod tests;
