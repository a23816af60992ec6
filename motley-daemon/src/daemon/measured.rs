//! A back end that is measured: how long its tasks take, how they end, and how many wait.

use async_trait::async_trait;
use feudal_plugins::{
    Account, Backend, BackendError, Deployed, Host, Intent, Naming, Person, backend::GroupChanges,
};
use motley_proto::{
    GroupName, Identity, SshKey, Uid, UserName,
    task::{AccountPath, AccountSessions, Held, HookRun, KeysKept, Removal, SessionsEnded},
};
use std::{future::Future, ops::RangeInclusive, sync::Arc, time::Instant};

/// Measures whatever this back end does.
pub(super) struct Measured<T: ?Sized>(pub(super) Arc<T>);

/// A task under way; it counts as such also when nobody waits for its end any more.
struct UnderWay;

impl UnderWay {
    fn begin() -> Self {
        metrics::gauge!("motley_tasks_waiting").increment(1.0);
        Self
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        metrics::gauge!("motley_tasks_waiting").decrement(1.0);
    }
}

async fn measure<T>(
    task: &'static str,
    work: impl Future<Output = Result<T, BackendError>> + Send,
) -> Result<T, BackendError> {
    let _under_way = UnderWay::begin();
    let begin = Instant::now();
    let done = work.await;
    let outcome = match &done {
        Ok(_) => "ok",
        Err(BackendError::Busy) => "busy",
        Err(BackendError::Failed { .. }) => "failed",
        Err(BackendError::Unavailable { .. }) => "unavailable",
        Err(_) => "refused",
    };
    metrics::counter!("motley_tasks_total", "task" => task, "outcome" => outcome).increment(1);
    metrics::histogram!("motley_task_seconds", "task" => task)
        .record(begin.elapsed().as_secs_f64());
    done
}

#[async_trait]
impl Backend for Measured<dyn Backend> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn naming(&self) -> Naming {
        self.0.naming()
    }

    fn numbers(&self) -> Option<RangeInclusive<u32>> {
        self.0.numbers()
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    async fn prepared_name(
        &self,
        identity: &Identity,
        person: &Person,
    ) -> Result<Option<UserName>, BackendError> {
        measure("prepared_name", self.0.prepared_name(identity, person)).await
    }

    async fn find(&self, identity: &Identity) -> Result<Option<Account>, BackendError> {
        measure("find", self.0.find(identity)).await
    }

    async fn by_name(&self, name: &UserName) -> Result<Option<Account>, BackendError> {
        measure("by_name", self.0.by_name(name)).await
    }

    async fn accounts(&self) -> Result<Vec<Account>, BackendError> {
        measure("accounts", self.0.accounts()).await
    }

    async fn oddities(&self) -> Result<Vec<String>, BackendError> {
        measure("oddities", self.0.oddities()).await
    }

    async fn is_taken(&self, name: &UserName) -> Result<bool, BackendError> {
        measure("is_taken", self.0.is_taken(name)).await
    }

    async fn is_uid_taken(&self, uid: Uid) -> Result<bool, BackendError> {
        measure("is_uid_taken", self.0.is_uid_taken(uid)).await
    }

    async fn deploy(&self, intent: &Intent) -> Result<Deployed, BackendError> {
        measure("deploy", self.0.deploy(intent)).await
    }

    async fn set_groups(
        &self,
        identity: &Identity,
        name: &UserName,
        groups: &[GroupName],
    ) -> Result<GroupChanges, BackendError> {
        measure("set_groups", self.0.set_groups(identity, name, groups)).await
    }

    async fn set_shell(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> Result<(), BackendError> {
        measure("set_shell", self.0.set_shell(identity, name, shell)).await
    }

    async fn suspend(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        measure("suspend", self.0.suspend(identity, name)).await
    }

    async fn resume(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        measure("resume", self.0.resume(identity, name)).await
    }

    async fn lift_own_lock(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<(), BackendError> {
        measure("lift_own_lock", self.0.lift_own_lock(identity, name)).await
    }

    async fn limit(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        measure("limit", self.0.limit(identity, name)).await
    }

    async fn unlimit(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> Result<(), BackendError> {
        measure("unlimit", self.0.unlimit(identity, name, shell)).await
    }

    async fn managed_groups(&self, name: &UserName) -> Result<Vec<GroupName>, BackendError> {
        measure("managed_groups", self.0.managed_groups(name)).await
    }

    async fn primary_group(&self, name: &UserName) -> Result<Option<GroupName>, BackendError> {
        measure("primary_group", self.0.primary_group(name)).await
    }

    async fn managed_primary(&self, name: &UserName) -> Result<Option<GroupName>, BackendError> {
        measure("managed_primary", self.0.managed_primary(name)).await
    }

    async fn set_primary_group(
        &self,
        identity: &Identity,
        name: &UserName,
        group: &GroupName,
    ) -> Result<(), BackendError> {
        measure("set_primary_group", self.0.set_primary_group(identity, name, group)).await
    }

    fn can_remove(&self) -> Result<(), BackendError> {
        self.0.can_remove()
    }

    fn ends_sessions(&self) -> bool {
        self.0.ends_sessions()
    }

    async fn remove(&self, identity: &Identity, name: &UserName) -> Result<Removal, BackendError> {
        measure("remove", self.0.remove(identity, name)).await
    }

    async fn roll_back(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError> {
        measure("roll_back", self.0.roll_back(identity, name)).await
    }

    async fn check(&self) -> Result<(), BackendError> {
        measure("check", self.0.check()).await
    }
}

#[async_trait]
impl Host for Measured<dyn Host> {
    async fn sessions(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<AccountSessions, BackendError> {
        measure("sessions", self.0.sessions(identity, name)).await
    }

    async fn end_sessions(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<SessionsEnded, BackendError> {
        measure("end_sessions", self.0.end_sessions(identity, name)).await
    }

    async fn hold(&self, identity: &Identity, name: &UserName) -> Result<Held, BackendError> {
        measure("hold", self.0.hold(identity, name)).await
    }

    async fn release(&self, identity: &Identity, name: &UserName) -> Result<Held, BackendError> {
        measure("release", self.0.release(identity, name)).await
    }

    async fn created(&self, identity: &Identity, name: &UserName) -> Result<HookRun, BackendError> {
        measure("created", self.0.created(identity, name)).await
    }

    async fn set_keys(
        &self,
        identity: &Identity,
        name: &UserName,
        keys: &[SshKey],
    ) -> Result<KeysKept, BackendError> {
        measure("set_keys", self.0.set_keys(identity, name, keys)).await
    }
}
