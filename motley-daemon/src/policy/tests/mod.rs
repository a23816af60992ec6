//! Policy held against recorded cases and against its own promises.

mod assurance_cases;
mod authorisation_cases;
mod promises;
mod words;

use crate::clock::Timestamp;
use crate::config::{Config, ConfigError, Finding, FindingKind, Owners, Source, validate};
use crate::verified::{ClaimMap, ClaimSources, Verified};
use motley_proto::{Identity, Issuer, Subject};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};

/// What became of one case.
enum Verdict {
    Passed,
    Diverged(&'static str),
    Failed(String),
}

/// Judges all cases of a file, prints the counts by kind, and fails if one case failed, or not exactly
/// so many diverged for each reason: a rule that is broader than it should be would else hide a
/// regression.
fn run(file: &str, diverging: &[(&str, usize)], judge: impl Fn(&Value) -> Verdict) {
    let folder = std::env::var_os("MOTLEY_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors")),
        PathBuf::from,
    );
    let path = folder.join(file);
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let (mut passed, mut failed) = (0, Vec::new());
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &cases {
        match judge(case) {
            Verdict::Passed => passed += 1,
            Verdict::Diverged(reason) => *reasons.entry(reason).or_default() += 1,
            Verdict::Failed(why) => failed.push(format!("{}:\n    {why}", case["name"])),
        }
    }
    for (reason, count) in &reasons {
        println!("{count} diverged: {reason}");
    }
    let diverged: usize = reasons.values().sum();
    println!("{file}: {passed} passed, {diverged} diverged, {} failed", failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(passed > 0, "{} holds no case", path.display());
    if std::env::var_os("MOTLEY_VECTORS").is_none() {
        assert_eq!(reasons, diverging.iter().copied().collect(), "{file}: cases by reason");
    }
}

fn source(name: &str, text: &str) -> Source {
    Source { path: PathBuf::from(name), text: text.to_owned(), is_public: false }
}

/// The configuration of a case.
fn config(case: &Value) -> Result<Config, ConfigError> {
    let text = case["config"]["motley_cue.conf"].as_str().unwrap_or_default();
    let adapter = source("feudal_adapter.conf", "");
    let built = validate(source("motley_cue.conf", text), adapter, Owners { service: 0 });
    built.map(|(config, _)| config)
}

/// Why ours refuses to start with a file that the Python stack takes.
fn stricter(problem: &Finding) -> Option<&'static str> {
    match (problem.kind, problem.option.as_deref()) {
        (FindingKind::UnknownOption, _) => Some("an unknown option is a mistake"),
        (FindingKind::UnknownSection, _) => Some("an unknown section is a mistake"),
        (FindingKind::SwallowedLine, _) => Some("an indented option is a mistake"),
        (FindingKind::Default, _) => Some("[DEFAULT] speaks to providers only"),
        (FindingKind::DuplicateOp, _) => Some("providers that differ by slashes are the same"),
        (FindingKind::Issuer, _) => Some("an issuer is an https URL, or http where allowed"),
        (FindingKind::Value, Some("vo_match")) => {
            Some("a wrong vo_match is found at start, not at each request")
        }
        _ => None,
    }
}

fn claims(case: &Value, name: &str) -> Option<ClaimMap> {
    case["input"][name].as_object().cloned()
}

fn sources(case: &Value) -> ClaimSources {
    ClaimSources {
        userinfo: claims(case, "user_info"),
        introspection: claims(case, "introspection"),
        token: claims(case, "access_token"),
    }
}

/// The person of a case, as far as verification would let the claims through.
///
/// # Errors
/// Why it would not.
fn person(config: &Config, case: &Value) -> Result<Verified, &'static str> {
    let sources = sources(case);
    let issuer = agreed(&sources, "iss")?;
    let subject = agreed(&sources, "sub")?;
    let issuer = Issuer::new(issuer).map_err(|_| "the token's issuer is no issuer")?;
    let subject = Subject::new(subject).map_err(|_| "the subject is empty")?;
    if config.op(&issuer).is_none() {
        return Err("the issuer must be the configured one, byte for byte");
    }
    Ok(Verified::attest(Identity::new(issuer, subject), sources, None::<Timestamp>))
}

/// A claim on which all sources that have it agree.
fn agreed(sources: &ClaimSources, name: &str) -> Result<String, &'static str> {
    let all = [&sources.token, &sources.introspection, &sources.userinfo];
    let mut values = all.into_iter().flatten().filter_map(|source| source.get(name));
    let first = values.next().ok_or("issuer and subject must be there")?;
    if values.any(|other| other != first) {
        return Err("userinfo and introspection must speak of the token's identity");
    }
    first.as_str().map(str::to_owned).ok_or("issuer and subject must be texts")
}
