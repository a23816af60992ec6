//! Keeps a remote document fresh: one fetch at a time, a gap between fetches, old ones served for a while.

use super::backoff::growing;
use super::fetch::FetchError;
use futures_util::future::BoxFuture;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// When kept documents are fetched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// From this age on a document is fetched anew, in the background.
    pub max_age: Duration,
    /// Up to this age the old one serves while its provider can't be reached.
    pub stale_bound: Duration,
    /// Shortest time between two fetches, whoever asks for them.
    pub min_gap: Duration,
    /// How long the first failure is remembered while there is nothing to serve. It doubles with
    /// each further one.
    pub failure_hold: Duration,
    /// Longest time for which a failure is remembered: an outage is over within that.
    pub failure_hold_max: Duration,
    /// From this age on a key that did not make a signature is fetched anew before the signature is
    /// called wrong: some providers change a key and leave its id. Bad signatures cost nothing to
    /// make, so this is longer than the gap for new ids.
    pub suspect_age: Duration,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(600),
            stale_bound: Duration::from_secs(24 * 3600),
            min_gap: Duration::from_secs(5),
            failure_hold: Duration::from_secs(1),
            failure_hold_max: Duration::from_secs(4),
            suspect_age: Duration::from_secs(60),
        }
    }
}

/// A document and when it was fetched.
#[derive(Debug)]
pub(crate) struct Stamped<T> {
    pub(crate) value: Arc<T>,
    pub(crate) fetched: Instant,
}

impl<T> Clone for Stamped<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), fetched: self.fetched }
    }
}

/// How the last fetch ended.
#[derive(Clone)]
struct Attempt {
    ended: Instant,
    failure: Option<FetchError>,
    failures_in_a_row: u32,
}

/// Tells the time that ages and gaps are measured with; it never goes back.
pub(crate) type Now = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Fetches the document.
pub(crate) type Load<T> = Box<dyn Fn() -> BoxFuture<'static, Result<T, FetchError>> + Send + Sync>;

/// One document of a provider, with the way to fetch it.
pub(crate) struct Kept<T> {
    what: String,
    rules: Freshness,
    now: Now,
    load: Load<T>,
    current: RwLock<Option<Stamped<T>>>,
    last: RwLock<Option<Attempt>>,
    flight: Mutex<()>,
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Keeps what `load` fetches. `what` names it in the log.
    pub(crate) fn new(what: String, rules: Freshness, now: Now, load: Load<T>) -> Arc<Self> {
        Arc::new(Self {
            what,
            rules,
            now,
            load,
            current: RwLock::default(),
            last: RwLock::default(),
            flight: Mutex::default(),
        })
    }

    /// The document, if there is one that may still serve.
    pub(crate) fn current(&self) -> Option<Stamped<T>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        current.filter(|kept| self.age(kept) < self.rules.stale_bound)
    }

    /// How long ago it was fetched.
    pub(crate) fn age(&self, kept: &Stamped<T>) -> Duration {
        self.since(kept.fetched)
    }

    fn since(&self, then: Instant) -> Duration {
        (self.now)().saturating_duration_since(then)
    }

    /// Failures in a row and the time until the next fetch, if the last one failed.
    pub(crate) fn resting(&self) -> Option<(u32, Duration)> {
        let last = self.last_attempt().filter(|last| last.failure.is_some())?;
        let gap = self.gap(self.current().is_some(), &last);
        Some((last.failures_in_a_row, gap.saturating_sub(self.since(last.ended))))
    }

    fn last_attempt(&self) -> Option<Attempt> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The document: the kept one at once where there is one, else by a fetch that all callers share.
    ///
    /// # Errors
    /// When there is none and it can't be fetched.
    pub(crate) async fn get(self: &Arc<Self>) -> Result<Stamped<T>, FetchError> {
        match self.current() {
            Some(kept) if self.age(&kept) < self.rules.max_age => Ok(kept),
            Some(kept) => {
                self.refresh_in_background(kept.fetched);
                Ok(kept)
            }
            None => self.renew(None).await,
        }
    }

    /// A document fetched after `known`, if one can be had now; else the kept one.
    ///
    /// The fetch runs in a task of its own, so a caller who gives up can't make it start again.
    ///
    /// # Errors
    /// When there is none and it can't be fetched.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        known: Option<Instant>,
    ) -> Result<Stamped<T>, FetchError> {
        let this = Arc::clone(self);
        let flight = tokio::spawn(async move { this.fly(known).await });
        flight
            .await
            .unwrap_or_else(|_| Err(FetchError::Connection("the fetch was broken off".to_owned())))
    }

    /// Starts a fetch if none is under way, and does not wait for it.
    pub(crate) fn refresh_in_background(self: &Arc<Self>, known: Instant) {
        // Somebody is at it already.
        if self.flight.try_lock().is_err() {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move { this.fly(Some(known)).await });
    }

    async fn fly(&self, known: Option<Instant>) -> Result<Stamped<T>, FetchError> {
        let _alone = self.flight.lock().await;
        let kept = self.current();
        // Another caller fetched it while this one waited.
        if let Some(kept) = &kept
            && known != Some(kept.fetched)
        {
            return Ok(kept.clone());
        }
        let before = self.last_attempt();
        if let Some(attempt) = &before
            && self.since(attempt.ended) < self.gap(kept.is_some(), attempt)
        {
            let failure = attempt.failure.clone().unwrap_or(FetchError::Busy);
            return kept.ok_or(failure);
        }
        match (self.load)().await {
            Ok(value) => Ok(self.keep(value)),
            Err(why) => {
                tracing::warn!(what = %self.what, reason = %why, kept = kept.is_some(), "fetch failed");
                let failures_in_a_row = before.map_or(0, |last| last.failures_in_a_row) + 1;
                self.note(Attempt {
                    ended: (self.now)(),
                    failure: Some(why.clone()),
                    failures_in_a_row,
                });
                kept.ok_or(why)
            }
        }
    }

    /// Begins with a document that another one has kept.
    pub(crate) fn seed(&self, kept: Option<Stamped<T>>) {
        if kept.is_some() {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = kept;
        }
    }

    /// Fetches it now, whatever gap there is, for an admin who asks. A failure changes nothing, so
    /// asking does not make anybody wait.
    ///
    /// # Errors
    /// When it can't be fetched.
    pub(crate) async fn fetch_anew(&self) -> Result<Stamped<T>, FetchError> {
        (self.load)().await.map(|value| self.keep(value))
    }

    /// After a fetch that went well, and while old ones serve, the gap is that for new ones.
    fn gap(&self, something_serves: bool, last: &Attempt) -> Duration {
        let Freshness { min_gap, failure_hold, failure_hold_max, .. } = self.rules;
        if something_serves {
            return min_gap;
        }
        growing(failure_hold, failure_hold_max, last.failures_in_a_row)
    }

    fn keep(&self, value: T) -> Stamped<T> {
        tracing::debug!(what = %self.what, "fetched");
        let fetched = (self.now)();
        self.note(Attempt { ended: fetched, failure: None, failures_in_a_row: 0 });
        let fresh = Stamped { value: Arc::new(value), fetched };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
        fresh
    }

    fn note(&self, attempt: Attempt) {
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(attempt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

    /// A provider that counts, can be down, and a clock that is moved by hand.
    #[derive(Default)]
    struct World {
        asked: AtomicUsize,
        down: AtomicBool,
        passed: AtomicU64,
    }

    impl World {
        fn pass(&self, seconds: u64) {
            self.passed.fetch_add(seconds, Ordering::SeqCst);
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    fn kept() -> (Arc<World>, Arc<Kept<usize>>) {
        let world = Arc::new(World::default());
        let (source, clock, start) = (Arc::clone(&world), Arc::clone(&world), Instant::now());
        let load: Load<usize> = Box::new(move || {
            let source = Arc::clone(&source);
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let count = source.asked.fetch_add(1, Ordering::SeqCst) + 1;
                if source.down.load(Ordering::SeqCst) { Err(FetchError::Busy) } else { Ok(count) }
            })
        });
        let now: Now =
            Arc::new(move || start + Duration::from_secs(clock.passed.load(Ordering::SeqCst)));
        (world, Kept::new("test".to_owned(), Freshness::default(), now, load))
    }

    async fn until(mut reached: impl FnMut() -> bool) {
        for _ in 0..500 {
            if reached() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not reached within 5 s");
    }

    #[tokio::test]
    async fn r15_all_callers_share_one_fetch() {
        let (world, kept) = kept();
        for answer in futures_util::future::join_all((0..100).map(|_| kept.get())).await {
            assert_eq!(*answer.unwrap().value, 1);
        }
        assert_eq!(world.asked(), 1);
    }

    #[tokio::test]
    async fn r15_a_caller_who_wants_a_newer_one_is_held_to_the_gap() {
        let (world, kept) = kept();
        let first = kept.get().await.unwrap();
        for _ in 0..50 {
            assert_eq!(*kept.renew(Some(first.fetched)).await.unwrap().value, 1);
        }
        assert_eq!(world.asked(), 1);
        world.pass(5);
        assert_eq!(*kept.renew(Some(first.fetched)).await.unwrap().value, 2);
    }

    #[tokio::test]
    async fn r15_an_old_one_serves_within_the_bound_only() {
        let (world, kept) = kept();
        kept.get().await.unwrap();
        world.down.store(true, Ordering::SeqCst);
        world.pass(3600);
        assert_eq!(*kept.get().await.unwrap().value, 1);
        until(|| kept.resting().is_some()).await;
        world.pass(24 * 3600);
        assert_eq!(kept.get().await.err(), Some(FetchError::Busy));
    }

    #[tokio::test]
    async fn a_document_is_fetched_anew_in_the_background_when_it_gets_old() {
        let (world, kept) = kept();
        kept.get().await.unwrap();
        world.pass(601);
        assert_eq!(*kept.get().await.unwrap().value, 1);
        until(|| kept.current().is_some_and(|kept| *kept.value == 2)).await;
    }

    #[tokio::test]
    async fn a_failure_is_held_for_a_second_and_not_longer() {
        let (world, kept) = kept();
        world.down.store(true, Ordering::SeqCst);
        for _ in 0..20 {
            assert!(kept.get().await.is_err());
        }
        assert_eq!(world.asked(), 1);
        world.down.store(false, Ordering::SeqCst);
        world.pass(1);
        assert_eq!(*kept.get().await.unwrap().value, 2);
        assert!(kept.resting().is_none());
    }

    #[tokio::test]
    async fn failures_in_a_row_are_held_longer_and_never_longer_than_seconds() {
        let (world, kept) = kept();
        world.down.store(true, Ordering::SeqCst);
        for hold in [1, 2, 4, 4, 4] {
            let before = world.asked();
            assert!(kept.get().await.is_err());
            world.pass(hold - 1);
            assert!(kept.get().await.is_err());
            assert_eq!(world.asked(), before + 1, "{hold}");
            world.pass(1);
        }
        world.down.store(false, Ordering::SeqCst);
        assert!(kept.get().await.is_ok());
    }

    #[tokio::test]
    async fn an_admin_who_looks_costs_others_nothing() {
        let (world, kept) = kept();
        let first = kept.get().await.unwrap();
        world.down.store(true, Ordering::SeqCst);
        assert!(kept.fetch_anew().await.is_err());
        assert_eq!(kept.get().await.unwrap().fetched, first.fetched);
        assert!(kept.resting().is_none());
        world.down.store(false, Ordering::SeqCst);
        assert_eq!(*kept.fetch_anew().await.unwrap().value, 3);
        assert_eq!(*kept.get().await.unwrap().value, 3);
    }

    #[tokio::test]
    async fn a_caller_who_gives_up_does_not_stop_the_fetch() {
        let (world, kept) = kept();
        for _ in 0..10 {
            let _ = tokio::time::timeout(Duration::from_millis(1), kept.get()).await;
        }
        until(|| kept.current().is_some()).await;
        assert_eq!(world.asked(), 1);
    }
}
