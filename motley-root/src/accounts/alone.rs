//! One at a time for each account, while everybody else goes on.

use super::Asker;
use motley_proto::{UserName, task::TaskRefusal};
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often it is looked whether the one before has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Accounts on which something works now.
#[derive(Debug, Default)]
pub(super) struct Busy(Mutex<BTreeSet<UserName>>);

/// The right to work on an account.
pub(super) struct Alone<'a> {
    busy: &'a Busy,
    name: &'a UserName,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.busy.lock().remove(self.name);
    }
}

impl Busy {
    /// Waits until nobody else works on the account, for as long as the asker waits, and no longer than
    /// this.
    ///
    /// # Errors
    /// [`TaskRefusal::Busy`].
    pub(super) fn alone_with<'a>(
        &'a self,
        name: &'a UserName,
        asker: &dyn Asker,
        limit: Duration,
    ) -> Result<Alone<'a>, TaskRefusal> {
        let until = Instant::now() + limit;
        while !self.lock().insert(name.clone()) {
            if !asker.waits() || Instant::now() >= until {
                return Err(TaskRefusal::Busy);
            }
            std::thread::sleep(LOOK);
        }
        Ok(Alone { busy: self, name })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<UserName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
