//! The Python client's command line as data: what it accepts is accepted here.
//!
//! The folder of the data is `tests/vectors`, or `MOTLEY_VECTORS`.

mod double;

use double::{
    Stage,
    service::{Manner, Service},
};
use serde_json::Value;
use std::path::PathBuf;

/// A reason for differences, and the cases that it covers.
type Divergence = (&'static str, fn(&Value) -> bool);

/// Where this client differs on purpose.
const DIVERGENCES: [Divergence; 3] = [
    ("scp and sftp are not part of this client yet", |case| {
        text(case, "command").is_some_and(|name| name == "scp" || name == "sftp")
            || word(case, 0) == Some("scp")
    }),
    ("ssh itself runs: its exit code, words, streams and terminal are untouched", |case| {
        word(case, 0) == Some("ssh")
    }),
    (
        "what the command line names beats a variable; MCCLI_COMPAT=0.7 restores the old order",
        |case| case.get("env").is_some(),
    ),
];

fn text<'a>(case: &'a Value, key: &str) -> Option<&'a str> {
    case.get(key)?.as_str()
}

fn word(case: &Value, at: usize) -> Option<&str> {
    case.get("argv")?.get(at)?.as_str()
}

#[derive(Default)]
struct Score {
    passed: u32,
    diverged: u32,
    failed: Vec<String>,
}

impl Score {
    fn count(&mut self, case: &Value, passed: bool) {
        if passed {
            self.passed += 1;
        } else if DIVERGENCES.iter().any(|(_reason, covers)| covers(case)) {
            self.diverged += 1;
        } else {
            self.failed.push(case.to_string());
        }
    }

    fn print(&self, what: &str) {
        println!(
            "mccli-cli.json, {what}: {} passed, {} diverged, {} failed",
            self.passed,
            self.diverged,
            self.failed.len()
        );
        assert_eq!(self.failed, Vec::<String>::new());
        assert!(self.passed > 0, "no cases");
    }
}

fn legacy() -> Value {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors"));
    let folder = std::env::var_os("MOTLEY_VECTORS").map_or(own, PathBuf::from);
    let path = folder.join("mccli-cli.json");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str::<Value>(&text).unwrap()["legacy"].clone()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

#[test]
fn every_option_of_every_command_is_accepted() {
    let stage = Stage::new();
    let mut score = Score::default();
    for (command, entry) in legacy()["commands"].as_object().unwrap() {
        for param in list(entry, "params").filter(|param| param["kind"] == "option") {
            for flag in list(param, "flags").filter_map(Value::as_str) {
                let mut words = if command == "mccli" { vec![] } else { vec![command.as_str()] };
                words.push(flag);
                if param["is_flag"] == false {
                    words.push(if text(param, "metavar") == Some("LEVEL") { "INFO" } else { "x" });
                }
                // Whatever stands before it is checked before the help is shown.
                words.push("--help");
                let mut case = param.clone();
                case["command"] = command.as_str().into();
                let accepted = stage.mccli(&words).output().unwrap().status.code() == Some(0);
                score.count(&case, accepted);
            }
        }
    }
    score.print("options");
}

#[test]
fn every_token_variable_is_read() {
    let service = Service::start(Manner::accepting("a-token"));
    let url = service.url();
    let stage = Stage::new();
    let mut score = Score::default();
    for variable in list(&legacy()["env"], "token").filter_map(Value::as_str) {
        let output =
            stage.mccli(&["--mc-endpoint", &url, "status"]).env(variable, "a-token").output();
        score.count(&variable.into(), output.unwrap().status.success());
    }
    score.print("variables");
}

#[test]
fn measured_cases_end_with_the_same_code() {
    let service = Service::start(Manner::accepting("A"));
    let url = service.url();
    let mut score = Score::default();
    for case in list(&legacy(), "measured_cases") {
        let stage = Stage::new().prompts(&["(alice@host.invalid) Access Token:"]).then("exit 7");
        let mut words = vec!["--mc-endpoint", url.as_str()];
        words.extend(list(case, "argv").filter_map(Value::as_str).map(|word| match word {
            "HOST" => "host.invalid",
            word => word,
        }));
        let mut command = stage.mccli(&words);
        command.env("HOME", "/nonexistent");
        for (name, value) in case.get("env").and_then(Value::as_object).into_iter().flatten() {
            command.env(name, value.as_str().unwrap());
        }
        let output = command.output().unwrap();
        let passed = match (case.get("rc").and_then(Value::as_i64), text(case, "result")) {
            (Some(code), _) => output.status.code().map(i64::from) == Some(code),
            (None, Some("A is used")) => stage.ssh_ran() && stage.answered(1).answer == "A",
            _ => false,
        };
        score.count(case, passed);
    }
    score.print("measured cases");
}
