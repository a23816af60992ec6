//! Leaves a provider that fails alone for a moment: growing gaps, never longer than seconds.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// People about whom questions failed in a row before questions are held back. Somebody at whose
/// tokens a provider stumbles, say because of what they put into their profile, must not cost its
/// other users their claims.
const PEOPLE: usize = 3;
/// First gap.
const FIRST_GAP: Duration = Duration::from_millis(250);
/// Longest gap: nothing that an outage caused may outlive it by much more.
const LONGEST_GAP: Duration = Duration::from_secs(3);

/// A gap that doubles with each step, starting at the first, up to a bound.
pub(crate) fn growing(first: Duration, longest: Duration, step: u32) -> Duration {
    let factor = 1u32.checked_shl(step.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}

/// Whether questions of one kind may be put to a provider now.
///
/// While it fails, one question is let through in each gap, so that its recovery is noticed within
/// one, even if the question before still hangs.
#[derive(Debug, Default)]
pub(crate) struct Patience(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    people: Vec<u64>,
    step: u32,
    stepped: Option<Instant>,
    let_through: Option<Instant>,
}

impl State {
    fn is_resting(&self) -> bool {
        self.people.len() >= PEOPLE
    }

    fn wait(&self, now: Instant) -> Duration {
        let gap = growing(FIRST_GAP, LONGEST_GAP, self.step);
        let since = self.stepped.max(self.let_through);
        since.map_or(Duration::ZERO, |then| gap.saturating_sub(now.saturating_duration_since(then)))
    }
}

impl Patience {
    /// True when a question may be put now.
    pub(crate) fn lets_through(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_resting() {
            return true;
        }
        if !state.wait(now).is_zero() {
            return false;
        }
        state.let_through = Some(now);
        true
    }

    /// Notes that a question got an answer, whatever it was.
    pub(crate) fn answered(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// Notes that a question about somebody which began then got none. Those that hung together
    /// count as one step.
    pub(crate) fn failed(&self, about: u64, began: Instant, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        if !state.is_resting() && !state.people.contains(&about) {
            state.people.push(about);
        }
        if state.is_resting() && state.stepped.is_none_or(|then| began >= then) {
            state.step = state.step.saturating_add(1);
            state.stepped = Some(now);
        }
    }

    /// Failures in a row and the time until the next question, while questions are held back.
    pub(crate) fn resting(&self, now: Instant) -> Option<(u32, Duration)> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_resting().then(|| (state.failures, state.wait(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_double_up_to_their_bound() {
        let gap = |step| growing(Duration::from_secs(1), Duration::from_secs(4), step).as_secs();
        assert_eq!([0, 1, 2, 3, 4, 40, u32::MAX].map(gap), [1, 1, 2, 4, 4, 4, 4]);
    }

    #[test]
    fn a_provider_that_fails_is_asked_once_per_gap_and_at_once_when_it_is_back() {
        let patience = Patience::default();
        let mut now = Instant::now();
        for person in 0..3 {
            assert!(patience.lets_through(now));
            patience.failed(person, now, now);
        }
        assert!(!patience.lets_through(now));
        for gap in [250, 500, 1000, 2000, 3000, 3000] {
            now += Duration::from_millis(gap - 1);
            assert!(!patience.lets_through(now), "{gap}");
            now += Duration::from_millis(1);
            assert!(patience.lets_through(now), "{gap}");
            assert!(!patience.lets_through(now), "one only");
            patience.failed(9, now, now);
        }
        assert_eq!(patience.resting(now), Some((9, Duration::from_secs(3))));
        patience.answered();
        assert!(patience.lets_through(now) && patience.resting(now).is_none());
    }

    #[test]
    fn questions_that_hung_together_are_one_step() {
        let patience = Patience::default();
        let began = Instant::now();
        let ended = began + Duration::from_secs(5);
        for person in 0..32 {
            patience.failed(person, began, ended);
        }
        assert!(!patience.lets_through(ended + Duration::from_millis(249)));
        assert!(patience.lets_through(ended + Duration::from_millis(250)));
    }

    #[test]
    fn r30_one_person_at_whom_a_provider_stumbles_does_not_close_the_door_for_others() {
        let patience = Patience::default();
        let now = Instant::now();
        for _ in 0..100 {
            patience.failed(1, now, now);
            patience.failed(2, now, now);
        }
        assert!(patience.lets_through(now));
        patience.answered();
        patience.failed(3, now, now);
        assert!(patience.lets_through(now));
    }
}
