//! Accounts kept by a program of the site: one run for each operation, JSON in and out.
//!
//! The program runs as the service's own user, with an empty environment. What it may say is in
//! `docs/how-to/external-backend.md`.

mod ffi;
mod process;
mod protocol;

use crate::{
    backend::{Account, Backend, BackendError, Deployed, GroupChanges, Intent, Naming},
    local_unix::{NameService, SystemNames, ask_names, is_unknown},
    person::Person,
};
use async_trait::async_trait;
use motley_proto::{
    GroupName, Identity, Uid, UserName,
    task::{AccountPath, Removal},
};
use process::unavailable;
use protocol::{
    AccountWords, Checked, DeployedWords, Found, Managed, Nothing, Operation, Page, PersonWords,
    Prepared, Regrouped, Taken, Unusable,
};
use serde::de::DeserializeOwned;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};

/// Runs of the program at once.
const AT_ONCE: usize = 4;
/// Longest time to wait for one's turn.
const QUEUE_LIMIT: Duration = Duration::from_secs(30);
/// Most pages of accounts.
const MAX_PAGES: usize = 10_000;

/// Options of `[backend.external]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalConfig {
    /// The program, by its absolute path.
    pub program: PathBuf,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// Longest time for one run.
    pub timeout: Duration,
    /// Who decides what an account is called and numbered.
    pub naming: Naming,
}

/// The back end `external`.
pub struct External {
    config: ExternalConfig,
    names: Arc<dyn NameService>,
    turns: Semaphore,
}

impl External {
    /// Has this program keep the accounts.
    pub fn new(config: ExternalConfig) -> Self {
        Self::with_names(config, Arc::new(SystemNames))
    }

    /// As [`External::new`], with another source of this host's names.
    pub fn with_names(config: ExternalConfig, names: Arc<dyn NameService>) -> Self {
        Self { config, names, turns: Semaphore::new(AT_ONCE) }
    }

    async fn ask<T: DeserializeOwned>(&self, operation: &Operation<'_>) -> Result<T, BackendError> {
        let Ok(Ok(_turn)) = timeout(QUEUE_LIMIT, self.turns.acquire()).await else {
            return Err(BackendError::Busy);
        };
        let request = protocol::request(operation)
            .map_err(|error| BackendError::Refused(error.to_string()))?;
        let answer = process::run(&self.config, &request).await?;
        protocol::read(operation, &answer).map_err(|unusable| match unusable {
            Unusable::Garbled(why) => self.garbled(&why),
            Unusable::Refused(error) => error,
        })
    }

    fn garbled(&self, why: &str) -> BackendError {
        let why = motley_proto::text::escape(why, 300);
        unavailable(&self.config, &format!("gives an answer that can't be used: {why}"))
    }

    /// An answer about another account than the one that was asked for must harm nobody.
    fn checked(
        &self,
        words: AccountWords,
        fits: impl FnOnce(&Account) -> bool,
    ) -> Result<Account, BackendError> {
        let account = Account::from(words);
        if fits(&account) {
            Ok(account)
        } else {
            Err(self.garbled("it is about another account than the one that was asked for"))
        }
    }

    async fn tell(&self, operation: &Operation<'_>) -> Result<(), BackendError> {
        self.ask::<Nothing>(operation).await.map(|Nothing {}| ())
    }
}

#[async_trait]
impl Backend for External {
    fn name(&self) -> &'static str {
        "external"
    }

    fn naming(&self) -> Naming {
        self.config.naming
    }

    fn ends_sessions(&self) -> bool {
        false
    }

    async fn prepared_name(
        &self,
        identity: &Identity,
        person: &Person,
    ) -> Result<Option<UserName>, BackendError> {
        if self.config.naming != Naming::Known {
            return Ok(None);
        }
        let person = PersonWords::from(person);
        let answer: Prepared = self.ask(&Operation::PreparedName { identity, person }).await?;
        Ok(answer.name)
    }

    async fn find(&self, identity: &Identity) -> Result<Option<Account>, BackendError> {
        let Found { account } = self.ask(&Operation::Find { identity }).await?;
        let fits = |account: &Account| account.identity.as_ref() == Some(identity);
        account.map(|words| self.checked(words, fits)).transpose()
    }

    async fn by_name(&self, name: &UserName) -> Result<Option<Account>, BackendError> {
        let Found { account } = self.ask(&Operation::ByName { name }).await?;
        account.map(|words| self.checked(words, |account| account.name == *name)).transpose()
    }

    async fn accounts(&self) -> Result<Vec<Account>, BackendError> {
        let mut all: Vec<Account> = Vec::new();
        for _ in 0..MAX_PAGES {
            let last = all.last().map(|account| account.name.clone());
            let page: Page = self.ask(&Operation::Accounts { after: last.as_ref() }).await?;
            let is_onward = !page.accounts.is_empty();
            for words in page.accounts {
                let before = all.last().map(|account| account.name.clone());
                let onward = |account: &Account| {
                    account.identity.is_some() && before.is_none_or(|it| it < account.name)
                };
                all.push(self.checked(words, onward)?);
            }
            match (page.more, is_onward) {
                (false, _) => return Ok(all),
                (true, true) => {}
                (true, false) => return Err(self.garbled("an empty page with more behind it")),
            }
        }
        Err(self.garbled("the list of accounts has no end"))
    }

    async fn is_taken(&self, name: &UserName) -> Result<bool, BackendError> {
        let owned = name.clone();
        if !ask_names(&self.names, move |names| is_unknown(names, &owned)).await? {
            return Ok(true);
        }
        Ok(self.ask::<Taken>(&Operation::IsTaken { name }).await?.taken)
    }

    async fn is_uid_taken(&self, uid: Uid) -> Result<bool, BackendError> {
        if ask_names(&self.names, move |names| names.has_uid(uid)).await? {
            return Ok(true);
        }
        Ok(self.ask::<Taken>(&Operation::IsUidTaken { uid }).await?.taken)
    }

    async fn deploy(&self, intent: &Intent) -> Result<Deployed, BackendError> {
        let words: DeployedWords = self.ask(&Operation::deploy(intent)).await?;
        let DeployedWords { account, created, joined, left } = words;
        let account = self.checked(account, |account| {
            let own_uid = !created || intent.uid.is_none_or(|uid| account.uid == Some(uid.get()));
            account.identity.as_ref() == Some(&intent.identity)
                && account.name == intent.name
                && own_uid
        })?;
        Ok(Deployed { account, created, joined, left })
    }

    async fn set_groups(
        &self,
        identity: &Identity,
        name: &UserName,
        groups: &[GroupName],
    ) -> Result<GroupChanges, BackendError> {
        let operation = Operation::SetGroups { identity, name, groups };
        let Regrouped { joined, left } = self.ask(&operation).await?;
        Ok(GroupChanges { joined, left })
    }

    async fn set_shell(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> Result<(), BackendError> {
        self.tell(&Operation::SetShell { identity, name, shell }).await
    }

    async fn suspend(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.tell(&Operation::Suspend { identity, name }).await
    }

    async fn resume(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.tell(&Operation::Resume { identity, name }).await
    }

    async fn limit(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.tell(&Operation::Limit { identity, name }).await
    }

    async fn unlimit(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> Result<(), BackendError> {
        self.tell(&Operation::Unlimit { identity, name, shell }).await
    }

    async fn managed_groups(&self, name: &UserName) -> Result<Vec<GroupName>, BackendError> {
        Ok(self.ask::<Managed>(&Operation::ManagedGroups { name }).await?.groups)
    }

    async fn remove(&self, identity: &Identity, name: &UserName) -> Result<Removal, BackendError> {
        match self.tell(&Operation::Remove { identity, name }).await {
            Ok(()) | Err(BackendError::NoAccount) => Ok(Removal::default()),
            Err(error) => Err(error),
        }
    }

    async fn roll_back(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        self.tell(&Operation::RollBack { identity, name }).await
    }

    async fn check(&self) -> Result<(), BackendError> {
        let Checked { naming } = self.ask(&Operation::Check {}).await?;
        if Naming::from(naming) == self.config.naming {
            return Ok(());
        }
        Err(BackendError::Unavailable {
            what: format!("the program {} names accounts otherwise", self.config.program.display()),
            cure: "set naming in [backend.external] to what the program answers to `check`"
                .to_owned(),
        })
    }
}
