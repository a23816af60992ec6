//! Memberships that are gone are left at the next login; new ones wait for the next deployment.

use super::{AccountError, Accounts};
use crate::{audit::Event, verified::Verified};
use feudal_plugins::{Claims, groups::claims_read};
use motley_proto::GroupName;
use std::collections::BTreeSet;

impl Accounts {
    /// Leaves the groups that motley had joined and that the verified claims do not assert any more.
    /// Yields them.
    ///
    /// Claims decide only where they are whole: a source that could not be asked, or a token that
    /// says nothing about groups, takes nobody out of any.
    ///
    /// # Errors
    /// When store, back end or audit trail do not answer.
    pub async fn leave_lost_groups(
        &self,
        verified: &Verified,
        request: &str,
    ) -> Result<Vec<GroupName>, AccountError> {
        if !self.lifecycle.config.check_groups || !verified.is_whole() {
            return Ok(Vec::new());
        }
        if claims_read().is_lacking_in(&verified.merged()) {
            return Ok(Vec::new());
        }
        let from = verified.sources();
        let claims =
            Claims::merge(from.userinfo.as_ref(), from.introspection.as_ref(), from.token.as_ref());
        let Ok(wanted) = self.groups_of(&claims, &BTreeSet::new()).await? else {
            return Ok(Vec::new());
        };
        let identity = verified.identity();
        let _held = self.locks.hold(identity).await;
        let Some(account) = self.backend.find(identity).await? else { return Ok(Vec::new()) };
        let managed = self.backend.managed_groups(&account.name).await?;
        // Where the host's admin took the person out by hand, nothing is joined again.
        let has = |group: &GroupName| account.groups.iter().any(|has| has == group.as_str());
        let (kept, lost): (Vec<GroupName>, Vec<GroupName>) = managed
            .into_iter()
            .filter(has)
            .partition(|group| wanted.supplementary.contains(group) || *group == wanted.primary);
        // What the account has is its text's from now on, if it is nobody else's.
        self.note_groups(identity, &claims, &kept).await?;
        if lost.is_empty() {
            return Ok(lost);
        }
        let left = self.backend.set_groups(identity, &account.name, &kept).await?.left;
        if left.is_empty() {
            return Ok(left);
        }
        self.give_up_accepted(identity, &left).await?;
        let names: Vec<&str> = left.iter().map(GroupName::as_str).collect();
        self.record(Event::GroupsLeft {
            request: request.to_owned(),
            identity: identity.clone(),
            name: account.name,
            groups: names.join(","),
        })?;
        Ok(left)
    }

    /// What an admin had accepted does not outlast the claim.
    async fn give_up_accepted(
        &self,
        identity: &motley_proto::Identity,
        left: &[GroupName],
    ) -> Result<(), AccountError> {
        let approval = self.store.approval_of(identity).await?;
        if let Some(approval) = approval.filter(|it| it.accepted.iter().any(|g| left.contains(g))) {
            let kept: BTreeSet<GroupName> =
                approval.accepted.into_iter().filter(|group| !left.contains(group)).collect();
            self.store.set_accepted(identity, &kept).await?;
        }
        Ok(())
    }
}
