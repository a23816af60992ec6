//! Bounds how often one source may fail, without ever locking out who succeeds.

use crate::clock::{Clock, Timestamp};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// Failures that a source may have at once and per minute, and how many sources are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Failures in a row before attempts are refused.
    pub burst: u32,
    /// Failures forgiven each minute.
    pub per_minute: u32,
    /// Sources remembered; the one that failed least is forgotten first.
    pub sources: usize,
}

struct Debt {
    failures: f64,
    at: Timestamp,
}

/// Counts failures by source: an address, together with the name that was tried.
///
/// Counting by name alone would let a stranger lock a person out; a success wipes the debt.
pub struct Throttle {
    limits: RwLock<ThrottleLimits>,
    clock: Arc<dyn Clock>,
    debts: Mutex<HashMap<String, Debt>>,
}

impl Throttle {
    /// Starts with nobody in debt.
    pub fn new(limits: ThrottleLimits, clock: Arc<dyn Clock>) -> Self {
        Self { limits: RwLock::new(limits), clock, debts: Mutex::new(HashMap::new()) }
    }

    fn limits(&self) -> ThrottleLimits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets other limits; what is owed stays owed.
    pub fn set_limits(&self, limits: ThrottleLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    fn forgiven(&self, debt: &Debt, now: Timestamp) -> f64 {
        let seconds = now.0.saturating_sub(debt.at.0).max(0);
        // Precise enough: at most a few thousand failures and a day of seconds.
        #[allow(clippy::cast_precision_loss)]
        let forgiven = seconds as f64 * f64::from(self.limits().per_minute) / 60.0;
        (debt.failures - forgiven).max(0.0)
    }

    /// True when this source has failed too often and must wait.
    pub fn must_wait(&self, source: &str) -> bool {
        let now = self.clock.now();
        let debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        debts
            .get(source)
            .is_some_and(|debt| self.forgiven(debt, now) >= f64::from(self.limits().burst))
    }

    /// Notes a failure.
    pub fn failed(&self, source: &str) {
        let now = self.clock.now();
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        if debts.len() >= self.limits().sources && !debts.contains_key(source) {
            debts.retain(|_, debt| self.forgiven(debt, now) > 0.0);
            if debts.len() >= self.limits().sources {
                self.forget_the_smallest(&mut debts, now);
            }
        }
        let failures = debts.get(source).map_or(0.0, |debt| self.forgiven(debt, now)) + 1.0;
        debts.insert(source.to_owned(), Debt { failures, at: now });
    }

    /// Makes room. The smallest debt goes, so that a flood under ever new addresses can't wash out
    /// the one of a source that is to wait.
    fn forget_the_smallest(&self, debts: &mut HashMap<String, Debt>, now: Timestamp) {
        let smallest = debts
            .iter()
            .min_by(|(_, a), (_, b)| {
                self.forgiven(a, now).total_cmp(&self.forgiven(b, now)).then(a.at.cmp(&b.at))
            })
            .map(|(source, _)| source.clone());
        if let Some(source) = smallest {
            debts.remove(&source);
        }
    }

    /// Notes a success: this source owes nothing.
    pub fn succeeded(&self, source: &str) {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
    }

    /// How many sources are remembered.
    pub fn len(&self) -> usize {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// True when no source is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    struct SetClock(AtomicI64);
    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::Relaxed))
        }
    }

    fn throttle(sources: usize) -> (Throttle, Arc<SetClock>) {
        let clock = Arc::new(SetClock(AtomicI64::new(0)));
        (Throttle::new(ThrottleLimits { burst: 3, per_minute: 6, sources }, clock.clone()), clock)
    }

    #[test]
    fn r30_a_source_that_fails_too_often_waits_and_is_forgiven_with_time() {
        let (throttle, clock) = throttle(10);
        for _ in 0..3 {
            assert!(!throttle.must_wait("a"));
            throttle.failed("a");
        }
        assert!(throttle.must_wait("a"));
        clock.0.store(11, Ordering::Relaxed);
        assert!(!throttle.must_wait("a"));
    }

    #[test]
    fn r30_a_flood_from_one_source_neither_stops_another_nor_fills_the_memory() {
        let (throttle, clock) = throttle(10);
        for i in 0..1000 {
            clock.0.store(i / 100, Ordering::Relaxed);
            throttle.failed(&format!("source {i}"));
            throttle.failed("flood");
        }
        assert!(throttle.must_wait("flood"));
        assert!(!throttle.must_wait("somebody else"));
        assert!(throttle.len() <= 10);
        throttle.succeeded("flood");
        assert!(!throttle.must_wait("flood"));
    }
}
