//! Who may log in and who may administer, held against recorded decisions.

use super::{Verdict, config, person, run, stricter};
use crate::config::Config;
use crate::policy::{
    AudienceRule, Decision, VoMatch, VoRule, authorise, authorise_admin, authorise_target, describe,
};
use crate::verified::{ClaimSources, Verified};
use motley_proto::{Audience, Identity, Issuer, Subject};
use serde_json::{Value, json};

/// What ours makes of a request.
enum Outcome {
    Granted,
    /// Refused before policy.
    Unverified(&'static str),
    Refused {
        reason: String,
        details: Value,
    },
    /// The service does not start.
    NoStart(Option<&'static str>),
}

fn decide(config: &Config, case: &Value) -> Outcome {
    let who = match person(config, case) {
        Ok(who) => who,
        Err(reason) => return Outcome::Unverified(reason),
    };
    let Some(op) = config.op(&who.identity().issuer) else {
        return Outcome::Unverified("the provider is not configured");
    };
    let decision = match case["input"]["level"].as_str().unwrap() {
        "authenticated_user" => return Outcome::Granted,
        "authorised_user" => authorise(&op.policy, &who),
        "authorised_admin" => match authorise_admin(&op.policy, &who) {
            Decision::Grant { because } => match case["input"]["query"]["iss"].as_str() {
                Some(target) => authorise_target(&op.policy, &who.identity().issuer, target),
                None => Decision::Grant { because },
            },
            refusal => refusal,
        },
        other => panic!("no such level: {other}"),
    };
    match decision {
        Decision::Grant { .. } => Outcome::Granted,
        Decision::Refuse(refusal) => {
            Outcome::Refused { reason: refusal.reason, details: refusal.details }
        }
    }
}

fn outcome(case: &Value) -> Outcome {
    match config(case) {
        Ok(config) => decide(&config, case),
        Err(error) => Outcome::NoStart(error.problems.iter().map(stricter).next().flatten()),
    }
}

const AUDIENCE: &str = "audience is a list, and holds wherever it is configured";
const COUNT: &str = "vo_match may be a number";

fn judge_request(case: &Value) -> Verdict {
    let expected = &case["expected"];
    let quirk = case["quirk"].as_str().unwrap_or_default();
    let must_not_start = !expected["startup_error"].is_null();
    let status = expected["status"].as_u64().unwrap_or_default();
    match outcome(case) {
        Outcome::NoStart(_) if must_not_start => Verdict::Passed,
        Outcome::NoStart(Some(reason)) => Verdict::Diverged(reason),
        Outcome::NoStart(None) => Verdict::Failed("does not start".to_owned()),
        _ if must_not_start => Verdict::Failed("starts, and should not".to_owned()),
        Outcome::Granted if status == 200 => Verdict::Passed,
        Outcome::Granted if quirk.contains("audience is a plain string") => {
            Verdict::Diverged(AUDIENCE)
        }
        Outcome::Granted if quirk.contains("vo_match") && status == 500 => Verdict::Diverged(COUNT),
        Outcome::Granted => Verdict::Failed(format!("granted instead of {status}")),
        Outcome::Unverified(_) if status == 403 => Verdict::Passed,
        Outcome::Unverified(reason) => Verdict::Diverged(reason),
        Outcome::Refused { details, .. } if status == 403 => compare_details(expected, &details),
        Outcome::Refused { .. } if quirk.contains("vo_match") && status == 500 => {
            Verdict::Diverged(COUNT)
        }
        Outcome::Refused { reason, .. } if status == 200 && reason.contains("audiences") => {
            Verdict::Diverged(AUDIENCE)
        }
        Outcome::Refused { .. } if status == 500 => {
            Verdict::Diverged("what can't be evaluated is refused")
        }
        Outcome::Refused { reason, .. } => Verdict::Failed(format!("refused: {reason}")),
    }
}

/// The tree of what was tried must be the recorded one.
fn compare_details(expected: &Value, details: &Value) -> Verdict {
    let wanted = &expected["body"]["error_details"];
    if details == wanted {
        return Verdict::Passed;
    }
    if wanted.to_string().contains("'aud'") != details.to_string().contains("'aud'") {
        return Verdict::Diverged(AUDIENCE);
    }
    if without_entitlements(&details.to_string()) == without_entitlements(&wanted.to_string()) {
        return Verdict::Diverged("a required entitlement is described in other words");
    }
    Verdict::Failed(format!("{details}\n    instead of\n    {wanted}"))
}

/// The text without what stands between `<G069` and `>`.
fn without_entitlements(text: &str) -> String {
    let mut parts = text.split("<G069");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + part.split_once('>').map_or(part, |(_, rest)| rest))
}

fn judge_canonical(case: &Value) -> Verdict {
    let ours = Issuer::canonical(case["input"]["url"].as_str().unwrap());
    match case["expected"]["canonical"].as_str() {
        Some(wanted) if wanted == ours => Verdict::Passed,
        wanted => Verdict::Failed(format!("{ours} instead of {wanted:?}")),
    }
}

fn judge_trust(case: &Value) -> Verdict {
    let config = match config(case) {
        Ok(config) => config,
        Err(error) => {
            return match error.problems.iter().map(stricter).next().flatten() {
                Some(reason) => Verdict::Diverged(reason),
                None => Verdict::Failed(error.to_string()),
            };
        }
    };
    let list: Vec<&str> = config.ops.iter().map(|op| op.issuer.trimmed()).collect();
    if json!(list) != case["expected"]["trusted_op_list"] {
        return Verdict::Failed(format!("trusts {list:?}"));
    }
    let issuer = Issuer::new(case["input"]["issuer"].as_str().unwrap());
    let trusted = issuer.as_ref().is_ok_and(|issuer| config.op(issuer).is_some());
    match (case["expected"]["trusted"].as_bool().unwrap(), trusted) {
        (wanted, ours) if wanted == ours => Verdict::Passed,
        (true, false) if issuer.is_err() => Verdict::Diverged("what is no issuer is not trusted"),
        (true, false) => Verdict::Diverged("an issuer may differ by one slash, not by more"),
        (_, ours) => Verdict::Failed(format!("trusted: {ours}")),
    }
}

fn someone(sources: ClaimSources) -> Verified {
    let issuer = Issuer::new("https://op.example").unwrap();
    Verified::attest(Identity::new(issuer, Subject::new("s").unwrap()), sources, None)
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().map(|i| i.as_str().unwrap().to_owned()).collect(),
        _ => Vec::new(),
    }
}

fn judge_vos(case: &Value) -> Verdict {
    let input = &case["input"];
    let required = texts(&input["required"]);
    let matching = match &input["match"] {
        Value::String(word) => VoMatch::parse(word),
        Value::Number(number) => VoMatch::parse(&number.to_string()),
        _ => None,
    };
    let mut claims = serde_json::Map::new();
    if let Some(value) = input.get("claim_value") {
        claims.insert("c".to_owned(), value.clone());
    }
    let who = someone(ClaimSources { userinfo: Some(claims), ..ClaimSources::default() });
    let ours = matching.map(|matching| {
        !required.is_empty() && VoRule::new("c", required, matching).check(&who).is_ok()
    });
    let wanted = case["expected"]["satisfied"].as_bool();
    match (ours, wanted) {
        (ours, wanted) if ours == wanted => Verdict::Passed,
        (None, Some(_)) => Verdict::Diverged("vo_match is one, all or a number from 1"),
        (Some(_), None) => Verdict::Diverged(COUNT),
        (Some(false), Some(true)) if input["required"].is_string() => {
            Verdict::Diverged("a text without a list is a list of one")
        }
        (ours, wanted) => Verdict::Failed(format!("{ours:?} instead of {wanted:?}")),
    }
}

fn judge_audience(case: &Value) -> Verdict {
    let input = &case["input"];
    let accepted = texts(&input["required"]).into_iter().filter_map(|a| Audience::new(a).ok());
    let rule = AudienceRule { accepted: accepted.collect(), text: String::new() };
    let token =
        input.get("aud").map(|aud| serde_json::Map::from_iter([("aud".into(), aud.clone())]));
    let who = someone(ClaimSources { token, ..ClaimSources::default() });
    let ours = rule.check(&who).is_ok();
    match case["expected"]["satisfied"].as_bool() {
        Some(wanted) if wanted == ours => Verdict::Passed,
        Some(false) if rule.accepted.is_empty() => {
            Verdict::Diverged("an empty list of audiences is none configured")
        }
        Some(true) => Verdict::Diverged(AUDIENCE),
        wanted => Verdict::Failed(format!("{ours} instead of {wanted:?}")),
    }
}

fn judge_info(case: &Value) -> Verdict {
    let Ok(config) = config(case) else { return Verdict::Failed("does not start".to_owned()) };
    let Ok(who) = person(&config, case) else {
        return Verdict::Diverged("nobody of a provider that is not configured gets an answer");
    };
    let op = config.op(&who.identity().issuer).unwrap();
    let described = describe(&op.policy);
    let ours = json!({
        "OP": op.issuer.as_str(), "authorisation_type": described.kind,
        "authorisation_info": described.sentence, "supported_VOs": described.supported_vos,
        "audience": op.policy.audience.text,
    });
    let mut wanted = json!({"audience": "", "supported_VOs": []});
    for (name, value) in case["expected"]["info"].as_object().unwrap() {
        wanted[name] = value.clone();
    }
    if ours == wanted { Verdict::Passed } else { Verdict::Failed(format!("{ours}")) }
}

/// Cases that diverge, by reason.
const DIVERGED: &[(&str, usize)] = &[
    ("a text without a list is a list of one", 1),
    ("a wrong vo_match is found at start, not at each request", 41),
    ("an issuer is an https URL, or http where allowed", 13),
    ("an issuer may differ by one slash, not by more", 2),
    ("an unknown option is a mistake", 1),
    ("an unknown section is a mistake", 4),
    ("audience is a list, and holds wherever it is configured", 86),
    ("issuer and subject must be there", 2),
    ("nobody of a provider that is not configured gets an answer", 1),
    ("providers that differ by slashes are the same", 1),
    ("the issuer must be the configured one, byte for byte", 2),
    ("the subject is empty", 3),
    ("the token's issuer is no issuer", 4),
    ("vo_match is one, all or a number from 1", 5),
    ("vo_match may be a number", 16),
    ("what is no issuer is not trusted", 4),
];

#[test]
fn people_are_let_in_as_by_the_python_stack() {
    run("authz.json", DIVERGED, |case| match case["input"]["kind"].as_str().unwrap() {
        "request" => judge_request(case),
        "canonical_url" => judge_canonical(case),
        "issuer_trusted" => judge_trust(case),
        "vo_requirement" => judge_vos(case),
        "audience_requirement" => judge_audience(case),
        "info_authorisation" => judge_info(case),
        other => Verdict::Failed(format!("no such kind: {other}")),
    });
}
