//! The INI parser held against Python's configparser (strict, basic interpolation).
//!
//! `tests/vectors/ini.json` was made by running configparser of Python 3 over random texts;
//! `MOTLEY_VECTORS` names another folder.

use motley_daemon::config::{
    ini::{Ini, parse},
    interpolate::interpolate,
};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// All options as each section sees them, in the form of the cases.
fn values(ini: &Ini) -> Value {
    let mut sections = Map::new();
    for section in &ini.sections {
        let mut options = Map::new();
        for entry in ini.defaults.entries.iter().chain(&section.entries) {
            let value = match interpolate(entry, section, &ini.defaults) {
                Ok(value) => json!({ "value": value }),
                Err(_) => json!("error"),
            };
            options.insert(entry.option.clone(), value);
        }
        sections.insert(section.name.clone(), Value::Object(options));
    }
    Value::Object(sections)
}

/// The expectation, with all interpolation errors alike.
fn expectation(expected: &Value) -> Option<Value> {
    let mut sections = expected.get("sections")?.clone();
    for option in sections.as_object_mut()?.values_mut().filter_map(Value::as_object_mut) {
        for value in option.values_mut().filter(|value| value.get("error").is_some()) {
            *value = json!("error");
        }
    }
    Some(sections)
}

#[test]
fn texts_are_parsed_as_by_configparser() {
    let folder = std::env::var_os("MOTLEY_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors")),
        PathBuf::from,
    );
    let path = folder.join("ini.json");
    let Ok(bytes) = std::fs::read(&path) else {
        assert!(std::env::var_os("MOTLEY_VECTORS").is_some(), "{} is missing", path.display());
        println!("ini.json: 0 passed, 0 diverged, 0 failed");
        return;
    };
    let cases: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
    let mut failed = Vec::new();
    for case in &cases {
        let ours = parse("ini", case["input"]["text"].as_str().unwrap()).ok();
        let ours = ours.as_ref().map(values);
        let wanted = expectation(&case["expected"]);
        if ours != wanted {
            failed.push(format!("{case}\n    {ours:?}"));
        }
    }
    println!(
        "ini.json: {} passed, 0 diverged, {} failed",
        cases.len() - failed.len(),
        failed.len()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
