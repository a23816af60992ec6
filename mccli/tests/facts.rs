//! What scripts read: JSON on standard output, errors as JSON, exit codes, and silence when wanted.

mod double;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use double::{
    HOST, Stage,
    service::{CA_FILE, Manner, Service},
    texts,
};
use serde_json::{Value, json};

const TOKEN: &str = "canary-facts-token";

/// Exit code, standard output and error of `mccli --token TOKEN --mc-endpoint URL WORDS…`.
fn run(service: &Service, words: &[&str]) -> (Option<i32>, String, String) {
    let url = service.url();
    let words = [&["--token", TOKEN, "--mc-endpoint", &url], words].concat();
    alone(&words)
}

/// The same without service and token.
fn alone(words: &[&str]) -> (Option<i32>, String, String) {
    let output = Stage::new().mccli(words).output().unwrap();
    let (out, errors) = texts(&output);
    (output.status.code(), out, errors)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The error in the last line of standard error.
fn error(errors: &str) -> Value {
    json(errors.lines().last().unwrap_or_default())["error"].clone()
}

fn pending() -> Manner {
    let request = json!({"kind": "account", "groups": ["lab", "hpc"], "requested_at": 1, "expires_at": 4_000_000_000_u32});
    Manner { state: "pending", request, ..Manner::accepting(TOKEN) }
}

#[test]
fn facts_are_printed_as_one_json_object_of_a_stable_shape() {
    let deployed = Manner { state: "deployed", ..Manner::accepting(TOKEN) };
    let service = Service::start(deployed);
    let url = service.url();
    for (words, expected) in [
        (
            &["status"][..],
            json!({"state": "deployed", "username": "alice", "message": "username alice", "request": null}),
        ),
        (
            &["deploy"],
            json!({"state": "deployed", "username": "alice", "message": "User was created.", "request": null}),
        ),
        (&["endpoint"], json!({"endpoint": url, "candidates": []})),
        (
            &["ops"],
            json!({"endpoint": url, "providers": [
                {"issuer": "https://op.example.org", "scopes": ["openid"], "audiences": [], "client_id": null},
                {"issuer": "https://other.example.org", "scopes": [], "audiences": [], "client_id": null},
            ]}),
        ),
        (
            &["suspend", "--yes"],
            json!({"state": "suspended", "username": null, "message": "User was suspended.", "request": null}),
        ),
    ] {
        let (code, out, errors) = run(&service, &[&["--json"], words].concat());
        assert_eq!(code, Some(0), "{words:?}: {errors}");
        assert_eq!(json(&out), expected, "{words:?}");
        assert_eq!(errors, "", "{words:?}");
    }
    let (_, out, _) = run(&service, &["--json", "otp"]);
    assert_eq!(json(&out)["one_time_password"].as_str().unwrap().len(), 128);
}

#[test]
fn info_tells_as_json_what_is_known_and_why_the_rest_is_not() {
    let service = Service::start(Manner { state: "deployed", ..Manner::accepting(TOKEN) });
    let (code, out, errors) = run(&service, &["--json", "info"]);
    assert_eq!(code, Some(0), "{errors}");
    let told = json(&out);
    assert_eq!(told["service"]["login_info"]["description"], "double");
    assert_eq!(told["account"]["username"], "alice");
    assert_eq!(
        told["token"],
        json!({"jwt": false, "header": null, "body": null, "seconds_left": null})
    );
    assert_eq!(told["userinfo"]["error"]["code"], "no_issuer");
    assert!(!out.contains(TOKEN), "r06: {out}");
    let (code, out, _) = alone(&["--json", "--mc-endpoint", &service.url(), "info"]);
    assert_eq!((code, &json(&out)["token"]["error"]["code"]), (Some(0), &json!("no_token")));
}

#[test]
fn r38_insecure_is_about_the_service_and_userinfo_is_asked_of_no_unverified_provider() {
    let service = Service::start_with_tls(Manner::accepting(TOKEN));
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!(
        "{}.{}.c2ln",
        part(json!({"alg": "RS256"})),
        part(json!({"iss": service.url(), "sub": "alice"}))
    );
    let (code, out, errors) = alone(&["--insecure", "--json", "--token", &token, "info"]);
    assert_eq!(code, Some(0), "{errors}");
    let told = json(&out);
    assert_eq!(told["userinfo"]["error"]["code"], "tls", "{told}");
}

#[test]
fn a_pending_account_tells_what_is_asked_for_and_since_when() {
    let service = Service::start(pending());
    let (code, out, errors) = run(&service, &["status"]);
    assert_eq!(code, Some(6), "{errors}");
    for line in [
        "state: pending\n",
        "request: account, groups lab, hpc\n",
        " days ago\n",
        "ends by itself: in ",
    ] {
        assert!(out.contains(line), "{out}");
    }
    let (code, out, errors) = run(&service, &["--json", "status"]);
    assert_eq!(code, Some(6));
    assert_eq!(json(&out)["request"]["groups"], json!(["lab", "hpc"]));
    assert_eq!(json(&out)["request"]["requested_at"], 1);
    assert_eq!(error(&errors)["code"], "pending");
}

#[test]
fn errors_are_json_lines_when_json_is_wanted() {
    let service = Service::start(Manner::accepting("another"));
    let (code, out, errors) = run(&service, &["--json", "status"]);
    assert_eq!((code, out.as_str()), (Some(4), ""));
    assert_eq!(
        error(&errors),
        json!({
            "code": "token_refused",
            "message": "Failed on get_status: [HTTP 401] Unauthenticated - User identity could not be determined",
            "hint": "The service does not accept this token; get a new one from the provider and try again.",
            "http_status": 401,
            "exit_code": 4,
        })
    );
    for words in [
        &["--json", "nonsense"][..],
        &["--json", "ops", "--nonsense"],
        &["ops", "--json", "a", "b"],
        &["--json"],
    ] {
        let (code, out, errors) = alone(words);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{words:?}: {errors}");
        let told = error(&errors);
        assert_eq!((&told["code"], &told["exit_code"]), (&json!("usage"), &json!(2)), "{errors}");
        assert!(!told["message"].as_str().unwrap().starts_with("error:"), "{errors}");
    }
    let (code, _, errors) = alone(&["--json", "--timeout", "x", "ops"]);
    assert_eq!((code, &error(&errors)["code"]), (Some(2), &json!("usage")));
    let (_, _, errors) = run(&service, &["--json", "--debug", "status"]);
    assert!(errors.lines().all(|line| json(line).is_object()), "{errors}");
}

#[test]
fn every_row_of_the_table_of_exit_codes_is_what_the_program_does() {
    let open = |manner: Manner| Service::start(manner);
    let state = |state: &'static str| open(Manner { state, ..Manner::accepting(TOKEN) });
    let tls = Service::start_with_tls(Manner::accepting(TOKEN));
    let fine = state("deployed");
    let rows = [
        (0, run(&fine, &["status"])),
        (1, run(&open(Manner { fails_with: 500, ..Manner::accepting(TOKEN) }), &["status"])),
        (2, alone(&["status"])),
        (2, alone(&["status", "--nonsense"])),
        (2, alone(&["--config", "/nonexistent/config.toml", "doctor"])),
        (3, alone(&["--mc-endpoint", &fine.url(), "status"])),
        (4, run(&open(Manner::accepting("another")), &["status"])),
        (5, run(&open(Manner { fails_with: 403, ..Manner::accepting(TOKEN) }), &["status"])),
        (6, run(&state("pending"), &["status"])),
        (7, run(&state("suspended"), &["status"])),
        (7, run(&state("limited"), &["status"])),
        (7, run(&state("rejected"), &["status"])),
        (8, alone(&["--mc-endpoint", "https://127.0.0.1:1", "status"])),
        (8, alone(&["--mc-endpoint", "http://192.0.2.1", "status"])),
        (9, run(&tls, &["status"])),
        (10, run(&open(Manner { otp: false, ..Manner::accepting(TOKEN) }), &["otp"])),
    ];
    for (at, (expected, (code, out, errors))) in rows.into_iter().enumerate() {
        assert_eq!(code, Some(expected), "row {at}: {out}{errors}");
        assert_eq!(expected == 0, errors.is_empty(), "row {at}: {errors}");
    }
}

#[test]
fn commands_of_the_python_client_end_with_its_codes() {
    let (code, ..) = alone(&["info"]);
    assert_eq!(code, Some(1));
    let refusing = Service::start(Manner::accepting("another"));
    let (code, _, errors) = run(&refusing, &[&["ssh"], &HOST[..]].concat());
    assert_eq!(code, Some(1), "{errors}");
    let (code, ..) = alone(&["info", "--nonsense"]);
    assert_eq!(code, Some(2));
    let (code, out, errors) = alone(&[]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(errors.contains("Usage: mccli"), "{errors}");
}

#[test]
fn colours_are_for_terminals_unless_they_are_wanted() {
    let painted = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = Stage::new().mccli(words);
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        let (out, errors) = texts(&output);
        (out + &errors).contains('\u{1b}')
    };
    let failing = ["endpoint"];
    let usage = ["endpoint", "--nonsense"];
    for words in [&failing[..], &usage] {
        let always = [&["--color", "always"], words].concat();
        let never = [&["--color=never"], words].concat();
        assert!(!painted(words, &[]), "{words:?}");
        assert!(painted(&always, &[("NO_COLOR", "1")]), "{words:?}");
        assert!(!painted(&never, &[("CLICOLOR_FORCE", "1")]), "{words:?}");
        assert!(!painted(words, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "0")]), "{words:?}");
    }
}

#[test]
fn quiet_leaves_errors_only() {
    let old = Service::start(Manner { state: "limited", ..Manner::accepting(TOKEN) });
    let line = |own: &[&'static str]| [own, &["ssh"], &HOST[..]].concat();
    let (_, _, errors) = run(&old, &line(&[]));
    assert!(errors.contains("warning: Your account is limited"), "{errors}");
    let (_, _, errors) = run(&old, &line(&["-q"]));
    assert_eq!(errors, "");
    let (code, _, errors) = alone(&["--quiet", "endpoint"]);
    assert!(code == Some(2) && errors.starts_with("error: "), "{errors}");
}

#[test]
fn the_doctor_looks_at_everything_and_ends_with_the_code_of_the_first_failure() {
    let names = |told: &Value| -> Vec<String> {
        let checks = told["checks"].as_array().unwrap();
        checks
            .iter()
            .map(|it| {
                format!("{} {}", it["name"].as_str().unwrap(), it["outcome"].as_str().unwrap())
            })
            .collect()
    };
    let service = Service::start_with_tls(Manner { state: "deployed", ..Manner::accepting(TOKEN) });
    let (code, out, errors) = run(&service, &["--json", "--ca-file", CA_FILE, "doctor"]);
    assert_eq!(code, Some(0), "{out}{errors}");
    let found = names(&json(&out));
    for check in [
        "configuration ok",
        "ssh ok",
        "destination skip",
        "service ok",
        "certificate ok",
        "providers ok",
        "token ok",
        "scopes skip",
        "length ok",
        "account ok",
        "prompt skip",
        "forwarding ok",
    ] {
        assert!(found.contains(&check.to_owned()), "{check}: {out}");
    }
    let (code, out, errors) = run(&service, &["--json", "doctor"]);
    assert_eq!(code, Some(9), "{out}{errors}");
    assert_eq!(error(&errors)["code"], "checks_failed");
    let (code, out, errors) = alone(&["doctor", "no-such-host.invalid"]);
    assert_eq!(code, Some(8), "{out}{errors}");
    assert!(out.contains("fail  address "), "{out}");
    assert!(out.contains("-> Check the spelling"), "{out}");
    assert!(errors.starts_with("error: 4 checks failed; the first is: address"), "{errors}");
    let (code, out, errors) = alone(&["doctor"]);
    assert_eq!(code, Some(3), "{out}{errors}");
    let suspended = Service::start(Manner { state: "suspended", ..Manner::accepting(TOKEN) });
    let (code, out, _) = run(&suspended, &["doctor"]);
    assert_eq!(code, Some(7), "{out}");
    assert!(out.contains("warn  certificate ") && !out.contains(TOKEN), "{out}");
}
