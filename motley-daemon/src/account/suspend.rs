//! Suspension and resumption: the mark first, then everything that could still let somebody in.

use super::{AccountError, Accounts, IdentityHeld, Lifting, Order, Standing, Suspender};
use crate::{
    audit::Event,
    store::{StoreError, spellings},
};
use feudal_plugins::{
    BackendError,
    message::{self, Change},
};
use motley_proto::{
    Identity,
    admin::Receipt,
    rest::{AccountState, StateAnswer},
    task::SessionsEnded,
};

/// Why nothing was changed.
pub type SuspendError = AccountError;

/// What the REST interface says of an order that was carried out: the established sentence, and beside it
/// what of it is done. A suspension holds by its mark, whatever is still pending.
fn carried_out(receipt: &Receipt, change: Change, changed: bool) -> StateAnswer {
    let mut answer = not_possible(&receipt.identity, change, receipt.state);
    if changed {
        answer.message = message::changed(change, &receipt.identity);
    }
    answer.receipt = Some(receipt.into());
    answer
}

/// The same of one that this state does not allow.
fn not_possible(identity: &Identity, change: Change, state: AccountState) -> StateAnswer {
    let message = message::not_possible(change, identity, state);
    StateAnswer { state, message, credentials: serde_json::Map::new(), receipt: None }
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
                return Ok(not_possible(identity, Change::Suspend, other.state));
            }
            // Nobody knows whether there is an account; the mark holds in either case.
            Err(AccountError::Backend(error)) => {
                tracing::warn!(identity = %identity.unique_id(), %error, "suspending without the back end");
            }
            Err(error) => return Err(error),
        }
        let receipt = self.suspend(identity, by, request).await?;
        Ok(carried_out(&receipt, Change::Suspend, true))
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
            return Ok(not_possible(identity, Change::Resume, state));
        }
        let receipt = self.resume(identity, by, request).await?;
        // A date of expiry that the host's admin set stays, and the account suspended with it.
        let resumed = receipt.state != AccountState::Suspended;
        Ok(carried_out(&receipt, Change::Resume, resumed))
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
                let lifted = match lifting {
                    Lifting::Whatever => self.backend.resume(spelling, &name).await,
                    // An admin may have locked the account on this host meanwhile.
                    Lifting::Idleness => self.backend.lift_own_lock(spelling, &name).await,
                };
                match lifted {
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

/// Both spellings of an issuer may meet the same obstacle.
pub(super) fn note_once(notes: &mut Vec<String>, note: String) {
    if !notes.contains(&note) {
        notes.push(note);
    }
}
