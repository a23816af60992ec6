//! Approval: what somebody may have only after an admin has said so, and what is asked of admins.
//!
//! A request is an intent, never a command: when it is accepted everything is decided anew.

use super::{
    AccountError, Accounts,
    deploy::{DeployError, Wish},
};
use crate::{
    audit::Event,
    chance::Chance,
    clock::Timestamp,
    notify::{Addressee, Letters, Mail, Occasion, Told},
    store::{
        AccountRecord, Approval, ApprovalIntent, KeptClaims, Letter, NewApproval, StoreError,
        Submitted,
    },
    verified::{ClaimMap, Verified},
};
use feudal_plugins::{Account, Claims, Naming, Person, groups::groups, names::candidates};
use motley_proto::{
    GroupName, Identity, UserName,
    approval::{ApprovalId, ApprovalKind, ApprovalRef, ApprovalStatus},
    rest::AccountState,
    text::escape,
};
use std::{collections::BTreeSet, sync::Arc};

/// How much of a name or address is kept, in characters before escaping.
const NAME_CHARACTERS: usize = 200;
/// Most bytes of claims that are kept with a request.
const CLAIMS_BYTES: usize = 128 * 1024;
/// Most names that are tried to tell which one would be given.
const TRIED_NAMES: usize = 200;

/// How admins are asked.
pub struct ApprovalRules {
    /// Names of the claims that any rule reads; they are kept with a request.
    pub claims: BTreeSet<String>,
    /// Seconds after which a request, or its rejection, ends by itself.
    pub expires_seconds: i64,
    /// Mails are written.
    pub by_mail: bool,
    /// Their texts.
    pub letters: Letters,
    /// For the names of requests.
    pub chance: Arc<dyn Chance>,
}

/// Whether a deployment needs an admin's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent<'a> {
    /// Nobody is asked.
    NotNeeded,
    /// What is new is asked for.
    Ask,
    /// An admin has accepted this request.
    Given(&'a Approval),
}

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

/// Whether admins were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The request is written.
    Written,
    /// There was nothing to ask, or somebody was faster.
    Nothing,
    /// Too many requests wait.
    NotNow,
}

/// What is asked for.
struct Asking<'a> {
    kind: ApprovalKind,
    groups: BTreeSet<GroupName>,
    seen: Option<&'a Approval>,
    name: Option<UserName>,
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
            Some((ApprovalStatus::Accepting, _) | (ApprovalStatus::Pending, true)) => {
                return waits(AccountState::Pending, ALREADY);
            }
            Some((ApprovalStatus::Pending, false)) | None => {}
        }
        let name = self.name_to_be(wish, record).await?;
        let asking = Asking { kind: ApprovalKind::Account, groups, seen: seen.as_ref(), name };
        let is_new = seen.as_ref().is_none_or(|seen| seen.status == ApprovalStatus::Accepted);
        match self.ask(wish, asking).await? {
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
    async fn groups_without_asking(
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
        let asking = Asking {
            kind: ApprovalKind::Groups,
            groups: asked,
            seen: seen.as_ref(),
            name: Some(name.clone()),
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

    /// Writes the request down together with the mails about it.
    async fn ask(&self, wish: &Wish<'_>, asking: Asking<'_>) -> Result<Asked, DeployError> {
        let Some(rules) = &self.approval else { return Ok(Asked::Nothing) };
        let now = self.clock.now();
        let open = asking.seen.filter(|seen| seen.status == ApprovalStatus::Pending);
        let reference = match open {
            Some(open) => ApprovalRef {
                id: open.reference.id.clone(),
                revision: open.reference.revision.saturating_add(1),
            },
            None => ApprovalRef { id: self.draw_id(rules)?, revision: 1 },
        };
        let intent = intent(rules, wish, asking.groups.clone())?;
        let occasion = match (asking.kind, open.is_some()) {
            (ApprovalKind::Groups, _) => Occasion::Update,
            (ApprovalKind::Account, false) => Occasion::Deploy,
            (ApprovalKind::Account, true) => Occasion::DeployUpdate,
        };
        let letters = self.letters(rules, occasion, wish, &asking, (&reference, &intent));
        // A request that ended is still there until it is swept; this one takes its place.
        let seen = match asking.seen {
            Some(seen) => Some(seen.clone()),
            None => self.store.approval_of(wish.identity).await?,
        };
        let event = Event::ApprovalRequested {
            request: wish.request.to_owned(),
            identity: wish.identity.clone(),
            approval: reference.to_string(),
            what: format!("{}: {}", asking.kind.as_str(), list(&asking.groups)),
        };
        let note = || self.record(event);
        let new = NewApproval {
            identity: wish.identity,
            reference: &reference,
            kind: asking.kind,
            intent: &intent,
            requested_at: open.map_or(now, |open| open.requested_at),
            now,
            expires_at: now.plus(rules.expires_seconds),
        };
        let identity = wish.identity.unique_id();
        Ok(match self.store.submit(&new, seen.as_ref(), &letters, note).await? {
            Submitted::Written => {
                crate::measure::approval("requested");
                tracing::info!(request = wish.request, %identity, approval = %reference, "an admin was asked");
                Asked::Written
            }
            Submitted::Full => {
                tracing::warn!(
                    request = wish.request, %identity,
                    "a request was not taken, for too many wait; decide about some, `motleyctl approvals`"
                );
                Asked::NotNow
            }
            Submitted::Changed => Asked::Nothing,
        })
    }

    fn letters(
        &self,
        rules: &ApprovalRules,
        occasion: Occasion,
        wish: &Wish<'_>,
        asking: &Asking<'_>,
        (reference, intent): (&ApprovalRef, &ApprovalIntent),
    ) -> Vec<Letter> {
        if !rules.by_mail {
            return Vec::new();
        }
        let told = Told {
            identity: wish.identity,
            reference,
            kind: asking.kind,
            full_name: intent.full_name.as_deref(),
            email: intent.email.as_deref(),
            email_verified: intent.email_verified,
            name: asking.name.as_ref(),
            groups: asking.groups.iter().collect(),
        };
        let admins = rules.letters.to_admins(occasion, &told);
        let person = rules.letters.to_person(occasion, &told);
        let letter = |mail| self.letter(wish.identity, "approval", mail);
        std::iter::once(admins).chain(person).map(letter).collect()
    }

    /// A mail of which one waits at a time for each person: what it tells of replaces what came before.
    pub(super) fn letter(&self, identity: &Identity, about: &str, mail: Mail) -> Letter {
        let (reader, addressee) = match mail.to {
            Addressee::Person(address) => ("person", Some(address)),
            Addressee::Admins | Addressee::Watchers => ("admins", None),
        };
        Letter {
            id: format!("{about}-{reader}-{}", identity.unique_id()),
            addressee,
            subject: mail.subject,
            body: mail.body,
            created_at: self.clock.now(),
            failures: 0,
        }
    }

    fn draw_id(&self, rules: &ApprovalRules) -> Result<ApprovalId, DeployError> {
        let mut bytes = [0; 5];
        rules.chance.fill(&mut bytes).map_err(AccountError::from)?;
        Ok(ApprovalId::from_bytes(bytes))
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

fn list(groups: &BTreeSet<GroupName>) -> String {
    groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(",")
}

fn intent(
    rules: &ApprovalRules,
    wish: &Wish<'_>,
    groups: BTreeSet<GroupName>,
) -> Result<ApprovalIntent, DeployError> {
    let claims = keep_claims(&rules.claims, wish.verified);
    let bytes = serde_json::to_vec(&claims).map_or(usize::MAX, |text| text.len());
    if bytes > CLAIMS_BYTES {
        return Err(DeployError::Rejected(
            "what the provider says of this person is too long to be kept for an approval"
                .to_owned(),
        ));
    }
    let person = Person::from_claims(wish.claims);
    let short = |text: Option<String>| text.map(|text| escape(text.trim(), NAME_CHARACTERS));
    Ok(ApprovalIntent {
        full_name: short(person.full_name),
        email: short(person.email),
        email_verified: person.email_verified,
        preferred_username: short(person.preferred_username),
        primary_group: wish.groups.primary.clone(),
        groups,
        tier: wish.tier.as_str().to_owned(),
        claims,
    })
}

fn keep_claims(names: &BTreeSet<String>, verified: &Verified) -> KeptClaims {
    let keep = |source: &Option<ClaimMap>| {
        let source = source.as_ref()?;
        let kept = source.iter().filter(|(name, _)| names.contains(*name));
        Some(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    let sources = verified.sources();
    KeptClaims {
        userinfo: keep(&sources.userinfo),
        introspection: keep(&sources.introspection),
        token: keep(&sources.token),
    }
}

/// The person of a request, as the provider described him when he asked.
pub(crate) fn recall(approval: &Approval) -> (Verified, Claims) {
    let kept = &approval.intent.claims;
    let sources = crate::verified::ClaimSources {
        userinfo: kept.userinfo.clone(),
        introspection: kept.introspection.clone(),
        token: kept.token.clone(),
    };
    let claims =
        Claims::merge(kept.userinfo.as_ref(), kept.introspection.as_ref(), kept.token.as_ref());
    // These claims were verified before they were kept. They let nobody in: they only help to decide
    // about a request.
    (Verified::attest(approval.identity.clone(), sources, None), claims)
}

/// When a rejection, or a request, ends.
pub(super) fn ends(rules: &ApprovalRules, now: Timestamp) -> Timestamp {
    now.plus(rules.expires_seconds)
}
