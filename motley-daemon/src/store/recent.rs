//! What the database said last about an identity, kept while this process wrote nothing since.
//!
//! Every request about an account asks for the marks of its identity. SQLite answers in microseconds,
//! but in a thread of its own, and handing the question over and back costs ten times as much; a
//! server is asked over a network.

use super::{Engine, Known, Store, StoreError, spellings};
use motley_proto::{Identity, UserName};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

/// Most answers that are kept.
const MAX_KEPT: usize = 10_000;

/// Recent answers, and the number of writes that they are as old as.
#[derive(Debug)]
pub(super) struct Recent {
    /// Writes of this process that have begun.
    begun: AtomicU64,
    /// Those of them that have ended.
    ended: AtomicU64,
    answers: Mutex<Answers>,
    /// How long an answer is kept at most: what other processes write is not counted here.
    kept: Duration,
    /// For how long an answer serves while the database gives none.
    window: Duration,
}

#[derive(Debug, Clone)]
struct Answer {
    asked: Instant,
    begun: u64,
    known: Arc<Known>,
}

type Answers = HashMap<Identity, Answer>;

/// A write under way.
pub(super) struct Writing(Arc<Recent>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, SeqCst);
    }
}

impl Recent {
    pub(super) fn new(engine: Engine, window: Duration) -> Self {
        let kept = match engine {
            Engine::Sqlite => Duration::from_secs(1),
            Engine::Postgres => Duration::from_millis(250),
        };
        let (begun, ended) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { begun, ended, answers: Mutex::default(), kept, window }
    }

    /// For how long an answer serves while the database gives none.
    pub(super) fn window(&self) -> Duration {
        self.window
    }

    /// Counts a write until what this returns is dropped.
    pub(super) fn begin_write(self: &Arc<Self>) -> Writing {
        self.begun.fetch_add(1, SeqCst);
        Writing(self.clone())
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of writes so far, if none of them is under way.
    fn quiet(&self) -> Option<u64> {
        // In this order: who has ended by now had begun before.
        let ended = self.ended.load(SeqCst);
        let begun = self.begun.load(SeqCst);
        (ended == begun).then_some(begun)
    }

    fn get(&self, identity: &Identity) -> Option<Arc<Known>> {
        let answers = self.answers();
        let answer = answers.get(identity)?;
        let fresh = answer.begun == self.begun.load(SeqCst) && answer.asked.elapsed() < self.kept;
        fresh.then(|| Arc::clone(&answer.known))
    }

    /// Keeps the answer to a question that was asked while no write was under way. One that is older
    /// than a write serves nobody, not even while the database is away.
    fn keep(&self, identity: &Identity, begun: u64, asked: Instant, known: &Arc<Known>) {
        let mut answers = self.answers();
        if self.begun.load(SeqCst) != begun {
            return;
        }
        if answers.len() >= MAX_KEPT && !answers.contains_key(identity) {
            let oldest = self.kept.max(self.window);
            answers.retain(|_, answer| answer.asked.elapsed() < oldest);
            if answers.len() >= MAX_KEPT {
                answers.clear();
            }
        }
        answers.insert(identity.clone(), Answer { asked, begun, known: Arc::clone(known) });
    }

    /// Lets no answer about this person serve any more, under either spelling of the issuer.
    pub(super) fn forget(&self, identity: &Identity) {
        let mut answers = self.answers();
        for spelling in spellings(identity) {
            answers.remove(&spelling);
        }
    }

    /// Has every answer asked for again, as another node has changed marks.
    pub(super) fn expire(&self) {
        self.begun.fetch_add(1, SeqCst);
        self.ended.fetch_add(1, SeqCst);
    }

    fn warm(&self, chosen: impl Fn(&Identity, &Known) -> bool) -> Option<Arc<Known>> {
        let answers = self.answers();
        let (_, answer) =
            answers.iter().find(|(identity, answer)| chosen(identity, &answer.known))?;
        (answer.asked.elapsed() < self.window).then(|| Arc::clone(&answer.known))
    }
}

impl Store {
    /// As [`Store::known_of`], from memory if this process wrote nothing since the same question. While
    /// the database does not answer, the last answer serves within the offline window.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn known_recently(&self, identity: &Identity) -> Result<Arc<Known>, StoreError> {
        if let Some(known) = self.recent.get(identity) {
            return Ok(known);
        }
        let (quiet, asked) = (self.recent.quiet(), Instant::now());
        match self.known_of(identity).await {
            Ok(known) => {
                let known = Arc::new(known);
                if let Some(begun) = quiet {
                    self.recent.keep(identity, begun, asked, &known);
                }
                Ok(known)
            }
            Err(error @ StoreError::Unreachable(_)) => {
                let warm = self.recent.warm(|of, _| of == identity);
                warm.inspect(|_| tracing::warn!(identity = %identity.unique_id(), %error, "an earlier answer serves")).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Whose name it is by an earlier answer that still serves.
    pub(super) fn warm_named(&self, name: &UserName) -> Option<Arc<Known>> {
        self.recent.warm(|_, known| {
            known.record.as_ref().is_some_and(|record| record.name.as_ref() == Some(name))
        })
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

    #[tokio::test]
    async fn what_was_just_asked_is_not_asked_again() {
        let (store, _url, _folder) = store().await;
        store.known_recently(&somebody()).await.unwrap();
        store.close().await;
        assert!(store.known_of(&somebody()).await.is_err());
        assert!(!store.known_recently(&somebody()).await.unwrap().suspended);
    }

    #[tokio::test]
    async fn no_answer_is_kept_that_was_asked_for_during_a_write() {
        let (store, _url, _folder) = store().await;
        let writing = store.recent.begin_write();
        store.known_recently(&somebody()).await.unwrap();
        assert!(store.recent.get(&somebody()).is_none());
        drop(writing);
        store.known_recently(&somebody()).await.unwrap();
        assert!(store.recent.get(&somebody()).is_some());
        let (quiet, asked) = (store.recent.quiet().unwrap(), Instant::now());
        let known = Arc::new(store.known_of(&somebody()).await.unwrap());
        store.suspend(&somebody(), "test", Timestamp(1)).await.unwrap();
        store.recent.keep(&somebody(), quiet, asked, &known);
        assert!(store.recent.get(&somebody()).is_none(), "the answer is older than the write");
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
            assert!(store.known_recently(&somebody()).await.unwrap().suspended, "{round}");
            store.resume(&somebody()).await.unwrap();
            assert!(!store.known_recently(&somebody()).await.unwrap().suspended, "{round}");
            assert!(!store.known_recently(&somebody()).await.unwrap().suspended, "{round}");
        }
        asking.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_suspension_by_another_process_is_seen_soon() {
        let (store, url, _folder) = store().await;
        store.known_recently(&somebody()).await.unwrap();
        let other = Store::open(&url).await.unwrap();
        other.suspend(&somebody(), "test", Timestamp(1)).await.unwrap();
        tokio::time::sleep(store.recent.kept).await;
        assert!(store.known_recently(&somebody()).await.unwrap().suspended);
    }
}
