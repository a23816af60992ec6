//! Makes an intent true: creates the account, or adopts and updates the one that exists.

use super::{
    LocalUnix,
    facts::{account_facts, account_of, without},
};
use crate::{
    backend::{Backend, BackendError, Deployed, GroupChanges, Intent},
    root::unexpected,
};
use motley_proto::{
    GroupName, Identity, UserName,
    task::{AccountFacts, NewAccount, Task, TaskDone},
};

impl LocalUnix {
    pub(super) async fn create(&self, intent: &Intent) -> Result<Deployed, BackendError> {
        let primary = &intent.groups.primary;
        let uid = intent.uid.ok_or_else(|| {
            BackendError::Refused("a local account needs a uid from the caller".to_owned())
        })?;
        let task = Task::Create(NewAccount {
            identity: intent.identity.clone(),
            name: intent.name.clone(),
            uid,
            primary_group: primary.clone(),
            groups: without(&intent.groups.supplementary, Some(primary.as_str())),
            shell: intent.shell.clone(),
            home_base: intent.home_base.clone(),
        });
        let facts = account_facts(self.host.run(&task).await?)?;
        let joined = without(&intent.groups.supplementary, facts.primary_group.as_deref());
        let account = account_of(facts, Some(intent.identity.clone()));
        Ok(Deployed { account, created: true, joined, left: Vec::new() })
    }

    pub(super) async fn update(
        &self,
        intent: &Intent,
        facts: AccountFacts,
    ) -> Result<Deployed, BackendError> {
        let owner = Some(intent.identity.clone());
        if facts.identity.is_none() {
            self.host.adopt(&intent.identity, &intent.name).await?;
        }
        if facts.expired {
            let account = account_of(facts, owner);
            return Ok(Deployed { account, created: false, joined: vec![], left: vec![] });
        }
        let before = facts;
        let facts = self.follow_primary(intent, &before).await?;
        let wanted = without(&intent.groups.supplementary, facts.primary_group.as_deref());
        let (mut facts, mut changes) =
            self.join_and_leave(&intent.identity, &facts, &wanted).await?;
        if facts.gid != before.gid {
            let primary = |facts: &AccountFacts| GroupName::new(facts.primary_group.clone()?).ok();
            let is_new = |group: &GroupName| !is_member(&before, group);
            let is_gone = |group: &GroupName| !is_member(&facts, group);
            changes.count_primary(primary(&facts).filter(is_new), primary(&before).filter(is_gone));
        }
        if self.config.shells.is_of_a_tier(&facts.shell) && facts.shell != intent.shell.as_str() {
            self.set_shell(&intent.identity, &intent.name, &intent.shell).await?;
            facts.shell = intent.shell.as_str().to_owned();
        }
        let account = account_of(facts, owner);
        Ok(Deployed { account, created: false, joined: changes.joined, left: changes.left })
    }

    /// A primary group that we gave does not outlast the claim.
    async fn follow_primary(
        &self,
        intent: &Intent,
        facts: &AccountFacts,
    ) -> Result<AccountFacts, BackendError> {
        let groups = &intent.groups;
        let mut wanted = std::iter::once(&groups.primary).chain(&groups.supplementary);
        if !facts.managed_primary
            || wanted.any(|group| facts.primary_group.as_deref() == Some(group.as_str()))
        {
            return Ok(facts.clone());
        }
        self.replace_primary(&intent.identity, &intent.name, &groups.primary).await
    }

    pub(super) async fn replace_primary(
        &self,
        identity: &Identity,
        name: &UserName,
        group: &GroupName,
    ) -> Result<AccountFacts, BackendError> {
        let (identity_, name_, group) = (identity.clone(), name.clone(), group.clone());
        let task = Task::SetPrimaryGroup { identity: identity_, name: name_, group };
        account_facts(self.host.change(identity, name, &task).await?)
    }

    pub(super) async fn join_and_leave(
        &self,
        identity: &Identity,
        facts: &AccountFacts,
        wanted: &[GroupName],
    ) -> Result<(AccountFacts, GroupChanges), BackendError> {
        let join: Vec<_> = wanted.iter().filter(|it| !is_member(facts, it)).cloned().collect();
        let leave: Vec<_> =
            facts.managed_groups.iter().filter(|group| !wanted.contains(group)).cloned().collect();
        if join.is_empty() && leave.is_empty() {
            return Ok((facts.clone(), GroupChanges::default()));
        }
        let (identity_, name) = (identity.clone(), facts.name.clone());
        let task = Task::SetGroups { identity: identity_, name, join, leave };
        match self.host.change(identity, &facts.name, &task).await? {
            TaskDone::Groups { joined, left, account } => {
                Ok((account, GroupChanges { joined, left }))
            }
            other => Err(unexpected(&other)),
        }
    }
}

fn is_member(facts: &AccountFacts, group: &GroupName) -> bool {
    facts.groups.iter().any(|name| name == group.as_str())
}
