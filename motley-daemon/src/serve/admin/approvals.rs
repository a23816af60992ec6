//! `motleyctl approvals`: what waits for an admin, and what he decides.

use super::{Admin, PAGE_BYTES, request_id};
use crate::{
    account::{AccountError, Accounts, Apply, DecisionError, Order, Suspender},
    store::Approval,
};
use motley_proto::{
    Identity,
    admin::{AdminAnswer, LeftRequest, Mark, Reason},
    approval::{ApprovalDecision, ApprovalId, ApprovalPage, ApprovalRef, ApprovalRow},
    peer::Peer,
    text::escape,
};

/// Most rows that are looked at for one page.
const PAGE_ROWS: i64 = 100;

impl Admin {
    pub(super) async fn approvals(
        &self,
        after: Option<&Identity>,
    ) -> Result<AdminAnswer, AccountError> {
        let accounts = self.accounts();
        let now = accounts.clock.now();
        let found = accounts.store().approvals_after(after, now, PAGE_ROWS).await?;
        let full = i64::try_from(found.len()).is_ok_and(|len| len >= PAGE_ROWS);
        let mut page = ApprovalPage { rows: Vec::new(), more: full };
        let mut bytes = 0;
        for approval in found {
            let row = row(accounts, approval).await;
            bytes += serde_json::to_vec(&row).map_or(PAGE_BYTES, |text| text.len() + 1);
            if bytes > PAGE_BYTES && !page.rows.is_empty() {
                page.more = true;
                break;
            }
            page.rows.push(row);
        }
        Ok(AdminAnswer::Approvals(page))
    }

    pub(super) async fn approval(&self, id: &ApprovalId) -> Result<AdminAnswer, AccountError> {
        let accounts = self.accounts();
        let now = accounts.clock.now();
        let found = accounts.store().approval(id).await?;
        let open = found.filter(|approval| {
            approval.status != motley_proto::approval::ApprovalStatus::Accepted
                && !approval.is_over(now)
        });
        Ok(match open {
            Some(approval) => AdminAnswer::Approval(Box::new(row(accounts, approval).await)),
            None => AdminAnswer::Nobody(DecisionError::Unknown.to_string()),
        })
    }

    pub(super) async fn decide(
        &self,
        decision: ApprovalDecision,
        reference: &ApprovalRef,
        reason: Option<Reason>,
        peer: Peer,
    ) -> AdminAnswer {
        let order = Order { by: Suspender::Host { uid: peer.uid }, reason };
        let decided = match self.accounts().approval_seen(reference).await {
            Ok(seen) => self.admission.decide(&seen, decision, &order, &request_id()).await,
            Err(error) => Err(error),
        };
        match decided {
            Ok(receipt) => AdminAnswer::Decided(receipt),
            Err(error @ DecisionError::Unknown) => AdminAnswer::Nobody(error.to_string()),
            Err(error) => AdminAnswer::Refused(error.to_string()),
        }
    }
}

impl Admin {
    /// Takes requests over that another stack kept.
    pub(super) async fn import_requests(
        &self,
        apply: bool,
        requests: &[LeftRequest],
        peer: Peer,
    ) -> Result<AdminAnswer, AccountError> {
        if self.accounts().approval_rules().is_none() {
            return Ok(AdminAnswer::Refused(DecisionError::Off.to_string()));
        }
        if apply {
            self.note(peer, "import requests")?;
        }
        let apply = if apply { Apply::Do } else { Apply::Tell };
        let mut outcomes = Vec::new();
        for left in requests {
            outcomes.push(self.admission.take_over(left, apply, &request_id()).await?);
        }
        Ok(AdminAnswer::RequestsImported(outcomes))
    }
}

/// A request as admins see it.
pub(in crate::serve) async fn row(accounts: &Accounts, approval: Approval) -> ApprovalRow {
    // A back end that does not answer keeps nobody from reading what waits.
    let name = accounts.named(&approval).await.unwrap_or_default();
    let Approval { identity, reference, kind, status, intent, .. } = approval;
    ApprovalRow {
        reference,
        identity,
        kind,
        status,
        name,
        full_name: intent.full_name,
        email: intent.email,
        email_verified: intent.email_verified,
        preferred_username: intent.preferred_username,
        primary_group: intent.primary_group,
        groups: intent.groups.into_iter().collect(),
        tier: intent.tier,
        requested_at: approval.requested_at.0,
        updated_at: approval.updated_at.0,
        expires_at: approval.expires_at.0,
        decided: approval.decided.map(|(at, by)| Mark { at: at.0, by: escape(&by, 2500) }),
        last_error: approval.last_error,
    }
}
