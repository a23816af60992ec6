//! Accounts of identities: what state they are in, and how they come, change and are locked.
//!
//! The back end says whether an account exists; the store says what was promised and forbidden.
//! About suspension the stricter of both wins.

mod activity;
mod approval;
mod ask;
mod carry_out;
mod create;
mod decide;
mod deploy;
mod deployment;
mod equip;
mod groups;
mod idle;
mod import;
mod interrupted;
mod jobs;
mod join;
mod limit;
mod lock_out;
mod locks;
mod membership;
mod order;
mod preview;
mod reconcile;
mod standing;
mod suspend;
mod take_over;
mod undeploy;

pub use ask::ApprovalRules;
pub(crate) use ask::recall;
pub use decide::DecisionError;
pub use deploy::AccountRules;
pub use deployment::{DeployError, Deployment};
use idle::Lifting;
pub use idle::{IdleLook, Lifecycle};
use locks::IdentityHeld;
pub use locks::IdentityLocks;
pub use order::{Order, Suspender};
pub use preview::Preview;
pub use standing::Standing;
pub use suspend::SuspendError;
pub use take_over::Apply;

use crate::{
    audit::Audit,
    clock::Clock,
    otp::OneTimePasswords,
    store::{Store, StoreError, spellings},
};
use feudal_plugins::{Account, Backend, BackendError, Host};
use motley_proto::{Identity, UserName};
use std::sync::Arc;

/// Why the state of an account could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The back end failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The audit log could not be written, so nothing was done.
    #[error(transparent)]
    Audit(#[from] crate::audit::AuditError),
    /// Nothing could be drawn by chance.
    #[error(transparent)]
    Chance(#[from] crate::chance::NoChance),
    /// There is no account to do it with, so nothing was done.
    #[error("this identity has no account")]
    NoAccount,
}

/// Called when an identity was suspended or resumed, so that nothing cached outlives it.
pub trait Forget: Send + Sync {
    /// Drops every cached decision about the identity.
    fn forget(&self, identity: &Identity);
}

/// Everything that account work needs.
pub struct Accounts {
    pub(crate) store: Store,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) passwords: Arc<OneTimePasswords>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) forget: Arc<dyn Forget>,
    pub(crate) rules: AccountRules,
    pub(crate) approval: Option<ApprovalRules>,
    pub(crate) lifecycle: Lifecycle,
    noted: activity::Noted,
    locks: Arc<IdentityLocks>,
}

/// The parts that [`Accounts`] is made of.
pub struct AccountParts {
    /// What was promised and forbidden.
    pub store: Store,
    /// Where the accounts are.
    pub backend: Arc<dyn Backend>,
    /// Where people work on them.
    pub host: Arc<dyn Host>,
    /// Dropped on suspension.
    pub passwords: Arc<OneTimePasswords>,
    /// Written before an effect is told.
    pub audit: Arc<Audit>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Told about suspensions.
    pub forget: Arc<dyn Forget>,
    /// Keeps two requests of one person apart, whichever configuration they began with.
    pub locks: Arc<IdentityLocks>,
    /// Names, groups and shells.
    pub rules: AccountRules,
    /// How admins are asked about accounts; `None`: they are not.
    pub approval: Option<ApprovalRules>,
    /// What becomes of accounts that nobody uses.
    pub lifecycle: Lifecycle,
}

impl Accounts {
    /// Puts the parts together.
    pub fn new(parts: AccountParts) -> Self {
        let AccountParts {
            store,
            backend,
            host,
            passwords,
            audit,
            clock,
            forget,
            locks,
            rules,
            approval,
            lifecycle,
        } = parts;
        Self {
            store,
            backend,
            host,
            passwords,
            audit,
            clock,
            forget,
            rules,
            approval,
            lifecycle,
            noted: activity::Noted::default(),
            locks,
        }
    }

    /// Whose account has a local name, or is promised it. The back end is asked about names only that
    /// the store does not know: who can be named can be suspended, also while it does not answer.
    ///
    /// # Errors
    /// When store or back end do not answer.
    pub async fn identity_of_name(
        &self,
        name: &UserName,
    ) -> Result<Option<Identity>, AccountError> {
        match self.store.account_named(name).await? {
            Some(record) => Ok(Some(record.identity)),
            None => Ok(self.backend.by_name(name).await?.and_then(|account| account.identity)),
        }
    }

    /// The account of an identity, under whichever spelling of its issuer, with its row in the store.
    async fn account_in_use(
        &self,
        identity: &Identity,
    ) -> Result<(Identity, Account), AccountError> {
        let found = self.account_or_mark(identity).await?;
        match found {
            (identity, Some(account)) => Ok((identity, account)),
            (_, None) => Err(AccountError::NoAccount),
        }
    }

    /// As [`Accounts::account_in_use`]; without an account the spelling under which a row is kept.
    async fn account_or_mark(
        &self,
        identity: &Identity,
    ) -> Result<(Identity, Option<Account>), AccountError> {
        let mut kept = None;
        for spelling in spellings(identity) {
            let record = self.store.account_of(&spelling).await?;
            if let Some(account) = self.backend.find(&spelling).await? {
                self.note_found(&spelling, &account, record.as_ref()).await?;
                return Ok((spelling, Some(account)));
            }
            if record.is_some() {
                kept.get_or_insert(spelling);
            }
        }
        kept.map(|identity| (identity, None)).ok_or(AccountError::NoAccount)
    }

    /// Writes an event to the audit log.
    ///
    /// # Errors
    /// When it can't be written; what it tells of must then not happen.
    pub fn record(&self, event: crate::audit::Event) -> Result<(), AccountError> {
        Ok(self.audit.record(event)?)
    }

    /// The store, for reports.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The back end, for reports.
    pub fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// The host, for reports.
    pub fn host(&self) -> &dyn Host {
        self.host.as_ref()
    }
}

#[cfg(test)]
pub(crate) mod tests;
