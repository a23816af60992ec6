//! Removal of accounts: the mark first, then everything that the account still has.
//!
//! Name and uid stay with their identity: who comes back gets the same ones, with an empty home.

use super::{AccountError, Accounts, Order, suspend::unchanged};
use crate::{
    audit::Event,
    store::{AccountRecord, CarriedOut, Ended, StoreError, spellings},
};
use feudal_plugins::{Account, BackendError, Tier};
use motley_proto::{
    Identity, UserName,
    admin::Receipt,
    rest::AccountState,
    task::{HomeFate, Removal, SessionsEnded},
};

/// By whom, in the marks of locks that motley did not put on the account.
const FOUND_LOCKED: &str = "found locked at removal";
const FOUND_LIMITED: &str = "found limited at removal";

impl Accounts {
    /// Takes the account of an identity away. A suspension or limit of the person stays.
    ///
    /// From the mark on the account counts as not deployed, so a crash or a failing back end leaves
    /// the person out. What fails is named in the receipt and retried.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], or when audit log, store or back end do not answer before anything
    /// was changed.
    pub async fn undeploy(
        &self,
        identity: &Identity,
        order: impl Into<Order>,
        request: &str,
    ) -> Result<Receipt, AccountError> {
        self.backend.can_remove()?;
        let by = order.into().to_string();
        let held = self.locks.hold(identity).await;
        let (identity, account) = match self.account_in_use(identity).await {
            // Who waits for an account, or was refused one, may ask again.
            Err(AccountError::NoAccount) => return self.undo_request(identity, by, request).await,
            found => found?,
        };
        self.audit.record(Event::Undeployed {
            request: request.to_owned(),
            identity: identity.clone(),
            by: by.clone(),
        })?;
        self.note_locks(&identity, &account, request).await?;
        let version = self.store.begin_removal(&identity, &by, self.clock.now()).await?;
        let record = self.store.account_of(&identity).await?.ok_or(StoreError::NoRow)?;
        let (mut receipt, ended) = self.take_away(&record, request).await;
        drop(held);
        receipt.nodes = self.others(&identity, version).await;
        if ended == Ended::NotYet && receipt.pending.is_empty() {
            self.finish_removal(&identity, &mut receipt).await;
        }
        Ok(receipt)
    }

    /// Records that the account is gone, if it is gone everywhere.
    pub(super) async fn finish_removal(&self, identity: &Identity, receipt: &mut Receipt) -> Ended {
        self.store.end_removal(identity, self.clock.now()).await.unwrap_or_else(|error| {
            receipt.pending.push(format!("note that all is done: {error}"));
            Ended::NotYet
        })
    }

    async fn undo_request(
        &self,
        identity: &Identity,
        by: String,
        request: &str,
    ) -> Result<Receipt, AccountError> {
        for identity in spellings(identity) {
            if self.store.approval_of(&identity).await?.is_some() {
                let event = Event::Undeployed {
                    request: request.to_owned(),
                    identity: identity.clone(),
                    by,
                };
                self.audit.record(event)?;
                self.store.forget_approval(&identity).await?;
                return Ok(unchanged(&identity, AccountState::NotDeployed));
            }
        }
        Err(AccountError::NoAccount)
    }

    /// A lock that another stack or the host's admin put on the account goes with it. So that who
    /// was locked out does not come back in, it becomes one of the person.
    async fn note_locks(
        &self,
        identity: &Identity,
        account: &Account,
        request: &str,
    ) -> Result<(), AccountError> {
        let known = self.store.known_of(identity).await?;
        let record = known.record.as_ref();
        // An account that is leaving was locked for that.
        if record.is_some_and(AccountRecord::is_leaving) {
            return Ok(());
        }
        let (request, now) = (request.to_owned(), self.clock.now());
        let tier = record.and_then(|record| record.tier);
        if account.state == AccountState::Suspended && !known.suspended {
            let (identity, by) = (identity.clone(), FOUND_LOCKED.to_owned());
            self.audit.record(Event::Suspended { request, identity: identity.clone(), by })?;
            self.store.suspend(&identity, FOUND_LOCKED, now).await?;
        } else if account.state == AccountState::Limited
            // That shell was earned, and may be outgrown.
            && tier != Some(Tier::Limited)
            && !record.is_some_and(AccountRecord::is_limited)
        {
            let (identity, by) = (identity.clone(), FOUND_LIMITED.to_owned());
            self.audit.record(Event::Limited { request, identity: identity.clone(), by })?;
            // What shell it had before is not known.
            let shell = self.rules.shells.of(tier.unwrap_or(Tier::Full));
            self.store.limit(&identity, FOUND_LIMITED, shell.as_str(), now).await?;
        }
        Ok(())
    }

    /// Does everything on this node that follows from the mark of a removal. Repeating it is harmless.
    pub(super) async fn take_away(
        &self,
        record: &AccountRecord,
        request: &str,
    ) -> (Receipt, Ended) {
        let identity = &record.identity;
        let mut receipt = unchanged(identity, AccountState::NotDeployed);
        for spelling in spellings(identity) {
            self.drop_credentials(&spelling, &mut receipt).await;
        }
        if let Some(name) = self.local_name(identity, &mut receipt.pending).await {
            let ended = self.end_sessions_before(identity, &name, &mut receipt).await;
            match self.backend.remove(identity, &name).await {
                Ok(mut removal) => {
                    if !self.backend.ends_sessions() {
                        removal.ended = ended;
                    }
                    self.note_removal(identity, &name, removal, &mut receipt, request).await
                }
                Err(BackendError::NoAccount) => {}
                Err(error @ BackendError::Unsupported(_)) => {
                    receipt.not_done.push(format!("remove the account: {error}"));
                }
                Err(error) => receipt.pending.push(format!("remove the account: {error}")),
            }
            receipt.name = Some(name);
        }
        // What was accepted and noted about the account goes with it.
        for spelling in spellings(identity) {
            self.noted.forget(&spelling);
            let forgotten = self.store.forget_approval(&spelling).await;
            if let Err(error) = forgotten.and(self.store.forget_use(&spelling).await) {
                receipt.pending.push(format!("forget what was noted: {error}"));
            }
        }
        let mut ended = Ended::NotYet;
        if receipt.pending.is_empty() {
            let done = CarriedOut {
                version: record.mark_version,
                suspended: record.is_suspended(),
                sessions: receipt.sessions,
                ..CarriedOut::default()
            };
            match self.store.note_carried_out(identity, &done).await {
                Ok(()) => ended = self.finish_removal(identity, &mut receipt).await,
                Err(error) => receipt.pending.push(format!("note that all is done: {error}")),
            }
        } else {
            tracing::error!(identity = %identity.unique_id(), pending = ?receipt.pending, "removal is not complete; retrying");
        }
        if record.is_suspended() {
            receipt.state = AccountState::Suspended;
        }
        (receipt, ended)
    }

    /// Where the back end keeps accounts elsewhere, their jobs and sessions are this host's to end.
    async fn end_sessions_before(
        &self,
        identity: &Identity,
        name: &UserName,
        receipt: &mut Receipt,
    ) -> SessionsEnded {
        if self.backend.ends_sessions() {
            return SessionsEnded::default();
        }
        // As at a suspension: what would start something goes first.
        match self.host.hold(identity, name).await {
            Ok(_) | Err(BackendError::NoAccount) => {}
            Err(error) => receipt.pending.push(format!("hold jobs and services: {error}")),
        }
        match self.host.end_sessions(identity, name).await {
            Ok(ended) => ended,
            Err(BackendError::NoAccount) => SessionsEnded::default(),
            Err(error) => {
                receipt.pending.push(format!("end sessions: {error}"));
                SessionsEnded::default()
            }
        }
    }

    async fn note_removal(
        &self,
        identity: &Identity,
        name: &UserName,
        removal: Removal,
        receipt: &mut Receipt,
        request: &str,
    ) {
        let home = match &removal.home {
            HomeFate::Nothing => None,
            HomeFate::Archived(path) => Some(format!("put aside as {path}")),
            HomeFate::Deleting(path) => Some(format!("being deleted in {path}")),
            HomeFate::Left(path) => Some(format!("left at {path}")),
        };
        let event = Event::AccountRemoved {
            request: request.to_owned(),
            identity: identity.clone(),
            name: name.clone(),
            home,
        };
        if let Err(error) = self.audit.record(event) {
            receipt.pending.push(format!("write it down: {error}"));
        }
        receipt.sessions = removal.ended;
        receipt.home = Some(removal.home);
    }
}
