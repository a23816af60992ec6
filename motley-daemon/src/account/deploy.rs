//! Deployment: an identity gets its account, or the account follows the identity's claims.

use super::{
    AccountError, Accounts,
    ask::Asked,
    deployment::{Consent, DeployError, Deployment, Wish},
};
use crate::{
    audit::Event,
    measure,
    store::{AccountRecord, Ended, Engine, Phase, StoreError, Use},
    verified::Verified,
};
use feudal_plugins::{
    Account, BackendError, Claims, Intent, LoginInfo, Person, Shells, Tier,
    groups::{DropReason, GroupError, GroupRules, Groups},
    message,
    names::NameRules,
};
use motley_proto::{
    Identity, Uid, UserName, approval::ApprovalKind, rest::AccountState, task::AccountPath,
    text::escape,
};
use std::{collections::BTreeSet, time::Instant};

/// How accounts are named, grouped and equipped.
#[derive(Debug, Clone)]
pub struct AccountRules {
    /// User names.
    pub names: NameRules,
    /// Groups.
    pub groups: GroupRules,
    /// Shells of the tiers.
    pub shells: Shells,
    /// Directory in which homes are made.
    pub home_base: AccountPath,
    /// True if keys of ssh that providers tell are written.
    pub deploy_keys: bool,
    /// Texts for the user.
    pub login_info: LoginInfo,
    /// First uid to be given.
    pub first_uid: u32,
}

impl Accounts {
    /// Gives a verified and authorised identity its account, or updates the one it has.
    ///
    /// Two deployments of one identity follow one another; the second finds what the first made.
    ///
    /// # Errors
    /// [`DeployError::Rejected`] when no name is left, [`DeployError::Account`] when the work fails.
    pub async fn deploy(
        &self,
        verified: &Verified,
        tier: Tier,
        request: &str,
    ) -> Result<Deployment, DeployError> {
        let begin = Instant::now();
        self.reactivate(verified.identity(), request).await?;
        let _held = self.locks.hold(verified.identity()).await;
        let done = self.deploy_held(verified, tier, request, self.consent()).await;
        if done.is_ok() {
            self.note_use(verified.identity(), Use::Rest, self.address_of(verified));
        }
        let outcome = match &done {
            Err(DeployError::Waits { state, .. }) => state.as_str(),
            Ok(deployment) => deployment.state.as_str(),
            Err(DeployError::Rejected(_)) => AccountState::Rejected.as_str(),
            Err(DeployError::GroupTaken(_) | DeployError::Account(_)) => "failed",
        };
        measure::deployment(outcome, begin.elapsed());
        done
    }

    /// The same for whoever holds the lock of the identity.
    pub(super) async fn deploy_held(
        &self,
        verified: &Verified,
        tier: Tier,
        request: &str,
        consent: Consent<'_>,
    ) -> Result<Deployment, DeployError> {
        // Whether there was an account when its use was noted last is not known.
        self.noted.forget(verified.identity());
        let from = verified.sources();
        let claims =
            Claims::merge(from.userinfo.as_ref(), from.introspection.as_ref(), from.token.as_ref());
        let mut person = Person::from_claims(&claims);
        if matches!(consent, Consent::Given(_)) {
            // What was kept of the claims says nothing about keys.
            person.ssh_keys = None;
        } else if from.userinfo.is_some() {
            // Its provider was asked and knows of no key: those that it knew before are gone.
            person.ssh_keys.get_or_insert_default();
        }
        let mut refused = BTreeSet::new();
        loop {
            let rules = &self.rules.groups;
            let (groups, lacks) = match self.groups_of(&claims, &refused).await? {
                Ok(groups) => (groups, None),
                // Whoever has an account leaves all that motley had joined.
                Err(error @ GroupError::NoPrimary) if !matches!(consent, Consent::Given(_)) => {
                    (rules.of_nobody()?, Some(error))
                }
                Err(error) => return Err(error.into()),
            };
            let fallback = rules.fallback(&refused)?;
            log_left_out(&groups, request);
            let (identity, person) = (verified.identity(), person.clone());
            let claims = &claims;
            let wish = Wish {
                identity,
                verified,
                claims,
                person,
                groups,
                fallback,
                lacks,
                tier,
                request,
                consent,
            };
            match self.deploy_wish(wish).await {
                // One group that the host will not have must not keep the person out.
                Err(DeployError::Account(AccountError::Backend(BackendError::GroupRefused {
                    group,
                    why,
                }))) if !refused.contains(&group) => {
                    tracing::warn!(request, %group, why, "the host does not allow this group");
                    refused.insert(group);
                }
                // What is on record by now is left out.
                Err(DeployError::GroupTaken(group)) => {
                    tracing::info!(request, %group, "another group came into this one's place");
                }
                done => return done,
            }
        }
    }

    async fn deploy_wish(&self, mut wish: Wish<'_>) -> Result<Deployment, DeployError> {
        let mut known = self.store.known_of(wish.identity).await?;
        if let Some(record) = known.record.as_ref().filter(|record| record.is_leaving()) {
            // Who comes back in the middle of it must not revive half an account.
            if self.take_away_everywhere(record, wish.request).await == Ended::NotYet {
                return Err(BackendError::Busy.into());
            }
            known = self.store.known_of(wish.identity).await?;
        }
        let standing = self.standing_of(wish.identity, &known).await?;
        let record = known.record;
        match (standing.state, standing.account) {
            (AccountState::Suspended, Some(account)) => Ok(Deployment {
                state: AccountState::Suspended,
                message: message::deployed(false, &[], &[]),
                name: account.name,
            }),
            (AccountState::Suspended, None) => Err(DeployError::Rejected(
                "this identity is suspended; ask the administrators of this service".to_owned(),
            )),
            (_, Some(account)) => self.update(&mut wish, account, record).await,
            (_, None) => {
                if let Some(error) = wish.lacks {
                    return Err(error.into());
                }
                match wish.consent {
                    Consent::Ask => self.ask_for_account(&mut wish, record.as_ref()).await?,
                    Consent::Given(approval) if approval.kind == ApprovalKind::Groups => {
                        return Err(DeployError::Rejected("the account is gone".to_owned()));
                    }
                    Consent::Given(_) | Consent::NotNeeded => {}
                }
                self.create(&wish, record).await
            }
        }
    }

    async fn take_away_everywhere(&self, record: &AccountRecord, request: &str) -> Ended {
        let (mut receipt, ended) = self.take_away(record, request).await;
        if ended == Ended::Everywhere || !receipt.pending.is_empty() {
            return ended;
        }
        let nodes = self.others(&record.identity, record.mark_version).await;
        let behind: Vec<_> =
            nodes.iter().filter(|it| !it.done).map(|it| it.node.as_str()).collect();
        tracing::info!(request, ?behind, "an account is still being taken away on other nodes");
        self.finish_removal(&record.identity, &mut receipt).await
    }

    /// The shell that this person's account shall have: its tier's, unless an admin keeps it limited.
    pub(super) fn earned_shell(
        &self,
        wish: &Wish<'_>,
        record: Option<&AccountRecord>,
    ) -> AccountPath {
        match record.is_some_and(AccountRecord::is_limited) {
            true => self.rules.shells.limited.clone(),
            false => self.shell(wish.tier).clone(),
        }
    }

    /// The tier whose shell this account was given last: by this node, where each has its own accounts.
    async fn applied_tier(
        &self,
        identity: &Identity,
        record: Option<&AccountRecord>,
    ) -> Result<Option<Tier>, StoreError> {
        let here = match self.store.engine() == Engine::Postgres && !self.backend.is_shared() {
            true => self.store.tier_here(identity).await?,
            false => None,
        };
        Ok(here.or(record.and_then(|record| record.tier)))
    }

    fn shell(&self, tier: Tier) -> &AccountPath {
        self.rules.shells.of(tier)
    }

    pub(super) fn audit_deployment(
        &self,
        wish: &Wish<'_>,
        name: &UserName,
        what: &str,
    ) -> Result<(), DeployError> {
        let event = Event::Deployed {
            request: wish.request.to_owned(),
            identity: wish.identity.clone(),
            name: name.clone(),
            what: format!("{what} tier {}", wish.tier),
        };
        self.audit.record(event).map_err(|error| DeployError::Account(error.into()))
    }

    /// The account exists: recognise it, let groups and tier follow the claims.
    async fn update(
        &self,
        wish: &mut Wish<'_>,
        account: Account,
        record: Option<AccountRecord>,
    ) -> Result<Deployment, DeployError> {
        let uid = account.personal_uid()?;
        let known = record
            .as_ref()
            .is_some_and(|r| r.phase == Phase::Deployed && r.name.as_ref() == Some(&account.name));
        if !known {
            // A site may move a name from one person to another; what the first one left under it must
            // not become the other's.
            self.store.commit(wish.identity, &account.name, uid, self.clock.now()).await?;
        }
        if let Consent::Given(approval) = wish.consent {
            return self.join_accepted(wish, approval, account, record).await;
        }
        // The tier acts when it changes; a shell that an admin set in between stays.
        let limited = record.as_ref().is_some_and(AccountRecord::is_limited);
        let applied = self.applied_tier(wish.identity, record.as_ref()).await?;
        let follows =
            limited || applied.is_some_and(|tier| self.shell(tier).as_str() == account.shell);
        let shell = match applied {
            _ if limited => self.earned_shell(wish, record.as_ref()),
            Some(tier) if tier != wish.tier && follows => self.shell(wish.tier).clone(),
            _ => AccountPath::new(account.shell.clone())
                .unwrap_or_else(|_| self.shell(wish.tier).clone()),
        };
        let sorted = match wish.consent {
            Consent::Ask => Some(self.sort_groups(wish, &account).await?),
            Consent::NotNeeded | Consent::Given(_) => None,
        };
        let mut intent = self.intent(wish, account.name.clone(), uid, shell);
        if let Some(sorted) = &sorted {
            intent.groups.supplementary.clone_from(&sorted.granted);
            // A primary group is gained as any other is. Until then one that nobody is asked about
            // takes the place of the one that is gone.
            let primary = &intent.groups.primary;
            if !sorted.granted.contains(primary) && *primary != wish.fallback {
                let (request, group) = (wish.request, primary);
                tracing::info!(request, %group, fallback = %wish.fallback, "a primary group waits for an admin");
                intent.groups.primary = wish.fallback.clone();
            }
        }
        if !wish.verified.is_whole() {
            self.keep_groups(&mut intent.groups, &account).await?;
        }
        self.claim_groups(wish, &intent.groups.supplementary).await?;
        let done = self.backend.deploy(&intent).await?;
        self.follow_shell(&done.account, wish, limited).await;
        if applied != Some(wish.tier) && (applied.is_none() || follows) {
            self.store.set_tier(wish.identity, wish.tier).await?;
        }
        let mut message = message::deployed(false, &done.joined, &done.left);
        self.audit_deployment(wish, &account.name, &message)?;
        self.equip(wish.identity, &account.name, &intent.person, wish.request).await;
        let asked = match sorted {
            Some(sorted) => self.ask_for_groups(wish, &account.name, sorted).await?,
            None => Asked::Nothing,
        };
        let nothing_else = done.joined.is_empty() && done.left.is_empty();
        if nothing_else && asked != Asked::Nothing {
            message = "User already existed, but groups changed.".to_owned();
        }
        message.push_str(match asked {
            Asked::Written => " A request for updating user groups was submitted for approval.",
            Asked::NotNow => {
                " A request for updating user groups can't be taken now: too many are waiting \
                 already. Try again later."
            }
            Asked::Nothing => "",
        });
        let state = if limited { AccountState::Limited } else { AccountState::Deployed };
        Ok(Deployment { state, message, name: account.name })
    }

    pub(super) fn intent(
        &self,
        wish: &Wish<'_>,
        name: UserName,
        uid: Option<Uid>,
        shell: AccountPath,
    ) -> Intent {
        Intent {
            identity: wish.identity.clone(),
            name,
            uid,
            person: wish.person.clone(),
            groups: wish.groups.clone(),
            shell,
            home_base: self.rules.home_base.clone(),
            uid_floor: None,
        }
    }
}

/// A group that is other people's is worth a look of the admin's.
fn log_left_out(groups: &Groups, request: &str) {
    for left_out in &groups.dropped {
        let (group, reason) = (escape(&left_out.group, 100), &left_out.reason);
        match reason {
            DropReason::Another(..) => {
                tracing::warn!(request, group, %reason, "a group is left out");
            }
            _ => tracing::info!(request, group, %reason, "a group is left out"),
        }
    }
}
