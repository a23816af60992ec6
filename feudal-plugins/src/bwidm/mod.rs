//! Accounts in a registration service (bwIDM's reg-app), over its REST interface.
//!
//! A person there is a record under the unique id of its identity; the account exists on this host
//! while the record is registered for our service. The service can't lock an account: a suspension
//! takes the registration away and notes that in the record. It knows no shells.

mod client;
mod config;
mod deploy;
mod record;
mod rest;

pub use config::{BaseUrl, BwIdmConfig, BwIdmError, Organisation, ServiceName};

use crate::{
    backend::{Account, Backend, BackendError, Deployed, GroupChanges, Intent, Naming},
    clock::{self, Clock},
    local_unix::{NameService, SystemNames, ask_names, is_unknown},
};
use async_trait::async_trait;
use motley_proto::{
    GroupName, Identity, Uid, UserName,
    rest::AccountState,
    task::{AccountPath, Removal},
};
use record::{Record, login_of};
use rest::Rest;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What is said about everything that concerns shells.
const NO_SHELLS: &str = "the registration service knows no login shells";
/// A person that nobody is, to ask the service for.
const PROBE: &str = "motley-probe";

/// The back end `bwidm`.
pub struct BwIdm {
    config: BwIdmConfig,
    rest: Rest,
    names: Arc<dyn NameService>,
    clock: Clock,
    /// Two deployments of ours that look for a free name look one after the other.
    naming: Mutex<()>,
}

impl BwIdm {
    /// Keeps accounts in this service.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] when this host has no usable TLS.
    pub fn new(config: BwIdmConfig) -> Result<Self, BackendError> {
        Self::with_sources(config, Arc::new(SystemNames), clock::of_this_host())
    }

    /// As [`BwIdm::new`], with another source of this host's names and another clock.
    ///
    /// # Errors
    /// As [`BwIdm::new`].
    pub fn with_sources(
        config: BwIdmConfig,
        names: Arc<dyn NameService>,
        clock: Clock,
    ) -> Result<Self, BackendError> {
        let rest = Rest::new(config.clone())?;
        Ok(Self { config, rest, names, clock, naming: Mutex::default() })
    }

    /// State of what a record says; `None` while there is no account of ours.
    async fn account_of(&self, record: &Record) -> Result<Option<Account>, BackendError> {
        let Some(name) = record.name(&self.config.organisation) else { return Ok(None) };
        let suspended = record.is_suspended(&self.config.service);
        let state = match (suspended, record.is_active()) {
            // Put on hold by the operators of the service, or by us.
            (true, _) | (_, false) => AccountState::Suspended,
            (false, true) if self.is_registered(&record.external_id).await? => {
                AccountState::Deployed
            }
            (false, true) => return Ok(None),
        };
        let mut groups: Vec<String> =
            record.secondary_groups().into_iter().map(|group| group.name).collect();
        groups.sort();
        Ok(Some(Account {
            identity: record.identity(),
            uid: record.uid(),
            gid: None,
            home: format!("/home/{name}"),
            shell: String::new(),
            name,
            state,
            groups,
        }))
    }

    /// The record of an identity, if its account has this name.
    async fn owned(&self, identity: &Identity, name: &UserName) -> Result<Record, BackendError> {
        let record = self.record_of(identity).await?.ok_or(BackendError::NoAccount)?;
        match record.name(&self.config.organisation) {
            Some(own) if own == *name => Ok(record),
            Some(_) => Err(not_of(name)),
            None => Err(BackendError::NoAccount),
        }
    }

    /// As [`BwIdm::owned`], where the account must be registered for our service.
    async fn in_use(&self, identity: &Identity, name: &UserName) -> Result<Record, BackendError> {
        let record = self.owned(identity, name).await?;
        self.account_of(&record).await?.map(|_| record).ok_or(BackendError::NoAccount)
    }
}

fn unsupported(why: &str) -> BackendError {
    BackendError::Unsupported(why.to_owned())
}

fn not_of(name: &UserName) -> BackendError {
    BackendError::Refused(format!("the account {name} is not of this identity"))
}

#[async_trait]
impl Backend for BwIdm {
    fn name(&self) -> &'static str {
        "bwidm"
    }

    fn naming(&self) -> Naming {
        Naming::Numbered
    }

    fn ends_sessions(&self) -> bool {
        false
    }

    async fn find(&self, identity: &Identity) -> Result<Option<Account>, BackendError> {
        match self.record_of(identity).await? {
            Some(record) => self.account_of(&record).await,
            None => Ok(None),
        }
    }

    async fn by_name(&self, name: &UserName) -> Result<Option<Account>, BackendError> {
        let mut found = None;
        for record in self.records_named(name).await? {
            let Some(account) = self.account_of(&record).await? else { continue };
            if found.replace(account).is_some() {
                let why = format!("several people share the account {name} in the service");
                return Err(BackendError::Refused(why));
            }
        }
        Ok(found)
    }

    async fn accounts(&self) -> Result<Vec<Account>, BackendError> {
        let why = "the registration service has no list of the accounts of one service";
        Err(unsupported(why))
    }

    async fn is_taken(&self, name: &UserName) -> Result<bool, BackendError> {
        let owned = name.clone();
        if !ask_names(&self.names, move |names| is_unknown(names, &owned)).await? {
            return Ok(true);
        }
        Ok(!self.records_named(name).await?.is_empty())
    }

    async fn is_uid_taken(&self, uid: Uid) -> Result<bool, BackendError> {
        ask_names(&self.names, move |names| names.has_uid(uid)).await
    }

    async fn deploy(&self, intent: &Intent) -> Result<Deployed, BackendError> {
        self.make_true(intent).await
    }

    async fn set_groups(
        &self,
        identity: &Identity,
        name: &UserName,
        groups: &[GroupName],
    ) -> Result<GroupChanges, BackendError> {
        let mut record = self.in_use(identity, name).await?;
        let primary = record.primary_group().map(|group| group.name);
        let wanted = groups.iter().filter(|group| Some(group.as_str()) != primary.as_deref());
        self.regroup(&mut record, &wanted.cloned().collect()).await
    }

    async fn set_shell(
        &self,
        identity: &Identity,
        name: &UserName,
        _: &AccountPath,
    ) -> Result<(), BackendError> {
        self.in_use(identity, name).await?;
        Err(unsupported(NO_SHELLS))
    }

    async fn suspend(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        let mut record = self.in_use(identity, name).await?;
        // The note comes first: without it, an account that is not registered would only be absent.
        if !record.is_suspended(&self.config.service) {
            record.set_suspended(&self.config.service, true);
            self.write(&record).await?;
        }
        self.deregister(&record.external_id).await
    }

    async fn resume(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        let mut record = self.in_use(identity, name).await?;
        if !record.is_active() {
            return Err(BackendError::Refused(format!(
                "{name} is on hold in the registration service; ask its operators"
            )));
        }
        self.register(&record.external_id).await?;
        if record.is_suspended(&self.config.service) {
            record.set_suspended(&self.config.service, false);
            self.write(&record).await?;
        }
        Ok(())
    }

    async fn limit(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.in_use(identity, name).await?;
        Err(unsupported(NO_SHELLS))
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
        let records = self.records_named(name).await?;
        let managed = records.iter().flat_map(|record| record.managed(&self.config.service));
        Ok(managed.collect())
    }

    async fn primary_group(&self, name: &UserName) -> Result<Option<GroupName>, BackendError> {
        let records = self.records_named(name).await?;
        let primary = records.first().and_then(Record::primary_group);
        Ok(primary.and_then(|group| GroupName::new(group.name).ok()))
    }

    async fn remove(&self, identity: &Identity, name: &UserName) -> Result<Removal, BackendError> {
        let mut record = match self.owned(identity, name).await {
            Ok(record) => record,
            Err(BackendError::NoAccount) if self.records_named(name).await?.is_empty() => {
                return Ok(Removal::default());
            }
            Err(BackendError::NoAccount) => return Err(not_of(name)),
            Err(error) => return Err(error),
        };
        self.deregister(&record.external_id).await?;
        self.regroup(&mut record, &Default::default()).await?;
        if record.is_suspended(&self.config.service) {
            record.set_suspended(&self.config.service, false);
            self.write(&record).await?;
        }
        Ok(Removal::default())
    }

    /// A record that is not registered gives nobody anything, and keeps the name for its owner.
    async fn roll_back(&self, _: &Identity, _: &UserName) -> Result<(), BackendError> {
        Ok(())
    }

    async fn check(&self) -> Result<(), BackendError> {
        let prefix = self.config.organisation.prefix();
        let name = UserName::new(format!("{prefix}{PROBE}"))
            .map_err(|error| BackendError::Refused(format!("org_id: {error}")))?;
        self.records_named(&name).await?;
        login_of(&name, &self.config.organisation).map(|_| ())
    }
}
