//! Local groups that are made from one text only, so that the people of another do not get into them.

use super::{
    AccountError, Accounts,
    deployment::{DeployError, Wish},
};
use feudal_plugins::{
    Claims,
    groups::{Barred, GroupError, Groups, Origins, groups_without},
};
use motley_proto::{GroupName, Identity};
use std::collections::{BTreeMap, BTreeSet};

impl Accounts {
    /// The groups that a person's account shall have: without those that the back end refused, and
    /// those that are made from other texts.
    ///
    /// # Errors
    /// When the store does not answer; the inner error is the configuration's or the claims'.
    pub(super) async fn groups_of(
        &self,
        claims: &Claims,
        refused: &BTreeSet<GroupName>,
    ) -> Result<Result<Groups, GroupError>, AccountError> {
        let origins = match Origins::of(&self.rules.groups, claims) {
            Ok(origins) => origins,
            Err(error) => return Ok(Err(error.into())),
        };
        let names: Vec<&GroupName> = origins.names().collect();
        let mut others = self.store.group_texts(&names).await?;
        others.retain(|name, kept| !origins.agrees(name, kept));
        let barred = Barred { refused: refused.clone(), others };
        Ok(groups_without(&self.rules.groups, claims, &barred))
    }

    /// Keeps the texts that groups are made from which an account is about to have.
    ///
    /// # Errors
    /// [`DeployError::GroupTaken`] when somebody with another text was faster.
    pub(super) async fn claim_groups<'a>(
        &self,
        wish: &Wish<'_>,
        groups: impl IntoIterator<Item = &'a GroupName>,
    ) -> Result<(), DeployError> {
        let taken = self.note_groups(wish.identity, wish.claims, groups).await?;
        taken.map_or(Ok(()), |name| Err(DeployError::GroupTaken(name)))
    }

    /// The same about groups that an account has. Yields the first that is made from another text.
    pub(super) async fn note_groups<'a>(
        &self,
        identity: &Identity,
        claims: &Claims,
        groups: impl IntoIterator<Item = &'a GroupName>,
    ) -> Result<Option<GroupName>, AccountError> {
        // Whoever gets here had the same claims read before.
        let Ok(origins) = Origins::of(&self.rules.groups, claims) else { return Ok(None) };
        let texts: BTreeMap<GroupName, String> = groups
            .into_iter()
            .filter_map(|name| Some((name.clone(), origins.first(name)?.to_owned())))
            .collect();
        let names: Vec<&GroupName> = texts.keys().collect();
        let mut kept = self.store.group_texts(&names).await?;
        let mut new = texts.clone();
        new.retain(|name, _| !kept.contains_key(name));
        if !new.is_empty() {
            self.store.note_group_texts(&new, &identity.issuer, self.clock.now()).await?;
            kept = self.store.group_texts(&names).await?;
        }
        Ok(kept.into_iter().find(|(name, text)| !origins.agrees(name, text)).map(|(name, _)| name))
    }
}
