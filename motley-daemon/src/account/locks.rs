//! One lock for each identity, so that two requests of one person never work on one account at once.

use motley_proto::Identity;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex as StdMutex, PoisonError, Weak},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The locks that are held or waited for.
#[derive(Default)]
pub(super) struct IdentityLocks {
    held: StdMutex<HashMap<Identity, Weak<Mutex<()>>>>,
}

impl IdentityLocks {
    /// Waits until nobody else works on this identity.
    pub(super) async fn hold(&self, identity: &Identity) -> OwnedMutexGuard<()> {
        let lock = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            match held.get(identity).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    held.retain(|_, lock| lock.strong_count() > 0);
                    let lock = Arc::new(Mutex::new(()));
                    held.insert(identity.clone(), Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }
}
