//! Stored logins when the disk is full, the store is out of reach, or the provider revokes nothing.

mod double;

use double::{
    Stage,
    http::{Request, answer_all},
    texts,
};
use serde_json::{Value, json};
use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::Output,
    sync::{Arc, Mutex},
};

/// Double of a provider, by plain http on loopback: every login is confirmed at once.
struct Op {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Op {
    /// With these members more (or, null, less) in its metadata.
    fn start(patch: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (issuer, log) = (url.clone(), Arc::clone(&heard));
        std::thread::spawn(move || {
            answer_all(&listener, move |request| answer(&issuer, &patch, &log, request));
        });
        Self { url, heard }
    }

    /// Paths and bodies of the requests to this path.
    fn heard(&self, path: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|line| line.starts_with(path)).cloned().collect()
    }
}

fn answer(
    issuer: &str,
    patch: &Value,
    log: &Mutex<Vec<String>>,
    request: &Request,
) -> (u16, Value) {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let number = {
        let mut log = log.lock().unwrap();
        log.push(format!("{} {body}", request.path));
        log.iter().filter(|line| line.starts_with("/token")).count()
    };
    let answer = match request.path.as_str() {
        "/.well-known/openid-configuration" => {
            let mut metadata = json!({
                "issuer": issuer,
                "token_endpoint": format!("{issuer}/token"),
                "device_authorization_endpoint": format!("{issuer}/device"),
                "revocation_endpoint": format!("{issuer}/revoke"),
            });
            for (name, value) in patch.as_object().unwrap() {
                metadata[name] = value.clone();
            }
            metadata
        }
        "/device" => json!({
            "device_code": "d", "user_code": "WDJB-MJHT",
            "verification_uri": format!("{issuer}/verify"), "expires_in": 600, "interval": 1,
        }),
        "/token" if patch["ends_all"] == true && body.contains("grant_type=refresh_token") => {
            return (400, json!({"error": "invalid_grant"}));
        }
        // Access tokens end before they can be kept: each use is a refresh.
        "/token" => json!({
            "access_token": format!("access-{number}"), "token_type": "Bearer", "expires_in": 1,
            "refresh_token": format!("refresh-{number}"),
        }),
        "/elsewhere" => json!({
            "device_code": "d", "user_code": "WDJB-MJHT",
            "verification_uri": "https://page.example/verify", "expires_in": 600, "interval": 1,
        }),
        "/revoke" => json!({}),
        _ => return (404, json!({})),
    };
    (200, answer)
}

fn run(stage: &Stage, words: &[&str]) -> Output {
    stage.mccli(words).output().unwrap()
}

fn login(stage: &Stage, op: &Op, words: &[&str]) -> Output {
    let plain = ["login", &op.url, "--device", "--client-id", "native", "--no-qr"];
    run(stage, &[&plain[..], words].concat())
}

fn logged_in(stage: &Stage, op: &Op) {
    let output = login(stage, op, &["--store", "file"]);
    assert!(output.status.success(), "{:?}", texts(&output));
}

fn label(stage: &Stage) -> Option<PathBuf> {
    let folder = fs::read_dir(stage.path(".local/state/mccli/logins")).unwrap();
    let paths = folder.map(|entry| entry.unwrap().path());
    paths.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "json"))
}

#[test]
fn a_provider_is_not_asked_for_a_new_refresh_token_where_the_disk_is_full() {
    let (stage, op) = (Stage::new(), Op::start(json!({})));
    logged_in(&stage, &op);
    let before = op.heard("/token").len();
    let mut full = std::process::Command::new("/bin/sh");
    full.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]).args([
        env!("CARGO_BIN_EXE_mccli"),
        "token",
        &op.url,
    ]);
    stage.furnish(&mut full);
    let output = full.output().unwrap();
    assert!(!output.status.success(), "{:?}", texts(&output));
    assert!(texts(&output).1.contains("too large"), "{:?}", texts(&output));
    assert_eq!(op.heard("/token").len(), before);
    let output = run(&stage, &["token", &op.url]);
    assert_eq!(texts(&output).0, "access-2\n", "{:?}", texts(&output));
    let left = fs::read_dir(stage.path(".local/state/mccli/logins")).unwrap();
    let drafts =
        left.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(drafts.count(), 0);
}

#[test]
fn a_login_that_can_not_be_moved_stays_where_it_was() {
    let (stage, op) = (Stage::new(), Op::start(json!({})));
    logged_in(&stage, &op);
    let output = login(&stage, &op, &["--store", "keyring"]);
    assert!(!output.status.success(), "there is no keyring: {:?}", texts(&output));
    let output = run(&stage, &["token", &op.url]);
    assert!(output.status.success(), "{:?}", texts(&output));
    assert!(op.heard("/token").last().unwrap().contains("refresh_token=refresh-1"));
}

#[test]
fn a_login_in_a_store_out_of_reach_is_not_logged_out() {
    let (stage, op) = (Stage::new(), Op::start(json!({})));
    logged_in(&stage, &op);
    let path = label(&stage).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"file\"", "\"keyring\"")).unwrap();
    let output = run(&stage, &["logout"]);
    let (_, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("keyring") && err.contains("stays") && !err.contains("Logged out"),
        "{err}"
    );
    assert_eq!(label(&stage).as_ref(), Some(&path));
    assert!(op.heard("/revoke").is_empty());
    fs::write(&path, text).unwrap();
    let output = run(&stage, &["logout"]);
    assert!(output.status.success() && label(&stage).is_none(), "{:?}", texts(&output));
    assert!(op.heard("/revoke")[0].contains("refresh-1"));
}

#[test]
fn a_provider_that_revokes_nothing_is_told_of() {
    let (stage, op) = (Stage::new(), Op::start(json!({"revocation_endpoint": null})));
    logged_in(&stage, &op);
    let output = run(&stage, &["--json", "logout"]);
    let (out, err) = texts(&output);
    let ended: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(ended[0]["revoked"], false, "{out}");
    assert!(err.contains("revokes no tokens"), "{err}");
}

#[test]
fn a_login_that_is_replaced_is_revoked_and_the_new_one_lasts() {
    let (stage, op) = (Stage::new(), Op::start(json!({})));
    logged_in(&stage, &op);
    logged_in(&stage, &op);
    let revoked = op.heard("/revoke");
    assert!(revoked.iter().any(|line| line.contains("refresh-1")), "{revoked:?}");
    assert!(!revoked.iter().any(|line| line.contains("refresh-2")), "{revoked:?}");
    let output = run(&stage, &["token", &op.url]);
    assert!(output.status.success(), "{:?}", texts(&output));
}

#[test]
fn a_provider_that_ends_both_logins_leaves_none_that_looks_alive() {
    let (stage, op) = (Stage::new(), Op::start(json!({"ends_all": true})));
    logged_in(&stage, &op);
    let output = login(&stage, &op, &["--store", "file"]);
    let (_, err) = texts(&output);
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("together with the earlier one") && label(&stage).is_none(), "{err}");
    logged_in(&stage, &op);
}

#[test]
fn the_issuer_is_named_above_the_link_and_a_page_elsewhere_is_warned_of() {
    let (stage, op) = (Stage::new(), Op::start(json!({})));
    let (_, err) = texts(&login(&stage, &op, &["--store", "file"]));
    assert!(err.starts_with(&format!("Login at {}\nOpen this link", op.url)), "{err}");
    let elsewhere = json!({"device_authorization_endpoint": format!("{}/elsewhere", op.url)});
    let other = Op::start(elsewhere);
    let (_, err) = texts(&login(&stage, &other, &["--store", "file"]));
    assert!(err.contains("on another host, page.example"), "{err}");
}

#[test]
fn a_login_in_the_kernel_is_changed_in_place_at_each_refresh() {
    let (stage, op) = (Stage::new(), Op::start(json!({})));
    let output = login(&stage, &op, &["--store", "memory"]);
    let (_, err) = texts(&output);
    if err.contains("the kernel's key ring") {
        let required = std::env::var_os("REQUIRE_E2E").is_some_and(|value| value == "1");
        assert!(!required, "REQUIRE_E2E=1, but there is no key ring here: {err}");
        return eprintln!("SKIPPED: there is no key ring here: {err}");
    }
    assert!(output.status.success(), "{err}");
    for number in 2..5 {
        let (out, err) = texts(&run(&stage, &["token", &op.url]));
        assert_eq!(out, format!("access-{number}\n"), "{err}");
        assert!(op.heard("/token").last().unwrap().contains(&format!("refresh-{}", number - 1)));
    }
    let output = run(&stage, &["logout"]);
    assert!(output.status.success() && label(&stage).is_none(), "{:?}", texts(&output));
    assert!(op.heard("/revoke")[0].contains("refresh-4"));
}
