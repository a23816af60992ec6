//! Both configuration files held against what the Python stack makes of the same texts.
//!
//! The cases are data; `MOTLEY_VECTORS` names another folder of them.

use motley_daemon::config::{
    Config, ConfigError, Finding, FindingKind, Owners, Source,
    finding::Findings,
    options::{FEUDAL_ADAPTER, MOTLEY_CUE},
    raw::{RawFile, Settings},
    read_raw, validate,
    values::Value as Typed,
};
use motley_proto::Issuer;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, path::PathBuf};

/// What ours makes of a text.
struct Ours {
    /// The typed values, unless the text is wrong by the table.
    raw: Option<RawFile>,
    /// The validated configuration, or all problems.
    built: Result<Config, ConfigError>,
}

impl Ours {
    fn problems(&self) -> &[Finding] {
        self.built.as_ref().err().map_or(&[], |error| &error.problems)
    }
}

fn source(name: &str, text: &str) -> Source {
    Source { path: PathBuf::from(name), text: text.to_owned(), is_public: false }
}

fn read(file: &str, text: &str) -> Ours {
    let (config, adapter, spec) = match file {
        "motley_cue.conf" => (text, "", &MOTLEY_CUE),
        "feudal_adapter.conf" => ("", text, &FEUDAL_ADAPTER),
        other => panic!("no such file: {other}"),
    };
    let mut found = Findings::default();
    let raw = read_raw(spec, &source(file, text), &mut found).filter(|_| found.problems.is_empty());
    let built = validate(
        source("motley_cue.conf", config),
        source("feudal_adapter.conf", adapter),
        Owners { service: 0 },
    );
    Ours { raw, built: built.map(|(config, _)| config) }
}

fn to_json(value: &Typed) -> Value {
    match value {
        Typed::Unset => Value::Null,
        Typed::Text(text) => json!(text),
        Typed::Secret(secret) => json!(secret.expose()),
        Typed::Database(url) => json!(url.to_string()),
        Typed::Bool(flag) => json!(flag),
        Typed::Number(number) => json!(number),
        Typed::List(items) => json!(items),
    }
}

/// The options of a section that the expectation names.
fn section(settings: &Settings, expected: &Value) -> Value {
    let named = expected.as_object().unwrap();
    let known = settings.settings.iter().filter(|setting| named.contains_key(setting.spec.name));
    let mut out: Map<String, Value> =
        known.map(|s| (s.spec.name.to_owned(), to_json(&s.value))).collect();
    // The port of a directory follows from tls when it is not set.
    if out.get("port").is_some_and(Value::is_null) {
        let port = if settings.is_on("tls") { 636 } else { 1389 };
        out.insert("port".to_owned(), json!(port));
    }
    Value::Object(out)
}

/// Sections of a raw file in the shape of the expectation.
fn sections(
    raw: &RawFile,
    expected: &Value,
    names: &[(&str, &str)],
) -> Vec<(String, Value, Value)> {
    names
        .iter()
        .map(|(pointer, name)| {
            let wanted = expected.pointer(pointer).unwrap();
            let settings = raw.section(name).unwrap();
            let ours = match (wanted, settings.line) {
                (Value::Null, None) => Value::Null,
                (Value::Null, Some(_)) => json!("present"),
                _ => section(settings, wanted),
            };
            ((*pointer).to_owned(), ours, wanted.clone())
        })
        .collect()
}

fn compare_adapter(raw: &RawFile, expected: &Value) -> Vec<String> {
    let names = [
        ("/config/ldf_adapter", "ldf_adapter"),
        ("/config/messages", "messages"),
        ("/config/approval", "approval"),
        ("/config/notifier/email", "notifier.email"),
        ("/config/notifier/courier", "notifier.courier"),
        ("/config/username_generator", "username_generator"),
        ("/config/login_info", "login_info"),
        ("/config/groups", "groups"),
        ("/config/backend/local_unix", "backend.local_unix"),
        ("/config/backend/ldap", "backend.ldap"),
        ("/config/backend/bonsai_ldap", "backend.bonsai_ldap"),
        ("/config/backend/bwidm", "backend.bwidm"),
        ("/config/verbose_info_plugin", "verbose-info-plugin"),
    ];
    differences(sections(raw, expected, &names))
}

fn compare_daemon(raw: &RawFile, built: Option<&Config>, expected: &Value) -> Vec<String> {
    let names = [("/mapper", "mapper"), ("/otp", "mapper.otp"), ("/privacy", "privacy")];
    let mut all = sections(raw, expected, &names);
    let defaults = &expected["default_op"];
    all.push((
        "/default_op".into(),
        section(raw.defaults.as_ref().unwrap(), defaults),
        defaults.clone(),
    ));
    let used: Vec<&Settings> =
        raw.repeated("authorisation.").filter(|s| s.filled("op_url").is_some()).collect();
    let ops: Map<String, Value> = used
        .iter()
        .map(|settings| (Issuer::canonical(settings.text("op_url")), section(settings, defaults)))
        .collect();
    all.push(("/ops".into(), Value::Object(ops), expected["ops"].clone()));
    let trusted = json!(used.iter().map(|s| s.text("op_url")).collect::<Vec<_>>());
    all.push(("/trusted_ops".into(), trusted, expected["trusted_ops"].clone()));
    if let Some(config) = built {
        all.push(("/docs_url".into(), json!(config.mapper.docs_url), expected["docs_url"].clone()));
        let second = json!(config.mapper.redoc_url);
        all.push(("/redoc_url".into(), second, expected["redoc_url"].clone()));
        let issuers = json!(config.ops.iter().map(|op| op.issuer.as_str()).collect::<Vec<_>>());
        all.push(("issuers".into(), issuers, expected["trusted_ops"].clone()));
    }
    differences(all)
}

fn differences(all: Vec<(String, Value, Value)>) -> Vec<String> {
    all.into_iter()
        .filter(|(_, ours, wanted)| ours != wanted)
        .map(|(place, ours, wanted)| format!("{place}: {ours} instead of {wanted}"))
        .collect()
}

/// Where ours refuses what the Python stack takes: the reason, by kind of problem.
fn stricter(problem: &Finding, expected: &Value) -> Option<&'static str> {
    let option = problem.option.as_deref().unwrap_or_default();
    match problem.kind {
        FindingKind::UnknownOption => {
            // It must be unknown to the Python stack, too.
            let text = expected.to_string();
            (!text.contains(&format!("\"{option}\":"))).then_some("an unknown option is a mistake")
        }
        FindingKind::UnknownSection => Some("an unknown section is a mistake"),
        FindingKind::SwallowedLine => Some("an option that was indented by accident is a mistake"),
        FindingKind::Default => Some("[DEFAULT] speaks to providers only, and never names one"),
        FindingKind::NotAvailable => Some("not available yet, and ignoring it would be unsafe"),
        FindingKind::Issuer => Some("an issuer is an https URL"),
        FindingKind::Value => match option {
            "log_level" | "api_version" => Some("found when the file is read, not later"),
            "pool_digits" => Some("1 to 9 digits; others make no names"),
            "backend" | "mode" | "policy" | "method" | "shadow_compatibility_function" => {
                Some("an unknown word does not silently mean the laxer choice")
            }
            "vo_match" => Some("one, all or a number; other words end in errors at each request"),
            "primary_group" | "fallback_group" => Some("a system group can't be given to users"),
            "shell" | "shell_limited" | "shell_restricted" | "home_base" => {
                Some("an absolute path that passwd can hold")
            }
            "supported_entitlements" | "supported_groups" | "mapping" => {
                Some("a pattern is compiled when the file is read")
            }
            _ if problem.what.ends_with("is no whole number") && problem.what.len() > 32 => {
                Some("numbers fit into 64 bits")
            }
            _ if !problem.what.is_ascii() => Some("numbers are written with ASCII digits"),
            _ => None,
        },
        _ => None,
    }
}

/// Where ours takes what the Python stack refuses.
fn laxer(case: &Value) -> Option<&'static str> {
    let kind = case["expected"]["error"]["type"].as_str()?;
    let text = case["input"]["text"].as_str()?;
    let quirk = case["quirk"].as_str().unwrap_or_default();
    if kind == "TypeError" && text.contains("[login_info]") && quirk.contains("unknown option") {
        return Some("[login_info] takes further texts, as its own remarks promise");
    }
    (kind == "TypeError" && text.contains("[DEFAULT]") && text.contains("%("))
        .then_some("an option of [DEFAULT] that others refer to is a variable")
}

enum Verdict {
    Passed,
    Diverged(&'static str),
    Failed(String),
}

fn judge(case: &Value) -> Verdict {
    let expected = &case["expected"];
    let file = case["input"]["file"].as_str().unwrap();
    let ours = read(file, case["input"]["text"].as_str().unwrap());
    if !expected["error"].is_null() {
        return match (&ours.built, laxer(case)) {
            (Err(_), _) => Verdict::Passed,
            (Ok(_), Some(reason)) => Verdict::Diverged(reason),
            (Ok(_), None) => Verdict::Failed("taken, and should be refused".to_owned()),
        };
    }
    let differing = match &ours.raw {
        Some(raw) if file == "motley_cue.conf" => {
            compare_daemon(raw, ours.built.as_ref().ok(), expected)
        }
        Some(raw) => compare_adapter(raw, expected),
        None => Vec::new(),
    };
    if !differing.is_empty() {
        return Verdict::Failed(differing.join("\n    "));
    }
    let mut verdict = Verdict::Passed;
    for problem in ours.problems() {
        match stricter(problem, expected) {
            Some(reason) => verdict = Verdict::Diverged(reason),
            None => return Verdict::Failed(format!("refused: {problem}")),
        }
    }
    verdict
}

/// Cases that diverge, by reason.
const DIVERGED: &[(&str, usize)] = &[
    ("1 to 9 digits; others make no names", 2),
    ("[DEFAULT] speaks to providers only, and never names one", 2),
    ("[login_info] takes further texts, as its own remarks promise", 1),
    ("an issuer is an https URL", 1),
    ("an option that was indented by accident is a mistake", 1),
    ("an unknown option is a mistake", 1),
    ("an unknown section is a mistake", 3),
    ("an unknown word does not silently mean the laxer choice", 2),
    ("found when the file is read, not later", 2),
    ("numbers are written with ASCII digits", 1),
];

#[test]
fn files_mean_what_they_mean_to_the_python_stack() {
    let folder = std::env::var_os("MOTLEY_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors")),
        PathBuf::from,
    );
    let path = folder.join("config.json");
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
    let diverged: usize = reasons.values().sum();
    println!("config.json: {passed} passed, {diverged} diverged, {} failed", failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(passed > 0, "{} holds no case", path.display());
    if std::env::var_os("MOTLEY_VECTORS").is_none() {
        assert_eq!(reasons, DIVERGED.iter().copied().collect(), "cases by reason");
    }
}
