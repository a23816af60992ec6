//! Counts people who knock: a valid identity that nobody lets in.
//!
//! Counting takes a lock and no more, so a flood neither waits for the database nor fills it: what
//! came together is written in one bundle from time to time.

use crate::{
    clock::{Clock, Timestamp},
    policy,
    store::{MAX_KNOCKS, Store, StoreError},
    verified::Verified,
};
use motley_proto::{
    Identity,
    knock::{Knock, Missing},
    text::escape,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Most identities between two bundles; who comes later is counted with the next one.
const MOST_AT_ONCE: usize = 2_000;
/// How much of a name is kept, in characters before escaping.
const NAME_CHARS: usize = 100;
/// How long somebody who knocked is remembered, in seconds: 90 days.
pub const KEPT_SECONDS: i64 = 90 * 24 * 3600;

/// People who knocked and are not in the store yet.
pub struct Knocks {
    clock: Arc<dyn Clock>,
    fresh: Mutex<HashMap<Identity, Knock>>,
}

impl Knocks {
    /// Nobody has knocked.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, fresh: Mutex::default() }
    }

    /// Counts an attempt.
    pub fn note(&self, who: &Verified, missing: &[policy::Missing]) {
        let now = self.clock.now().0;
        let mut fresh = self.fresh();
        let known = fresh.contains_key(who.identity());
        if !known && fresh.len() >= MOST_AT_ONCE {
            return;
        }
        let knock = fresh.entry(who.identity().clone()).or_insert_with(|| begin(who, now));
        knock.missing = missing.iter().map(word).collect();
        knock.last_at = now;
        knock.count = knock.count.saturating_add(1);
    }

    /// Writes what came together since the last time, and forgets who has not come for long.
    ///
    /// # Errors
    /// When the store fails; then nothing is lost, and the next bundle holds it.
    pub async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let bundle = std::mem::take(&mut *self.fresh());
        if !bundle.is_empty() {
            let rows: Vec<Knock> = bundle.into_values().collect();
            if let Err(error) = store.add_knocks(&rows, MAX_KNOCKS).await {
                self.put_back(rows);
                return Err(error);
            }
        }
        if store.may_sweep() {
            let before = Timestamp(self.clock.now().0.saturating_sub(KEPT_SECONDS));
            store.sweep_knocks(before).await?;
        }
        Ok(())
    }

    /// Forgets everybody, in the store too, and says how many there were.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn clear(&self, store: &Store) -> Result<u64, StoreError> {
        self.write(store).await?;
        store.clear_knocks().await
    }

    fn put_back(&self, rows: Vec<Knock>) {
        let mut fresh = self.fresh();
        for old in rows {
            if let Some(newer) = fresh.get_mut(&old.identity) {
                newer.first_at = old.first_at;
                newer.count = newer.count.saturating_add(old.count);
            } else if fresh.len() < MOST_AT_ONCE {
                fresh.insert(old.identity.clone(), old);
            }
        }
    }

    fn fresh(&self) -> MutexGuard<'_, HashMap<Identity, Knock>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begin(who: &Verified, now: i64) -> Knock {
    Knock {
        identity: who.identity().clone(),
        missing: Vec::new(),
        preferred_username: name(who, "preferred_username"),
        email: name(who, "email"),
        name: name(who, "name"),
        first_at: now,
        last_at: now,
        count: 0,
        mailed: false,
    }
}

/// What is missing, without what only the person is told about it.
fn word(missing: &policy::Missing) -> Missing {
    match missing {
        policy::Missing::Provider => Missing::Provider,
        policy::Missing::AnyRule => Missing::Rule,
        policy::Missing::Memberships { .. } | policy::Missing::MembershipClaim { .. } => {
            Missing::Membership
        }
        policy::Missing::Audience { .. } => Missing::Audience,
        // The others are about admins, who are asked elsewhere.
        policy::Missing::UserListing
        | policy::Missing::AdminListing
        | policy::Missing::OtherProvider
        | policy::Missing::TargetIssuer => Missing::Listing,
    }
}

/// A claim that is a text, fit to be shown.
fn name(who: &Verified, claim: &str) -> Option<String> {
    let text = who.claim(claim).and_then(Value::as_str).map(str::trim)?;
    (!text.is_empty()).then(|| escape(text, NAME_CHARS))
}

#[cfg(test)]
mod tests;
