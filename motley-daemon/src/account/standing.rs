//! How an identity stands: what back end and store say together, the stricter of both.

use super::{AccountError, Accounts};
use crate::store::{AccountRecord, Known, Phase, StoreError};
use feudal_plugins::{Account, Naming, message};
use motley_proto::{
    Identity, Uid, UserName,
    rest::{AccountState, StateAnswer},
};

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
            receipt: None,
        }
    }
}

impl Accounts {
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

    pub(super) async fn standing_of(
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

    /// True when name or uid of this person's account were promised to another one: a site may have
    /// moved the account, and what the first one left under it must not become the other's; or the
    /// promise came from another node, or after a database was restored that knew nothing of the account.
    async fn is_foreign(
        &self,
        identity: &Identity,
        record: Option<&AccountRecord>,
        account: &Account,
    ) -> Result<bool, AccountError> {
        let is_own = record.is_some_and(|record| record.name.as_ref() == Some(&account.name));
        if is_own {
            return Ok(false);
        }
        let uid = account.uid.and_then(|uid| Uid::new(uid).ok());
        match self.store.check_promises(identity, &account.name, uid).await {
            Ok(()) => Ok(false),
            // Each host may have a person of that name, but no two may own the same files.
            Err(StoreError::NamePromised(_)) if self.backend.naming() != Naming::Known => Ok(false),
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
}
