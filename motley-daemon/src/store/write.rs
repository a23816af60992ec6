//! Transactions that write, one at a time, and how long an answer may take.

use super::{Engine, Store, StoreError, engine::TAKE_TURN, recent::Writing};
use motley_proto::Identity;
use sqlx::{Any, AnyConnection, Executor, Transaction};
use std::{
    future::Future,
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::OwnedSemaphorePermit;

/// How long a server may take for what one caller asks.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one who writes may wait for the other writers.
const TURN: Duration = Duration::from_millis(2500);
/// PostgreSQL's condition "lock not available": the wait for a lock took too long.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// How long nobody else tries a server that just did not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known about a server that says nothing.
pub(super) const SILENT: &str = "it did not answer in time";

/// A transaction beside which nobody else writes. Undone unless it is committed.
pub(super) struct Write {
    transaction: Transaction<'static, Any>,
    _turn: OwnedSemaphorePermit,
    /// Lets no answer be kept that may be older than what is written here.
    _writing: Option<Writing>,
}

impl Write {
    /// Waits until nobody else writes.
    async fn lock(mut self) -> Result<Self, StoreError> {
        match self.transaction.execute(TAKE_TURN).await {
            Ok(_) => Ok(self),
            Err(sqlx::Error::Database(error))
                if error.code().is_some_and(|code| code == LOCK_NOT_AVAILABLE) =>
            {
                Err(StoreError::Busy)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Lets it take effect.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}

impl Deref for Write {
    type Target = AnyConnection;
    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

/// When the server did not answer last.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    fn is_fresh(&self) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < PAUSE)
    }

    fn note(&self, answered: bool) {
        let last = (!answered).then(Instant::now);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}

/// A query for rows that become `R`.
pub(super) type RowQuery<'a, R> = sqlx::query::QueryAs<'a, Any, R, sqlx::any::AnyArguments>;

impl Store {
    /// Begins to write what is not about accounts.
    pub(super) async fn write(&self) -> Result<Write, StoreError> {
        self.begin(None).await
    }

    /// Begins to write about accounts.
    pub(super) async fn write_accounts(&self) -> Result<Write, StoreError> {
        self.begin(Some(self.recent.begin_write())).await
    }

    async fn begin(&self, writing: Option<Writing>) -> Result<Write, StoreError> {
        // Who waits for another writer must not take the connections of those who only read.
        let turn = self.writers.clone().acquire_owned();
        if self.engine == Engine::Sqlite {
            let _turn = turn.await.map_err(|_| StoreError::Database(sqlx::Error::PoolClosed))?;
            let transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            return Ok(Write { transaction, _turn, _writing: writing });
        }
        let deadline = tokio::time::Instant::now() + TURN;
        let turn = tokio::time::timeout_at(deadline, turn).await.map_err(|_| StoreError::Busy)?;
        let turn = turn.map_err(|_| StoreError::Database(sqlx::Error::PoolClosed))?;
        // The pool counts this transaction before it locks anything, so whoever drops it ends it.
        let transaction = self.pool.begin().await?;
        let write = Write { transaction, _turn: turn, _writing: writing };
        // Goes on when the caller goes away: the connection is in use until the server has answered,
        // and so long nobody else may take one to wait with.
        let locking = tokio::spawn(write.lock());
        match tokio::time::timeout_at(deadline, locking).await {
            Ok(Ok(locked)) => locked,
            Ok(Err(_)) => Err(StoreError::Database(sqlx::Error::WorkerCrashed)),
            Err(_) => Err(StoreError::Busy),
        }
    }

    /// Does one statement that is not about accounts, and says how many rows it changed.
    pub(super) async fn execute(
        &self,
        query: sqlx::query::Query<'_, Any, sqlx::any::AnyArguments>,
    ) -> Result<u64, StoreError> {
        self.in_time(async {
            let mut write = self.write().await?;
            let done = query.execute(&mut *write).await?;
            write.commit().await?;
            Ok(done.rows_affected())
        })
        .await
    }

    /// The row that a query finds, if there is one.
    pub(super) async fn row<R>(&self, query: RowQuery<'_, R>) -> Result<Option<R>, StoreError>
    where
        R: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::any::AnyRow>,
    {
        self.in_time(async { Ok(query.fetch_optional(&self.pool).await?) }).await
    }

    /// The row of an identity, by a SELECT without conditions that is a constant of the caller's.
    pub(super) async fn row_of<R>(
        &self,
        select: &'static str,
        identity: &Identity,
    ) -> Result<Option<R>, StoreError>
    where
        R: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::any::AnyRow>,
    {
        let statement = format!("{select} WHERE issuer = $1 AND subject = $2");
        let query = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(identity.issuer.to_string())
            .bind(identity.subject.to_string());
        self.row(query).await
    }

    /// Waits for the database, but not for ever: a network may swallow a question.
    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        if self.engine == Engine::Sqlite {
            return work.await;
        }
        if self.outage.is_fresh() {
            return Err(StoreError::Unreachable(SILENT.to_owned()));
        }
        let done = match tokio::time::timeout(PATIENCE, work).await {
            Ok(done) => done,
            Err(_) => Err(StoreError::Unreachable(SILENT.to_owned())),
        };
        match &done {
            Err(StoreError::Unreachable(_)) => self.outage.note(false),
            // Says something about those who write, and nothing about whether readers get answers.
            Err(StoreError::Busy) => {}
            _ => self.outage.note(true),
        }
        done
    }
}
