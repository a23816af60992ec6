//! Compatibility cases: from claims to local groups.

mod vectors;

use feudal_plugins::{
    Claims,
    groups::{DropReason, Dropped, GroupError, Groups, Source, groups, select},
};
use motley_proto::GroupName;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use vectors::{Outcome, has_quirk, ini::Ini, rules::group_rules, texts};

/// Cases that diverge, by reason.
const DIVERGED: &[(&str, u32)] = &[
    ("a configured primary group that can't be named is refused", 3),
    ("a group that can't be named is left out and ends nothing", 41),
    ("a pattern that is none stops the start, not each request", 43),
    ("a pattern that is none stops the start, used or not", 3),
    ("an unknown word for policy or method stops the start", 6),
    ("claims of another type are left out and do not end the request", 44),
    ("one group as a text is one group, not one per letter", 1),
    ("protected, unnameable and overlong groups are left out", 60),
    ("without a usable group there is no primary group", 3),
];

fn completed(userinfo: &Value) -> Map<String, Value> {
    let mut map: Map<String, Value> = userinfo.as_object().cloned().unwrap_or_default();
    map.entry("sub").or_insert_with(|| Value::from("s-1"));
    map.entry("iss").or_insert_with(|| Value::from("https://op.example/"));
    map
}

fn claims(case: &Value) -> Claims {
    let input = &case["input"];
    if !input["userinfo"].is_null() {
        return Claims::new(completed(&input["userinfo"]));
    }
    let userinfo = completed(&input["user_info"]);
    Claims::merge(
        Some(&userinfo),
        input["introspection"].as_object(),
        input["access_token"].as_object(),
    )
}

fn set(texts: Vec<String>) -> BTreeSet<String> {
    texts.into_iter().collect()
}

fn check(case: &Value) -> Outcome {
    let expected = &case["expected"];
    let ini = Ini::read(case["config"]["feudal_adapter.conf"].as_str().unwrap_or_default());
    let rules = match group_rules(&ini) {
        Ok(rules) => rules,
        Err(_) if has_quirk(case, "unhandled error") => {
            return Outcome::Diverged("a pattern that is none stops the start, not each request");
        }
        Err(error) if error.starts_with("policy =") || error.starts_with("method =") => {
            return Outcome::Diverged("an unknown word for policy or method stops the start");
        }
        Err(_) if expected["uses_entitlements"] == false => {
            return Outcome::Diverged("a pattern that is none stops the start, used or not");
        }
        Err(error) => return Outcome::Failed(format!("refused: {error}")),
    };
    let claims = claims(case);
    let asserted = select(&rules, &claims).unwrap();
    if let Some(stage) = expected["error"]["stage"].as_str()
        && matches!(stage, "entitlements" | "groups" | "merge")
    {
        return Outcome::Diverged("claims of another type are left out and do not end the request");
    }
    if case["input"]["access_token"]["wlcg.groups"].is_string() {
        return Outcome::Diverged("one group as a text is one group, not one per letter");
    }
    if let Some(order) = expected["groups_in_order"].as_array() {
        let mut order: Vec<&str> = order.iter().filter_map(Value::as_str).collect();
        let mut seen = BTreeSet::new();
        order.retain(|name| seen.insert(*name));
        if asserted.names != order {
            return Outcome::Failed(format!("in order {:?}, expected {order:?}", asserted.names));
        }
    }
    let names = set(asserted.names.clone());
    let entitlements = asserted.entitlements.iter().map(ToString::to_string).collect();
    if names != set(texts(&expected["groups"])) {
        return Outcome::Failed(format!("groups {names:?}, expected {}", expected["groups"]));
    }
    if let Some(merged) = expected["merged"].as_object()
        && claims != Claims::new(merged.clone())
    {
        return Outcome::Failed(format!("merged {claims:?}, expected {merged:?}"));
    }
    if set(entitlements) != set(texts(&expected["entitlements"])) {
        return Outcome::Failed(format!("entitlements {:?}", asserted.entitlements));
    }
    if (asserted.source == Source::Entitlements) != expected["uses_entitlements"] {
        return Outcome::Failed(format!("source {:?}", asserted.source));
    }
    compare(case, groups(&rules, &claims))
}

/// Names that the other side could use and ours refuses, whatever made them.
fn is_usable(name: &str) -> bool {
    name != "_" && GroupName::new(name).is_ok()
}

fn compare(case: &Value, found: Result<Groups, GroupError>) -> Outcome {
    let expected = &case["expected"];
    let wanted: BTreeSet<String> = texts(&expected["usermod_groups"]).into_iter().collect();
    let found = match found {
        Ok(found) => found,
        Err(_) if expected.get("error").is_some() => return Outcome::Passed,
        Err(GroupError::NoPrimary) if !wanted.iter().any(|name| is_usable(name)) => {
            return Outcome::Diverged("without a usable group there is no primary group");
        }
        Err(GroupError::Configured { .. })
            if !expected["useradd_g"].as_str().is_some_and(is_usable) =>
        {
            return Outcome::Diverged("a configured primary group that can't be named is refused");
        }
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    if expected.get("error").is_some() {
        return if found.dropped.is_empty() {
            Outcome::Failed(format!("nothing was left out: {found:?}"))
        } else {
            Outcome::Diverged("a group that can't be named is left out and ends nothing")
        };
    }
    let ours: BTreeSet<String> =
        found.supplementary.iter().map(|name| name.as_str().to_owned()).collect();
    let primary = expected["useradd_g"].as_str().unwrap_or_default();
    if let Err(how) = compare_new_groups(case, &ours) {
        return Outcome::Failed(how);
    }
    if ours == wanted && found.primary.as_str() == primary && found.dropped.is_empty() {
        return Outcome::Passed;
    }
    explain(&wanted, &ours, primary, &found)
}

/// Compares the groups that have to be made. Those that can't be named here are not among ours; that
/// they are the only ones is for the comparison of memberships to say.
fn compare_new_groups(case: &Value, ours: &BTreeSet<String>) -> Result<(), String> {
    let mut there = set(texts(&case["input"]["existing_groups"]));
    if case["input"]["existing_groups"].is_null() {
        there.insert("nogroup".to_owned());
    }
    let made: BTreeSet<&String> = ours.difference(&there).collect();
    let wanted = set(texts(&case["expected"]["groupadd"]));
    let wanted: BTreeSet<&String> = wanted.iter().filter(|name| ours.contains(*name)).collect();
    if made == wanted { Ok(()) } else { Err(format!("made {made:?}, expected {wanted:?}")) }
}

fn explain(
    wanted: &BTreeSet<String>,
    ours: &BTreeSet<String>,
    primary: &str,
    found: &Groups,
) -> Outcome {
    let lost: Vec<&String> = wanted.difference(ours).collect();
    let gained = ours.difference(wanted).find(|name| *name != found.primary.as_str());
    let same_primary = found.primary.as_str() == primary || !is_usable(primary);
    if gained.is_some() || !same_primary || found.dropped.is_empty() {
        return Outcome::Failed(format!("wanted {wanted:?} ({primary}), found {found:?}"));
    }
    let merged = |dropped: &Dropped| matches!(dropped.reason, DropReason::Collides(..));
    if lost.is_empty() && same_primary && found.dropped.iter().all(merged) {
        Outcome::Passed
    } else if lost.iter().all(|name| !is_usable(name)) {
        Outcome::Diverged("protected, unnameable and overlong groups are left out")
    } else {
        Outcome::Failed(format!("lost {lost:?}, found {found:?}"))
    }
}

#[test]
fn groups_are_made_as_sites_are_used_to() {
    vectors::run("groups.json", DIVERGED, check);
}
