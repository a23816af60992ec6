//! A decision, together with its reason for the operator and its details for the client.

use super::missing::Missing;
use serde_json::{Value, json};

/// The outcome of a policy.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Allowed.
    Grant {
        /// Which rule allowed it, for the log.
        because: String,
    },
    /// Not allowed.
    Refuse(Refusal),
}

/// Why something is not allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// For the operator: which rule was not met. Holds no text from outside.
    pub reason: String,
    /// `error_details` of the answer with status 403: the tree of what was tried.
    pub details: Value,
    /// What would have to be there, for a sentence that a person understands.
    pub missing: Vec<Missing>,
}

impl Decision {
    /// The refusal of somebody whose provider is not configured.
    pub fn no_provider() -> Self {
        let details = Value::from("OP is not configured");
        Self::refuse("the provider is not configured", details, [Missing::Provider])
    }

    /// True when it is allowed.
    pub fn is_granted(&self) -> bool {
        matches!(self, Self::Grant { .. })
    }

    pub(super) fn grant(because: impl Into<String>) -> Self {
        Self::Grant { because: because.into() }
    }

    pub(super) fn refuse(
        reason: &str,
        details: Value,
        missing: impl IntoIterator<Item = Missing>,
    ) -> Self {
        let missing = missing.into_iter().collect();
        Self::Refuse(Refusal { reason: reason.to_owned(), details, missing })
    }
}

/// What a node says of which some parts were not satisfied.
pub(super) const UNSATISFIED: &str = "AllOf: Unsatisfied sub-requirements";

/// One node of the details tree.
pub(super) fn check(what: &str, details: Vec<Value>) -> Value {
    json!({"check": what, "check_details": details})
}

/// The node for too few satisfied alternatives. Clients know the sentence as it is spelt.
pub(super) fn misfit(satisfied: usize, needed: usize, details: Vec<Value>) -> Value {
    check(&format!("Only {satisfied} of {needed} sub-requirments were satisfied"), details)
}
