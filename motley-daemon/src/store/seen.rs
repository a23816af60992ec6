//! Suspensions that this process has seen, should the database be put back to a state from before them.

use super::{AccountRecord, Store, spellings};
use crate::clock::Timestamp;
use motley_proto::Identity;
use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering::SeqCst},
    },
};

/// What was seen since this process started.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Since when somebody is suspended, and the number of the marks that said so.
    suspended: Mutex<HashMap<Identity, (Timestamp, i64)>>,
    /// The largest number of marks.
    latest: AtomicI64,
    /// True once the database told a smaller one.
    went_back: AtomicBool,
}

impl Seen {
    fn suspended(&self) -> MutexGuard<'_, HashMap<Identity, (Timestamp, i64)>> {
        self.suspended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who is suspended. Whose mark is gone without a newer one, or after the database went
    /// back, is suspended still.
    pub(super) fn compare(&self, records: &mut [AccountRecord]) {
        let went_back = self.went_back.load(SeqCst);
        let mut suspended = self.suspended();
        for record in records {
            let seen = suspended.get(&record.identity).copied();
            match (record.suspended_at, seen) {
                (Some(at), _) => {
                    let version = seen.map_or(0, |(_, version)| version).max(record.mark_version);
                    suspended.insert(record.identity.clone(), (at, version));
                }
                (None, Some((_, version))) if !went_back && record.mark_version > version => {
                    suspended.remove(&record.identity);
                }
                (None, Some((at, _))) => record.suspended_at = Some(at),
                (None, None) => {}
            }
        }
    }

    /// True when an identity was seen suspended, under either spelling of its issuer, and has no row
    /// any more. No release takes rows away.
    pub(super) fn misses(&self, identity: &Identity, records: &[AccountRecord]) -> bool {
        let suspended = self.suspended();
        spellings(identity).iter().any(|spelling| {
            suspended.contains_key(spelling)
                && !records.iter().any(|record| record.identity == *spelling)
        })
    }

    /// True when the database was found to be put back: it may not know what was promised since.
    pub(super) fn went_back(&self) -> bool {
        self.went_back.load(SeqCst)
    }

    /// True when the database has just been found to be put back.
    fn note_latest(&self, latest: i64) -> bool {
        self.latest.fetch_max(latest, SeqCst) > latest && !self.went_back.swap(true, SeqCst)
    }
}

impl Store {
    /// Holds the number of the latest change of marks against what was seen before.
    pub(super) fn note_latest(&self, latest: i64) {
        if self.seen.note_latest(latest) {
            self.recent.expire();
            tracing::error!(
                latest,
                "THE DATABASE WENT BACK to an older state. Whom this process has seen suspended stays so, and nobody is promised a new name or uid, until it is restarted: look at the audit trails of all nodes, order again what is missing, then restart the daemons"
            );
        }
    }
}
