//! Which groups a person's claims assert, in their plain form.

use super::{GroupRules, Method, Policy, SubGroups, mask};
use crate::{
    claims::{AnyOf, Claims},
    entitlement::Entitlement,
    pattern::{Pattern, TooManySteps},
};
use std::collections::{BTreeMap, BTreeSet};

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
    /// The texts that each plain name was made from.
    pub texts: BTreeMap<String, BTreeSet<String>>,
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
        let Names { order: names, texts } = plain_groups(rules, claims)?;
        return Ok(Asserted { source: Source::Groups, entitlements, names, texts });
    }
    let mut names = Names::default();
    for entitlement in &entitlements {
        match &rules.method {
            Method::Classic => {
                let made = mask(&classic(entitlement, rules.sub_groups));
                names.add(made, origin(entitlement, rules.sub_groups));
            }
            Method::Regex(mapping) => {
                let text = mapping.apply(&entitlement.to_string())?;
                names.add(mask(&text), text);
            }
        }
    }
    let Names { order: names, texts } = names;
    Ok(Asserted { source: Source::Entitlements, entitlements, names, texts })
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

fn plain_groups(rules: &GroupRules, claims: &Claims) -> Result<Names, TooManySteps> {
    let mut kept = Names::default();
    for group in claims.texts(GROUPS_CLAIM) {
        let keeps = match &rules.policy {
            Policy::All => true,
            Policy::Listed { groups, .. } => is_listed(groups, group)?,
        };
        if keeps {
            kept.add(mask(group), group.to_owned());
        }
    }
    Ok(kept)
}

/// Names in the order in which they came, none twice.
#[derive(Default)]
struct Names {
    order: Vec<String>,
    texts: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    fn add(&mut self, name: String, text: String) {
        let texts = self.texts.entry(name.clone()).or_default();
        if texts.is_empty() {
            self.order.push(name);
        }
        texts.insert(text);
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

/// The parts that [`classic`] joins, told apart: a `_` of a name is not the start of a sub-group.
fn origin(entitlement: &Entitlement, sub_groups: SubGroups) -> String {
    let mut parts = vec![entitlement.delegated_namespace.as_str()];
    parts.extend(entitlement.subnamespaces.iter().map(String::as_str));
    parts.extend(["group", &entitlement.group]);
    if sub_groups == SubGroups::Keep {
        parts.extend(entitlement.subgroups.iter().map(String::as_str));
    }
    parts.join(":")
}
