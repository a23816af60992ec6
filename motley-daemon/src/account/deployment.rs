//! A deployment: what it works with, and what comes of it.

use super::AccountError;
use crate::{
    store::{Approval, StoreError},
    verified::Verified,
};
use feudal_plugins::{
    BackendError, Claims, LoginInfo, Person, Tier,
    groups::{GroupError, Groups},
};
use motley_proto::{
    GroupName, Identity, UserName,
    rest::{AccountState, StateAnswer},
};

/// Outcome of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// State of the account afterwards.
    pub state: AccountState,
    /// What was done, in the established words.
    pub message: String,
    /// The local name.
    pub name: UserName,
}

impl Deployment {
    /// The answer of `/user/deploy`.
    pub fn answer(&self, info: &LoginInfo) -> StateAnswer {
        StateAnswer {
            state: self.state,
            message: self.message.clone(),
            credentials: info.credentials(&self.name),
            receipt: None,
        }
    }
}

/// Why there is no account now.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// No name can be given to this identity.
    #[error("{0}")]
    Rejected(String),
    /// An admin has to say so first, or has said no.
    #[error("{message}")]
    Waits {
        /// `Pending` or `Rejected`; `NotDeployed` when no request can be taken now.
        state: AccountState,
        /// The sentence for the person.
        message: String,
    },
    /// Somebody else's account came into a group meanwhile that is made from another text there.
    #[error("the local group {0} was made from another group of the provider just now; try again")]
    GroupTaken(GroupName),
    /// Account work failed.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl DeployError {
    /// The back end has nothing for this person.
    pub(super) fn nothing_prepared() -> Self {
        let text =
            "no account is prepared for this identity; ask the administrators of this service";
        Self::Rejected(text.to_owned())
    }
}

impl From<GroupError> for DeployError {
    fn from(error: GroupError) -> Self {
        Self::Rejected(error.to_string())
    }
}

impl From<StoreError> for DeployError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NamePromised(name) => Self::Rejected(format!(
                "the account {name} was somebody else's; ask the administrators of this service for a new one"
            )),
            StoreError::UidPromised(uid) => Self::Rejected(format!(
                "the account has the uid {uid}, which was somebody else's; ask the administrators of this service for a new one"
            )),
            error => Self::Account(error.into()),
        }
    }
}

impl From<BackendError> for DeployError {
    fn from(error: BackendError) -> Self {
        Self::Account(error.into())
    }
}

/// What a deployment works with.
pub(super) struct Wish<'a> {
    pub(super) identity: &'a Identity,
    pub(super) verified: &'a Verified,
    pub(super) claims: &'a Claims,
    pub(super) person: Person,
    pub(super) groups: Groups,
    /// Primary group of whoever has a right to no other.
    pub(super) fallback: GroupName,
    /// Why this person gets no account, though the one that is there may be changed.
    pub(super) lacks: Option<GroupError>,
    pub(super) tier: Tier,
    pub(super) request: &'a str,
    pub(super) consent: Consent<'a>,
}

/// Whether a deployment needs an admin's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent<'a> {
    /// Nobody is asked.
    NotNeeded,
    /// What is new is asked for.
    Ask,
    /// An admin has accepted this request.
    Given(&'a Approval),
}
