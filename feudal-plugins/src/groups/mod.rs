//! Local groups of a person: entitlements or group claims, filtered, mapped and made into names.

mod limits;
mod mapping;
mod mask;
mod origin;
mod select;

pub use limits::GroupLimits;
pub use mapping::{Mapping, MappingError};
pub use mask::mask;
pub use origin::{Barred, Origins};
pub use select::{Asserted, Source, claims_read, select};

use crate::{
    claims::Claims,
    names::{Made, NoName, ShadowVariant, make},
    pattern::{Pattern, TooManySteps},
};
use motley_proto::{GroupName, names::NameError, text::escape};
use std::collections::{BTreeMap, BTreeSet};

/// Most supplementary groups of one account: a task that changes them all, and its answer, must fit
/// into a frame of the task socket.
pub const MAX_GROUPS: usize = 96;

/// Characters of a text that are told.
const SHOWN: usize = 200;

/// Which of the asserted groups count.
#[derive(Debug, Clone, Default)]
pub enum Policy {
    /// All.
    #[default]
    All,
    /// Those in which one of the patterns is found. An empty list keeps all.
    Listed {
        /// Patterns for entitlements, matched against the whole entitlement.
        entitlements: Vec<Pattern>,
        /// Patterns for the plain `groups` claim.
        groups: Vec<Pattern>,
    },
}

/// How an entitlement becomes a group name.
#[derive(Debug, Clone, Default)]
pub enum Method {
    /// `NAMESPACE[-SUBNS...]_GROUP[_SUBGROUP...]`.
    #[default]
    Classic,
    /// Search and replace.
    Regex(Mapping),
}

/// What becomes of sub-groups in method classic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubGroups {
    /// They are part of the name.
    #[default]
    Keep,
    /// A member of a sub-group is a member of the group.
    Strip,
}

/// How groups are made.
#[derive(Debug, Clone, Default)]
pub struct GroupRules {
    /// Which asserted groups count.
    pub policy: Policy,
    /// How an entitlement becomes a name.
    pub method: Method,
    /// What becomes of sub-groups.
    pub sub_groups: SubGroups,
    /// Primary group of everybody, if configured.
    pub primary_group: Option<String>,
    /// Primary group of people without a group, if configured.
    pub fallback_group: Option<String>,
    /// Groups that everybody gets.
    pub additional_groups: Vec<String>,
    /// How a text is made into a group name ([`ShadowVariant::Punch`] for `punch4nfdi = yes`).
    pub shadow: ShadowVariant,
}

/// Why an asserted group is not among the groups of the account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// It can't be made into a name.
    #[error(transparent)]
    NoName(#[from] NoName),
    /// What it makes can't be a group of ours.
    #[error("`{0}` {1}")]
    Invalid(String, NameError),
    /// Shortening made it the same as another group of the person. The group exists once, under the
    /// other's name, and stands for both.
    #[error("shortening makes it `{0}`, which `{1}` is already")]
    Collides(String, String),
    /// The back end will not have members of it.
    #[error("the back end refuses it")]
    Refused,
    /// The local group of that name was made from another text, so it is other people's.
    #[error(
        "it makes `{0}`, which is the local group of `{1}`; if that group was renamed at the \
         provider: motleyctl groups release {0}"
    )]
    Another(GroupName, String),
    /// The person brings more groups than an account can have here; the alphabetically first count.
    #[error("an account has at most {MAX_GROUPS} groups here")]
    TooMany,
}

/// A group that has no local group of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The group as asserted or configured.
    pub group: String,
    /// Why.
    pub reason: DropReason,
}

/// The groups that an account shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// Primary group.
    pub primary: GroupName,
    /// Supplementary groups, sorted, none twice; the primary group is among them.
    pub supplementary: Vec<GroupName>,
    /// Those that were left out, for the log.
    pub dropped: Vec<Dropped>,
}

impl Groups {
    /// True if the account shall have this group, in whatever way.
    pub fn contains(&self, group: &GroupName) -> bool {
        self.primary == *group || self.supplementary.contains(group)
    }
}

/// Why a person gets no groups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// No group is left and none is configured.
    #[error(
        "the person brings no usable group; set fallback_group or primary_group in [ldf_adapter]"
    )]
    NoPrimary,
    /// A configured group can't be used.
    #[error("option {option} = {value} can't be used: {reason}")]
    Configured {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: DropReason,
    },
    /// A pattern of the configuration needs too many steps.
    #[error(transparent)]
    Pattern(#[from] TooManySteps),
}

impl GroupRules {
    /// Tells whether every configured group can be used; for the start, so that no login finds out.
    ///
    /// # Errors
    /// Names the option and what is wrong with its value.
    pub fn check(&self) -> Result<(), GroupError> {
        let single =
            [("primary_group", &self.primary_group), ("fallback_group", &self.fallback_group)];
        for (option, value) in single {
            if let Some(value) = value {
                self.configured(option, value)?;
            }
        }
        for value in &self.additional_groups {
            self.configured("additional_groups", value)?;
        }
        Ok(())
    }

    /// The primary group of people who have a right to no other: the configured fallback group, else one
    /// that grants nothing.
    ///
    /// # Errors
    /// As [`GroupRules::check`].
    pub fn fallback(&self, refused: &BTreeSet<GroupName>) -> Result<GroupName, GroupError> {
        let text = self.fallback_group.as_deref().unwrap_or(LAST_RESORT);
        let fallback = self.configured("fallback_group", text)?;
        if refused.contains(&fallback) {
            return self.configured("fallback_group", LAST_RESORT);
        }
        Ok(fallback)
    }

    /// What is left to the account of a person who has lost the last usable group where no group stands
    /// in for it ([`GroupError::NoPrimary`]). Nobody gets a new account so.
    ///
    /// # Errors
    /// As [`GroupRules::check`].
    pub fn of_nobody(&self) -> Result<Groups, GroupError> {
        let primary = self.fallback(&BTreeSet::new())?;
        Ok(Groups { primary, supplementary: Vec::new(), dropped: Vec::new() })
    }

    /// The groups that the configuration names, as far as they can be named.
    fn configured_groups(&self) -> BTreeSet<GroupName> {
        let single = self.primary_group.iter().chain(&self.fallback_group);
        let all = single.chain(&self.additional_groups);
        all.filter_map(|text| group_name(text, self.shadow).ok()).collect()
    }

    fn configured(&self, option: &'static str, value: &str) -> Result<GroupName, GroupError> {
        group_name(value, self.shadow).map_err(|reason| GroupError::Configured {
            option,
            value: value.to_owned(),
            reason,
        })
    }
}

/// Makes one text into a group name.
///
/// # Errors
/// Says why no group can have that name.
pub fn group_name(text: &str, variant: ShadowVariant) -> Result<GroupName, DropReason> {
    name_and_cut(text, variant).map(|(name, _)| name)
}

fn name_and_cut(text: &str, variant: ShadowVariant) -> Result<(GroupName, bool), DropReason> {
    let Made { name, shortened } = make(text, variant)?;
    match GroupName::new(name.as_str()) {
        Ok(group) => Ok((group, shortened)),
        Err(error) => Err(DropReason::Invalid(name, error)),
    }
}

/// The groups that a person's account shall have.
///
/// Groups that can't be named here are left out with a reason; they never end the deployment.
///
/// # Errors
/// When no primary group is left, or the configuration can't be applied.
pub fn groups(rules: &GroupRules, claims: &Claims) -> Result<Groups, GroupError> {
    groups_without(rules, claims, &Barred::default())
}

/// As [`groups`], leaving out those that the person does not get here.
///
/// # Errors
/// As [`groups`].
pub fn groups_without(
    rules: &GroupRules,
    claims: &Claims,
    barred: &Barred,
) -> Result<Groups, GroupError> {
    let mut asserted = select(rules, claims)?.names;
    asserted.sort();
    let mut chosen = Chosen::default();
    for text in asserted {
        chosen.add(text, rules.shadow, barred);
    }
    let primary = primary_group(rules, chosen.first.as_ref(), &barred.refused)?;
    let own = Barred { refused: barred.refused.clone(), others: BTreeMap::new() };
    for text in &rules.additional_groups {
        chosen.add(text.clone(), rules.shadow, &own);
    }
    chosen.named.entry(primary.clone()).or_default();
    let supplementary = chosen.named.into_keys().collect();
    Ok(Groups { primary, supplementary, dropped: chosen.dropped })
}

/// Groups by name, with the text that each was made from.
#[derive(Default)]
struct Chosen {
    first: Option<GroupName>,
    named: BTreeMap<GroupName, String>,
    dropped: Vec<Dropped>,
}

impl Chosen {
    fn add(&mut self, group: String, variant: ShadowVariant, barred: &Barred) {
        let (name, shortened) = match name_and_cut(&group, variant) {
            Ok(made) => made,
            Err(reason) => return self.dropped.push(Dropped { group, reason }),
        };
        if barred.refused.contains(&name) {
            return self.dropped.push(Dropped { group, reason: DropReason::Refused });
        }
        if let Some(text) = barred.others.get(&name) {
            let reason = DropReason::Another(name, escape(text, SHOWN));
            return self.dropped.push(Dropped { group, reason });
        }
        match self.named.get(&name) {
            Some(other) if shortened && *other != group => {
                let reason = DropReason::Collides(name.into(), other.clone());
                self.dropped.push(Dropped { group, reason });
            }
            Some(_) => {}
            // One place is kept for a configured primary group.
            None if self.named.len() + 1 >= MAX_GROUPS => {
                self.dropped.push(Dropped { group, reason: DropReason::TooMany });
            }
            None => {
                self.first.get_or_insert_with(|| name.clone());
                self.named.insert(name, group);
            }
        }
    }
}

/// Group of those who bring none where even the configured fallback group is refused. It grants
/// nothing, and every host has it.
const LAST_RESORT: &str = "nogroup";

fn primary_group(
    rules: &GroupRules,
    first: Option<&GroupName>,
    refused: &BTreeSet<GroupName>,
) -> Result<GroupName, GroupError> {
    match (&rules.primary_group, first, &rules.fallback_group) {
        (Some(text), _, _) => rules.configured("primary_group", text),
        (None, Some(name), _) => Ok(name.clone()),
        (None, None, Some(_)) => rules.fallback(refused),
        (None, None, None) => Err(GroupError::NoPrimary),
    }
}

#[cfg(test)]
mod tests;
