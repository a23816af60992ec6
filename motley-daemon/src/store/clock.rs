//! How far the clock of this host is from that of the database, which all nodes share.

use super::{Engine, Store, StoreError};
use crate::clock::Timestamp;
use std::sync::{Mutex, PoisonError};

/// Seconds that a clock may be off.
const MAX_OFF: i64 = 5;

/// By how many seconds this host's clock is ahead, once it was compared.
#[derive(Debug, Default)]
pub(super) struct Ahead(Mutex<Option<i64>>);

impl Store {
    /// Compares this host's clock, which says `now`, with the database's. Returns by how many seconds it
    /// is ahead.
    pub(super) async fn compare_clocks(&self, now: Timestamp) -> Result<i64, StoreError> {
        let ahead = match self.engine {
            Engine::Sqlite => 0,
            Engine::Postgres => {
                let query = "SELECT CAST(EXTRACT(EPOCH FROM now()) AS BIGINT)";
                let asked = self
                    .in_time(async { Ok(sqlx::query_scalar(query).fetch_one(&self.pool).await?) });
                let theirs: i64 = asked.await?;
                now.0.saturating_sub(theirs)
            }
        };
        *self.ahead.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        Ok(ahead)
    }

    fn ahead(&self) -> Option<i64> {
        *self.ahead.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the database's clock says when this host's says `now`.
    pub(super) fn database_time(&self, now: Timestamp) -> Timestamp {
        now.plus(self.ahead().unwrap_or_default().saturating_neg())
    }

    /// By how many seconds this host's clock is ahead of the database's, or behind if negative, when
    /// that is more than nodes get along with.
    pub fn clock_off(&self) -> Option<i64> {
        self.ahead().filter(|ahead| ahead.saturating_abs() > MAX_OFF)
    }

    /// True when this host's clock may decide what is old enough to be dropped, for all nodes: a file
    /// has no other clock, and a server's was compared with it.
    pub fn may_sweep(&self) -> bool {
        self.engine == Engine::Sqlite || (self.ahead().is_some() && self.clock_off().is_none())
    }
}
