//! Whose a name or uid was: what somebody was promised once is nobody else's, whoever says so.

use super::{Store, StoreError, recent::Recent, spelling::issuer_texts};
use motley_proto::{Identity, Uid, UserName};
use sqlx::AnyConnection;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// How often another identity was promised a name: `$1` and `$2` the spellings of the issuer, `$3` the
/// subject, `$4` the name. What the identity's own row holds needs no further look. Of an old promise it
/// may not be known whose it was.
const NAMES: &str = "SELECT
     (SELECT COUNT(*) FROM account WHERE name = $4 AND NOT (issuer IN ($1, $2) AND subject = $3))
   + (SELECT COUNT(*) FROM retired WHERE name = $4
        AND (issuer IS NULL OR NOT (issuer IN ($1, $2) AND subject = $3))
        AND NOT EXISTS (SELECT 1 FROM account
          WHERE issuer IN ($1, $2) AND subject = $3 AND name = $4))";
/// The same for a uid.
const UIDS: &str = "SELECT
     (SELECT COUNT(*) FROM account WHERE uid = $4 AND NOT (issuer IN ($1, $2) AND subject = $3))
   + (SELECT COUNT(*) FROM retired WHERE uid = $4
        AND (issuer IS NULL OR NOT (issuer IN ($1, $2) AND subject = $3))
        AND NOT EXISTS (SELECT 1 FROM account
          WHERE issuer IN ($1, $2) AND subject = $3 AND uid = $4))";

impl Store {
    /// Fails if the name or uid of an identity's account was promised to another identity, now or in
    /// the past. What the identity had itself it may have again. While the database does not answer, an
    /// earlier answer serves within the offline window.
    ///
    /// # Errors
    /// [`StoreError::NamePromised`] and [`StoreError::UidPromised`], or when the database does not
    /// answer.
    pub async fn check_promises(
        &self,
        identity: &Identity,
        name: &UserName,
        uid: Option<Uid>,
    ) -> Result<(), StoreError> {
        let asked = self
            .in_time(async {
                let mut connection = self.pool.acquire().await?;
                check_promises(&mut connection, identity, name, uid).await
            })
            .await;
        match asked {
            Ok(()) => self.clear.note(&self.recent, identity, name),
            Err(StoreError::Unreachable(_)) if self.clear.serves(&self.recent, identity, name) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Most names that are kept.
const MAX_KEPT: usize = 10_000;

/// Names that were found to be nobody else's, and when.
#[derive(Debug, Default)]
pub(super) struct Clear(Mutex<HashMap<(Identity, UserName), Instant>>);

impl Clear {
    fn names(&self) -> MutexGuard<'_, HashMap<(Identity, UserName), Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, recent: &Recent, identity: &Identity, name: &UserName) {
        if recent.window().is_zero() {
            return;
        }
        let mut names = self.names();
        if names.len() >= MAX_KEPT {
            names.clear();
        }
        names.insert((identity.clone(), name.clone()), Instant::now());
    }

    fn serves(&self, recent: &Recent, identity: &Identity, name: &UserName) -> bool {
        let asked = self.names().get(&(identity.clone(), name.clone())).copied();
        asked.is_some_and(|asked| asked.elapsed() < recent.window())
    }
}

pub(super) async fn check_promises(
    connection: &mut AnyConnection,
    identity: &Identity,
    name: &UserName,
    uid: Option<Uid>,
) -> Result<(), StoreError> {
    let [own, other] = issuer_texts(identity);
    // The uid first: whose files these are matters more than what their owner is called.
    if let Some(uid) = uid {
        let others: i64 = sqlx::query_scalar(UIDS)
            .bind(own.clone())
            .bind(other.clone())
            .bind(identity.subject.to_string())
            .bind(i64::from(uid.get()))
            .fetch_one(&mut *connection)
            .await?;
        if others > 0 {
            return Err(StoreError::UidPromised(uid));
        }
    }
    let others: i64 = sqlx::query_scalar(NAMES)
        .bind(own)
        .bind(other)
        .bind(identity.subject.to_string())
        .bind(name.to_string())
        .fetch_one(connection)
        .await?;
    if others > 0 { Err(StoreError::NamePromised(name.clone())) } else { Ok(()) }
}
