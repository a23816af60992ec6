//! The Python client's command line as data: what it accepts is accepted here.
//!
//! The folder of the data is `tests/vectors`, or `MOTLEY_VECTORS`. Every case is counted: it is as in
//! 0.7.6, or it differs for one of the reasons below.

#[path = "../double/mod.rs"]
mod double;
mod dry_runs;
mod score;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use double::{
    HOST, Stage,
    service::{Manner, Service},
    texts,
};
use score::Score;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Members of the data that are prose or figures, or that others' members repeat.
const PROSE: [&str; 9] = [
    "cache",
    "absent_in_0_7_6",
    "info_block_format",
    "info_userinfo_only_for_builtin_issuers",
    "info_unknown_issuer",
    "ssh_dry_run_s",
    "start_up_s",
    "not_used_by_0_7_6",
    "version_check",
];

fn text<'a>(case: &'a Value, key: &str) -> Option<&'a str> {
    case.get(key)?.as_str()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn legacy() -> Value {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors"));
    let folder = std::env::var_os("MOTLEY_VECTORS").map_or(own, PathBuf::from);
    let path = folder.join("mccli-cli.json");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str::<Value>(&text).unwrap()["legacy"].clone()
}

/// What one run left behind.
struct Ran {
    stage: Stage,
    code: Option<i32>,
    out: String,
    errors: String,
}

fn run(words: &[&str], env: &[(&str, &str)]) -> Ran {
    let stage = Stage::new();
    let mut command = stage.mccli(words);
    command.envs(env.iter().copied());
    let output = command.output().unwrap();
    let (out, errors) = texts(&output);
    Ran { stage, code: output.status.code(), out, errors }
}

/// `mccli --mc-endpoint URL WORDS…`.
fn at(service: &Service, words: &[&str], env: &[(&str, &str)]) -> Ran {
    let url = service.url();
    run(&[&["--mc-endpoint", url.as_str()], words].concat(), env)
}

fn ssh<'a>(own: &[&'a str]) -> Vec<&'a str> {
    [own, &["ssh"], &HOST].concat()
}

/// True if ssh's prompt was answered with this token.
fn used(ran: &Ran, token: &str) -> bool {
    ran.stage.ssh_ran() && ran.stage.answered(1).answer == token
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
                let code = stage.mccli(&words).output().unwrap().status.code();
                score.same(format!("{command} {flag}"), code == Some(0));
            }
        }
    }
    score.print("options");
}

#[test]
fn commands_without_sense_end_as_they_did() {
    let behaviour = &legacy()["commands"]["mccli"]["behaviour"];
    let mut score = Score::default();
    let nothing = run(&[], &[]);
    let usage = nothing.out.is_empty() && nothing.errors.contains("Usage: mccli");
    let expected = behaviour["no_arguments"]["rc"].as_i64();
    score.same("no arguments", usage && nothing.code.map(i64::from) == expected);
    let unknown = |words: &[&str]| run(words, &[]).code.map(i64::from);
    score.same("command", unknown(&["nonsense"]) == behaviour["unknown_command_rc"].as_i64());
    score.same("option", unknown(&["--nonsense"]) == behaviour["unknown_option_rc"].as_i64());
    let version = run(&["--version"], &[]).out;
    let shape = behaviour["version_output"].as_str().unwrap().replace("0.7.6", "");
    score.same("version", version.starts_with(&shape) && version.matches('.').count() == 2);
    let sftp = run(&["sftp"], &[]);
    score.differs("sftp", "sftp", sftp.code == Some(2) && !sftp.errors.contains("implemented"));
    score.print("behaviour");
}

#[test]
fn every_variable_is_read() {
    let service = Service::start(Manner::accepting("a-token"));
    let legacy = legacy();
    let mut score = Score::default();
    for variable in list(&legacy["env"], "token").filter_map(Value::as_str) {
        let ran = at(&service, &["status"], &[(variable, "a-token"), ("MCCLI_TOKEN_FILE", "")]);
        score.same(variable, ran.code == Some(0));
    }
    for variable in list(&legacy["env"], "oa_account").filter_map(Value::as_str) {
        let ran = at(&service, &["status"], &[(variable, "work"), ("OIDC_SOCK", "/nonexistent")]);
        score.same(variable, ran.errors.contains(variable));
    }
    for variable in list(&legacy["env"], "iss").filter_map(Value::as_str) {
        let value = "https://op.example.org";
        let ran = at(&service, &["status"], &[(variable, value), ("OIDC_SOCK", "/nonexistent")]);
        score.same(variable, ran.errors.contains(variable));
    }
    let wordy = at(&service, &["status"], &[("LOG", "debug"), ("ACCESS_TOKEN", "a-token")]);
    score.same("LOG", wordy.errors.contains("debug: "));
    let bad = at(&service, &["status"], &[("LOG", "garbage"), ("ACCESS_TOKEN", "a-token")]);
    score.differs("LOG=garbage", "log", bad.code == Some(0));
    let empty = [("ACCESS_TOKEN", ""), ("OIDC", "a-token")];
    score.same("an empty variable", at(&service, &["status"], &empty).code == Some(0));
    score.print("variables");
}

#[test]
fn options_and_variables_win_in_the_old_order() {
    let service = Service::start(Manner::accepting("A"));
    let mut score = Score::default();
    let group = at(&service, &["--token", "A", "status", "--token", "B"], &[]);
    score.same("before the command beats behind it", group.code == Some(0));
    let line = at(&service, &["--token", "A", "status"], &[("ACCESS_TOKEN", "B")]);
    score.same("the command line beats the variable of the same option", line.code == Some(0));
    let kinds = |extra: &[(&str, &str)]| {
        let env = [&[("ACCESS_TOKEN", "A")], extra].concat();
        at(&service, &ssh(&["--oidc", "b"]), &env)
    };
    // The account comes first, fails, and the token of the variable is used all the same.
    let ours = kinds(&[]);
    let told = ours.errors.contains("OIDC_SOCK env var not set");
    score.differs("kinds", "order", told && used(&ours, "A"));
    let old = kinds(&[("MCCLI_COMPAT", "0.7")]);
    score.same("kinds with MCCLI_COMPAT=0.7", used(&old, "A") && old.errors.is_empty());
    let debug = at(&service, &["--token", "A", "--debug", "--log-level", "ERROR", "status"], &[]);
    score.same("--debug beats --log-level", debug.errors.contains("debug: "));
    for pair in [["--token", "--oidc"], ["--token", "--iss"], ["--oidc", "--iss"]] {
        let ran = at(&service, &[pair[0], "x", pair[1], "y", "status"], &[]);
        score.same(pair.join(" "), ran.code == Some(2));
    }
    let position = at(&service, &[&ssh(&["--token", "A"])[..], &["cmd", "--debug"]].concat(), &[]);
    let kept = position.stage.argv().ends_with(&["cmd".to_owned(), "--debug".to_owned()]);
    score.differs("options in the remote command", "position", kept);
    score.print("precedence");
}

#[test]
fn measured_cases_end_with_the_same_code() {
    let service = Service::start(Manner::accepting("A"));
    let url = service.url();
    let mut score = Score::default();
    for case in list(&legacy(), "measured_cases") {
        let stage = Stage::new().prompts(&["(alice@host.invalid) Access Token:"]).then("exit 7");
        let mut words = vec!["--mc-endpoint", url.as_str()];
        let own: Vec<&str> = list(case, "argv").filter_map(Value::as_str).collect();
        words.extend(own.iter().map(|word| if *word == "HOST" { "host.invalid" } else { *word }));
        let mut command = stage.mccli(&words);
        command.env("HOME", "/nonexistent").env("ACCESS_TOKEN", "A");
        for (name, value) in case.get("env").and_then(Value::as_object).into_iter().flatten() {
            command.env(name, value.as_str().unwrap());
        }
        let code = command.output().unwrap().status.code();
        let old_code = case.get("rc").and_then(Value::as_i64);
        match (own.as_slice(), old_code, text(case, "result")) {
            (_, Some(2), _) => score.same(case, code == Some(2)),
            (_, _, Some("A is used")) => score.same(case, stage.answered(1).answer == "A"),
            // The double of ssh ends with 7 whatever it is told.
            (["ssh", ..], ..) => {
                let command: Vec<String> = own
                    .iter()
                    .skip_while(|word| **word != "HOST")
                    .skip(1)
                    .map(ToString::to_string)
                    .collect();
                let kept = stage.argv().ends_with(&command);
                score.differs(case, "own ssh", code == Some(7) && kept);
            }
            (["scp", ..], ..) => score.differs(case, "scp", code != Some(0)),
            _ => score.same(case, false),
        }
    }
    score.print("measured cases");
}

#[test]
fn the_blocks_of_info_have_their_titles_and_order() {
    let service = Service::start(Manner { state: "deployed", ..Manner::accepting("a-token") });
    let ran = at(&service, &["--token", "a-token", "info"], &[]);
    let legacy = legacy();
    let titles = list(&legacy, "info_blocks").filter_map(Value::as_str);
    let expected: Vec<String> = titles.map(|title| format!("==== {title} ====")).collect();
    let found: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("====")).collect();
    let mut score = Score::default();
    for (title, seen) in expected.iter().zip(&found) {
        score.same(title, title == seen);
    }
    score.same("their number", found.len() == expected.len());
    score.same("indented by four", ran.out.contains("\n    \"login_info\": {\n"));
    let unknown = ran.out.contains("The token does not name its provider.");
    score.differs("userinfo of an issuer that is not built in", "userinfo", unknown);
    a_token_that_says_something(&mut score);
    score.print("blocks of info");
}

/// The block of a JWT, whose provider is not there.
fn a_token_that_says_something(score: &mut Score) {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (header, body) = (
        json!({"alg": "RS256"}),
        json!({"iss": "https://127.0.0.1:1", "sub": "alice", "exp": 4_000_000_000_u32}),
    );
    let token = format!("{}.{}.c2lnbmF0dXJl", part(&header), part(&body));
    let ran = run(&["info", "--token", &token], &[]);
    let block = ran.out.split(" ====\n").nth(1).unwrap_or_default();
    let inside = serde_json::Deserializer::from_str(block).into_iter::<Value>().next();
    let inside = inside.unwrap().unwrap();
    score.same("header of a JWT", inside["header"] == header);
    score.same("body of a JWT", inside["body"] == body);
    let left_out = inside.get("signature").is_none() && !ran.out.contains("c2lnbmF0dXJl");
    score.differs("signature of a JWT", "signature", left_out);
    let left = ran.out.trim_end().rsplit('\n').next().unwrap_or_default();
    score.same(
        format!("how long it lasts: {left}"),
        fits("Token valid for {seconds} more seconds.", left),
    );
    // Of a token that is over, both say as little as of none.
    let over = part(&json!({"iss": "https://127.0.0.1:1", "exp": 1}));
    let ran = run(&["info", "--token", &format!("{}.{over}.c2ln", part(&header))], &[]);
    let told = ran.errors.starts_with("error: No information available: ");
    score.same("a token that is over", ran.code == Some(1) && told);
}

#[test]
fn every_candidate_for_an_endpoint_is_still_asked() {
    let ran = run(&["--json", "--allow-http", "endpoint", "127.77.0.9"], &[]);
    let message = serde_json::from_str::<Value>(&ran.errors).unwrap()["error"]["message"].clone();
    let asked: Vec<&str> = message.as_str().unwrap().lines().skip(1).map(str::trim).collect();
    let legacy = legacy();
    let discovery = &legacy["endpoint_discovery"];
    let templates = list(discovery, "candidates").filter_map(Value::as_str);
    let old: Vec<String> = templates.map(|it| it.replace("{host}", "127.77.0.9")).collect();
    let mut score = Score::default();
    for (rank, url) in old.iter().enumerate() {
        let now = asked.iter().position(|line| line.starts_with(&format!("{url}: ")));
        match now {
            Some(now) if now == rank => score.same(url, true),
            now => score.differs(url, "http last", now.is_some()),
        }
    }
    let service = Service::start(Manner::accepting("A"));
    let plain = service.url().trim_start_matches("http://").to_owned();
    let ran = run(&["--mc-endpoint", &plain, "--token", "A", "status"], &[]);
    score.differs("--mc-endpoint without scheme", "http last", ran.code == Some(0));
    let bad = run(&["--mc-endpoint", "127.0.0.1:1", "--token", "A", "info"], &[]);
    score.same(
        "a bad --mc-endpoint",
        bad.code.map(i64::from) == discovery["mc_endpoint_invalid_rc"].as_i64(),
    );
    score.print("endpoints");
}

#[test]
fn error_texts_are_those_of_old() {
    let service = Service::start(Manner::accepting("A"));
    let strange = Service::start(Manner { deploy_fails: true, ..Manner::accepting("A") });
    let tls = Service::start_with_tls(Manner::accepting("A"));
    let url = service.url();
    let elsewhere = format!("{url}/elsewhere");
    let mut score = Score::default();
    for template in list(&legacy(), "error_texts").filter_map(Value::as_str) {
        let ran = match template.split(['{', '\'']).next().unwrap() {
            "No motley_cue service found on host " => {
                run(&["--token", "A", "info", "127.77.0.8"], &[])
            }
            "No motley_cue service found at " => {
                run(&["--token", "A", "--mc-endpoint", &elsewhere, "info"], &[])
            }
            "Could not resolve hostname." => {
                run(&["--token", "A", "info", "no-such-host.invalid"], &[])
            }
            "OIDC_SOCK env var not set" => at(&service, &ssh(&["--oidc", "work"]), &[]),
            "No Access Token found. Try " => at(&service, &ssh(&[]), &[]),
            "Failed on get_status: [HTTP " => at(&service, &ssh(&["--token", "B"]), &[]),
            "Failed on deploy: [HTTP " => at(&strange, &ssh(&["--token", "A"]), &[]),
            "Please specify at least one SOURCE and TARGET for scp." => {
                let ran = run(&["--token", "A", "scp", "f"], &[]);
                // 2 as for any other line that lacks a word.
                score.differs(
                    template,
                    "scp usage",
                    ran.code == Some(2) && ran.errors.contains(template),
                );
                continue;
            }
            "SCP operand " => run(&["--token", "A", "scp", "f", "me@:x"], &[]),
            other => {
                differing(&mut score, other, &service, &tls);
                continue;
            }
        };
        let errors = ran.errors.lines().map(|line| line.strip_prefix("error: ").unwrap_or(line));
        let found = errors.into_iter().any(|line| fits(template, line));
        score.same(format!("{template}: {}", ran.errors), ran.code == Some(1) && found);
    }
    score.print("error texts");
}

fn differing(score: &mut Score, template: &str, service: &Service, tls: &Service) {
    match template {
        "SSL certificate verification failed. Use --insecure if you wish to ignore SSL certificate verification" =>
        {
            let ran = at(tls, &["--token", "A", "info"], &[]);
            let halves = [
                "SSL certificate verification failed",
                "--insecure if you wish to ignore SSL certificate verification",
            ];
            let told = halves.iter().all(|half| ran.errors.contains(half));
            score.differs(template, "tls text", told && ran.code == Some(1));
        }
        "Failed to get ssh username" => {
            let ran = at(service, &ssh(&["--token", "B"]), &[]);
            let errors = ran.errors.lines().filter(|line| line.starts_with("error: ")).count();
            score.differs(template, "one error", errors == 1);
        }
        "Invalid scp option: " | "Invalid scp option: {opt}" => {
            let ran = run(&["scp", "--dry-run", "-O", "a", "b"], &[]);
            score.differs(template, "scp", ran.out == "scp -O a b\n");
        }
        "Not implemented." => score.differs(template, "sftp", true),
        other => score.same(other, false),
    }
}

/// True if the fixed parts of a template stand in the line in their order.
fn fits(template: &str, line: &str) -> bool {
    let parts = template.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
    let mut rest = line;
    parts.into_iter().all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[test]
fn account_states_lead_to_what_they_led_to() {
    let mut score = Score::default();
    for (state, entry) in legacy()["user_states"].as_object().unwrap() {
        let Some(deploys) = entry.get("deploy").and_then(Value::as_bool) else { continue };
        let state: &'static str = state.clone().leak();
        let service = Service::start(Manner { state, ..Manner::accepting("A") });
        let ran = at(&service, &ssh(&["--token", "A"]), &[]);
        let deployed = service.heard().iter().any(|path| path.ends_with("/user/deploy"));
        match state {
            "suspended" => {
                let refused = !ran.stage.ssh_ran() && !deployed && ran.code == Some(1);
                score.differs(state, "locked", refused);
            }
            _ => score.same(state, deployed == deploys && used(&ran, "A")),
        }
    }
    let pending = Manner { deploys_to: "pending", ..Manner::accepting("A") };
    let ran = at(&Service::start(pending), &ssh(&["--token", "A"]), &[]);
    score.same("pending after deploy", !ran.stage.ssh_ran() && ran.code == Some(1));
    score.print("states");
}

#[test]
fn the_requests_are_those_that_old_services_know() {
    let service = Service::start(Manner { status: false, posts: false, ..Manner::accepting("A") });
    let ran = at(&service, &ssh(&["--token", "A", "--otp", "always"]), &[]);
    assert_eq!(ran.stage.answered(1).answer.len(), 128, "{}", ran.errors);
    at(&service, &["--token", "A", "info"], &[]);
    let heard = service.heard();
    let mut score = Score::default();
    for path in list(&legacy(), "requests").filter_map(|it| text(it, "path")) {
        let asked = heard.iter().any(|heard| heard.split('?').next() == Some(path));
        // The double lists in /info what /info/op would say.
        score.same(path, asked || path == "/info/op");
    }
    score.print("requests");
}

#[test]
fn messages_have_the_levels_and_prefixes_of_old() {
    let service = Service::start(Manner { state: "limited", ..Manner::accepting("A") });
    let legacy = legacy();
    let mut score = Score::default();
    for level in list(&legacy["log"], "levels").filter_map(Value::as_str) {
        for spelt in [level.to_owned(), level.to_lowercase()] {
            let ran = at(&service, &ssh(&["--token", "A", "--log-level", &spelt]), &[]);
            let warned = ran.errors.contains("warning: ");
            let expected = !matches!(level, "ERROR" | "CRITICAL");
            score.same(&spelt, ran.code == Some(0) && warned == expected);
        }
    }
    let usual = at(&service, &ssh(&["--token", "A"]), &[]);
    score.differs("the usual level", "warnings", usual.errors.contains("warning: "));
    let wordy = at(&service, &ssh(&["--token", "A", "--debug"]), &[]);
    let prefixed = |line: &str| {
        ["debug: ", "info: ", "warning: "].iter().any(|prefix| line.starts_with(prefix))
    };
    score.same("prefixes", wordy.errors.lines().all(prefixed));
    let quiet = at(&service, &["--token", "A", "--disable-version-check", "info"], &[]);
    score.differs("no package index", "no version check", quiet.code == Some(0));
    score.print("messages");
}

/// Members of the data whose cases are tested elsewhere, and where.
const ELSEWHERE: [(&str, &str); 5] = [
    ("token_sources", "mccli/src/source/tests/order.rs"),
    ("otp", "mccli/tests/login.rs"),
    ("ssh_exec", "mccli/tests/login.rs"),
    ("scp", "mccli/tests/copying.rs"),
    ("exit_codes", "mccli/tests/facts.rs"),
];

#[test]
fn no_member_of_the_data_is_forgotten() {
    let here = [
        "commands",
        "env",
        "precedence",
        "endpoint_discovery",
        "requests",
        "user_states",
        "dry_run_stdout",
        "info_blocks",
        "log",
        "error_texts",
        "measured_cases",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (member, file) in ELSEWHERE {
        assert!(root.join(file).is_file(), "{member}: {file}");
    }
    for member in legacy().as_object().unwrap().keys() {
        let elsewhere = ELSEWHERE.iter().any(|(known, _)| known == member);
        let known = here.contains(&member.as_str()) || PROSE.contains(&member.as_str());
        assert!(known || elsewhere, "{member} has no test");
    }
}
