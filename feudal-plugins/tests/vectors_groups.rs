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
    if ours == wanted && found.primary.as_str() == primary && found.dropped.is_empty() {
        return Outcome::Passed;
    }
    explain(&wanted, &ours, primary, &found)
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
    let cut = |dropped: &Dropped| dropped.group.contains("punch4nfdi-");
    let merged = |dropped: &Dropped| matches!(dropped.reason, DropReason::Collides(..));
    if lost.is_empty() && same_primary && found.dropped.iter().all(merged) {
        Outcome::Passed
    } else if lost.iter().all(|name| !is_usable(name)) {
        Outcome::Diverged("protected, unnameable and overlong groups are left out")
    } else if lost.iter().all(|name| *name == "punch4nfdi") && found.dropped.iter().any(cut) {
        Outcome::Diverged("a rest that does not fit would put people into the parent group")
    } else {
        Outcome::Failed(format!("lost {lost:?}, found {found:?}"))
    }
}

#[test]
fn groups_are_made_as_sites_are_used_to() {
    vectors::run("groups.json", check);
}
