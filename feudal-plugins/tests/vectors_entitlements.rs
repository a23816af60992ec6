//! Compatibility cases: entitlements, in the reading for group names and in that for authorisation.

mod vectors;

use feudal_plugins::entitlement::{Entitlement, g069};
use serde_json::{Value, json};
use vectors::Outcome;

fn for_names(text: &str) -> Option<Value> {
    let read = Entitlement::parse(text)?;
    assert_eq!(read.to_string(), text, "an entitlement is written as it was read");
    Some(json!({
        "namespace_id": read.namespace_id,
        "delegated_namespace": read.delegated_namespace,
        "subnamespaces": read.subnamespaces,
        "group": read.group,
        "subgroups": read.subgroups,
        "role": read.role,
        "group_authority": read.authority,
        "repr": read.to_string(),
    }))
}

fn for_authorisation(text: &str) -> Option<Value> {
    let read = g069::parse_g069(text)?;
    Some(json!({
        "namespace_id": read.namespace_id,
        "delegated_namespace": read.delegated_namespace,
        "subnamespaces": read.subnamespaces,
        "group": read.group,
        "subgroups": read.subgroups,
        "role": read.role,
        "group_authority": read.authority,
        "repr": read.to_string(),
    }))
}

fn compare(case: &Value, key: &str, read: fn(&str) -> Option<Value>) -> Outcome {
    let expected = &case["expected"][key];
    let expected = (expected.get("error").is_none() && !expected.is_null()).then_some(expected);
    let found = case["input"].as_str().and_then(read);
    if found.as_ref() == expected {
        Outcome::Passed
    } else {
        Outcome::Failed(format!("found {found:?}, expected {expected:?}"))
    }
}

#[test]
fn entitlements_are_read_for_group_names_as_sites_are_used_to() {
    vectors::run("entitlements.json", &[], |case| compare(case, "feudal", for_names));
}

#[test]
fn entitlements_are_read_for_authorisation_by_aarc_g069() {
    vectors::run("entitlements.json", &[], |case| compare(case, "g069", for_authorisation));
}
