//! Decides about requests for accounts: the rules of today, held against the claims of then.

use super::Admission;
use crate::{
    account::{AccountError, Apply, DecisionError, Order, recall},
    policy::{self, Decision},
    store::Approval,
};
use motley_proto::{
    admin::{LeftRequest, RequestOutcome},
    approval::{ApprovalDecision, ApprovalReceipt},
};

impl Admission {
    /// Carries out what an admin decided about a request as he saw it. Before one is accepted,
    /// everything that let the person in is checked again, but for the token, which nobody has any
    /// more: the provider must still be configured, and its rules must still let these claims in.
    ///
    /// # Errors
    /// Why nothing came of it.
    pub async fn decide(
        &self,
        seen: &Approval,
        decision: ApprovalDecision,
        order: &Order,
        request: &str,
    ) -> Result<ApprovalReceipt, DecisionError> {
        match decision {
            ApprovalDecision::Accept => self.accept(seen, order, request).await,
            ApprovalDecision::Reject => self.accounts.reject(seen, order, request).await,
            ApprovalDecision::Forget => self.accounts.forget_request(seen, order, request).await,
        }
    }

    /// Takes a request over that another stack kept for its admins, or tells what would become of it.
    ///
    /// # Errors
    /// When store, back end or audit trail do not answer.
    pub async fn take_over(
        &self,
        left: &LeftRequest,
        apply: Apply,
        request: &str,
    ) -> Result<RequestOutcome, AccountError> {
        if self.op_for(&left.identity).is_none() {
            let why = "its provider is not configured".to_owned();
            return Ok(RequestOutcome::Conflict { why });
        }
        self.accounts.take_over(left, apply, request).await
    }

    async fn accept(
        &self,
        seen: &Approval,
        order: &Order,
        request: &str,
    ) -> Result<ApprovalReceipt, DecisionError> {
        let (verified, _) = recall(seen);
        let Some(op) = self.op_for(&seen.identity) else {
            let why = "the provider is not configured any more";
            return Err(DecisionError::NotAllowed(why.to_owned()));
        };
        if let Decision::Refuse(refusal) = policy::authorise(&op.policy, &verified) {
            let why = format!("the person is not authorised any more: {}", refusal.reason);
            return Err(DecisionError::NotAllowed(why));
        }
        let tier = policy::tier(&op.policy.assurance, &verified).tier;
        self.accounts.accept(seen, tier, order, request).await
    }
}

#[cfg(test)]
mod tests;
