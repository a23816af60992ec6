//! What admins are asked: it is written down together with the mails about it, and recalled for the
//! decision.

use super::{
    AccountError, Accounts,
    deployment::{DeployError, Wish},
};
use crate::{
    audit::Event,
    chance::Chance,
    clock::Timestamp,
    notify::{Addressee, Letters, Mail, Occasion, Told},
    store::{Approval, ApprovalIntent, KeptClaims, Letter, NewApproval, Submitted},
    verified::{ClaimMap, Verified},
};
use feudal_plugins::{Claims, Person};
use motley_proto::{
    GroupName, Identity, UserName,
    approval::{ApprovalId, ApprovalKind, ApprovalRef, ApprovalStatus},
    text::escape,
};
use std::{collections::BTreeSet, sync::Arc};

/// How much of a name or address is kept, in characters before escaping.
const NAME_CHARACTERS: usize = 200;
/// Most bytes of claims that are kept with a request.
const CLAIMS_BYTES: usize = 128 * 1024;
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

/// By whom a request comes, and whether admins hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    /// By the person; admins and person are mailed.
    New,
    /// By the person, whom a request that was taken over told of: nobody is mailed again.
    Again,
    /// From another stack that had mailed nobody; the admins are.
    LeftUntold,
    /// From another stack that had mailed the admins.
    LeftTold,
}

/// What is asked for.
pub(super) struct Asking<'a> {
    pub(super) kind: ApprovalKind,
    pub(super) groups: BTreeSet<GroupName>,
    pub(super) seen: Option<&'a Approval>,
    pub(super) name: Option<UserName>,
    pub(super) brought: Brought,
}

impl Accounts {
    /// Writes the request down together with the mails about it.
    pub(super) async fn ask(
        &self,
        wish: &Wish<'_>,
        asking: Asking<'_>,
    ) -> Result<Asked, DeployError> {
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
        let mut intent = intent(rules, wish, asking.groups.clone())?;
        intent.taken_over = matches!(asking.brought, Brought::LeftTold | Brought::LeftUntold);
        let occasion = match (asking.kind, open.is_some()) {
            (ApprovalKind::Groups, _) => Occasion::Update,
            (ApprovalKind::Account, false) => Occasion::Deploy,
            (ApprovalKind::Account, true) => Occasion::DeployUpdate,
        };
        let letters = match asking.brought {
            Brought::New | Brought::LeftUntold => {
                self.letters(rules, occasion, wish, &asking, (&reference, &intent))
            }
            Brought::Again | Brought::LeftTold => Vec::new(),
        };
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
}

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
        taken_over: false,
    })
}

pub(super) fn keep_claims(names: &BTreeSet<String>, verified: &Verified) -> KeptClaims {
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
