//! Memberships that are gone are left at the next login; new ones wait for the next deployment.

use super::{AccountError, Accounts};
use crate::{audit::Event, verified::Verified};
use feudal_plugins::{
    Account, BackendError, Claims,
    groups::{GroupError, GroupRules, Groups, claims_read, groups},
};
use motley_proto::{GroupName, Identity};
use std::collections::BTreeSet;

impl Accounts {
    /// Leaves the groups that motley had joined and that the verified claims do not assert any more.
    /// Yields them.
    ///
    /// A primary group that motley gave is one of them: another takes its place, one that the account
    /// has already or that everybody gets.
    ///
    /// Claims decide only where they are whole: a source that could not be asked, a token that says
    /// nothing about groups, or rules that can't be applied take nobody out of any.
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
        let wanted = self.groups_of(&claims, &BTreeSet::new()).await?;
        let wanted = match or_those_of_nobody(wanted, &self.rules.groups) {
            Ok(wanted) => wanted,
            // It says nothing about the person: who is in and who is out is the admin's to mend.
            Err(error) => {
                tracing::error!(request, %error, "groups can't be made out, and nobody leaves any; correct [ldf_adapter]");
                return Ok(Vec::new());
            }
        };
        let identity = verified.identity();
        let _held = self.locks.hold(identity).await;
        let Some(account) = self.backend.find(identity).await? else { return Ok(Vec::new()) };
        let managed = self.backend.managed_groups(&account.name).await?;
        // Where the host's admin took the person out by hand, nothing is joined again.
        let has = |group: &GroupName| account.groups.iter().any(|has| has == group.as_str());
        let (kept, lost): (Vec<GroupName>, Vec<GroupName>) =
            managed.into_iter().filter(has).partition(|group| wanted.contains(group));
        // What the account has is its text's from now on, if it is nobody else's.
        self.note_groups(identity, &claims, &kept).await?;
        let everybodys = self.groups_of_everybody()?;
        let primary = self.backend.managed_primary(&account.name).await?;
        let primary = primary.filter(|it| !wanted.contains(it) && !everybodys.contains(it));
        let mut left = match lost.is_empty() {
            true => Vec::new(),
            false => self.backend.set_groups(identity, &account.name, &kept).await?.left,
        };
        let replaced = match primary {
            Some(gone) => {
                let wanted = &wanted.primary;
                let done = self.replace_primary(&account, identity, wanted, request).await;
                left.extend(Some(gone).filter(|_| done.is_ok()));
                done
            }
            None => Ok(()),
        };
        if left.is_empty() {
            return replaced.map(|()| left);
        }
        if let Err(error) = replaced {
            tracing::warn!(request, %error, "the primary group could not be replaced");
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

    /// New groups are joined by the next deployment only, so it is one that the account has, or else one
    /// that everybody may have.
    async fn replace_primary(
        &self,
        account: &Account,
        identity: &Identity,
        wanted: &GroupName,
        request: &str,
    ) -> Result<(), AccountError> {
        let name = &account.name;
        let mut refused = BTreeSet::new();
        let has = account.groups.iter().any(|group| group == wanted.as_str());
        let mut group = match has || self.groups_of_everybody()?.contains(wanted) {
            true => wanted.clone(),
            false => self.rules.groups.fallback(&refused).map_err(unusable)?,
        };
        loop {
            let done = self.backend.set_primary_group(identity, name, &group).await;
            match done {
                Err(BackendError::GroupRefused { group: no, why })
                    if refused.insert(no.clone()) =>
                {
                    tracing::warn!(request, group = %no, why, "the host does not allow this group");
                    group = self.rules.groups.fallback(&refused).map_err(unusable)?;
                }
                done => {
                    done?;
                    tracing::info!(request, %name, %group, "another primary group took the place of one that is gone");
                    return Ok(());
                }
            }
        }
    }

    /// The groups of those of whom no group is asserted.
    fn groups_of_everybody(&self) -> Result<Groups, AccountError> {
        let rules = &self.rules.groups;
        Ok(or_those_of_nobody(groups(rules, &Claims::default()), rules).map_err(unusable)?)
    }

    /// What an admin had accepted does not outlast the claim.
    async fn give_up_accepted(
        &self,
        identity: &Identity,
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

/// Where all groups are gone and none stands in for them, none is left.
fn or_those_of_nobody(
    asserted: Result<Groups, GroupError>,
    rules: &GroupRules,
) -> Result<Groups, GroupError> {
    match asserted {
        Err(GroupError::NoPrimary) => rules.of_nobody(),
        groups => groups,
    }
}

fn unusable(error: GroupError) -> BackendError {
    BackendError::Refused(error.to_string())
}
