//! Membership in virtual organisations: entitlements of AARC-G069, or plain groups.

use super::decision::{UNSATISFIED, check, misfit};
use super::missing::Missing;
use super::rules::{Ground, Shortfall};
use crate::verified::Verified;
use feudal_plugins::entitlement::g069::{Aarc, parse_g069, satisfies};
use serde_json::Value;
use std::num::NonZeroUsize;

/// How many of the required memberships are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoMatch {
    /// Every one.
    All,
    /// So many.
    AtLeast(NonZeroUsize),
}

impl VoMatch {
    /// One is enough.
    pub const ONE: Self = Self::AtLeast(NonZeroUsize::MIN);

    /// Reads option `vo_match`: `one`, `all` or a number from 1. `None` when it is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "one" => Some(Self::ONE),
            "all" => Some(Self::All),
            number if number.starts_with('+') => None,
            number => number.parse().ok().map(Self::AtLeast),
        }
    }
}

/// One required membership.
#[derive(Debug, Clone)]
struct Required {
    text: String,
    entitlement: Option<Aarc>,
}

impl Required {
    fn new(text: String) -> Self {
        let entitlement = parse_g069(&text);
        Self { text, entitlement }
    }

    /// An entitlement compares as one and never as a text; anything else only as a text.
    fn is_met_by(&self, value: &str) -> bool {
        match &self.entitlement {
            Some(required) => parse_g069(value).is_some_and(|actual| satisfies(required, &actual)),
            None => self.text == value,
        }
    }

    /// The form in which clients are shown it.
    fn shown(&self) -> String {
        let Some(entitlement) = &self.entitlement else { return self.text.clone() };
        let mut parts = vec![
            format!("namespace_id={}", entitlement.namespace_id),
            format!("delegated_namespace={}", entitlement.delegated_namespace),
        ];
        let list = |name: &str, items: &[String]| {
            (!items.is_empty()).then(|| format!("{name}={}", items.join(",")))
        };
        parts.extend(list("subnamespaces", &entitlement.subnamespaces));
        parts.push(format!("group={}", entitlement.group));
        parts.extend(list("subgroups", &entitlement.subgroups));
        parts.extend(entitlement.role.as_ref().map(|role| format!("role={role}")));
        parts.extend(entitlement.authority.as_ref().map(|a| format!("group_authority={a}")));
        format!("<G069 {}>", parts.join(" "))
    }
}

/// Memberships that let people in.
#[derive(Debug, Clone)]
pub struct VoRule {
    claim: String,
    required: Vec<Required>,
    matching: VoMatch,
}

impl VoRule {
    /// A rule about the memberships that a claim lists; the name of the claim is no path.
    pub fn new(claim: &str, required: impl IntoIterator<Item = String>, matching: VoMatch) -> Self {
        let required = required.into_iter().map(Required::new).collect();
        Self { claim: claim.to_owned(), required, matching }
    }

    /// The claim that lists memberships.
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// The required memberships, as configured.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        self.required.iter().map(|required| required.text.as_str())
    }

    /// How many of them are needed.
    pub fn matching(&self) -> VoMatch {
        self.matching
    }

    /// Checks a person's memberships; says which ones let him in.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn check(&self, who: &Verified) -> Result<Ground, Shortfall> {
        let claim = who.claim(&self.claim).filter(|value| !value.is_null());
        let met: Vec<bool> = self
            .required
            .iter()
            .map(|required| claim.is_some_and(|value| is_met(required, value)))
            .collect();
        let satisfied = met.iter().filter(|met| **met).count();
        let enough = match self.matching {
            // All of nothing is nothing: an empty list lets nobody in.
            VoMatch::All => satisfied == self.required.len() && satisfied > 0,
            VoMatch::AtLeast(needed) => satisfied >= needed.get(),
        };
        if enough {
            let held = self.required().zip(&met).filter(|(_, met)| **met);
            let held = held.map(|(name, _)| name.to_owned()).collect();
            return Ok(Ground::Memberships { claim: self.claim.clone(), held });
        }
        let lacking = self.required.iter().zip(&met).filter(|(_, met)| !**met);
        let lacking: Vec<&Required> = lacking.map(|(required, _)| required).collect();
        let details = lacking.iter().map(|required| self.complaint(required, claim)).collect();
        let details = match self.matching {
            VoMatch::All => check(UNSATISFIED, details),
            VoMatch::AtLeast(needed) => misfit(satisfied, needed.get(), details),
        };
        let lacking = lacking.into_iter().map(|required| required.text.clone()).collect();
        let missing = match claim {
            Some(_) => Missing::Memberships { matching: self.matching, held: satisfied, lacking },
            None => Missing::MembershipClaim {
                claim: self.claim.clone(),
                required: lacking,
                granted_scopes: granted_scopes(who),
            },
        };
        Err(Shortfall { details, missing })
    }

    fn complaint(&self, required: &Required, claim: Option<&Value>) -> Value {
        Value::from(match claim {
            None => format!("Claim '{}' is not available", self.claim),
            Some(_) => {
                format!("User has no claim '{}' with value: '{}'", self.claim, required.shown())
            }
        })
    }
}

/// Scopes that the token was given, where the provider says (RFC 9068 §2.2.3, RFC 7662 §2.2).
fn granted_scopes(who: &Verified) -> Option<Vec<String>> {
    let sources = who.sources();
    let mut told = [&sources.token, &sources.introspection].into_iter().flatten();
    match told.find_map(|claims| claims.get("scope"))? {
        Value::String(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
        Value::Array(items) => {
            Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// A text is one membership; of a list, each text is one. Nothing is split.
fn is_met(required: &Required, claim: &Value) -> bool {
    match claim {
        Value::String(text) => required.is_met_by(text),
        Value::Array(values) => {
            values.iter().filter_map(Value::as_str).any(|text| required.is_met_by(text))
        }
        _ => false,
    }
}
