//! Accounts of identities: what state they are in, and how they come, change and are locked.
//!
//! The back end says whether an account exists; the store says what was promised and forbidden.
//! About suspension the stricter of both wins.

mod activity;
mod approval;
mod carry_out;
mod decide;
mod deploy;
mod equip;
mod idle;
mod import;
mod join;
mod limit;
mod locks;
mod membership;
mod order;
mod preview;
mod reconcile;
mod suspend;
mod undeploy;

pub use approval::ApprovalRules;
pub(crate) use approval::recall;
pub use decide::DecisionError;
pub use deploy::{AccountRules, DeployError, Deployment};
use idle::Lifting;
pub use idle::{IdleLook, Lifecycle};
use locks::IdentityHeld;
pub use locks::IdentityLocks;
pub use order::{Order, Suspender};
pub use preview::Preview;
pub use suspend::SuspendError;

use crate::{
    audit::Audit,
    clock::Clock,
    otp::OneTimePasswords,
    store::{AccountRecord, Known, Phase, Store, StoreError, spellings},
};
use feudal_plugins::{Account, Backend, BackendError, Host, Naming, message};
use motley_proto::{
    Identity, Uid, UserName,
    rest::{AccountState, StateAnswer},
};
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

/// State of one identity's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: AccountState,
    /// The account in the back end, if there is one.
    pub account: Option<Account>,
}

impl Standing {
    /// The local name, if there is an account.
    pub fn name(&self) -> Option<&UserName> {
        self.account.as_ref().map(|account| &account.name)
    }

    /// True when one may log in to it: deployed, or limited by an admin to a shell that works.
    pub fn admits(&self) -> bool {
        match (self.state, &self.account) {
            (AccountState::Deployed, _) => true,
            (AccountState::Limited, Some(account)) => account.state == AccountState::Deployed,
            _ => false,
        }
    }

    /// The answer of `/user/get_status`.
    pub fn answer(&self) -> StateAnswer {
        StateAnswer {
            state: self.state,
            message: match self.state {
                AccountState::Pending => "User deployment is pending approval.".to_owned(),
                AccountState::Rejected => "User deployment was rejected.".to_owned(),
                _ => message::status(self.name()),
            },
            credentials: serde_json::Map::new(),
        }
    }
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

    /// State of an identity's account.
    ///
    /// # Errors
    /// When store or back end do not answer; never a guess.
    pub async fn standing(&self, identity: &Identity) -> Result<Standing, AccountError> {
        let known = self.store.known_recently(identity).await?;
        self.standing_of(identity, &known).await
    }

    /// True when this identity is suspended. While the back end can't be asked, the mark of the
    /// store decides.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn is_suspended(&self, identity: &Identity) -> Result<bool, AccountError> {
        let known = self.store.known_recently(identity).await?;
        match self.standing_of(identity, &known).await {
            Ok(standing) => Ok(standing.state == AccountState::Suspended),
            Err(AccountError::Backend(_)) => Ok(known.suspended),
            Err(error) => Err(error),
        }
    }

    async fn standing_of(
        &self,
        identity: &Identity,
        known: &Known,
    ) -> Result<Standing, AccountError> {
        let account = self.backend.find(identity).await?;
        let is_foreign = match &account {
            Some(account) => self.is_foreign(identity, known.record.as_ref(), account).await?,
            None => false,
        };
        let state = match (&known.record, &account) {
            // Stricter wins: a mark in the store holds whatever the back end shows.
            _ if known.suspended => AccountState::Suspended,
            // Reserved and half-made: not to be used before it is finished.
            (Some(record), Some(_)) if record.phase == Phase::Reserved => AccountState::NotDeployed,
            // About to be gone: nobody gets in any more.
            (Some(record), _) if record.is_leaving() => AccountState::NotDeployed,
            // A node that was away while it was taken away may still have it.
            (Some(record), Some(_)) if record.was_removed() => AccountState::NotDeployed,
            (_, Some(_)) if is_foreign => AccountState::NotDeployed,
            // A lock that the host's admin put on the account.
            (_, Some(account)) if account.state == AccountState::Suspended => account.state,
            (Some(record), Some(_)) if record.is_limited() => AccountState::Limited,
            (_, Some(account)) => account.state,
            (_, None) => self.state_without_account(identity).await?,
        };
        let account = account.filter(|_| state != AccountState::NotDeployed);
        Ok(Standing { state, account })
    }

    /// True when a site has moved an account to this person that was promised to another one before:
    /// what the first one left under it must not become the other's.
    async fn is_foreign(
        &self,
        identity: &Identity,
        record: Option<&AccountRecord>,
        account: &Account,
    ) -> Result<bool, AccountError> {
        let is_own = record.is_some_and(|record| record.name.as_ref() == Some(&account.name));
        if is_own || self.backend.naming() != Naming::Known {
            return Ok(false);
        }
        let uid = account.uid.and_then(|uid| Uid::new(uid).ok());
        match self.store.check_promises(identity, &account.name, uid).await {
            Ok(()) => Ok(false),
            Err(error @ (StoreError::NamePromised(_) | StoreError::UidPromised(_))) => {
                let (identity, name) = (identity.unique_id(), &account.name);
                tracing::warn!(%identity, %name, %error, "an account counts as not deployed");
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// State of the account that a local name has on this node; `None` when it is not one of ours.
    /// Where another node promised the name, the account here may be a local person's.
    ///
    /// # Errors
    /// When store or back end do not answer.
    pub async fn standing_of_name(
        &self,
        name: &UserName,
    ) -> Result<Option<(Identity, Standing)>, AccountError> {
        let promised = match self.store.account_named(name).await? {
            None => None,
            Some(record) => {
                let standing = self.standing(&record.identity).await?;
                if standing.name() == Some(name) {
                    return Ok(Some((record.identity, standing)));
                }
                Some((record, standing))
            }
        };
        let account = self.backend.by_name(name).await?;
        match (promised, account) {
            (Some((record, _)), Some(account)) if self.is_local(&record, &account).await? => {
                Ok(None)
            }
            (promised, Some(Account { identity: Some(identity), .. }))
                if promised.as_ref().is_none_or(|(record, _)| record.identity != identity) =>
            {
                let standing = self.standing(&identity).await?;
                Ok(Some((identity, standing)))
            }
            (promised, _) => Ok(promised.map(|(record, standing)| (record.identity, standing))),
        }
    }

    /// True when an account that says nothing of its owner is not the one that was promised under its
    /// name: this node never had that one. Where it had, somebody may have wiped the owner out.
    async fn is_local(
        &self,
        promised: &AccountRecord,
        account: &Account,
    ) -> Result<bool, AccountError> {
        let same_uid = promised.uid.is_some_and(|uid| account.uid == Some(uid.get()));
        if account.identity.is_some() || same_uid {
            return Ok(false);
        }
        Ok(!self.store.may_hold(&promised.identity).await?)
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
