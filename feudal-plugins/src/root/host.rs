//! What the root helper does on this host about accounts that a directory keeps.

use super::{Channel, unexpected};
use crate::{backend::BackendError, host::Host};
use async_trait::async_trait;
use motley_proto::{
    Identity, SshKey, UserName,
    task::{AccountSessions, Held, HookRun, KeysKept, SessionsEnded, Task, TaskDone},
};
use std::path::Path;

/// This host, through the root helper.
pub struct RootHost {
    root: Channel,
}

impl RootHost {
    /// Through the root helper behind `socket`.
    pub fn new(socket: &Path) -> Self {
        Self { root: Channel::new(socket) }
    }
}

#[async_trait]
impl Host for RootHost {
    async fn sessions(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<AccountSessions, BackendError> {
        let task = Task::Sessions { identity: identity.clone(), name: name.clone() };
        match self.root.run(&task).await? {
            TaskDone::SessionList(list) => Ok(list),
            other => Err(unexpected(&other)),
        }
    }

    async fn end_sessions(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<SessionsEnded, BackendError> {
        let task = Task::EndSessions { identity: identity.clone(), name: name.clone() };
        match self.root.run(&task).await? {
            TaskDone::Sessions(ended) => Ok(ended),
            other => Err(unexpected(&other)),
        }
    }

    async fn hold(&self, identity: &Identity, name: &UserName) -> Result<Held, BackendError> {
        let task = Task::Hold { identity: identity.clone(), name: name.clone() };
        match self.root.run(&task).await? {
            TaskDone::Held(held) => Ok(held),
            other => Err(unexpected(&other)),
        }
    }

    async fn release(&self, identity: &Identity, name: &UserName) -> Result<Held, BackendError> {
        let task = Task::Release { identity: identity.clone(), name: name.clone() };
        match self.root.run(&task).await? {
            TaskDone::Released(held) => Ok(held),
            other => Err(unexpected(&other)),
        }
    }

    async fn created(&self, identity: &Identity, name: &UserName) -> Result<HookRun, BackendError> {
        let task = Task::RunHook { identity: identity.clone(), name: name.clone() };
        match self.root.run(&task).await? {
            TaskDone::Hook(run) => Ok(run),
            other => Err(unexpected(&other)),
        }
    }

    async fn set_keys(
        &self,
        identity: &Identity,
        name: &UserName,
        keys: &[SshKey],
    ) -> Result<KeysKept, BackendError> {
        let (identity_, keys) = (identity.clone(), keys.to_vec());
        let task = Task::SetKeys { identity: identity_, name: name.clone(), keys };
        match self.root.run(&task).await? {
            TaskDone::Keys(kept) => Ok(kept),
            other => Err(unexpected(&other)),
        }
    }
}
