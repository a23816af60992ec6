//! What the database said last about an identity, kept while nothing was committed since.
//!
//! Every request about an account asks for the marks of its identity. SQLite answers in microseconds,
//! but in a thread of its own, and handing the question over and back costs ten times as much.

use super::{Known, Store, StoreError};
use motley_proto::Identity;
use sqlx::SqliteConnection;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

/// How long an answer is kept at most. Commits of other processes are not counted here, so what
/// somebody changes in the database by hand is seen after this time.
const KEPT: Duration = Duration::from_secs(1);
/// Most answers that are kept.
const MAX_KEPT: usize = 10_000;
/// Least time between two looks at whether commits have taken effect.
const PAUSE: Duration = Duration::from_millis(50);

/// Recent answers, and the number of commits that they are as old as.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Commits of this process, each counted just before it takes effect.
    begun: AtomicU64,
    /// The number up to which all of them are known to have taken effect.
    settled: AtomicU64,
    answers: Mutex<Answers>,
    last_look: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Answers {
    begun: u64,
    by_identity: HashMap<Identity, (Instant, Arc<Known>)>,
}

impl Recent {
    /// Counts the commits of a new connection.
    pub(super) async fn watch(
        self: Arc<Self>,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        connection.lock_handle().await?.set_commit_hook(move || {
            self.begun.fetch_add(1, SeqCst);
            true
        });
        Ok(())
    }

    fn get(&self, identity: &Identity) -> Option<Arc<Known>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.begun != self.begun.load(SeqCst) {
            return None;
        }
        let (asked, known) = answers.by_identity.get(identity)?;
        (asked.elapsed() < KEPT).then(|| Arc::clone(known))
    }

    /// Keeps an answer to a question that was asked after this many commits had taken effect.
    fn keep(&self, identity: &Identity, begun: u64, asked: Instant, known: &Arc<Known>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.begun != begun || answers.by_identity.len() >= MAX_KEPT {
            *answers = Answers { begun, by_identity: HashMap::new() };
        }
        answers.by_identity.insert(identity.clone(), (asked, Arc::clone(known)));
    }
}

impl Store {
    /// As [`Store::known_of`], from memory if nothing was committed since the same question. A commit
    /// of this process counts from before its caller learns of it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn known_recently(&self, identity: &Identity) -> Result<Arc<Known>, StoreError> {
        if let Some(known) = self.recent.get(identity) {
            return Ok(known);
        }
        let (begun, asked) = (self.recent.begun.load(SeqCst), Instant::now());
        let settled = self.recent.settled.load(SeqCst) == begun;
        let known = Arc::new(self.known_of(identity).await?);
        if settled {
            self.recent.keep(identity, begun, asked, &known);
        } else {
            tokio::spawn(self.clone().confirm_commits());
        }
        Ok(known)
    }

    /// Finds out up to which commit all have taken effect. Only then an answer is known not to be older
    /// than the commits that were counted before it.
    async fn confirm_commits(self) -> Result<(), StoreError> {
        let Ok(mut last_look) = self.recent.last_look.try_lock() else { return Ok(()) };
        if last_look.is_some_and(|last| last.elapsed() < PAUSE) {
            return Ok(());
        }
        // SQLite has one writer at a time: who has the lock knows that no commit is under way.
        let transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let begun = self.recent.begun.load(SeqCst);
        // A commit would be counted itself.
        transaction.rollback().await?;
        self.recent.settled.fetch_max(begun, SeqCst);
        *last_look = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use motley_proto::{Issuer, Subject};

    fn somebody() -> Identity {
        Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new("a").unwrap())
    }

    async fn store() -> (Store, String, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/db", folder.path().display());
        (Store::open(&url).await.unwrap(), url, folder)
    }

    /// Asks until the answer is kept, which what was committed at the start may delay.
    async fn ask_until_kept(store: &Store) -> Arc<Known> {
        for _ in 0..200 {
            store.known_recently(&somebody()).await.unwrap();
            if let Some(known) = store.recent.get(&somebody()) {
                return known;
            }
            tokio::time::sleep(PAUSE / 2).await;
        }
        panic!("no answer was kept");
    }

    #[tokio::test]
    async fn what_was_just_asked_is_not_asked_again() {
        let (store, _url, _folder) = store().await;
        ask_until_kept(&store).await;
        store.close().await;
        assert!(store.known_of(&somebody()).await.is_err());
        assert!(!store.known_recently(&somebody()).await.unwrap().suspended);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_suspension_and_its_end_are_seen_at_once_while_many_ask() {
        let (store, _url, _folder) = store().await;
        let asking: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    loop {
                        store.known_recently(&somebody()).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for round in 0..40 {
            store.suspend(&somebody(), "test", Timestamp(1)).await.unwrap();
            assert!(store.known_recently(&somebody()).await.unwrap().suspended, "{round}");
            if round % 8 == 0 {
                assert!(ask_until_kept(&store).await.suspended);
            }
            store.resume(&somebody()).await.unwrap();
            assert!(!store.known_recently(&somebody()).await.unwrap().suspended, "{round}");
            if round % 8 == 4 {
                assert!(!ask_until_kept(&store).await.suspended);
            }
        }
        asking.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_suspension_by_another_process_is_seen_soon() {
        let (store, url, _folder) = store().await;
        ask_until_kept(&store).await;
        let other = Store::open(&url).await.unwrap();
        other.suspend(&somebody(), "test", Timestamp(1)).await.unwrap();
        tokio::time::sleep(KEPT).await;
        assert!(store.known_recently(&somebody()).await.unwrap().suspended);
    }
}
