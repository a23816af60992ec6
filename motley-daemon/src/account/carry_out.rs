//! What a node does so that its account shows the marks of the store, and how far the others are.

use super::{AccountError, Accounts, suspend::unchanged};
use crate::{
    audit::Event,
    serve::request_id,
    store::{AccountRecord, CarriedOut, Engine, Phase, spellings},
};
use feudal_plugins::BackendError;
use futures_util::{StreamExt, stream};
use motley_proto::{
    Identity,
    admin::{NodeOutcome, Receipt},
    rest::AccountState,
};
use std::time::Duration;
use tokio::time::Instant;

/// How long an order waits for the other nodes.
const OTHERS: Duration = Duration::from_secs(2);
/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// How many accounts are worked on at a time.
const AT_A_TIME: usize = 8;

impl Accounts {
    /// Carries out all marks that this node has not. What fails stays for [`Accounts::reconcile`].
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn carry_out_marks(&self) -> Result<(), AccountError> {
        let records = self.store.to_carry_out().await?;
        stream::iter(records)
            .for_each_concurrent(AT_A_TIME, |record| async move {
                if let Err(error) = self.carry_out_marks_of(&record.identity).await {
                    tracing::error!(identity = %record.identity.unique_id(), %error, "marks could not be carried out yet");
                }
            })
            .await;
        Ok(())
    }

    async fn carry_out_marks_of(&self, identity: &Identity) -> Result<(), AccountError> {
        let _held = self.locks.hold(identity).await;
        // Somebody may have done it while this waited for the lock.
        let Some(record) = self.store.account_of(identity).await? else { return Ok(()) };
        if self.store.carried_out(identity).await?.version < record.mark_version {
            let suspended = self.store.known_of(identity).await?.suspended;
            let what = match record.phase {
                _ if record.is_leaving() => "removed",
                _ if suspended => "suspended",
                Phase::None => "removed",
                _ if record.is_limited() => "limited",
                _ => "free",
            };
            let event = Event::CarriedOut {
                request: request_id(),
                identity: identity.clone(),
                what: what.to_owned(),
            };
            // A full disk must not keep somebody in who was suspended.
            if let Err(error) = self.audit.record(event) {
                tracing::error!(%error, "what another node ordered could not be written down");
            }
            self.carry_out(&record, "node").await?;
        }
        Ok(())
    }

    /// Makes the account of this node show the marks of a row, and notes that it does. Repeating it is
    /// harmless.
    ///
    /// # Errors
    /// When the store does not answer. What the back end can't do is named in the receipt.
    pub(super) async fn carry_out(
        &self,
        record: &AccountRecord,
        request: &str,
    ) -> Result<Receipt, AccountError> {
        let identity = &record.identity;
        let before = self.store.carried_out(identity).await?;
        // A node that was away while the account was taken away everywhere else still has it.
        if record.is_leaving()
            || (record.phase == Phase::None && before.holds)
            || self.outlived_removal(record).await
        {
            return Ok(self.take_away(record, request).await.0);
        }
        let suspended = self.store.known_of(identity).await?.suspended;
        let mut receipt = if suspended {
            // Half of it may be done before something fails or this process ends: what is noted first
            // is what has to be undone.
            if !before.suspended {
                let begun = CarriedOut { suspended, ..before.clone() };
                if let Err(error) = self.store.note_carried_out(identity, &begun).await {
                    tracing::error!(identity = %identity.unique_id(), %error, "it could not be noted that an account is being locked");
                }
            }
            self.cut_off(identity).await
        } else {
            self.let_in(identity, &before).await
        };
        let limited_shell = match self.show_limit(record, &before).await {
            Ok(shell) => shell,
            Err(unapplied) => {
                unapplied.tell(&mut receipt);
                before.limited_shell.clone()
            }
        };
        for spelling in spellings(identity) {
            match suspended {
                true => self.keep_jobs_held(&spelling, &mut receipt).await,
                false => self.settle_jobs(&spelling, before.suspended, &mut receipt).await,
            }
        }
        // The account may have been found meanwhile.
        let CarriedOut { holds, jobs, .. } = self.store.carried_out(identity).await?;
        let (version, sessions) = (record.mark_version, receipt.sessions);
        let done = CarriedOut { version, suspended, limited_shell, holds, sessions, jobs };
        if receipt.pending.is_empty() {
            if let Err(error) = self.store.note_carried_out(identity, &done).await {
                receipt.pending.push(format!("note that all is done: {error}"));
            }
        } else {
            tracing::error!(identity = %identity.unique_id(), pending = ?receipt.pending, "a change of an account is not complete; retrying");
        }
        Ok(receipt)
    }

    /// True when other nodes took the account away, and this one still has it without having noted so.
    /// On the only node somebody else has made it since.
    async fn outlived_removal(&self, record: &AccountRecord) -> bool {
        self.store.engine() == Engine::Postgres
            && record.was_removed()
            && matches!(self.backend.find(&record.identity).await, Ok(Some(_)))
    }

    /// Opens what this node itself had locked.
    async fn let_in(&self, identity: &Identity, before: &CarriedOut) -> Receipt {
        let mut receipt = unchanged(identity, AccountState::Deployed);
        for spelling in spellings(identity) {
            self.forget.forget(&spelling);
            let Some(name) = self.local_name(&spelling, &mut receipt.pending).await else {
                continue;
            };
            if before.suspended {
                match self.backend.lift_own_lock(&spelling, &name).await {
                    // Who has no means of unlocking has locked nothing.
                    Ok(()) | Err(BackendError::NoAccount | BackendError::Unsupported(_)) => {}
                    Err(error) => receipt.pending.push(format!("resume the account: {error}")),
                }
            }
            receipt.name.get_or_insert(name);
        }
        receipt
    }

    /// How the other nodes stand with marks of this number, after waiting a little for those that live.
    pub(super) async fn others(&self, identity: &Identity, version: i64) -> Vec<NodeOutcome> {
        let deadline = Instant::now() + OTHERS;
        loop {
            match self.store.outcomes(identity, version, self.clock.now()).await {
                Ok(outcomes) => {
                    let settled = outcomes.iter().all(|it| it.done || !it.lives);
                    if settled || Instant::now() >= deadline {
                        return outcomes;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "it could not be asked what the other nodes did");
                    return Vec::new();
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
