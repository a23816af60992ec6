//! The two databases that the store may be kept in, and where they differ.

use super::{StoreError, StoreUrl, write::SILENT};
use sqlx::{
    AnyConnection, AnyPool, Connection, Executor, SqlSafeStr,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::{Migration, MigrationType, Migrator},
};
use std::{borrow::Cow, str::FromStr, sync::Once, time::Duration};

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file of this host.
    Sqlite,
    /// A server that several nodes share.
    Postgres,
}

/// WAL lets readers go on beside a writer. A suspension that was reported must survive a power cut.
/// A writer waits for another one.
const SQLITE_SESSION: &str =
    "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL";
/// A node that freezes in the middle of a transaction must not hold up the others.
/// The wait for the other writers ends before the patience of whoever asked. A writer must see what
/// the one before it wrote, and a suspension that was reported must survive a power cut, whatever the
/// server's own settings are.
const POSTGRES_SESSION: &str = "SET statement_timeout = '3s'; SET lock_timeout = '2s'; \
     SET idle_in_transaction_session_timeout = '5s'; \
     SET default_transaction_isolation = 'read committed'; SET synchronous_commit = on";
/// Takes the turn to write, until the transaction ends. Any number that no other user of the same
/// database takes.
pub(super) const TAKE_TURN: &str = "SELECT pg_advisory_xact_lock(7163551022)";
/// A row if a transaction is open: its time stands still. Fails in one that has failed.
const IN_TRANSACTION: &str = "SELECT 1 WHERE now() <> statement_timestamp()";

impl Engine {
    fn session(self) -> &'static str {
        match self {
            Self::Sqlite => SQLITE_SESSION,
            Self::Postgres => POSTGRES_SESSION,
        }
    }

    /// Brings the tables up to date and opens a pool of connections.
    pub(super) async fn open(self, url: &StoreUrl) -> Result<AnyPool, StoreError> {
        install_drivers();
        let options = AnyConnectOptions::from_str(url.expose())?;
        // A migration may take longer than a statement of a session may.
        let first = AnyPoolOptions::new().max_connections(1).acquire_timeout(CONNECT);
        let first = first.connect_with(options.clone()).await?;
        if self == Self::Sqlite {
            first.execute(self.session()).await?;
        }
        migrator(self).run(&first).await?;
        first.close().await;
        let (connections, wait) = match self {
            Self::Sqlite => (4, Duration::from_secs(30)),
            Self::Postgres => (8, CONNECT),
        };
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(wait)
            .after_connect(move |connection, _| {
                Box::pin(async move { connection.execute(self.session()).await.map(drop) })
            })
            // What nobody ended must not go on in a connection that nobody uses.
            .after_release(move |connection, _| {
                Box::pin(async move {
                    Ok(self == Self::Sqlite
                        || connection.fetch_optional(IN_TRANSACTION).await?.is_none())
                })
            })
            .connect_lazy_with(options);
        Ok(pool)
    }
}

impl Engine {
    /// Connects and asks for nothing but an answer.
    pub(super) async fn probe(self, url: &StoreUrl) -> Result<(), StoreError> {
        install_drivers();
        let text = match self {
            // Whoever checks must not leave a file behind that the daemon can't write.
            Self::Sqlite => url.expose().replace("mode=rwc", "mode=ro"),
            Self::Postgres => url.expose().to_owned(),
        };
        let mut connection = connect(&AnyConnectOptions::from_str(&text)?).await?;
        connection.execute("SELECT 1").await?;
        Ok(connection.close().await?)
    }
}

fn install_drivers() {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
}

/// How long a connection may take.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

async fn connect(options: &AnyConnectOptions) -> Result<AnyConnection, StoreError> {
    match tokio::time::timeout(CONNECT, AnyConnection::connect_with(options)).await {
        Ok(connection) => Ok(connection?),
        Err(_) => Err(StoreError::Unreachable(SILENT.to_owned())),
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
    (6, "marks of nodes", include_str!("../../migrations/0006_marks_of_nodes.sql")),
    (7, "approvals", include_str!("../../migrations/0007_approvals.sql")),
    (8, "last use", include_str!("../../migrations/0008_last_use.sql")),
    (9, "whose promises", include_str!("../../migrations/0009_whose_promises.sql")),
    (10, "mails about requests", include_str!("../../migrations/0010_mails_about_requests.sql")),
    (11, "jobs of lower shells", include_str!("../../migrations/0011_jobs_of_lower_shells.sql")),
    (12, "tier of nodes", include_str!("../../migrations/0012_tier_of_nodes.sql")),
    (13, "texts of groups", include_str!("../../migrations/0013_texts_of_groups.sql")),
];

/// The migrations as this database reads them.
pub(super) fn migrator(engine: Engine) -> Migrator {
    let migration = |(number, title, sql): &(i64, &'static str, &'static str)| {
        let sql = match engine {
            Engine::Sqlite => sql.into_sql_str(),
            // A constant of this file, translated.
            Engine::Postgres => sqlx::AssertSqlSafe(for_postgres(sql)).into_sql_str(),
        };
        Migration::new(*number, Cow::Borrowed(*title), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

/// PostgreSQL has another word for bytes, and sorts texts by the rules of a language unless it is told
/// not to.
fn for_postgres(sql: &str) -> String {
    let translate = |line: &str| match line.trim_start().starts_with("--") {
        true => line.to_owned(),
        false => line.replace(" BLOB ", " BYTEA ").replace(" TEXT", " TEXT COLLATE \"C\""),
    };
    sql.lines().map(translate).collect::<Vec<_>>().join("\n")
}
