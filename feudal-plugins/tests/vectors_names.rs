//! Compatibility cases: friendly and pooled user names, and the text that names an identity.

mod vectors;

use feudal_plugins::{
    Claims,
    groups::{GroupError, groups},
    names::{NameRules, Strategy, candidates, choose, friendly, pooled},
};
use motley_proto::{Identity, Issuer, Subject, identity::quote_plus};
use serde_json::{Map, Value};
use vectors::{
    Outcome,
    ini::Ini,
    rules::{group_rules, user_variant, variant},
    texts,
};

/// Cases that diverge, by reason.
const FRIENDLY: &[(&str, u32)] = &[
    ("a candidate that makes no name is passed over and ends nothing", 4),
    ("a text without a usable character names nobody", 2),
    ("a word that names no function stops the start, with the cure", 5),
];

/// Cases that diverge, by reason.
const POOLED: &[(&str, u32)] = &[
    ("a candidate that makes no name is passed over and ends nothing", 19),
    ("a primary group that can't be named is refused", 13),
    ("an unknown word in the configuration stops the start", 5),
    ("pool_digits outside 1 to 9 stops the start, with the cure", 14),
];

/// Cases that diverge, by reason.
const UNIQUE_ID: &[(&str, u32)] =
    &[("an issuer or subject that is none never names an account", 36)];

fn claims(case: &Value) -> Claims {
    let mut map: Map<String, Value> =
        case["input"]["userinfo"].as_object().cloned().unwrap_or_default();
    map.entry("sub").or_insert_with(|| Value::from("s-1"));
    map.entry("iss").or_insert_with(|| Value::from("https://op.example/"));
    Claims::new(map)
}

fn chosen(rules: &NameRules, claims: &Claims, group: &str, case: &Value) -> Option<String> {
    let taken = texts(&case["input"]["taken"]);
    choose(candidates(rules, claims, group), |name| taken.iter().any(|other| other == name))
        .map(|candidate| candidate.name.as_str().to_owned())
}

fn judge(case: &Value, found: Option<String>) -> Outcome {
    let expected = case["expected"]["username"].as_str();
    let kind = case["expected"]["error"]["type"].as_str();
    match (&found, expected, kind) {
        (found, expected, _) if found.as_deref() == expected => Outcome::Passed,
        (_, Some("_"), _) => Outcome::Diverged("a text without a usable character names nobody"),
        (Some(_), None, Some("ValueError" | "TypeError")) => {
            Outcome::Diverged("a candidate that makes no name is passed over and ends nothing")
        }
        _ => Outcome::Failed(format!("chose {found:?}, expected {expected:?} or {kind:?}")),
    }
}

fn check_friendly(case: &Value) -> Outcome {
    let word = case["config"]["shadow_compatibility_function"].as_str().unwrap_or("default");
    let Some(shadow) = variant(word) else {
        return Outcome::Diverged("a word that names no function stops the start, with the cure");
    };
    let claims = claims(case);
    let tried = friendly::texts(&claims);
    let expected = texts(&case["expected"]["candidates"]);
    let named: Vec<String> = expected.iter().filter(|text| !text.is_empty()).cloned().collect();
    if tried != named {
        return Outcome::Failed(format!("tried {tried:?}, expected {expected:?}"));
    }
    let rules = NameRules { strategy: Strategy::Friendly, shadow, prefix: String::new() };
    judge(case, chosen(&rules, &claims, "nogroup", case))
}

#[test]
fn friendly_names_are_tried_in_the_established_order() {
    vectors::run("friendly_names.json", FRIENDLY, check_friendly);
}

fn check_pooled(case: &Value) -> Outcome {
    let ini = Ini::read(case["config"]["feudal_adapter.conf"].as_str().unwrap_or_default());
    let digits = ini.or("username_generator", "pool_digits", "3").parse::<u8>();
    let digits = match digits {
        Ok(digits @ 1..=pooled::MAX_DIGITS) => digits,
        _ => return Outcome::Diverged("pool_digits outside 1 to 9 stops the start, with the cure"),
    };
    let (Ok(group_rules), Some(shadow)) = (group_rules(&ini), user_variant(&ini)) else {
        return Outcome::Diverged("an unknown word in the configuration stops the start");
    };
    let claims = claims(case);
    let groups = match groups(&group_rules, &claims) {
        Ok(groups) => groups,
        Err(GroupError::Configured { .. }) => {
            return Outcome::Diverged("a primary group that can't be named is refused");
        }
        Err(_) if case["expected"].get("error").is_some() => return Outcome::Passed,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let prefix = ini.get("username_generator", "pool_prefix").filter(|text| !text.is_empty());
    let strategy = Strategy::Pooled { prefix: prefix.map(str::to_owned), digits };
    let rules = NameRules { strategy, shadow, prefix: String::new() };
    let found = chosen(&rules, &claims, groups.primary.as_str(), case);
    let expected_primary = case["expected"]["unix_primary_group"].as_str();
    if expected_primary.is_some_and(|name| name != groups.primary.as_str()) {
        let primary = groups.primary;
        return Outcome::Failed(format!("primary {primary}, expected {expected_primary:?}"));
    }
    let start = prefix.unwrap_or(groups.primary.as_str());
    let tried: Vec<String> = pooled::texts(start, digits).take(3).collect();
    let expected = texts(&case["expected"]["first_candidates"]);
    if !expected.is_empty() && tried != expected {
        return Outcome::Failed(format!("tried {tried:?}, expected {expected:?}"));
    }
    judge(case, found)
}

#[test]
fn pooled_names_are_counted_from_the_lowest_free_number() {
    vectors::run("pooled_names.json", POOLED, check_pooled);
}

fn check_unique_id(case: &Value) -> Outcome {
    let expected = case["expected"]["unique_id"].as_str();
    let (Some(sub), Some(iss)) = (case["input"]["sub"].as_str(), case["input"]["iss"].as_str())
    else {
        return match expected {
            None => Outcome::Passed,
            Some(_) => Outcome::Failed("an identity without subject or issuer".to_owned()),
        };
    };
    if expected != Some(format!("{}@{}", quote_plus(sub), quote_plus(iss)).as_str()) {
        return Outcome::Failed(format!("expected {expected:?}"));
    }
    match (Issuer::new(iss), Subject::new(sub)) {
        (Ok(issuer), Ok(subject)) => {
            let id = Identity::new(issuer, subject).unique_id();
            assert_eq!(Some(id.as_str()), expected);
            Outcome::Passed
        }
        _ => Outcome::Diverged("an issuer or subject that is none never names an account"),
    }
}

#[test]
fn an_identity_is_named_in_gecos_as_sites_are_used_to() {
    vectors::run("unique_id.json", UNIQUE_ID, check_unique_id);
}
