//! Accounts in an LDAP directory.
//!
//! What a user entry carries in the identity attribute says whose account it is; searches find it and
//! only an exact match counts. What motley does to an entry that it may have to take back (memberships,
//! locks) it notes in the same step in the entry that it changes.

mod claim;
mod config;
mod connect;
mod deploy;
mod directory;
mod entry;
mod fault;
mod groups;
mod lock;
mod look;
mod new_group;
mod note;
mod number;
mod odd;
mod primary;
mod remove;
mod user;

pub use config::{Attributes, ClaimKey, ClaimRule, Depth, LdapConfig, Login, Mode, Protection};

use crate::{
    backend::{Account, Backend, BackendError, Deployed, GroupChanges, Intent, Naming},
    clock::{self, Clock},
    local_unix::{AccountFiles, NameService, SystemNames},
    person::Person,
};
use async_trait::async_trait;
use directory::Directory;
use fault::Fault;
use motley_proto::{
    GroupName, Identity, Uid, UserName,
    task::{AccountPath, Removal},
};
use std::{ops::RangeInclusive, path::Path, sync::Arc};

/// The back ends `ldap` and `bonsai_ldap`.
pub struct LdapDirectory {
    directory: Directory,
    url: String,
    files: AccountFiles,
    names: Arc<dyn NameService>,
    clock: Clock,
    /// Two of our own must not race for one number.
    numbering: tokio::sync::Mutex<()>,
}

const SECONDS_OF_A_DAY: u64 = 86_400;

impl LdapDirectory {
    /// Keeps accounts in the directory of this configuration. Connects when it is first asked.
    pub fn new(config: LdapConfig) -> Self {
        let (names, clock) = (Arc::new(SystemNames), clock::of_this_host());
        Self::with_sources(config, Path::new("/"), names, clock)
    }

    /// As [`LdapDirectory::new`], with the account files under another file-system root, another source of
    /// names and another clock.
    pub fn with_sources(
        config: LdapConfig,
        file_system: &Path,
        names: Arc<dyn NameService>,
        clock: Clock,
    ) -> Self {
        Self {
            url: config.url(),
            directory: Directory::new(config),
            files: AccountFiles::under(file_system),
            names,
            clock,
            numbering: tokio::sync::Mutex::default(),
        }
    }

    fn config(&self) -> &LdapConfig {
        self.directory.config()
    }

    /// The day, counted from 1970-01-01.
    fn today(&self) -> i64 {
        i64::try_from((self.clock)() / SECONDS_OF_A_DAY).unwrap_or(i64::MAX)
    }

    /// Turns what went wrong at a step into the error of a back end.
    fn failed<'a>(&'a self, step: &'a str) -> impl Fn(Fault) -> BackendError + use<'a> {
        move |fault| fault.into_error(&self.url, step)
    }

    /// Nothing is written where the operator says so.
    fn may_write(&self) -> Result<(), BackendError> {
        match self.config().mode {
            Mode::PreCreated | Mode::FullAccess => Ok(()),
            Mode::ReadOnly => Err(BackendError::Unsupported(format!(
                "the directory is not written to; do it there by hand, or set mode in \
                 [backend.{}]",
                self.config().backend
            ))),
        }
    }
}

#[async_trait]
impl Backend for LdapDirectory {
    fn name(&self) -> &'static str {
        self.config().backend
    }

    fn naming(&self) -> Naming {
        match self.config().mode {
            Mode::ReadOnly | Mode::PreCreated => Naming::Known,
            Mode::FullAccess => Naming::Numbered,
        }
    }

    fn numbers(&self) -> Option<RangeInclusive<u32>> {
        Some(self.config().uids.clone())
    }

    async fn prepared_name(
        &self,
        identity: &Identity,
        person: &Person,
    ) -> Result<Option<UserName>, BackendError> {
        if self.naming() != Naming::Known {
            return Ok(None);
        }
        let user = match self.owned(identity).await? {
            Some(user) => Some(user),
            None => self.claimable(identity, person).await?,
        };
        Ok(user.map(|user| user.account.name))
    }

    async fn find(&self, identity: &Identity) -> Result<Option<Account>, BackendError> {
        let Some(user) = self.owned(identity).await? else { return Ok(None) };
        self.check_files(&user.account).await?;
        self.with_groups(user.account).await.map(Some)
    }

    async fn by_name(&self, name: &UserName) -> Result<Option<Account>, BackendError> {
        // Logins of local people must not depend on the directory.
        if let Some(account) = self.files.snapshot().await?.by_name(name) {
            return Ok(Some(Account { identity: None, ..account }));
        }
        match self.named(name).await? {
            Some(user) => self.with_groups(user.account).await.map(Some),
            None => Ok(None),
        }
    }

    async fn accounts(&self) -> Result<Vec<Account>, BackendError> {
        self.all_owned().await
    }

    async fn oddities(&self) -> Result<Vec<String>, BackendError> {
        self.odd_entries().await
    }

    async fn is_taken(&self, name: &UserName) -> Result<bool, BackendError> {
        Ok(self.has_entry(name).await?
            || self.host_has_user(name).await?
            || self.is_member_somewhere(name).await?)
    }

    async fn is_uid_taken(&self, uid: Uid) -> Result<bool, BackendError> {
        self.is_number_taken(&self.uids(), uid.get()).await
    }

    async fn deploy(&self, intent: &Intent) -> Result<Deployed, BackendError> {
        match self.owned(&intent.identity).await? {
            Some(user) if user.account.name != intent.name => {
                Err(BackendError::HasAccount(user.account.name))
            }
            Some(user) => self.update(intent, user).await,
            None => match self.config().mode {
                Mode::ReadOnly => Err(BackendError::NoAccount),
                Mode::PreCreated => self.claim(intent).await,
                Mode::FullAccess => self.create(intent).await,
            },
        }
    }

    async fn set_groups(
        &self,
        identity: &Identity,
        name: &UserName,
        groups: &[GroupName],
    ) -> Result<GroupChanges, BackendError> {
        let user = self.changeable(identity, name).await?;
        self.regroup(&user.account, groups).await
    }

    async fn set_shell(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> Result<(), BackendError> {
        let user = self.changeable(identity, name).await?;
        self.change_shell(&user, shell).await
    }

    async fn suspend(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        let user = self.changeable(identity, name).await?;
        self.lock(&user).await
    }

    async fn resume(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        let user = self.changeable(identity, name).await?;
        self.unlock(&user).await
    }

    async fn limit(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        let user = self.changeable(identity, name).await?;
        self.change_shell(&user, &self.config().shells.limited).await
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
        self.groups_joined_by_us(name).await
    }

    async fn primary_group(&self, name: &UserName) -> Result<Option<GroupName>, BackendError> {
        self.known_primary(name).await
    }

    async fn managed_primary(&self, name: &UserName) -> Result<Option<GroupName>, BackendError> {
        self.given_primary(name).await
    }

    async fn set_primary_group(
        &self,
        identity: &Identity,
        name: &UserName,
        group: &GroupName,
    ) -> Result<(), BackendError> {
        let user = self.changeable(identity, name).await?;
        self.replace_primary(user, group).await.map(|_| ())
    }

    fn can_remove(&self) -> Result<(), BackendError> {
        self.may_write()
    }

    fn ends_sessions(&self) -> bool {
        false
    }

    async fn remove(&self, identity: &Identity, name: &UserName) -> Result<Removal, BackendError> {
        self.take_away(identity, name).await
    }

    async fn roll_back(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.take_back(identity, name).await
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.check_bases().await
    }
}
