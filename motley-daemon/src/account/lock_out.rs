//! Everything that could still let somebody in who has a suspension mark: shut, dropped and ended.

use super::{
    Accounts,
    suspend::{note_once, unchanged},
};
use crate::store::{AccountRecord, StoreError, spellings};
use feudal_plugins::{Account, BackendError};
use motley_proto::{
    Identity, Uid, UserName, admin::Receipt, rest::AccountState, task::SessionsEnded,
};

impl Accounts {
    /// Does everything that follows from a suspension mark, under both spellings of the issuer.
    pub(super) async fn cut_off(&self, identity: &Identity) -> Receipt {
        let mut receipt = unchanged(identity, AccountState::Suspended);
        for spelling in spellings(identity) {
            self.drop_credentials(&spelling, &mut receipt).await;
            if let Some(name) = self.local_name(&spelling, &mut receipt.pending).await {
                self.lock_out(&spelling, &name, &mut receipt).await;
                receipt.name.get_or_insert(name);
            }
        }
        receipt
    }

    /// Whatever could let the identity in without its provider being asked again.
    pub(super) async fn drop_credentials(&self, identity: &Identity, receipt: &mut Receipt) {
        self.forget.forget(identity);
        match self.passwords.drop_all_of(identity).await {
            Ok(count) => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                receipt.one_time_passwords = receipt.one_time_passwords.saturating_add(count);
            }
            Err(error) => receipt.pending.push(format!("drop one-time passwords: {error}")),
        }
    }

    /// The name of the identity's account: the one that the back end shows, since an admin may have
    /// renamed it, else the promised one where it was used. What could not be found out is noted.
    pub(super) async fn local_name(
        &self,
        identity: &Identity,
        pending: &mut Vec<String>,
    ) -> Option<UserName> {
        let record = match self.store.account_of(identity).await {
            Ok(record) => record,
            Err(error) => {
                pending.push(format!("look the account up: {error}"));
                None
            }
        };
        match self.backend.find(identity).await {
            Ok(Some(account)) => {
                // The account is locked all the same.
                if let Err(error) = self.note_found(identity, &account, record.as_ref()).await {
                    tracing::warn!(name = %account.name, %error, "an account that was found could not be noted");
                }
                return Some(account.name);
            }
            Ok(None) => {}
            Err(error) => pending.push(format!("find the account: {error}")),
        }
        let record = record?;
        // On another node the promised name may be somebody else's.
        match self.store.may_hold(&record.identity).await {
            Ok(false) => None,
            Ok(true) => record.name,
            Err(error) => {
                pending.push(format!("look the account up: {error}"));
                record.name
            }
        }
    }

    /// The back end binds an account that it works on to its identity for good, so the store has to
    /// know the same name and uid, should the account be deleted and deployed again; and that this node
    /// has it, whatever becomes of it elsewhere.
    pub(super) async fn note_found(
        &self,
        identity: &Identity,
        account: &Account,
        record: Option<&AccountRecord>,
    ) -> Result<(), StoreError> {
        // What is left of an account that was taken away everywhere else is to be taken away here too.
        if record.is_some_and(AccountRecord::was_removed) {
            return Ok(());
        }
        if !self.store.carried_out(identity).await?.holds {
            self.store.note_hold(identity).await?;
        }
        let promised = record.and_then(|record| record.name.as_ref());
        let uid = match account.uid.map(Uid::new).transpose() {
            Ok(uid) => uid,
            Err(_) => return Ok(()),
        };
        if promised == Some(&account.name) {
            return Ok(());
        }
        self.store.commit(identity, &account.name, uid, self.clock.now()).await
    }

    async fn lock_out(&self, identity: &Identity, name: &UserName, receipt: &mut Receipt) {
        match self.backend.suspend(identity, name).await {
            Ok(()) | Err(BackendError::NoAccount) => {}
            // The mark of the store keeps the person out of whatever asks this service.
            Err(error @ BackendError::Unsupported(_)) => {
                note_once(&mut receipt.not_done, format!("lock the account: {error}"));
            }
            Err(error) => receipt.pending.push(format!("lock the account: {error}")),
        }
        // What would start something without a login goes first, so that nothing starts meanwhile.
        match self.host.hold(identity, name).await {
            Ok(held) => {
                receipt.sessions.jobs_held = receipt.sessions.jobs_held.saturating_add(held.jobs);
                receipt.sessions.linger_ended |= held.linger;
            }
            Err(BackendError::NoAccount) => {}
            Err(error) => receipt.pending.push(format!("hold jobs and services: {error}")),
        }
        match self.host.end_sessions(identity, name).await {
            Ok(sessions) => {
                add(&mut receipt.sessions, sessions);
                if sessions.remaining > 0 {
                    receipt
                        .pending
                        .push(format!("end {} processes that still run", sessions.remaining));
                }
            }
            Err(BackendError::NoAccount) => {}
            Err(error) => receipt.pending.push(format!("end sessions: {error}")),
        }
    }
}

fn add(sum: &mut SessionsEnded, more: SessionsEnded) {
    sum.sessions = sum.sessions.saturating_add(more.sessions);
    sum.processes = sum.processes.saturating_add(more.processes);
    sum.remaining = sum.remaining.saturating_add(more.remaining);
    sum.jobs_held = sum.jobs_held.saturating_add(more.jobs_held);
    sum.linger_ended |= more.linger_ended;
}
