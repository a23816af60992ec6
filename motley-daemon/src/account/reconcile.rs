//! Repair at start and from time to time: what lies between two states is finished or taken back.

use super::{AccountError, Accounts, limit::Unapplied};
use crate::store::{AccountRecord, Phase};
use motley_proto::Uid;

impl Accounts {
    /// Finishes or takes back whatever a crash or a failing back end left behind. Returns one line
    /// for each repair.
    ///
    /// # Errors
    /// When the store does not answer. What the back end can't do yet stays for the next time.
    pub async fn reconcile(&self) -> Result<Vec<String>, AccountError> {
        let mut done = Vec::new();
        for record in self.store.unfinished().await? {
            let _held = self.locks.hold(&record.identity).await;
            // Somebody may have finished it while this waited for the lock.
            let Some(record) = self.store.account_of(&record.identity).await? else { continue };
            if record.is_leaving() {
                done.extend(self.settle_removal(&record).await);
                continue;
            }
            if record.phase == Phase::Reserved {
                done.extend(self.settle_reservation(&record).await?);
            }
            if record.unsettled {
                done.extend(self.settle_marks(&record).await?);
            }
        }
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
                let uid = record.uid.or_else(|| account.uid.and_then(|uid| Uid::new(uid).ok()));
                self.store.commit(&record.identity, name, uid, self.clock.now()).await?;
                Ok(Some(format!("{name}: the account was complete; noted it")))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::warn!(%name, %error, "an account could not be looked up");
                Ok(None)
            }
        }
    }

    async fn settle_removal(&self, record: &AccountRecord) -> Option<String> {
        let receipt = self.take_away(record, "reconcile").await;
        let id = record.identity.unique_id();
        receipt.pending.is_empty().then(|| format!("{id}: the removal is complete"))
    }

    /// The row is settled when both limit and suspension are.
    async fn settle_marks(&self, record: &AccountRecord) -> Result<Option<String>, AccountError> {
        let id = record.identity.unique_id();
        if record.is_limited()
            && let Err(pending) = self.settle_limit(record).await
        {
            tracing::warn!(identity = %id, pending, "a limit is not complete; retrying");
            return Ok(None);
        }
        if !record.is_suspended() {
            self.store.settle(&record.identity).await?;
            return Ok(record.is_limited().then(|| format!("{id}: the limit is complete")));
        }
        let receipt = self.carry_out(&record.identity).await;
        if !receipt.pending.is_empty() {
            return Ok(None);
        }
        self.store.settle(&record.identity).await?;
        Ok(Some(format!("{id}: the suspension is complete")))
    }

    async fn settle_limit(&self, record: &AccountRecord) -> Result<(), String> {
        match self.backend.find(&record.identity).await {
            Ok(Some(account)) => match self.apply_limit(&record.identity, &account).await {
                Ok(()) | Err(Unapplied::Never(_)) => Ok(()),
                Err(Unapplied::Yet(why)) => Err(why),
            },
            Ok(None) => Ok(()),
            Err(error) => Err(format!("find the account: {error}")),
        }
    }
}
