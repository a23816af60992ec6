//! What an account has of groups is kept, and what an admin accepted comes to it.

use super::{
    AccountError, Accounts,
    deployment::{DeployError, Deployment, Wish},
};
use crate::store::{AccountRecord, Approval};
use feudal_plugins::{Account, BackendError, groups::Groups, message};
use motley_proto::{GroupName, approval::ApprovalKind, rest::AccountState};
use std::collections::BTreeSet;

impl Accounts {
    /// Joins the groups of a request that was accepted. All else about the account stays: the claims
    /// that were kept with the request may be older than what the account shows by now, so they take
    /// nothing away and give nothing back.
    pub(super) async fn join_accepted(
        &self,
        wish: &Wish<'_>,
        approval: &Approval,
        account: Account,
        record: Option<AccountRecord>,
    ) -> Result<Deployment, DeployError> {
        let primary = self.backend.primary_group(&account.name).await?;
        let mut groups = self.joined_by_us(&account).await?;
        // Without those that the host has just refused.
        let may_be = |group: &&GroupName| wish.groups.supplementary.contains(group);
        let accepted: Vec<&GroupName> = approval.intent.groups.iter().filter(may_be).collect();
        self.claim_groups(wish, accepted.iter().copied()).await?;
        groups.extend(accepted.into_iter().cloned());
        groups.retain(|group| Some(group) != primary.as_ref());
        let groups: Vec<GroupName> = groups.into_iter().collect();
        let done = self.backend.set_groups(wish.identity, &account.name, &groups).await;
        let changes = match done {
            // Where nobody can join groups, the request is settled all the same.
            Err(BackendError::Unsupported(_)) => Default::default(),
            done => done?,
        };
        let has_tier = record.as_ref().is_some_and(|record| record.tier.is_some());
        if approval.kind == ApprovalKind::Account && !has_tier {
            self.store.set_tier(wish.identity, wish.tier).await?;
        }
        let message = message::deployed(false, &changes.joined, &changes.left);
        self.audit_deployment(wish, &account.name, &message)?;
        let limited = record.is_some_and(|record| record.is_limited());
        let state = if limited { AccountState::Limited } else { AccountState::Deployed };
        Ok(Deployment { state, message, name: account.name })
    }

    /// Adds to the groups of an intent those that the account has through us, for claims that have a
    /// gap: what they lack may be claimed all the same.
    pub(super) async fn keep_groups(
        &self,
        groups: &mut Groups,
        account: &Account,
    ) -> Result<(), AccountError> {
        if let Some(primary) = self.backend.primary_group(&account.name).await? {
            groups.primary = primary;
        }
        let mut kept = self.joined_by_us(account).await?;
        kept.extend(groups.supplementary.drain(..));
        groups.supplementary = kept.into_iter().collect();
        Ok(())
    }

    /// Groups that we had joined and that the account still has: where the host's admin took the person
    /// out by hand, nothing is joined again.
    async fn joined_by_us(&self, account: &Account) -> Result<BTreeSet<GroupName>, AccountError> {
        let managed = self.backend.managed_groups(&account.name).await?;
        let has = |group: &GroupName| account.groups.iter().any(|has| has == group.as_str());
        Ok(managed.into_iter().filter(has).collect())
    }
}
