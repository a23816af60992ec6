//! User names: candidates made from the claims of a person, in the order in which they are tried.

pub mod friendly;
pub mod pooled;
pub mod shadow;
mod transliterate;

pub use shadow::{Made, NoName, ShadowVariant, make, make_compatible};

use crate::claims::{AnyOf, Claims};
use motley_proto::{UserName, names::NameError};

/// Where user names come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// From the person's name and e-mail address.
    Friendly,
    /// From a pool of numbered names.
    Pooled {
        /// Text before the number; `None` takes the person's primary group.
        prefix: Option<String>,
        /// Digits of the number, 1 to 9.
        digits: u8,
    },
}

/// How user names are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRules {
    /// Where they come from.
    pub strategy: Strategy,
    /// How a text is made into a name that shadow-utils take.
    pub shadow: ShadowVariant,
    /// What every name begins with, whatever it is made of. Empty for no such text.
    pub prefix: String,
}

impl NameRules {
    /// The claims that names are made of; `None` when they are made of none. A pool that is named
    /// after the primary group reads what the groups read.
    pub fn claims_read(&self) -> Option<AnyOf> {
        match self.strategy {
            Strategy::Friendly => Some(AnyOf::new(friendly::CLAIMS)),
            Strategy::Pooled { .. } => None,
        }
    }
}

/// A name that may be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The text it was made from.
    pub wanted: String,
    /// The name.
    pub name: UserName,
}

/// Why a text was left out of the candidates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// Nothing that shadow-utils take can be made of it.
    #[error(transparent)]
    NoName(#[from] NoName),
    /// What was made of it can't be a user name here.
    #[error("`{0}` {1}")]
    Invalid(String, NameError),
}

/// Makes one text into a user name.
///
/// # Errors
/// Says why the text names nobody.
pub fn user_name(text: &str, variant: ShadowVariant) -> Result<UserName, SkipReason> {
    prefixed("", text, variant)
}

fn prefixed(prefix: &str, text: &str, variant: ShadowVariant) -> Result<UserName, SkipReason> {
    let made = format!("{prefix}{}", make_compatible(text, variant)?);
    UserName::new(made.as_str()).map_err(|error| SkipReason::Invalid(made, error))
}

/// The names to try for a person, best first. Texts that make no valid name are passed over.
///
/// `unix_primary_group` is the local name of the person's primary group; pools without a prefix of
/// their own are named after it. Whether a name is taken is for the caller to find out.
pub fn candidates(
    rules: &NameRules,
    claims: &Claims,
    unix_primary_group: &str,
) -> impl Iterator<Item = Candidate> + Send + use<> {
    let texts: Box<dyn Iterator<Item = String> + Send> = match &rules.strategy {
        Strategy::Friendly => Box::new(friendly::texts(claims).into_iter()),
        Strategy::Pooled { prefix, digits } => {
            Box::new(pooled::texts(prefix.as_deref().unwrap_or(unix_primary_group), *digits))
        }
    };
    let (shadow, prefix) = (rules.shadow, rules.prefix.clone());
    texts.filter_map(move |wanted| match prefixed(&prefix, &wanted, shadow) {
        Ok(name) => Some(Candidate { wanted, name }),
        Err(reason) => {
            tracing::debug!(%reason, "a text makes no user name; trying the next");
            None
        }
    })
}

/// The first candidate that is not taken.
pub fn choose(
    candidates: impl IntoIterator<Item = Candidate>,
    taken: impl Fn(&str) -> bool,
) -> Option<Candidate> {
    candidates.into_iter().find(|candidate| !taken(candidate.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::{Strategy, *};
    use proptest::prelude::*;
    use serde_json::json;

    const VARIANTS: [ShadowVariant; 4] =
        [ShadowVariant::Default, ShadowVariant::V044, ShadowVariant::Punch, ShadowVariant::Ldap];

    fn names(strategy: Strategy, claims: serde_json::Value) -> Vec<String> {
        let rules = NameRules { strategy, shadow: ShadowVariant::Default, prefix: String::new() };
        let claims: Claims = serde_json::from_value(claims).unwrap();
        let all = candidates(&rules, &claims, "kit-edu_physics");
        all.take(100).map(|candidate| candidate.name.into()).collect()
    }

    #[test]
    fn a_text_that_makes_no_name_is_passed_over_for_the_next() {
        let long = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_b_c_d_e";
        let claims =
            json!({"preferred_username": long, "given_name": "John", "family_name": "Doe"});
        assert_eq!(names(Strategy::Friendly, claims)[..2], ["john", "johdoe"]);
    }

    #[test]
    fn every_name_begins_with_the_prefix_and_one_that_gets_too_long_is_passed_over() {
        let shadow = ShadowVariant::Default;
        let rules = NameRules { strategy: Strategy::Friendly, shadow, prefix: "fdl_".to_owned() };
        let claims = json!({"preferred_username": "a".repeat(30), "given_name": "Root"});
        let claims: Claims = serde_json::from_value(claims).unwrap();
        let names: Vec<String> =
            candidates(&rules, &claims, "").map(|candidate| candidate.name.into()).collect();
        assert_eq!(names, ["fdl_root"]);
    }

    #[test]
    fn r21_nobody_gets_a_name_of_the_system_by_being_called_so() {
        let claims = json!({"preferred_username": "root", "given_name": "Sudo", "email": "a@b.c"});
        assert_eq!(names(Strategy::Friendly, claims), ["a-b_c"]);
    }

    #[test]
    fn a_pool_is_named_after_its_prefix_or_the_primary_group_and_ends() {
        let pool = |prefix: Option<&str>, digits| Strategy::Pooled {
            prefix: prefix.map(str::to_owned),
            digits,
        };
        assert_eq!(
            names(pool(None, 3), json!({}))[..2],
            ["kit-edu_physics001", "kit-edu_physics002"]
        );
        let all = names(pool(Some("p"), 1), json!({}));
        assert_eq!((all.len(), all[8].as_str()), (9, "p9"));
        assert!(names(pool(Some("p"), 0), json!({})).is_empty());
    }

    #[test]
    fn each_claim_that_is_said_to_be_read_makes_a_name_and_pools_read_none() {
        let shadow = ShadowVariant::Default;
        let friendly = NameRules { strategy: Strategy::Friendly, shadow, prefix: String::new() };
        for claim in friendly.claims_read().unwrap().names() {
            assert!(!names(Strategy::Friendly, json!({ claim: "jdoe" })).is_empty(), "{claim}");
        }
        let strategy = Strategy::Pooled { prefix: None, digits: 3 };
        let pooled = NameRules { strategy, shadow, prefix: String::new() };
        assert_eq!(pooled.claims_read(), None);
    }

    #[test]
    fn the_first_free_candidate_is_chosen() {
        let rules = NameRules {
            strategy: Strategy::Pooled { prefix: Some("p".to_owned()), digits: 2 },
            shadow: ShadowVariant::Default,
            prefix: String::new(),
        };
        let choice = |taken: fn(&str) -> bool| {
            choose(candidates(&rules, &Claims::default(), "g"), taken).map(|c| c.name.into())
        };
        assert_eq!(choice(|name| name < "p17"), Some("p17".to_owned()));
        assert_eq!(choice(|_| true), None::<String>);
    }

    proptest! {
        #[test]
        fn r20_a_mangled_name_satisfies_the_grammar_or_is_refused(text in "\\PC{0,60}|[a-z_.$0-9-]{0,60}") {
            for variant in VARIANTS {
                let Ok(made) = make(&text, variant) else { continue };
                prop_assert!(!made.name.is_empty() && made.name.len() <= 32, "{made:?}");
                prop_assert!(made.name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_'));
                prop_assert!(made.name.bytes().all(
                    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b)));
            }
        }

        #[test]
        fn a_name_that_is_one_already_stays_as_it_is(text in "[a-z_][a-z0-9_-]{1,31}") {
            prop_assume!(!text.starts_with("_-"));
            for variant in [ShadowVariant::Default, ShadowVariant::V044] {
                let made = make(&text, variant);
                prop_assert_eq!(made, Ok(Made { name: text.clone(), shortened: false }));
            }
        }

        #[test]
        fn a_name_that_lost_characters_says_so(text in "[a-z_]{33,60}") {
            for variant in VARIANTS {
                if let Ok(made) = make(&text, variant) {
                    prop_assert!(made.shortened);
                }
            }
        }
    }
}
