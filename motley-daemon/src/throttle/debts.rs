//! A bounded table of what sources owe, which time forgives.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, time::Duration};

#[derive(Clone, Copy)]
struct Debt {
    owed: f64,
    at: Duration,
}

impl Debt {
    /// What is still owed. A clock that was set back forgives nothing for the time until now, but
    /// makes nobody wait until it has caught up with itself.
    fn settle(&mut self, now: Duration, per_minute: u32) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.owed = (self.owed - passed * f64::from(per_minute) / 60.0).max(0.0);
        self.at = now;
        self.owed
    }
}

/// Debts by key, never more than a number of them.
///
/// Times are counted from any fixed moment.
pub(crate) struct Debts<K> {
    entries: HashMap<K, Debt>,
    most: usize,
}

impl<K: Hash + Eq> Debts<K> {
    /// Nobody owes anything; at most `most` debts are remembered.
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), most: most.max(1) }
    }

    /// Sets another bound.
    pub(crate) fn bound(&mut self, most: usize) {
        self.most = most.max(1);
    }

    /// What this key owes now, if so much is forgiven each minute.
    pub(crate) fn owed<Q>(&mut self, key: &Q, now: Duration, per_minute: u32) -> f64
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.entries.get_mut(key).map_or(0.0, |debt| debt.settle(now, per_minute))
    }

    /// Adds to what this key owes.
    pub(crate) fn add<Q>(&mut self, key: &Q, amount: f64, now: Duration, per_minute: u32)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(debt) = self.entries.get_mut(key) {
            debt.settle(now, per_minute);
            debt.owed += amount;
            return;
        }
        if self.entries.len() >= self.most {
            self.make_room(now, per_minute);
        }
        self.entries.insert(key.to_owned(), Debt { owed: amount, at: now });
    }

    /// This key owes nothing.
    pub(crate) fn wipe<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.entries.remove(key);
    }

    /// Forgets who owes nothing any more.
    pub(crate) fn sweep(&mut self, now: Duration, per_minute: u32) {
        self.entries.retain(|_, debt| debt.settle(now, per_minute) > 0.0);
    }

    /// How many debts there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The smallest debts go, so that a flood under ever new keys can't wash out the one of a key
    /// that is to wait. An eighth goes at once: looking the whole table through for each new key
    /// would make a flood cost more than it does.
    fn make_room(&mut self, now: Duration, per_minute: u32) {
        self.sweep(now, per_minute);
        let room = (self.most / 8).max(1);
        let surplus = (self.entries.len() + room).saturating_sub(self.most);
        let mut owed: Vec<f64> = self.entries.values().map(|debt| debt.owed).collect();
        if surplus == 0 || owed.is_empty() {
            return;
        }
        let at = surplus.min(owed.len()) - 1;
        let (_, limit, _) = owed.select_nth_unstable_by(at, f64::total_cmp);
        let (limit, mut left) = (*limit, surplus);
        self.entries.retain(|_, debt| {
            let goes = left > 0 && debt.owed <= limit;
            left -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r30_the_table_never_grows_beyond_its_bound_and_keeps_who_owes_most() {
        let mut debts: Debts<String> = Debts::new(64);
        let now = Duration::from_secs(100);
        debts.add("flood", 500.0, now, 60);
        for i in 0..100_000 {
            debts.add(format!("source {i}").as_str(), 1.0, now, 60);
            assert!(debts.len() <= 64);
        }
        assert!(debts.owed("flood", now, 60) >= 500.0);
        debts.sweep(now + Duration::from_secs(2), 60);
        assert_eq!(debts.len(), 1, "the others owe nothing any more");
    }

    #[test]
    fn time_forgives_and_a_success_forgives_all() {
        let mut debts: Debts<String> = Debts::new(8);
        debts.add("a", 10.0, Duration::ZERO, 60);
        assert!((debts.owed("a", Duration::from_secs(4), 60) - 6.0).abs() < 1e-9);
        debts.wipe("a");
        assert!(debts.owed("a", Duration::from_secs(4), 60) <= 0.0);
    }
}
