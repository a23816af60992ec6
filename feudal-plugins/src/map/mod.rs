//! Accounts that exist on this host by other means; a file says whose they are.

mod file;
mod names;

pub use file::{GuardedRead, MapFile};
pub use names::{MapError, MapProblem, NameMap};

use crate::{
    backend::{Account, Backend, BackendError, Deployed, GroupChanges, Intent, Naming},
    local_unix::{HostEntry, NameService, SystemNames, ask_names},
    person::Person,
    shells::is_nologin,
};
use async_trait::async_trait;
use motley_proto::{
    GroupName, Identity, Uid, UserName,
    rest::AccountState,
    task::{AccountPath, Removal},
};
use std::{io, sync::Arc};

/// Accounts that are looked up in one go.
const LOOKED_UP: usize = 100;
/// What is said about everything that would change an account.
const KEPT_ELSEWHERE: &str = "the accounts of a map file are kept by other means";

/// The back end `map`.
pub struct Mapped {
    file: MapFile,
    names: Arc<dyn NameService>,
}

impl Mapped {
    /// Goes by this file.
    pub fn new(file: MapFile) -> Self {
        Self::with_names(file, Arc::new(SystemNames))
    }

    /// As [`Mapped::new`], with another source of this host's names.
    pub fn with_names(file: MapFile, names: Arc<dyn NameService>) -> Self {
        Self { file, names }
    }

    async fn account(
        &self,
        identity: Option<&Identity>,
        name: &UserName,
    ) -> Result<Option<Account>, BackendError> {
        let asked = name.clone();
        let entry = ask_names(&self.names, move |names| names.entry(&asked)).await?;
        Ok(entry.map(|entry| account_of(identity, name, entry)))
    }

    /// What would change an account is refused; the account must be the one that was meant all the same.
    fn refuse<T>(&self, identity: &Identity, name: &UserName) -> Result<T, BackendError> {
        match self.file.map().name_of(identity) {
            Some(own) if own == name => Err(unsupported()),
            _ => Err(BackendError::NoAccount),
        }
    }
}

fn unsupported() -> BackendError {
    BackendError::Unsupported(KEPT_ELSEWHERE.to_owned())
}

fn account_of(identity: Option<&Identity>, name: &UserName, entry: HostEntry) -> Account {
    let limited = is_nologin(&entry.shell);
    Account {
        identity: identity.cloned(),
        name: name.clone(),
        uid: Some(entry.uid),
        gid: Some(entry.gid),
        home: entry.home,
        shell: entry.shell,
        state: if limited { AccountState::Limited } else { AccountState::Deployed },
        groups: Vec::new(),
    }
}

#[async_trait]
impl Backend for Mapped {
    fn name(&self) -> &'static str {
        "map"
    }

    fn naming(&self) -> Naming {
        Naming::Known
    }

    fn ends_sessions(&self) -> bool {
        false
    }

    fn can_remove(&self) -> Result<(), BackendError> {
        Err(unsupported())
    }

    async fn prepared_name(
        &self,
        identity: &Identity,
        _: &Person,
    ) -> Result<Option<UserName>, BackendError> {
        Ok(self.file.map().name_of(identity).cloned())
    }

    async fn find(&self, identity: &Identity) -> Result<Option<Account>, BackendError> {
        match self.file.map().name_of(identity) {
            Some(name) => self.account(Some(identity), name).await,
            None => Ok(None),
        }
    }

    async fn by_name(&self, name: &UserName) -> Result<Option<Account>, BackendError> {
        let map = self.file.map();
        self.account(map.identity_of(name), name).await
    }

    async fn accounts(&self) -> Result<Vec<Account>, BackendError> {
        let map = self.file.map();
        let all: Vec<(Identity, UserName)> =
            map.iter().map(|(identity, name)| (identity.clone(), name.clone())).collect();
        let mut found = Vec::new();
        for some in all.chunks(LOOKED_UP) {
            let some = some.to_vec();
            let look_up = move |names: &dyn NameService| {
                let known = some.iter().filter_map(|(identity, name)| {
                    let entry = names.entry(name).transpose()?;
                    Some(entry.map(|entry| account_of(Some(identity), name, entry)))
                });
                known.collect::<io::Result<Vec<Account>>>()
            };
            found.extend(ask_names(&self.names, look_up).await?);
        }
        Ok(found)
    }

    async fn is_taken(&self, name: &UserName) -> Result<bool, BackendError> {
        if self.file.map().identity_of(name).is_some() {
            return Ok(true);
        }
        let name = name.clone();
        ask_names(&self.names, move |names| names.has_user(&name)).await
    }

    async fn is_uid_taken(&self, uid: Uid) -> Result<bool, BackendError> {
        ask_names(&self.names, move |names| names.has_uid(uid)).await
    }

    async fn deploy(&self, intent: &Intent) -> Result<Deployed, BackendError> {
        let map = self.file.map();
        match map.name_of(&intent.identity) {
            Some(own) if *own == intent.name => {}
            Some(other) => return Err(BackendError::HasAccount(other.clone())),
            None if map.identity_of(&intent.name).is_some() => {
                return Err(BackendError::NameTaken(intent.name.clone()));
            }
            None => return Err(BackendError::NoAccount),
        }
        let unknown = || {
            let name = &intent.name;
            BackendError::Refused(format!("the account {name} is in the map, but not on this host"))
        };
        let account = self.account(Some(&intent.identity), &intent.name).await?;
        let account = account.ok_or_else(unknown)?;
        Ok(Deployed { account, created: false, joined: Vec::new(), left: Vec::new() })
    }

    async fn set_groups(
        &self,
        identity: &Identity,
        name: &UserName,
        _: &[GroupName],
    ) -> Result<GroupChanges, BackendError> {
        self.refuse(identity, name)
    }

    async fn set_shell(
        &self,
        identity: &Identity,
        name: &UserName,
        _: &AccountPath,
    ) -> Result<(), BackendError> {
        self.refuse(identity, name)
    }

    async fn suspend(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.refuse(identity, name)
    }

    async fn resume(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.refuse(identity, name)
    }

    async fn limit(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.refuse(identity, name)
    }

    async fn unlimit(
        &self,
        identity: &Identity,
        name: &UserName,
        _: &AccountPath,
    ) -> Result<(), BackendError> {
        self.refuse(identity, name)
    }

    async fn managed_groups(&self, _: &UserName) -> Result<Vec<GroupName>, BackendError> {
        Ok(Vec::new())
    }

    async fn remove(&self, identity: &Identity, name: &UserName) -> Result<Removal, BackendError> {
        match self.refuse(identity, name) {
            Err(BackendError::NoAccount) => Ok(Removal::default()),
            refusal => refusal,
        }
    }

    async fn roll_back(&self, _: &Identity, _: &UserName) -> Result<(), BackendError> {
        Ok(())
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.file.check()
    }
}
