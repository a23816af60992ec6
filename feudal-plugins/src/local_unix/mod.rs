//! Local unix accounts: reads the account files itself and has everything else done by the root helper.

mod account_files;
mod config;
mod deploy;
mod facts;
mod name_service;
mod snapshot;
#[cfg(test)]
mod tests;

pub(crate) use account_files::AccountFiles;
pub use config::LocalUnixConfig;
pub use name_service::{HostEntry, NameService, SystemNames};
pub(crate) use name_service::{ask_names, is_unknown};

use crate::{
    backend::{Account, Backend, BackendError, Deployed, GroupChanges, Intent},
    root::{RootHost, unexpected},
};
use account_files::Stamp;
use async_trait::async_trait;
use facts::{owner, without};
use motley_proto::{
    GroupName, Identity, Uid, UserName,
    rest::AccountState,
    task::{AccountFacts, AccountPath, ExpiryMarks, Removal, Task, TaskDone},
};
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long the answer "has (not) expired" is kept: an expiry date can be reached without any file
/// being changed.
const EXPIRY_KEPT: Duration = Duration::from_secs(60);
/// A name that nobody has, to ask the root helper for.
const PROBE: &str = "motley-probe";

/// The back end `local_unix`.
pub struct LocalUnix {
    config: LocalUnixConfig,
    files: AccountFiles,
    names: Arc<dyn NameService>,
    host: Arc<RootHost>,
    expiry: Mutex<HashMap<UserName, Expiry>>,
}

#[derive(Debug, Clone, Copy)]
struct Expiry {
    expired: bool,
    shadow: Stamp,
    seen: Instant,
}

impl LocalUnix {
    /// Works on the accounts of this host through the root helper behind `socket`.
    pub fn new(config: LocalUnixConfig, socket: &Path) -> Self {
        Self::with_sources(config, socket, Path::new("/"), Arc::new(SystemNames))
    }

    /// As [`LocalUnix::new`], with the account files under another file-system root and another
    /// source of names.
    pub fn with_sources(
        config: LocalUnixConfig,
        socket: &Path,
        file_system: &Path,
        names: Arc<dyn NameService>,
    ) -> Self {
        Self {
            config,
            files: AccountFiles::under(file_system),
            names,
            host: Arc::new(RootHost::adopting(socket)),
            expiry: Mutex::default(),
        }
    }

    /// The host of these accounts.
    pub fn host(&self) -> Arc<RootHost> {
        Arc::clone(&self.host)
    }

    /// The options it works by.
    pub fn config(&self) -> &LocalUnixConfig {
        &self.config
    }

    async fn inspect(&self, name: &UserName) -> Result<Option<AccountFacts>, BackendError> {
        let shadow = self.files.shadow_stamp();
        match self.host.run(&Task::Inspect { name: name.clone() }).await? {
            TaskDone::Inspected(facts) => {
                let mut kept = self.expiry.lock().unwrap_or_else(PoisonError::into_inner);
                if let (Some(facts), Some(shadow)) = (&facts, shadow) {
                    let seen = Expiry { expired: facts.expired, shadow, seen: Instant::now() };
                    kept.retain(|_, old| old.shadow == shadow);
                    kept.insert(name.clone(), seen);
                }
                Ok(facts)
            }
            other => Err(unexpected(&other)),
        }
    }

    fn kept_expiry(&self, name: &UserName) -> Option<bool> {
        let shadow = self.files.shadow_stamp()?;
        let kept = self.expiry.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = kept.get(name)?;
        (seen.shadow == shadow && seen.seen.elapsed() < EXPIRY_KEPT).then_some(seen.expired)
    }

    /// Completes the state: whether an account has expired is in shadow, which only root reads.
    async fn with_expiry(&self, mut account: Account) -> Result<Account, BackendError> {
        let expired = match self.kept_expiry(&account.name) {
            Some(expired) => expired,
            None => self.inspect(&account.name).await?.is_some_and(|facts| facts.expired),
        };
        if expired {
            account.state = AccountState::Suspended;
        }
        Ok(account)
    }
}

#[async_trait]
impl Backend for LocalUnix {
    fn name(&self) -> &'static str {
        "local_unix"
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn find(&self, identity: &Identity) -> Result<Option<Account>, BackendError> {
        match self.files.snapshot().await?.find(identity)? {
            Some(account) => self.with_expiry(account).await.map(Some),
            None => Ok(None),
        }
    }

    async fn by_name(&self, name: &UserName) -> Result<Option<Account>, BackendError> {
        match self.files.snapshot().await?.by_name(name) {
            // Local people's accounts are none of our business: their logins must not depend on
            // the root helper being up.
            Some(account) if account.identity.is_none() => Ok(Some(account)),
            Some(account) => self.with_expiry(account).await.map(Some),
            None => Ok(None),
        }
    }

    async fn accounts(&self) -> Result<Vec<Account>, BackendError> {
        Ok(self.files.snapshot().await?.with_identity())
    }

    async fn oddities(&self) -> Result<Vec<String>, BackendError> {
        Ok(self.files.snapshot().await?.oddities())
    }

    async fn is_taken(&self, name: &UserName) -> Result<bool, BackendError> {
        if self.files.snapshot().await?.has_name(name.as_str()) {
            return Ok(true);
        }
        let name = name.clone();
        ask_names(&self.names, move |names| names.has_user(&name)).await
    }

    async fn is_uid_taken(&self, uid: Uid) -> Result<bool, BackendError> {
        if self.files.snapshot().await?.has_uid(uid.get()) {
            return Ok(true);
        }
        ask_names(&self.names, move |names| names.has_uid(uid)).await
    }

    async fn deploy(&self, intent: &Intent) -> Result<Deployed, BackendError> {
        if let Some(account) = self.files.snapshot().await?.find(&intent.identity)?
            && account.name != intent.name
        {
            return Err(BackendError::HasAccount(account.name));
        }
        match self.inspect(&intent.name).await? {
            None => self.create(intent).await,
            Some(facts) if owner(&facts).as_ref() == Some(&intent.identity) => {
                self.update(intent, facts).await
            }
            Some(_) => Err(BackendError::NameTaken(intent.name.clone())),
        }
    }

    async fn set_groups(
        &self,
        identity: &Identity,
        name: &UserName,
        groups: &[GroupName],
    ) -> Result<GroupChanges, BackendError> {
        let facts = self.inspect(name).await?.ok_or(BackendError::NoAccount)?;
        let wanted = without(groups, facts.primary_group.as_deref());
        self.join_and_leave(identity, &facts, &wanted).await.map(|(_, changes)| changes)
    }

    async fn set_shell(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> Result<(), BackendError> {
        let task =
            Task::SetShell { identity: identity.clone(), name: name.clone(), shell: shell.clone() };
        self.host.change(identity, name, &task).await.map(|_| ())
    }

    async fn suspend(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        let task = Task::Expire { identity: identity.clone(), name: name.clone() };
        self.host.change(identity, name, &task).await.map(|_| ())
    }

    async fn resume(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        let task = Task::Unexpire {
            identity: identity.clone(),
            name: name.clone(),
            marks: ExpiryMarks::OfSuspensions,
        };
        self.host.change(identity, name, &task).await.map(|_| ())
    }

    async fn lift_own_lock(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<(), BackendError> {
        let (identity_, name_, marks) = (identity.clone(), name.clone(), ExpiryMarks::Own);
        let task = Task::Unexpire { identity: identity_, name: name_, marks };
        self.host.change(identity, name, &task).await.map(|_| ())
    }

    async fn limit(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.set_shell(identity, name, &self.config.shells.limited).await
    }

    async fn unlimit(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> Result<(), BackendError> {
        self.set_shell(identity, name, shell).await
    }

    async fn managed_groups(&self, name: &UserName) -> Result<Vec<GroupName>, BackendError> {
        Ok(self.inspect(name).await?.map(|facts| facts.managed_groups).unwrap_or_default())
    }

    async fn primary_group(&self, name: &UserName) -> Result<Option<GroupName>, BackendError> {
        let group = self.inspect(name).await?.and_then(|facts| facts.primary_group);
        Ok(group.and_then(|group| GroupName::new(group).ok()))
    }

    async fn managed_primary(&self, name: &UserName) -> Result<Option<GroupName>, BackendError> {
        let facts = self.inspect(name).await?.filter(|facts| facts.managed_primary);
        let group = facts.and_then(|facts| facts.primary_group);
        Ok(group.and_then(|group| GroupName::new(group).ok()))
    }

    async fn set_primary_group(
        &self,
        identity: &Identity,
        name: &UserName,
        group: &GroupName,
    ) -> Result<(), BackendError> {
        self.replace_primary(identity, name, group).await.map(|_| ())
    }

    async fn remove(&self, identity: &Identity, name: &UserName) -> Result<Removal, BackendError> {
        let task = Task::Remove { identity: identity.clone(), name: name.clone() };
        match self.host.change(identity, name, &task).await {
            Ok(TaskDone::Removed(removal)) => Ok(removal),
            Ok(other) => Err(unexpected(&other)),
            Err(BackendError::NoAccount) => Ok(Removal::default()),
            Err(error) => Err(error),
        }
    }

    async fn roll_back(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        let task = Task::RollBack { identity: identity.clone(), name: name.clone() };
        match self.host.run(&task).await {
            // The helper removes nothing that was completed, and adopts it again if it is ours.
            Err(BackendError::Refused(reason)) => {
                self.host.adopt(identity, name).await.map_err(|_| BackendError::Refused(reason))
            }
            done => done.map(|_| ()),
        }
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.files.snapshot().await?;
        match UserName::new(PROBE) {
            Ok(name) => self.inspect(&name).await.map(|_| ()),
            Err(_) => Ok(()),
        }
    }
}
