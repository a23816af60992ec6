//! What the root helper does on this host about accounts, whatever keeps them.

use super::{Channel, unexpected};
use crate::{backend::BackendError, host::Host};
use async_trait::async_trait;
use motley_proto::{
    Identity, SshKey, UserName,
    task::{AccountSessions, Held, HookRun, KeysKept, SessionsEnded, Task, TaskDone, TaskRefusal},
};
use std::path::Path;

/// What becomes of an account that is not in the helper's ledger yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unrecorded {
    /// The helper's refusal counts: a directory keeps the account.
    Refused,
    /// It is taken into the ledger, and the task is tried again.
    Adopted,
}

/// This host, through the root helper.
pub struct RootHost {
    root: Channel,
    unrecorded: Unrecorded,
}

impl RootHost {
    /// The host of accounts that a directory keeps, through the root helper behind `socket`.
    pub fn new(socket: &Path) -> Self {
        Self { root: Channel::new(socket), unrecorded: Unrecorded::Refused }
    }

    /// The host of accounts that are its own: those that the helper did not make are adopted.
    pub(crate) fn adopting(socket: &Path) -> Self {
        Self { root: Channel::new(socket), unrecorded: Unrecorded::Adopted }
    }

    /// Has a task done as it stands.
    pub(crate) async fn run(&self, task: &Task) -> Result<TaskDone, BackendError> {
        self.root.run(task).await
    }

    /// Has the helper change an account, and adopt it first where that is wanted and needed.
    pub(crate) async fn change(
        &self,
        identity: &Identity,
        name: &UserName,
        task: &Task,
    ) -> Result<TaskDone, BackendError> {
        match self.root.ask(task).await? {
            Ok(done) => Ok(done),
            Err(TaskRefusal::NotManaged(_)) if self.unrecorded == Unrecorded::Adopted => {
                self.adopt(identity, name).await?;
                self.root.run(task).await
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    pub(crate) async fn adopt(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<(), BackendError> {
        let task = Task::Adopt { identity: identity.clone(), name: name.clone() };
        self.root.run(&task).await.map(|_| ())
    }

    #[cfg(test)]
    pub(crate) fn channel(&mut self) -> &mut Channel {
        &mut self.root
    }
}

#[async_trait]
impl Host for RootHost {
    async fn sessions(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<AccountSessions, BackendError> {
        // Asking adopts nobody: an account that was never taken over is left as it is.
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
        match self.change(identity, name, &task).await? {
            TaskDone::Sessions(ended) => Ok(ended),
            other => Err(unexpected(&other)),
        }
    }

    async fn hold(&self, identity: &Identity, name: &UserName) -> Result<Held, BackendError> {
        let task = Task::Hold { identity: identity.clone(), name: name.clone() };
        match self.change(identity, name, &task).await? {
            TaskDone::Held(held) => Ok(held),
            other => Err(unexpected(&other)),
        }
    }

    async fn release(&self, identity: &Identity, name: &UserName) -> Result<Held, BackendError> {
        let task = Task::Release { identity: identity.clone(), name: name.clone() };
        match self.change(identity, name, &task).await? {
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
        match self.change(identity, name, &task).await? {
            TaskDone::Keys(kept) => Ok(kept),
            other => Err(unexpected(&other)),
        }
    }
}
