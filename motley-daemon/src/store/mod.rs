//! What must outlive a restart: names and uids promised, suspensions, one-time passwords.
//!
//! The back end says whether an account exists; the store says what was promised and forbidden.

mod account;
mod code;
mod knock;
mod mark;
mod notice;
mod one_time_password;
mod recent;
mod report;
mod spelling;
mod suspension;
mod withdraw;

pub use account::{AccountRecord, Known, Phase, Reservation};
pub use code::{CodeKind, SealedCode};
pub use knock::MAX_KNOCKS;
pub use notice::{Lease, Notice};
pub use one_time_password::{Bounds, Put, SealedToken};
pub use report::{Marked, Marks};
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
    /// What was to be marked has no row, so the mark would hold nothing.
    #[error("the database has no row of this identity to mark; nothing was done about the account")]
    NoRow,
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

/// The migrations of all releases, oldest first.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "accounts and one-time passwords",
        include_str!("../../migrations/0001_accounts_and_one_time_passwords.sql"),
    ),
    (2, "limits and removals", include_str!("../../migrations/0002_limits_and_removals.sql")),
    (3, "login codes", include_str!("../../migrations/0003_login_codes.sql")),
    (4, "knocks and notices", include_str!("../../migrations/0004_knocks_and_notices.sql")),
    (5, "uids of back ends", include_str!("../../migrations/0005_uids_of_back_ends.sql")),
];

fn migrator() -> Migrator {
    let migration = |(number, title, sql): &(i64, &'static str, &'static str)| {
        let (title, sql) = (Cow::Borrowed(*title), (*sql).into_sql_str());
        Migration::new(*number, title, MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

#[cfg(test)]
mod tests;
