//! Which groups a person's claims assert, in their plain form.

use super::{GroupRules, Method, Policy, SubGroups, mask};
use crate::{
    claims::{AnyOf, Claims},
    entitlement::Entitlement,
    pattern::{Pattern, TooManySteps},
};
use std::collections::HashSet;

/// Where the groups come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Entitlements.
    Entitlements,
    /// The plain `groups` claim.
    Groups,
}

/// What the claims assert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asserted {
    /// Where the names come from.
    pub source: Source,
    /// Entitlements that could be read and pass the policy.
    pub entitlements: Vec<Entitlement>,
    /// Plain form of the group names, in the order of the claims, none twice.
    pub names: Vec<String>,
}

/// Claims that hold entitlements; the first that is not empty counts.
const ENTITLEMENT_CLAIMS: [&str; 3] = ["entitlements", "eduperson_entitlement", "wlcg.groups"];

/// Claim that holds plain groups. It counts when no entitlement does.
const GROUPS_CLAIM: &str = "groups";

/// The claims in which [`select`] looks for groups.
pub fn claims_read() -> AnyOf {
    AnyOf::new(ENTITLEMENT_CLAIMS.into_iter().chain([GROUPS_CLAIM]))
}

/// Reads the groups that the claims assert and the policy keeps.
///
/// # Errors
/// When a pattern needs too many steps.
pub fn select(rules: &GroupRules, claims: &Claims) -> Result<Asserted, TooManySteps> {
    let entitlements = entitlements(rules, claims)?;
    if entitlements.is_empty() {
        let names = plain_groups(rules, claims)?;
        return Ok(Asserted { source: Source::Groups, entitlements, names });
    }
    let mut names = Names::default();
    for entitlement in &entitlements {
        let text = match &rules.method {
            Method::Classic => classic(entitlement, rules.sub_groups),
            Method::Regex(mapping) => mapping.apply(&entitlement.to_string())?,
        };
        names.add(mask(&text));
    }
    Ok(Asserted { source: Source::Entitlements, entitlements, names: names.order })
}

fn entitlements(rules: &GroupRules, claims: &Claims) -> Result<Vec<Entitlement>, TooManySteps> {
    let Some(claim) = ENTITLEMENT_CLAIMS.iter().find(|name| claims.has(name)) else {
        return Ok(Vec::new());
    };
    let mut kept = Vec::new();
    for entitlement in claims.texts(claim).into_iter().filter_map(Entitlement::parse) {
        let keeps = match &rules.policy {
            Policy::All => true,
            Policy::Listed { entitlements, .. } => {
                is_listed(entitlements, &entitlement.to_string())?
            }
        };
        if keeps {
            kept.push(entitlement);
        }
    }
    Ok(kept)
}

fn plain_groups(rules: &GroupRules, claims: &Claims) -> Result<Vec<String>, TooManySteps> {
    let mut kept = Names::default();
    for group in claims.texts(GROUPS_CLAIM) {
        let keeps = match &rules.policy {
            Policy::All => true,
            Policy::Listed { groups, .. } => is_listed(groups, group)?,
        };
        if keeps {
            kept.add(mask(group));
        }
    }
    Ok(kept.order)
}

/// Names in the order in which they came, none twice.
#[derive(Default)]
struct Names {
    order: Vec<String>,
    seen: HashSet<String>,
}

impl Names {
    fn add(&mut self, name: String) {
        if self.seen.insert(name.clone()) {
            self.order.push(name);
        }
    }
}

fn is_listed(patterns: &[Pattern], text: &str) -> Result<bool, TooManySteps> {
    for pattern in patterns {
        if pattern.is_found(text)? {
            return Ok(true);
        }
    }
    Ok(patterns.is_empty())
}

fn classic(entitlement: &Entitlement, sub_groups: SubGroups) -> String {
    let mut text = entitlement.delegated_namespace.clone();
    for part in &entitlement.subnamespaces {
        text.push('-');
        text.push_str(part);
    }
    text.push('_');
    text.push_str(&entitlement.group);
    if sub_groups == SubGroups::Keep {
        for part in &entitlement.subgroups {
            text.push('_');
            text.push_str(part);
        }
    }
    text
}
