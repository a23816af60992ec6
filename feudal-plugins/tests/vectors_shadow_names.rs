//! Compatibility cases: names that shadow-utils take.

mod vectors;

use feudal_plugins::names::{ShadowVariant, make_compatible};
use serde_json::Value;
use vectors::{Outcome, has_quirk};

/// Cases that diverge, by reason.
const DIVERGED: &[(&str, u32)] = &[
    ("a name longer than shadow-utils take is no name", 22),
    ("a rest that does not fit would put people into the parent group", 1),
    ("a word that names no function stops the start, with the cure", 5),
    ("absence of a text can't be expressed; callers have an Option", 4),
    ("texts without a usable character would all share the name `_`", 68),
];

fn variant(case: &Value) -> Option<ShadowVariant> {
    if case["config"]["backend"] == "ldap" {
        return Some(ShadowVariant::Ldap);
    }
    match case["config"]["shadow_compatibility_function"].as_str()? {
        "default" => Some(ShadowVariant::Default),
        "v044" => Some(ShadowVariant::V044),
        "punch" => Some(ShadowVariant::Punch),
        _ => None,
    }
}

fn check(case: &Value) -> Outcome {
    let expected = case["expected"]["name"].as_str();
    let Some(variant) = variant(case) else {
        return Outcome::Diverged("a word that names no function stops the start, with the cure");
    };
    let Some(text) = case["input"].as_str() else {
        return Outcome::Diverged("absence of a text can't be expressed; callers have an Option");
    };
    let made = make_compatible(text, variant);
    match (&made, expected) {
        (Ok(name), Some(expected)) if name == expected => Outcome::Passed,
        (Err(_), None) => Outcome::Passed,
        (Err(_), Some("_")) => {
            Outcome::Diverged("texts without a usable character would all share the name `_`")
        }
        (Err(_), Some(name)) if name.len() > 32 => {
            Outcome::Diverged("a name longer than shadow-utils take is no name")
        }
        (Err(_), Some("punch4nfdi")) if text.contains("punch4nfdi-") => {
            Outcome::Diverged("a rest that does not fit would put people into the parent group")
        }
        _ => Outcome::Failed(format!("{variant:?}: made {made:?}, expected {expected:?}")),
    }
}

#[test]
fn names_are_made_as_sites_are_used_to() {
    vectors::run("shadow_names.json", DIVERGED, |case| {
        assert!(!has_quirk(case, "\0"));
        check(case)
    });
}
