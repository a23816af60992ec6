//! Runs compatibility cases as data: counts what passed, what diverged by a rule, and what failed.

#![allow(dead_code, unreachable_pub)] // each test file uses its part

pub mod ini;
pub mod rules;

use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};

/// How one case went.
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected, for a reason that a rule names.
    Diverged(&'static str),
    /// Neither.
    Failed(String),
}

/// The cases of a file, from the folder in `MOTLEY_VECTORS` or else from the repository.
pub fn cases(file: &str) -> Vec<Value> {
    let folder = std::env::var_os("MOTLEY_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors"),
        PathBuf::from,
    );
    let path = folder.join(file);
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let cases: Vec<Value> = serde_json::from_slice(&text).unwrap();
    assert!(!cases.is_empty(), "{} has no cases", path.display());
    cases
}

/// Runs all cases of a file. Fails when one failed, and when not exactly so many diverged for each
/// reason as are named: a rule that is broader than it should be would else hide a regression.
pub fn run(file: &str, reasons: &[(&str, u32)], check: impl Fn(&Value) -> Outcome) {
    let (mut passed, mut failed) = (0, Vec::new());
    let mut diverged: BTreeMap<&str, u32> = BTreeMap::new();
    for case in cases(file) {
        match check(&case) {
            Outcome::Passed => passed += 1,
            Outcome::Diverged(reason) => *diverged.entry(reason).or_default() += 1,
            Outcome::Failed(how) => {
                let label = case.get("name").unwrap_or(&case["input"]).to_string();
                failed.push(format!("{label}: {how} [quirk: {}]", case["quirk"]));
            }
        }
    }
    let count: u32 = diverged.values().sum();
    println!("{file}: {passed} passed, {count} diverged, {} failed", failed.len());
    for (reason, count) in &diverged {
        println!("  {count} diverged: {reason}");
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    if std::env::var_os("MOTLEY_VECTORS").is_none() {
        assert_eq!(diverged, reasons.iter().copied().collect(), "{file}: cases by reason");
    }
}

/// True when the case carries a quirk that contains this text.
pub fn has_quirk(case: &Value, text: &str) -> bool {
    case["quirk"].as_str().is_some_and(|quirk| quirk.contains(text))
}

/// Texts of a JSON list.
pub fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
