//! Decisions about requests: exactly one of several admins acts, and only on what he has seen.

use super::{
    AccountError, Accounts, Order,
    ask::{ends, recall},
    deployment::{Consent, DeployError, Deployment},
};
use crate::{
    audit::Event,
    measure,
    notify::{Told, Verdict},
    store::{Approval, StoreError},
};
use feudal_plugins::Tier;
use motley_proto::{
    GroupName, UserName,
    approval::{ApprovalKind, ApprovalReceipt, ApprovalRef, ApprovalStatus},
    rest::AccountState,
    text::escape,
};
use std::collections::BTreeSet;

/// How long carrying out may take before it counts as abandoned, in seconds.
const ABANDONED_SECONDS: i64 = 600;

/// Why a decision was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// Accounts need no approval here.
    #[error("approvals are off; see [approval] enabled in feudal_adapter.conf")]
    Off,
    /// There is no such request.
    #[error(
        "there is no such request: it was decided, withdrawn, or has ended; `motleyctl approvals list` \
         shows those that wait"
    )]
    Unknown,
    /// It is not what the admin saw.
    #[error("the request has changed: look at it again, `motleyctl approvals show {}`", .0.id)]
    Changed(ApprovalRef),
    /// It was rejected already.
    #[error(
        "the request was already rejected, cannot accept it; `motleyctl approvals forget {0}` lifts that"
    )]
    Rejected(ApprovalRef),
    /// Somebody else is at it.
    #[error("another admin is deciding about this request")]
    Taken,
    /// The rules of today say no.
    #[error("{0}; the request was not carried out")]
    NotAllowed(String),
    /// The account that should get groups is gone.
    #[error("the account is gone; the request was not carried out")]
    AccountGone,
    /// It was accepted, and making or changing the account failed.
    #[error("{0}; the request waits again")]
    Deploy(#[from] DeployError),
    /// Store, back end or audit trail failed.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<StoreError> for DecisionError {
    fn from(error: StoreError) -> Self {
        Self::Account(error.into())
    }
}

impl Accounts {
    /// A request as it is now.
    ///
    /// # Errors
    /// [`DecisionError::Unknown`], [`DecisionError::Changed`], or when the store does not answer.
    pub async fn approval_seen(&self, seen: &ApprovalRef) -> Result<Approval, DecisionError> {
        let found = self.store.approval(&seen.id).await?;
        let now = self.clock.now();
        let open = found.filter(|it| it.status != ApprovalStatus::Accepted && !it.is_over(now));
        let approval = open.ok_or(DecisionError::Unknown)?;
        if approval.reference != *seen {
            return Err(DecisionError::Changed(approval.reference));
        }
        Ok(approval)
    }

    /// Accepts a request whose person the rules of today let in, with this tier: everything else is
    /// checked here, and then it is carried out like any deployment.
    ///
    /// # Errors
    /// Why it was not carried out. A failing back end leaves the request waiting.
    pub async fn accept(
        &self,
        seen: &Approval,
        tier: Tier,
        order: &Order,
        request: &str,
    ) -> Result<ApprovalReceipt, DecisionError> {
        let rules = self.approval.as_ref().ok_or(DecisionError::Off)?;
        let _held = self.locks.hold(&seen.identity).await;
        let approval = self.approval_seen(&seen.reference).await?;
        match approval.status {
            ApprovalStatus::Pending => {}
            ApprovalStatus::Rejected => return Err(DecisionError::Rejected(approval.reference)),
            _ => return Err(DecisionError::Taken),
        }
        let groups = self.check_again(&approval, tier).await?;
        let now = self.clock.now();
        let change = (ApprovalStatus::Pending, ApprovalStatus::Accepting);
        let by = order.to_string();
        let times = (now, ends(rules, now));
        if !self.store.decide(&approval.reference, change, &by, times).await? {
            return Err(DecisionError::Taken);
        }
        let done = self.carry_out_accepted(&approval, tier, &by, request).await;
        match done {
            Ok(deployment) => {
                // Another node may have noted meanwhile that some are not claimed any more.
                let before = self.store.approval_of(&approval.identity).await?;
                let before = before.map(|before| before.accepted).unwrap_or_default();
                let accepted = before.union(&groups).cloned().collect();
                self.store.note_accepted(&approval.identity, &accepted).await?;
                measure::approval("accepted");
                self.tell_verdict(&approval, Verdict::Accepted, Some(&deployment.name)).await;
                Ok(ApprovalReceipt {
                    reference: approval.reference,
                    identity: approval.identity,
                    name: Some(deployment.name),
                    state: deployment.state,
                    message: deployment.message,
                })
            }
            Err(error) => {
                self.store.reopen(&approval.reference, &escape(&error.to_string(), 500)).await?;
                Err(error)
            }
        }
    }

    /// Everything that can be checked without the person: suspension, the account that is there, and
    /// the groups and tier that the rules of today give.
    async fn check_again(
        &self,
        approval: &Approval,
        tier: Tier,
    ) -> Result<BTreeSet<GroupName>, DecisionError> {
        let standing = self.standing(&approval.identity).await?;
        if standing.state == AccountState::Suspended {
            return Err(DecisionError::NotAllowed("this identity is suspended".to_owned()));
        }
        let (_, claims) = recall(approval);
        let today = self
            .groups_of(&claims, &BTreeSet::new())
            .await?
            .map_err(|error| DecisionError::NotAllowed(error.to_string()))?;
        let wanted: BTreeSet<GroupName> = today.supplementary.iter().cloned().collect();
        let intent = &approval.intent;
        let is_same = match approval.kind {
            ApprovalKind::Account => {
                intent.groups == wanted && intent.primary_group == today.primary
            }
            ApprovalKind::Groups if standing.account.is_none() => {
                return Err(DecisionError::AccountGone);
            }
            // No other group comes in, whatever else these claims would give.
            ApprovalKind::Groups => intent.groups.is_subset(&wanted),
        };
        if !is_same || approval.tier()? != tier {
            let why = "today's configuration gives other groups or another shell than were asked for, \
                       so the person has to ask again (reject or forget this request)";
            return Err(DecisionError::NotAllowed(why.to_owned()));
        }
        Ok(intent.groups.clone())
    }

    async fn carry_out_accepted(
        &self,
        approval: &Approval,
        tier: Tier,
        by: &str,
        request: &str,
    ) -> Result<Deployment, DecisionError> {
        self.audit
            .record(Event::ApprovalDecided {
                request: request.to_owned(),
                identity: approval.identity.clone(),
                approval: approval.reference.to_string(),
                decision: "accept".to_owned(),
                by: by.to_owned(),
            })
            .map_err(AccountError::from)?;
        let (verified, _) = recall(approval);
        let deployment =
            self.deploy_held(&verified, tier, request, Consent::Given(approval)).await?;
        match deployment.state {
            AccountState::Deployed | AccountState::Limited => Ok(deployment),
            state => Err(DecisionError::NotAllowed(format!("the account is {state}"))),
        }
    }

    /// Rejects a request: nothing of it happens until that ends or is lifted.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn reject(
        &self,
        seen: &Approval,
        order: &Order,
        request: &str,
    ) -> Result<ApprovalReceipt, DecisionError> {
        let rules = self.approval.as_ref().ok_or(DecisionError::Off)?;
        let _held = self.locks.hold(&seen.identity).await;
        let approval = self.approval_seen(&seen.reference).await?;
        if approval.status != ApprovalStatus::Pending {
            return Err(DecisionError::Taken);
        }
        self.note_decision(&approval, "reject", order, request)?;
        let now = self.clock.now();
        let change = (ApprovalStatus::Pending, ApprovalStatus::Rejected);
        let by = order.to_string();
        if !self.store.decide(&approval.reference, change, &by, (now, ends(rules, now))).await? {
            return Err(DecisionError::Taken);
        }
        measure::approval("rejected");
        self.tell_verdict(&approval, Verdict::Rejected, None).await;
        self.told(approval, "User deployment request was rejected.").await
    }

    /// Forgets a request or its rejection. The person may ask again.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn forget_request(
        &self,
        seen: &Approval,
        order: &Order,
        request: &str,
    ) -> Result<ApprovalReceipt, DecisionError> {
        let _held = self.locks.hold(&seen.identity).await;
        let approval = self.approval_seen(&seen.reference).await?;
        self.note_decision(&approval, "forget", order, request)?;
        if !self.store.withdraw(&approval.reference).await? {
            return Err(DecisionError::Taken);
        }
        measure::approval("forgotten");
        self.told(approval, "The request was forgotten. The person may ask again.").await
    }

    /// Writes to the person, where mail is on and the provider vouches for an address. What was decided
    /// holds without it.
    async fn tell_verdict(&self, approval: &Approval, verdict: Verdict, name: Option<&UserName>) {
        let Some(rules) = self.approval.as_ref().filter(|rules| rules.by_mail) else { return };
        let intent = &approval.intent;
        let told = Told {
            identity: &approval.identity,
            reference: &approval.reference,
            kind: approval.kind,
            full_name: intent.full_name.as_deref(),
            email: intent.email.as_deref(),
            email_verified: intent.email_verified,
            name,
            groups: intent.groups.iter().collect(),
        };
        let Some(mail) = rules.letters.verdict(verdict, &told) else { return };
        let letter = self.letter(&approval.identity, "verdict", mail);
        if let Err(error) = self.store.put_letter(&letter).await {
            tracing::warn!(approval = %approval.reference, %error, "the mail about a decision was not written");
        }
    }

    fn note_decision(
        &self,
        approval: &Approval,
        decision: &str,
        order: &Order,
        request: &str,
    ) -> Result<(), AccountError> {
        self.record(Event::ApprovalDecided {
            request: request.to_owned(),
            identity: approval.identity.clone(),
            approval: approval.reference.to_string(),
            decision: decision.to_owned(),
            by: order.to_string(),
        })
    }

    async fn told(
        &self,
        approval: Approval,
        message: &str,
    ) -> Result<ApprovalReceipt, DecisionError> {
        let standing = self.standing(&approval.identity).await?;
        Ok(ApprovalReceipt {
            reference: approval.reference,
            identity: approval.identity,
            name: standing.name().cloned(),
            state: standing.state,
            message: message.to_owned(),
        })
    }

    /// Ends what has ended by itself, lets wait again what a crash left, and counts what waits.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn tidy_approvals(&self) -> Result<(), StoreError> {
        if self.approval.is_none() || !self.store.may_sweep() {
            return Ok(());
        }
        let now = self.clock.now();
        let abandoned = self.store.reopen_abandoned(now.plus(-ABANDONED_SECONDS)).await?;
        if abandoned > 0 {
            tracing::warn!(
                requests = abandoned,
                "accepted requests were not carried out; they wait again"
            );
        }
        for _ in 0..self.store.sweep_approvals(now).await? {
            measure::approval("expired");
        }
        measure::approvals_pending(self.store.approvals_waiting(now).await?);
        Ok(())
    }
}
