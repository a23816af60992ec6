//! What must outlive a restart: names and uids promised, suspensions, one-time passwords.
//!
//! The back end says whether an account exists; the store says what was promised and forbidden.

mod account;
mod one_time_password;
mod recent;
mod spelling;
mod suspension;

pub use account::{AccountRecord, Known, Phase, Reservation};
pub use one_time_password::{Put, SealedToken};
pub use spelling::spellings;

use sqlx::{
    SqlSafeStr, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{borrow::Cow, str::FromStr, sync::Arc, time::Duration};

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be opened or asked.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables could not be brought to this release's form.
    #[error("database migration: {0}; was the database written by a newer release?")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The URL is not one that this build can open.
    #[error("store url {0:?}: this build opens sqlite:PATH only")]
    Url(String),
    /// A row holds a value that no release writes.
    #[error("the database holds an invalid {0}; restore it from a backup or remove that row")]
    Corrupt(&'static str),
}

/// Connections to the database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
    recent: Arc<recent::Recent>,
}

/// How long a writer waits for another writer.
const BUSY: Duration = Duration::from_secs(10);

impl Store {
    /// Opens the database, makes it if it does not exist, and brings its tables up to date.
    ///
    /// # Errors
    /// When the file can't be opened or its tables are newer than this release.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        if !url.starts_with("sqlite:") {
            return Err(StoreError::Url(url.to_owned()));
        }
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A suspension that was reported must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let recent = Arc::new(recent::Recent::default());
        let watcher = Arc::clone(&recent);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .after_connect(move |connection, _| Box::pin(Arc::clone(&watcher).watch(connection)))
            .connect_with(options)
            .await?;
        migrator().run(&pool).await?;
        Ok(Self { pool, recent })
    }

    /// True when the database answers.
    pub async fn is_ready(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.pool).await.is_ok()
    }

    /// Waits for running statements and closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn migrator() -> Migrator {
    let first = include_str!("../../migrations/0001_accounts_and_one_time_passwords.sql");
    Migrator::with_migrations(vec![Migration::new(
        1,
        Cow::Borrowed("accounts and one-time passwords"),
        MigrationType::Simple,
        first.into_sql_str(),
        false,
    )])
}

#[cfg(test)]
mod tests;
