//! Bounds how often one source may fail, without ever locking out who succeeds.

mod debts;

pub(crate) use debts::Debts;

use crate::clock::Clock;
use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

/// Failures that a source may have at once and per minute, and how many sources are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Failures in a row before attempts are refused.
    pub burst: u32,
    /// Failures forgiven each minute.
    pub per_minute: u32,
    /// Sources remembered; those that failed least are forgotten first.
    pub sources: usize,
}

/// Counts failures by source: an address, together with the name that was tried.
///
/// Counting by name alone would let a stranger lock a person out; a success wipes the debt.
pub struct Throttle {
    limits: RwLock<ThrottleLimits>,
    clock: Arc<dyn Clock>,
    debts: Mutex<Debts<String>>,
}

impl Throttle {
    /// Starts with nobody in debt.
    pub fn new(limits: ThrottleLimits, clock: Arc<dyn Clock>) -> Self {
        let debts = Mutex::new(Debts::new(limits.sources));
        Self { limits: RwLock::new(limits), clock, debts }
    }

    fn limits(&self) -> ThrottleLimits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets other limits; what is owed stays owed.
    pub fn set_limits(&self, limits: ThrottleLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    fn now(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.clock.now().0).unwrap_or(0))
    }

    /// True when this source has failed too often and must wait.
    pub fn must_wait(&self, source: &str) -> bool {
        let limits = self.limits();
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        debts.owed(source, self.now(), limits.per_minute) >= f64::from(limits.burst)
    }

    /// Notes a failure.
    pub fn failed(&self, source: &str) {
        let limits = self.limits();
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        debts.bound(limits.sources);
        debts.add(source, 1.0, self.now(), limits.per_minute);
    }

    /// Notes a success: this source owes nothing.
    pub fn succeeded(&self, source: &str) {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner).wipe(source);
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
    use crate::clock::Timestamp;
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

    #[test]
    fn r30_a_clock_that_is_set_back_keeps_nobody_waiting_for_longer() {
        let (throttle, clock) = throttle(10);
        clock.0.store(1_000_000, Ordering::Relaxed);
        (0..3).for_each(|_| throttle.failed("a"));
        clock.0.store(0, Ordering::Relaxed);
        assert!(throttle.must_wait("a"));
        clock.0.store(11, Ordering::Relaxed);
        assert!(!throttle.must_wait("a"));
    }
}
