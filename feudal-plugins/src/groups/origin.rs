//! Which texts of a provider a local group is made from: two that differ may become one name.

use super::{GroupName, GroupRules, group_name, select};
use crate::{claims::Claims, pattern::TooManySteps};
use std::collections::{BTreeMap, BTreeSet};

/// What the groups that a person asserts are called here, with the texts that each was made from:
/// after the rule has dropped namespace, authority and role, before anything is masked or shortened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<GroupName, BTreeSet<String>>);

/// Groups that a person does not get, whatever is asserted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Barred {
    /// The back end will not have members of them, whoever names them.
    pub refused: BTreeSet<GroupName>,
    /// Made from another text than this person asserts, by name: that text. The configuration may name
    /// them all the same.
    pub others: BTreeMap<GroupName, String>,
}

impl Origins {
    /// Reads what the claims assert. Groups that the configuration names are not among it: they are the
    /// site's own, whoever asserts them.
    ///
    /// # Errors
    /// When a pattern needs too many steps.
    pub fn of(rules: &GroupRules, claims: &Claims) -> Result<Self, TooManySteps> {
        let own = rules.configured_groups();
        let mut found = Self::default();
        for (plain, texts) in select(rules, claims)?.texts {
            if let Ok(name) = group_name(&plain, rules.shadow)
                && !own.contains(&name)
            {
                found.0.entry(name).or_default().extend(texts.iter().map(|text| as_kept(text)));
            }
        }
        Ok(found)
    }

    /// The groups, by their names.
    pub fn names(&self) -> impl Iterator<Item = &GroupName> {
        self.0.keys()
    }

    /// The text to be kept of a group that none is kept of yet.
    pub fn first(&self, name: &GroupName) -> Option<&str> {
        self.0.get(name)?.first().map(String::as_str)
    }

    /// True when the person asserts that text for the group of this name, or does not assert the group.
    pub fn agrees(&self, name: &GroupName, kept: &str) -> bool {
        self.0.get(name).is_none_or(|texts| texts.contains(&as_kept(kept)))
    }
}

/// Providers do not agree with themselves about upper and lower case.
fn as_kept(text: &str) -> String {
    text.to_lowercase()
}
