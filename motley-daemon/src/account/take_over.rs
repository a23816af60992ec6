//! Requests that another stack kept for its admins, taken over as requests of ours.
//!
//! They bring names and groups, no command and no claims but those few. So acceptance decides by what
//! they have, and refuses where rules read more; the person's next deployment brings the rest, and
//! nobody is mailed for that again.

use super::{
    AccountError, Accounts,
    ask::{Asked, Asking, Brought, ends},
    deployment::{Consent, DeployError, Wish},
};
use crate::{
    store::{Approval, Known, StoreError},
    verified::{ClaimMap, ClaimSources, Verified},
};
use feudal_plugins::{Account, Claims, Person, Tier, groups::Groups};
use motley_proto::{
    GroupName, Identity,
    admin::{LeftRequest, LeftState, RequestOutcome},
    approval::{ApprovalKind, ApprovalStatus},
    rest::AccountState,
};
use serde_json::json;
use std::collections::BTreeSet;

/// Who decided, in rejections that were taken over.
const REJECTED_BEFORE: &str = "an admin, before it was taken over";

/// Whether something is done, or only told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apply {
    /// What would become of it.
    Tell,
    /// It is done.
    Do,
}

/// What there is to ask an admin for.
struct Open {
    groups: BTreeSet<GroupName>,
    seen: Option<Approval>,
    tier: Tier,
}

impl Accounts {
    /// Takes a request over, or tells what would become of it. Repeating it is harmless.
    ///
    /// # Errors
    /// When store, back end or audit trail do not answer.
    pub async fn take_over(
        &self,
        left: &LeftRequest,
        apply: Apply,
        request: &str,
    ) -> Result<RequestOutcome, AccountError> {
        let conflict = |why: &str| Ok(RequestOutcome::Conflict { why: why.to_owned() });
        let identity = &left.identity;
        let _held = self.locks.hold(identity).await;
        let known = self.store.known_of(identity).await?;
        let standing = self.standing_of(identity, &known).await?;
        match (left.kind, standing.state, &standing.account) {
            (_, AccountState::Suspended, _) => return conflict("the person is suspended here"),
            (ApprovalKind::Account, _, Some(_)) => return Ok(RequestOutcome::Known),
            (ApprovalKind::Groups, _, None) => {
                return conflict("the person has no account that could join groups");
            }
            _ => {}
        }
        let Some(open) = self.still_open(left, &known, standing.account.as_ref()).await? else {
            return Ok(RequestOutcome::Known);
        };
        let (verified, claims) = stand_in(left);
        let primary = match &left.primary_group {
            Some(primary) => primary.clone(),
            None => match self.groups_of(&claims, &BTreeSet::new()).await? {
                Ok(groups) => groups.primary,
                Err(error) => return conflict(&error.to_string()),
            },
        };
        if apply == Apply::Tell {
            return Ok(RequestOutcome::New);
        }
        let supplementary = left.groups.clone();
        let wish = Wish {
            identity,
            verified: &verified,
            claims: &claims,
            person: Person::from_claims(&claims),
            fallback: primary.clone(),
            groups: Groups { primary, supplementary, dropped: Vec::new() },
            lacks: None,
            tier: open.tier,
            request,
            consent: Consent::Ask,
        };
        let asking = Asking {
            kind: left.kind,
            groups: open.groups,
            seen: open.seen.as_ref(),
            name: left.name.clone(),
            brought: match left.state {
                LeftState::Untold => Brought::LeftUntold,
                LeftState::Told | LeftState::Rejected => Brought::LeftTold,
            },
        };
        match self.ask(&wish, asking).await {
            Ok(Asked::Written) if left.state == LeftState::Rejected => {
                self.reject_again(identity).await?;
                Ok(RequestOutcome::New)
            }
            Ok(Asked::Written) => Ok(RequestOutcome::New),
            Ok(Asked::Nothing) => Ok(RequestOutcome::Known),
            Ok(Asked::NotNow) => {
                conflict("too many requests wait; decide about some: motleyctl approvals")
            }
            Err(DeployError::Account(error)) => Err(error),
            Err(error) => conflict(&error.to_string()),
        }
    }

    /// What of it nobody has decided about here, if anything.
    async fn still_open(
        &self,
        left: &LeftRequest,
        known: &Known,
        account: Option<&Account>,
    ) -> Result<Option<Open>, AccountError> {
        let seen = self.current_approval(&left.identity).await?;
        let is_settled = |seen: &Approval| {
            left.kind == ApprovalKind::Account || seen.status != ApprovalStatus::Accepted
        };
        if seen.as_ref().is_some_and(is_settled) {
            return Ok(None);
        }
        let mut groups: BTreeSet<GroupName> = left.groups.iter().cloned().collect();
        let noted = known.record.as_ref().and_then(|record| record.tier);
        let tier = noted.unwrap_or_else(|| self.tier_of(left.shell.as_deref()));
        if let Some(account) = account {
            let accepted = seen.as_ref().map(|seen| seen.accepted.clone()).unwrap_or_default();
            let free = self.groups_without_asking(account, &accepted).await?;
            groups.retain(|group| !free.contains(group));
            if groups.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(Open { groups, seen, tier }))
    }

    /// The other stack had given the shell by the claims, which are not there any more.
    fn tier_of(&self, shell: Option<&str>) -> Tier {
        let tiers = [Tier::Full, Tier::Limited, Tier::Restricted];
        let is_its = |tier: &Tier| Some(self.rules.shells.of(*tier).as_str()) == shell;
        tiers.into_iter().find(is_its).unwrap_or(Tier::Full)
    }

    async fn reject_again(&self, identity: &Identity) -> Result<(), StoreError> {
        let (Some(rules), Some(written)) =
            (&self.approval, self.store.approval_of(identity).await?)
        else {
            return Ok(());
        };
        let now = self.clock.now();
        let change = (ApprovalStatus::Pending, ApprovalStatus::Rejected);
        let times = (now, ends(rules, now));
        self.store.decide(&written.reference, change, REJECTED_BEFORE, times).await?;
        Ok(())
    }
}

/// The person as far as the other stack had noted it. It had verified that; this lets nobody in.
fn stand_in(left: &LeftRequest) -> (Verified, Claims) {
    let groups: Vec<&str> = left.groups.iter().map(GroupName::as_str).collect();
    let mut claims = ClaimMap::new();
    claims.insert("sub".to_owned(), json!(left.identity.subject.as_str()));
    claims.insert("groups".to_owned(), json!(groups));
    let texts = [
        ("name", left.full_name.as_deref()),
        ("email", left.email.as_deref()),
        ("preferred_username", left.name.as_ref().map(|name| name.as_str())),
    ];
    for (claim, text) in texts {
        if let Some(text) = text {
            claims.insert(claim.to_owned(), json!(text));
        }
    }
    let merged = Claims::merge(Some(&claims), None, None);
    let sources = ClaimSources { userinfo: Some(claims), ..ClaimSources::default() };
    (Verified::attest(left.identity.clone(), sources, None), merged)
}
