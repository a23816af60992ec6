//! One lock for each identity, so that two requests of one person never work on one account at once.

use motley_proto::{Identity, Subject};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex as StdMutex, PoisonError, Weak},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The right to work on an identity, for as long as it is kept.
pub(super) type IdentityHeld = OwnedMutexGuard<()>;

/// The locks that are held or waited for.
#[derive(Default)]
pub struct IdentityLocks {
    held: StdMutex<HashMap<Person, Weak<Mutex<()>>>>,
}

/// An identity, whichever way the last slash of its issuer is written.
type Person = (String, Subject);

fn person(identity: &Identity) -> Person {
    let issuer = identity.issuer.as_str();
    (issuer.strip_suffix('/').unwrap_or(issuer).to_owned(), identity.subject.clone())
}

impl IdentityLocks {
    /// Waits until nobody else works on this identity.
    pub(super) async fn hold(&self, identity: &Identity) -> IdentityHeld {
        let person = person(identity);
        let lock = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            match held.get(&person).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    held.retain(|_, lock| lock.strong_count() > 0);
                    let lock = Arc::new(Mutex::new(()));
                    held.insert(person, Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }
}
