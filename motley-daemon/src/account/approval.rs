//! Approval: what somebody may have only after an admin has said so, and what is asked of admins.
//!
//! A request is an intent, never a command: when it is accepted everything is decided anew.

use super::{
    AccountError, Accounts,
    ask::{ApprovalRules, Asked, Asking, Brought, keep_claims},
    deployment::{Consent, DeployError, Wish},
};
use crate::store::{AccountRecord, Approval, StoreError};
use feudal_plugins::{Account, Claims, Naming, groups::groups, names::candidates};
use motley_proto::{
    GroupName, Identity, UserName,
    approval::{ApprovalKind, ApprovalStatus},
    rest::AccountState,
};
use std::collections::BTreeSet;

/// Most names that are tried to tell which one would be given.
const TRIED_NAMES: usize = 200;

/// Groups of an account that is there, by whether they need an admin's word.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// It has them, or may join.
    pub(super) granted: Vec<GroupName>,
    /// An admin has to be asked.
    pub(super) asked: BTreeSet<GroupName>,
    /// What was asked before.
    pub(super) seen: Option<Approval>,
}

impl Accounts {
    /// How accounts come to an admin; `None` where they need none.
    pub fn approval_rules(&self) -> Option<&ApprovalRules> {
        self.approval.as_ref()
    }

    pub(super) fn consent(&self) -> Consent<'static> {
        if self.approval.is_some() { Consent::Ask } else { Consent::NotNeeded }
    }

    /// The request of an identity, unless it has ended.
    pub(super) async fn current_approval(
        &self,
        identity: &Identity,
    ) -> Result<Option<Approval>, StoreError> {
        let found = self.store.approval_of(identity).await?;
        Ok(found.filter(|approval| !approval.is_over(self.clock.now())))
    }

    /// What an identity asks of the admins, as long as they have not decided.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn open_request(
        &self,
        identity: &Identity,
    ) -> Result<Option<Approval>, AccountError> {
        if self.approval.is_none() {
            return Ok(None);
        }
        let open = |it: &Approval| {
            matches!(it.status, ApprovalStatus::Pending | ApprovalStatus::Accepting)
        };
        Ok(self.current_approval(identity).await?.filter(open))
    }

    /// The state of somebody without an account.
    pub(super) async fn state_without_account(
        &self,
        identity: &Identity,
    ) -> Result<AccountState, StoreError> {
        if self.approval.is_none() {
            return Ok(AccountState::NotDeployed);
        }
        let approval = self.current_approval(identity).await?;
        Ok(match approval.map(|approval| approval.status) {
            Some(ApprovalStatus::Pending | ApprovalStatus::Accepting) => AccountState::Pending,
            Some(ApprovalStatus::Rejected) => AccountState::Rejected,
            Some(ApprovalStatus::Accepted) | None => AccountState::NotDeployed,
        })
    }

    /// Asks for a first account, unless that was accepted on another node already.
    ///
    /// # Errors
    /// [`DeployError::Waits`] tells the person how it stands.
    pub(super) async fn ask_for_account(
        &self,
        wish: &mut Wish<'_>,
        record: Option<&AccountRecord>,
    ) -> Result<(), DeployError> {
        let waits =
            |state, message: &str| Err(DeployError::Waits { state, message: message.to_owned() });
        let seen = self.current_approval(wish.identity).await?;
        let groups: BTreeSet<GroupName> = wish.groups.supplementary.iter().cloned().collect();
        let is_same = |seen: &Approval| {
            let intent = &seen.intent;
            seen.kind == ApprovalKind::Account
                && intent.groups == groups
                && intent.primary_group == wish.groups.primary
                && intent.tier == wish.tier.as_str()
        };
        let status = seen.as_ref().map(|seen| (seen.status, is_same(seen)));
        // What another stack had noted is replaced by what the provider says.
        let again = status == Some((ApprovalStatus::Pending, true))
            && wish.verified.is_whole()
            && seen.as_ref().is_some_and(|seen| seen.intent.taken_over);
        match status {
            // Accepted for another node. A primary group that nobody accepted is asked for all the same.
            Some((ApprovalStatus::Accepted, _)) => {
                if let Some(seen) = &seen
                    && seen.accepted.contains(&wish.groups.primary)
                {
                    let accepted = self.still_accepted(wish, seen).await?;
                    wish.groups.supplementary.retain(|group| accepted.contains(group));
                    return Ok(());
                }
            }
            Some((ApprovalStatus::Rejected, _)) => {
                let text = "User deployment was rejected. No new deployment request will be sent.";
                return waits(AccountState::Rejected, text);
            }
            Some((ApprovalStatus::Accepting, _) | (ApprovalStatus::Pending, true)) if !again => {
                return waits(AccountState::Pending, ALREADY);
            }
            Some(_) | None => {}
        }
        let brought = if again { Brought::Again } else { Brought::New };
        let name = self.name_to_be(wish, record).await?;
        let asking =
            Asking { kind: ApprovalKind::Account, groups, seen: seen.as_ref(), name, brought };
        let is_new = seen.as_ref().is_none_or(|seen| seen.status == ApprovalStatus::Accepted);
        match self.ask(wish, asking).await? {
            Asked::Written if again => waits(AccountState::Pending, ALREADY),
            Asked::Written if is_new => {
                waits(AccountState::Pending, "Request for deployment was submitted for approval.")
            }
            Asked::Written => waits(
                AccountState::Pending,
                "Updated request for deployment was submitted for approval.",
            ),
            Asked::NotNow => waits(AccountState::NotDeployed, NOT_NOW),
            Asked::Nothing => waits(AccountState::Pending, ALREADY),
        }
    }

    /// Tells which groups of an account need an admin's word. Those that it has need none, nor those
    /// that were accepted for as long as the person goes on to claim them.
    pub(super) async fn sort_groups(
        &self,
        wish: &Wish<'_>,
        account: &Account,
    ) -> Result<Sorted, DeployError> {
        let mut seen = self.current_approval(wish.identity).await?;
        if let Some(seen) = &mut seen {
            seen.accepted = self.still_accepted(wish, seen).await?;
        }
        let accepted = seen.as_ref().map(|seen| seen.accepted.clone()).unwrap_or_default();
        let free = self.groups_without_asking(account, &accepted).await?;
        let (granted, asked): (Vec<_>, Vec<_>) =
            wish.groups.supplementary.iter().cloned().partition(|group| free.contains(group));
        Ok(Sorted { granted, asked: asked.into_iter().collect(), seen })
    }

    /// What was accepted and is claimed now, whatever else is open: who loses a group and gets it back
    /// asks again. Claims with a gap end nothing.
    async fn still_accepted(
        &self,
        wish: &Wish<'_>,
        seen: &Approval,
    ) -> Result<BTreeSet<GroupName>, StoreError> {
        let claims = |group: &&GroupName| wish.groups.supplementary.contains(group);
        let accepted: BTreeSet<GroupName> = seen.accepted.iter().filter(claims).cloned().collect();
        if !wish.verified.is_whole() || accepted == seen.accepted {
            return Ok(seen.accepted.clone());
        }
        self.store.set_accepted(wish.identity, &accepted).await?;
        Ok(accepted)
    }

    /// Groups of an account for which nobody has to be asked: those that it has, those that the
    /// configuration gives to everybody, and those that were accepted.
    pub(super) async fn groups_without_asking(
        &self,
        account: &Account,
        accepted: &BTreeSet<GroupName>,
    ) -> Result<BTreeSet<GroupName>, AccountError> {
        let primary = self.backend.primary_group(&account.name).await?;
        let configured = groups(&self.rules.groups, &Claims::default());
        let configured = configured.map(|groups| groups.supplementary).unwrap_or_default();
        let has = account.groups.iter().filter_map(|group| GroupName::new(group.clone()).ok());
        Ok(accepted.iter().cloned().chain(primary).chain(configured).chain(has).collect())
    }

    /// Asks for the groups of an account that need an admin's word.
    pub(super) async fn ask_for_groups(
        &self,
        wish: &Wish<'_>,
        name: &UserName,
        sorted: Sorted,
    ) -> Result<Asked, DeployError> {
        let Sorted { asked, seen, .. } = sorted;
        let open = seen.as_ref().filter(|seen| seen.status != ApprovalStatus::Accepted);
        let whole = wish.verified.is_whole();
        if asked.is_empty() {
            // What was asked for has come about, or is not claimed any more.
            let pending = |open: &&Approval| whole && open.status == ApprovalStatus::Pending;
            if let Some(open) = open.filter(pending) {
                self.store.note_accepted(wish.identity, &open.accepted).await?;
            }
            return Ok(Asked::Nothing);
        }
        let is_known = open.is_some_and(|open| match (open.kind, open.status) {
            (_, ApprovalStatus::Accepting) => true,
            // What claims with a gap lack may be claimed all the same.
            (ApprovalKind::Groups, ApprovalStatus::Pending) => {
                !whole || self.is_still_asked(wish, open, &asked)
            }
            // Who was refused these asks again only for others.
            (_, ApprovalStatus::Rejected) => asked.is_subset(&open.intent.groups),
            _ => false,
        });
        if is_known {
            return Ok(Asked::Nothing);
        }
        let again = open.is_some_and(|open| {
            open.intent.taken_over
                && (open.kind, open.status) == (ApprovalKind::Groups, ApprovalStatus::Pending)
                && open.intent.groups == asked
        });
        let asking = Asking {
            kind: ApprovalKind::Groups,
            groups: asked,
            seen: seen.as_ref(),
            name: Some(name.clone()),
            brought: if again { Brought::Again } else { Brought::New },
        };
        self.ask(wish, asking).await
    }

    /// True when a request for groups says what the person claims now: it is decided about by what it
    /// keeps.
    fn is_still_asked(
        &self,
        wish: &Wish<'_>,
        open: &Approval,
        asked: &BTreeSet<GroupName>,
    ) -> bool {
        let claims = self.approval.as_ref().map(|rules| keep_claims(&rules.claims, wish.verified));
        let intent = &open.intent;
        intent.groups == *asked
            && intent.tier == wish.tier.as_str()
            && claims.is_some_and(|claims| claims == intent.claims)
    }

    /// The name that this person would get now, for the admins to see; it is not promised.
    async fn name_to_be(
        &self,
        wish: &Wish<'_>,
        record: Option<&AccountRecord>,
    ) -> Result<Option<UserName>, DeployError> {
        if let Some(name) = record.and_then(|record| record.name.clone()) {
            return Ok(Some(name));
        }
        if self.backend.naming() == Naming::Known {
            let prepared = self.backend.prepared_name(wish.identity, &wish.person).await?;
            // Nobody shall be asked about an account that there can't be.
            return prepared.map(Some).ok_or_else(DeployError::nothing_prepared);
        }
        let promised = self.store.promised_names().await?;
        let tried = candidates(&self.rules.names, wish.claims, wish.groups.primary.as_str());
        for candidate in tried.take(TRIED_NAMES) {
            let name = candidate.name;
            if !promised.contains(name.as_str()) && !self.backend.is_taken(&name).await? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// As admins see it, with the name that the account has or would get.
    pub async fn named(&self, approval: &Approval) -> Result<Option<UserName>, AccountError> {
        let identity = &approval.identity;
        if let Some(account) = self.backend.find(identity).await? {
            return Ok(Some(account.name));
        }
        let record = self.store.account_of(identity).await?;
        Ok(record.and_then(|record| record.name))
    }
}

const ALREADY: &str =
    "Request for deployment was already submitted for approval. No new request was sent.";

const NOT_NOW: &str =
    "Request for deployment can't be taken now: too many are waiting already. Try again later.";
