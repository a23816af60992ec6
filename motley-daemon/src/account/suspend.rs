//! Suspension and resumption: the mark first, then everything that could still let somebody in.

use super::{AccountError, Accounts, IdentityHeld, Lifting, Order, Standing, Suspender};
use crate::{
    audit::Event,
    store::{AccountRecord, StoreError, spellings},
};
use feudal_plugins::{
    Account, BackendError,
    message::{self, Change},
};
use motley_proto::{
    Identity, Uid, UserName,
    admin::Receipt,
    rest::{AccountState, StateAnswer},
    task::SessionsEnded,
};

/// Why nothing was changed.
pub type SuspendError = AccountError;

/// The sentence of the REST interface about what was, or was not, done.
pub(crate) fn answer(receipt: &Receipt, change: Change, changed: bool) -> StateAnswer {
    let message = if changed {
        message::changed(change, &receipt.identity)
    } else {
        message::not_possible(change, &receipt.identity, receipt.state)
    };
    StateAnswer { state: receipt.state, message, credentials: serde_json::Map::new() }
}

impl Accounts {
    /// Suspends the account of an identity, over REST: only from `deployed` and `limited`, or when
    /// the back end can't say.
    ///
    /// # Errors
    /// When store or audit log do not answer before anything was changed.
    pub async fn suspend_account(
        &self,
        identity: &Identity,
        by: Suspender,
        request: &str,
    ) -> Result<StateAnswer, SuspendError> {
        match self.standing(identity).await {
            Ok(Standing { state: AccountState::Deployed | AccountState::Limited, .. }) => {}
            Ok(other) => {
                return Ok(answer(&unchanged(identity, other.state), Change::Suspend, false));
            }
            // Nobody knows whether there is an account; the mark holds in either case.
            Err(AccountError::Backend(error)) => {
                tracing::warn!(identity = %identity.unique_id(), %error, "suspending without the back end");
            }
            Err(error) => return Err(error),
        }
        let receipt = self.suspend(identity, by, request).await?;
        Ok(answer(&receipt, Change::Suspend, true))
    }

    /// Resumes the account of an identity, over REST: only from `suspended`.
    ///
    /// # Errors
    /// As [`Accounts::suspend_account`], and when the back end does not answer.
    pub async fn resume_account(
        &self,
        identity: &Identity,
        by: Suspender,
        request: &str,
    ) -> Result<StateAnswer, SuspendError> {
        let state = self.standing(identity).await?.state;
        if state != AccountState::Suspended {
            return Ok(answer(&unchanged(identity, state), Change::Resume, false));
        }
        let receipt = self.resume(identity, by, request).await?;
        // A date of expiry that the host's admin set stays, and the account suspended with it.
        let resumed = receipt.state != AccountState::Suspended;
        Ok(answer(&receipt, Change::Resume, resumed))
    }

    /// Suspends an identity, with or without an account: from now on it gets nothing.
    ///
    /// The mark in the store comes first, so that a crash or a failing back end leaves the person
    /// out, not in. What fails is named in the receipt and retried until it is done.
    ///
    /// # Errors
    /// When the audit log or the store can't be written; then nothing was changed.
    pub async fn suspend(
        &self,
        identity: &Identity,
        order: impl Into<Order>,
        request: &str,
    ) -> Result<Receipt, SuspendError> {
        let by = order.into().to_string();
        let held = self.locks.hold(identity).await;
        self.audit.record(Event::Suspended {
            request: request.to_owned(),
            identity: identity.clone(),
            by: by.clone(),
        })?;
        let version = self.store.suspend(identity, &by, self.clock.now()).await?;
        let record = self.store.account_of(identity).await?.ok_or(StoreError::NoRow)?;
        let mut receipt = self.carry_out(&record, request).await?;
        // Another node may wait for this one meanwhile, about the same person.
        drop(held);
        receipt.nodes = self.others(identity, version).await;
        Ok(receipt)
    }

    /// Lifts a suspension. Sessions that were ended stay ended.
    ///
    /// # Errors
    /// As [`Accounts::suspend`].
    pub async fn resume(
        &self,
        identity: &Identity,
        order: impl Into<Order>,
        request: &str,
    ) -> Result<Receipt, SuspendError> {
        let held = self.locks.hold(identity).await;
        self.resume_held(identity, &order.into(), request, (held, Lifting::Whatever)).await
    }

    /// The same for whoever holds the lock of the identity. It is given back before other nodes are
    /// waited for.
    pub(super) async fn resume_held(
        &self,
        identity: &Identity,
        order: &Order,
        request: &str,
        (held, lifting): (IdentityHeld, Lifting),
    ) -> Result<Receipt, SuspendError> {
        let by = order.to_string();
        let resumed = self.suspensions_to_lift(identity, lifting).await?;
        self.audit.record(Event::Resumed {
            request: request.to_owned(),
            identity: identity.clone(),
            by,
        })?;
        // The reverse order of suspension: the back end opens first, the mark goes last.
        let (mut pending, mut not_done) = (Vec::new(), Vec::new());
        for spelling in &resumed {
            self.store.renew_marks(spelling).await?;
            if let Some(name) = self.local_name(spelling, &mut pending).await {
                match self.backend.resume(spelling, &name).await {
                    Ok(()) | Err(BackendError::NoAccount) => {}
                    Err(error @ BackendError::Unsupported(_)) => {
                        note_once(&mut not_done, format!("unlock the account: {error}"));
                    }
                    Err(error) => pending.push(format!("resume the account: {error}")),
                }
            }
            self.forget.forget(spelling);
        }
        let mut nodes = Vec::new();
        if pending.is_empty() {
            let mut marked = Vec::new();
            for spelling in resumed {
                let version = match lifting {
                    Lifting::Whatever => {
                        // Who comes back must not be gone again tomorrow.
                        self.count_anew(&spelling).await?;
                        self.store.resume(&spelling).await?
                    }
                    Lifting::Idleness => self.store.resume_idle(&spelling).await?,
                };
                marked.push((spelling, version));
            }
            for (spelling, _) in &marked {
                if let Some(record) = self.store.account_of(spelling).await? {
                    pending.extend(self.carry_out(&record, request).await?.pending);
                }
            }
            drop(held);
            for (spelling, version) in &marked {
                if self.store.account_of(spelling).await?.is_some() {
                    nodes = self.others(spelling, *version).await;
                }
            }
        }
        let mut receipt = unchanged(identity, self.standing(identity).await?.state);
        (receipt.pending, receipt.nodes) = (pending, nodes);
        receipt.not_done = not_done;
        for spelling in spellings(identity) {
            let standing = self.standing(&spelling).await?;
            if receipt.name.is_none() && standing.account.is_some() {
                (receipt.name, receipt.state) = (standing.name().cloned(), standing.state);
            }
        }
        Ok(receipt)
    }

    /// Puts back what was held. The person is in again by now: a job that can't be put back keeps
    /// nobody out.
    pub(super) async fn release(
        &self,
        identity: &Identity,
        name: &UserName,
        pending: &mut Vec<String>,
    ) {
        match self.host.release(identity, name).await {
            Ok(held) if held.left > 0 => {
                tracing::warn!(%name, left = held.left, "jobs stay aside in /var/spool/cron/.motley-held, for others stand in their place");
            }
            Ok(_) | Err(BackendError::NoAccount) => {}
            Err(error) => pending.push(format!("put jobs and services back: {error}")),
        }
    }

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

/// Both spellings of an issuer may meet the same obstacle.
fn note_once(notes: &mut Vec<String>, note: String) {
    if !notes.contains(&note) {
        notes.push(note);
    }
}

fn add(sum: &mut SessionsEnded, more: SessionsEnded) {
    sum.sessions = sum.sessions.saturating_add(more.sessions);
    sum.processes = sum.processes.saturating_add(more.processes);
    sum.remaining = sum.remaining.saturating_add(more.remaining);
    sum.jobs_held = sum.jobs_held.saturating_add(more.jobs_held);
    sum.linger_ended |= more.linger_ended;
}

pub(super) fn unchanged(identity: &Identity, state: AccountState) -> Receipt {
    Receipt {
        identity: identity.clone(),
        name: None,
        state,
        one_time_passwords: 0,
        sessions: SessionsEnded::default(),
        home: None,
        pending: Vec::new(),
        not_done: Vec::new(),
        nodes: Vec::new(),
    }
}
