//! What is done on this host about somebody's account, whatever keeps it.

use crate::backend::BackendError;
use async_trait::async_trait;
use motley_proto::{
    Identity, SshKey, UserName,
    task::{AccountSessions, Held, HookRun, KeysKept, SessionsEnded},
};

/// The host on which people work. A back end may keep the accounts of many hosts; sessions and
/// processes are of this one.
#[async_trait]
pub trait Host: Send + Sync {
    /// Sessions and processes of the account.
    ///
    /// # Errors
    /// [`BackendError::NoAccount`], or what keeps it from being done.
    async fn sessions(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<AccountSessions, BackendError>;

    /// Ends all sessions and processes of the account and counts them.
    ///
    /// # Errors
    /// As [`Host::sessions`].
    async fn end_sessions(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<SessionsEnded, BackendError>;

    /// Holds what would start something for the account without a login: jobs of cron and at, and
    /// user services that outlive sessions. Comes before [`Host::end_sessions`].
    ///
    /// # Errors
    /// As [`Host::sessions`].
    async fn hold(&self, identity: &Identity, name: &UserName) -> Result<Held, BackendError>;

    /// Puts back what [`Host::hold`] held, as it was.
    ///
    /// # Errors
    /// As [`Host::sessions`].
    async fn release(&self, identity: &Identity, name: &UserName) -> Result<Held, BackendError>;

    /// Runs the site's script for new accounts, once for each. Called when an account was made.
    ///
    /// # Errors
    /// As [`Host::sessions`]. A script that fails is no error.
    async fn created(&self, identity: &Identity, name: &UserName) -> Result<HookRun, BackendError>;

    /// Makes these the keys that motley keeps in the account's `authorized_keys`.
    ///
    /// # Errors
    /// As [`Host::sessions`].
    async fn set_keys(
        &self,
        identity: &Identity,
        name: &UserName,
        keys: &[SshKey],
    ) -> Result<KeysKept, BackendError>;
}
