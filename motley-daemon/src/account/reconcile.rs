//! Repair at start and from time to time: what lies between two states is finished or taken back.

use super::{AccountError, Accounts, suspend::unchanged};
use crate::store::{AccountRecord, Ended, LowerJobs, Phase, StoreError};
use feudal_plugins::Naming;
use motley_proto::{Identity, rest::AccountState};

impl Accounts {
    /// Finishes or takes back whatever a crash or a failing back end left behind. Returns one line
    /// for each repair.
    ///
    /// # Errors
    /// When the store does not answer. What can't be done yet about one account is logged and stays
    /// for the next time.
    pub async fn reconcile(&self) -> Result<Vec<String>, AccountError> {
        let mut done = Vec::new();
        for record in self.store.unfinished().await? {
            match self.settle(&record.identity).await {
                Ok(lines) => done.extend(lines),
                Err(AccountError::Store(error @ StoreError::Unreachable(_))) => {
                    return Err(error.into());
                }
                // The others must not wait for this one.
                Err(error) => {
                    let identity = record.identity.unique_id();
                    tracing::error!(%identity, %error, "an account could not be put in order yet");
                }
            }
        }
        Ok(done)
    }

    async fn settle(&self, identity: &Identity) -> Result<Vec<String>, AccountError> {
        let mut done = Vec::new();
        let _held = self.locks.hold(identity).await;
        // Somebody may have finished it while this waited for the lock.
        let Some(record) = self.store.account_of(identity).await? else { return Ok(done) };
        let own = self.store.carried_out(identity).await?;
        let behind = own.version < record.mark_version || own.jobs == LowerJobs::Changing;
        if record.is_leaving() {
            done.extend(self.settle_removal(&record, behind).await);
            return Ok(done);
        }
        // Marks hold, whatever becomes of the promise.
        let marks = if behind { self.settle_marks(&record).await? } else { None };
        // Where another node made the promise, its deployment may be under way.
        if record.phase == Phase::Reserved && self.store.may_hold(identity).await? {
            done.extend(self.settle_reservation(&record).await?);
        }
        done.extend(marks);
        Ok(done)
    }

    /// A promise without a commit: the account either was completed, or goes away again. The
    /// promise stays, so the same person gets the same name and uid next time.
    async fn settle_reservation(
        &self,
        record: &AccountRecord,
    ) -> Result<Option<String>, AccountError> {
        let Some(name) = &record.name else { return Ok(None) };
        match self.backend.roll_back(&record.identity, name).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%name, %error, "a half-made account could not be looked after yet");
                return Ok(None);
            }
        }
        match self.backend.find(&record.identity).await {
            Ok(Some(account)) if account.name == *name && record.agrees_with(account.uid) => {
                let uid = account.personal_uid()?;
                if self.backend.naming() != Naming::Known {
                    // Whoever made it may have ended before its script was run.
                    self.greet(&record.identity, name, "reconcile").await?;
                }
                self.store.commit(&record.identity, name, uid, self.clock.now()).await?;
                Ok(Some(format!("{name}: the account was complete; noted it")))
            }
            Ok(_) => {
                // The promise is no longer used here, so it does not bind other nodes to it.
                self.store.drop_hold(&record.identity).await?;
                Ok(None)
            }
            Err(error) => {
                tracing::warn!(%name, %error, "an account could not be looked up");
                Ok(None)
            }
        }
    }

    async fn settle_removal(&self, record: &AccountRecord, behind: bool) -> Option<String> {
        let id = record.identity.unique_id();
        let ended = match behind {
            true => self.take_away(record, "reconcile").await.1,
            // Other nodes may have done their part meanwhile, or were forgotten.
            false => {
                let mut receipt = unchanged(&record.identity, AccountState::NotDeployed);
                self.finish_removal(&record.identity, &mut receipt).await
            }
        };
        (ended == Ended::Everywhere).then(|| format!("{id}: the removal is complete"))
    }

    async fn settle_marks(&self, record: &AccountRecord) -> Result<Option<String>, AccountError> {
        let id = record.identity.unique_id();
        let receipt = self.carry_out(record, "reconcile").await?;
        if !receipt.pending.is_empty() {
            return Ok(None);
        }
        Ok(match (record.is_suspended(), record.is_limited()) {
            (true, _) => Some(format!("{id}: the suspension is complete")),
            (false, true) => Some(format!("{id}: the limit is complete")),
            (false, false) => None,
        })
    }
}
