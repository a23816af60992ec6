//! Notes when accounts are used, without making anybody wait for the database.

use super::Accounts;
use crate::{
    clock::Timestamp,
    store::{LastUse, StoreError, Use},
    verified::Verified,
};
use motley_proto::Identity;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Seconds between two notes about one account.
const PRECISION: i64 = 3600;
/// Most accounts whose last note is remembered; behind it the store is asked more often than it must.
const REMEMBERED: usize = 20_000;

/// When the use of which account was noted last by this process, and whether with an address.
#[derive(Default)]
pub(super) struct Noted(Mutex<HashMap<Identity, (Timestamp, bool)>>);

impl Noted {
    /// True at most once an hour for each identity, and once more when an address becomes known.
    fn is_due(&self, identity: &Identity, has_address: bool, now: Timestamp) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = noted.get(identity).copied();
        let is_recent = |(at, _): &(Timestamp, bool)| *at <= now && now < at.plus(PRECISION);
        if last.filter(is_recent).is_some_and(|(_, had_address)| had_address || !has_address) {
            return false;
        }
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted.insert(identity.clone(), (now, has_address));
        true
    }

    pub(super) fn forget(&self, identity: &Identity) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(identity);
    }
}

impl Accounts {
    /// Notes that somebody used his account. Nobody waits for it, and nobody is kept out when it
    /// can't be written.
    pub fn note_use(&self, identity: &Identity, how: Use, address: Option<String>) {
        let now = self.clock.now();
        if !self.noted.is_due(identity, address.is_some(), now) {
            return;
        }
        let (store, identity) = (self.store.clone(), identity.clone());
        tokio::spawn(async move {
            if let Err(error) = store.note_use(&identity, how, address.as_deref(), now).await {
                tracing::warn!(%error, "the use of an account could not be noted");
            }
        });
    }

    /// The address to which the person may be written, where that is wanted and the provider vouches
    /// for it.
    pub fn address_of(&self, verified: &Verified) -> Option<String> {
        self.lifecycle.config.warn_before?;
        let is_verified = verified.claim("email_verified").and_then(serde_json::Value::as_bool);
        let email = verified.claim("email").and_then(serde_json::Value::as_str)?;
        crate::notify::letter::address(email).filter(|_| is_verified == Some(true))
    }

    /// When an account was used last, if that is known.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn last_use(&self, identity: &Identity) -> Result<Option<LastUse>, StoreError> {
        self.store.last_use(identity).await
    }
}
