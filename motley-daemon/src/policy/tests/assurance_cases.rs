//! Assurance tiers held against recorded ones.

use super::{Verdict, config, person, run, sources, stricter};
use crate::policy::{assurance::Expression, tier};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn judge_expression(case: &Value) -> Verdict {
    let input = &case["input"];
    let text = input["expression"].as_str().unwrap();
    let prefix = input["prefix"].as_str().unwrap();
    let values: BTreeSet<String> = serde_json::from_value(input["values"].clone()).unwrap();
    let ours = Expression::parse(text, prefix).map(|expression| expression.holds(&values)).ok();
    let wanted = case["expected"]["matches"].as_bool();
    if ours == wanted {
        return Verdict::Passed;
    }
    Verdict::Failed(format!("{ours:?} instead of {wanted:?}"))
}

/// Where the values themselves differ: ours count fewer things as assurance.
fn fewer_values(case: &Value) -> Option<&'static str> {
    let sources = sources(case);
    let all = [sources.userinfo, sources.introspection, sources.token];
    let mut claims = all.iter().flatten().flat_map(|source| source.values());
    claims.find_map(|claim| match claim {
        Value::String(text) if text.is_empty() => Some("an empty text is no assurance"),
        Value::Array(items) if items.iter().any(|item| item.as_str() == Some("")) => {
            Some("an empty text is no assurance")
        }
        Value::Array(items) if items.iter().any(Value::is_null) => {
            Some("null in a list is no assurance")
        }
        Value::Array(items) if items.iter().any(|i| i.is_array() || i.is_object()) => {
            Some("values inside values are written as JSON")
        }
        Value::Object(_) => Some("values inside values are written as JSON"),
        _ => None,
    })
}

fn judge_tier(case: &Value) -> Verdict {
    let expected = &case["expected"];
    let must_not_start = !expected["startup_error"].is_null();
    let config = match config(case) {
        Ok(_) if must_not_start => return Verdict::Failed("starts, and should not".to_owned()),
        Ok(config) => config,
        Err(_) if must_not_start => return Verdict::Passed,
        Err(error) => {
            return match error.problems.iter().map(stricter).next().flatten() {
                Some(reason) => Verdict::Diverged(reason),
                None => Verdict::Failed(error.to_string()),
            };
        }
    };
    let who = match person(&config, case) {
        Ok(who) => who,
        Err(reason) => return Verdict::Diverged(reason),
    };
    let policy = &config.op(&who.identity().issuer).unwrap().policy.assurance;
    let ours = tier(policy, &who);
    let same_tier = json!(ours.tier.as_str()) == expected["tier"];
    let same_reason = json!(ours.reason) == expected["reason"];
    let same_values = json!(ours.values) == expected["assurance_set"];
    if same_tier && same_reason && same_values {
        return Verdict::Passed;
    }
    match fewer_values(case) {
        Some(reason) if !same_values => Verdict::Diverged(reason),
        _ => Verdict::Failed(format!("{} ({}) {:?}", ours.tier, ours.reason, ours.values)),
    }
}

/// Cases that diverge, by reason.
const DIVERGED: &[(&str, usize)] = &[
    ("an empty text is no assurance", 20),
    ("an unknown option is a mistake", 1),
    ("null in a list is no assurance", 16),
    ("the issuer must be the configured one, byte for byte", 2),
    ("the token's issuer is no issuer", 1),
    ("values inside values are written as JSON", 31),
];

#[test]
fn tiers_are_those_of_the_python_stack() {
    run("assurance.json", DIVERGED, |case| match case["input"]["kind"].as_str().unwrap() {
        "expression" => judge_expression(case),
        "tier" => judge_tier(case),
        other => Verdict::Failed(format!("no such kind: {other}")),
    });
}
