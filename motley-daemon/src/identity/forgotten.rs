//! Knows which findings about whom are void, because the person was suspended after they were begun.

use super::provider::without_slash;
use motley_proto::Identity;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// Identities whose last suspension is remembered one by one. When there are more, everything that
/// was begun before is void, whoever it is about.
const MAX_IDENTITIES: usize = 4096;

/// When a verification was begun, in suspensions since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Begun(u64);

/// The last suspension of each identity.
///
/// Whether a finding holds is asked when it is used, not when it is filed: so none that was under
/// way while somebody was suspended can be filed behind the suspension's back.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    count: AtomicU64,
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    everything_before: u64,
    by_identity: HashMap<String, u64>,
}

impl Forgotten {
    /// The mark of a verification that begins now.
    pub(crate) fn begin(&self) -> Begun {
        Begun(self.count.load(Ordering::SeqCst))
    }

    /// Makes void what was begun before now about this identity, under both spellings of its
    /// issuer's last slash.
    pub(crate) fn forget(&self, identity: &Identity) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let now = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if table.by_identity.len() >= MAX_IDENTITIES {
            table.by_identity.clear();
            table.everything_before = now;
        }
        table.by_identity.insert(key(identity), now);
    }

    /// True when a finding that was begun then still holds.
    pub(crate) fn holds(&self, identity: &Identity, begun: Begun) -> bool {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        if begun.0 < table.everything_before {
            return false;
        }
        table.by_identity.is_empty()
            || table.by_identity.get(&key(identity)).is_none_or(|when| begun.0 >= *when)
    }
}

/// No issuer has a blank in it.
fn key(identity: &Identity) -> String {
    format!("{} {}", without_slash(identity.issuer.as_str()), identity.subject)
}

#[cfg(test)]
mod tests {
    use super::*;
    use motley_proto::{Issuer, Subject};

    fn identity(issuer: &str, subject: &str) -> Identity {
        Identity::new(Issuer::new(issuer).unwrap(), Subject::new(subject).unwrap())
    }

    #[test]
    fn r41_what_was_begun_before_a_suspension_is_void_and_what_begins_after_it_holds() {
        let forgotten = Forgotten::default();
        let (slashed, plain) =
            (identity("https://op.example/", "a"), identity("https://op.example", "a"));
        let before = forgotten.begin();
        forgotten.forget(&slashed);
        assert!(!forgotten.holds(&plain, before) && !forgotten.holds(&slashed, before));
        assert!(forgotten.holds(&plain, forgotten.begin()));
        assert!(forgotten.holds(&identity("https://op.example", "b"), before));
    }

    #[test]
    fn r30_a_flood_of_suspensions_voids_more_and_never_less_and_takes_bounded_memory() {
        let forgotten = Forgotten::default();
        let first = identity("https://op.example", "first");
        let before = forgotten.begin();
        forgotten.forget(&first);
        for number in 0..10_000 {
            forgotten.forget(&identity("https://op.example", &number.to_string()));
        }
        assert!(!forgotten.holds(&first, before));
        assert!(forgotten.table.read().unwrap().by_identity.len() <= MAX_IDENTITIES);
        assert!(forgotten.holds(&first, forgotten.begin()));
    }
}
