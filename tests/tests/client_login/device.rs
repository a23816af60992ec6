//! The device flow (RFC 8628).

use motley_tests::op::{Endpoint, Fault};
use serde_json::json;

use crate::desk::{Desk, Running, wait_until};

fn start(desk: &Desk, more: &[&str]) -> Running {
    let words = [&["login", desk.op.issuer(), "--device", "--store", "file"], more].concat();
    Running::start(desk.mccli(&words))
}

fn user_code(desk: &Desk) -> String {
    wait_until("a user code", || !desk.op.pending_user_codes().is_empty());
    desk.op.pending_user_codes().remove(0)
}

#[test]
fn a_login_shows_link_and_code_waits_and_is_kept() {
    let desk = Desk::new();
    let mut login = start(&desk, &[]);
    let code = user_code(&desk);
    assert!(login.line_with("Open this link").ends_with(&format!("{}/device", desk.op.issuer())));
    assert!(login.line_with("enter the code").ends_with(&code));
    login.line_with(&format!("user_code={code}"));
    wait_until("a pending poll", || desk.op.count(Endpoint::Token) > 0);
    assert!(desk.op.approve_device(&code, "alice"));
    let ran = login.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains(&format!("Logged in at {}", desk.op.issuer())), "{ran:?}");

    let token = desk.run(&["token", desk.op.issuer(), "--decode"]).json();
    assert_eq!(token["payload"]["sub"], "sub-alice");
    let who = desk.run(&["whoami", "--json"]).json();
    assert_eq!(who["logins"][0]["userinfo"]["email"], "alice@example.org");
    assert_eq!(who["logins"][0]["store"], "file");
}

#[test]
fn a_client_registers_itself_once_and_is_used_again() {
    let desk = Desk::logged_in();
    let first = desk.run(&["whoami", "--json"]).json()["logins"][0]["client_id"].clone();
    desk.op.sign_in(Some("alice"));
    let again = desk.run(&["login", desk.op.issuer(), "--device", "--json"]);
    assert_eq!(again.json()["client_id"], first, "{again:?}");
    assert_eq!(desk.op.count(Endpoint::Registration), 1);
    let named = ["login", desk.op.issuer(), "--device", "--client-id", "known", "--json"];
    desk.op.add_client("known", None);
    assert_eq!(desk.run(&named).json()["client_id"], "known");
}

#[test]
fn a_confidential_client_shows_its_secret_to_the_token_endpoint_alone() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    desk.op.add_client("desk", Some("a secret: with/signs"));
    let secret = desk.home().join("secret");
    std::fs::write(&secret, "a secret: with/signs\n").unwrap();
    let config = desk.home().join("config.toml");
    let issuer = desk.op.issuer();
    let rule =
        format!("[op.\"{issuer}\"]\nclient_id = \"desk\"\nclient_secret_file = {secret:?}\n");
    std::fs::write(&config, rule).unwrap();
    let config = config.to_str().unwrap();
    let ran = desk.run(&["login", issuer, "--device", "--config", config, "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    std::fs::remove_file(secret).unwrap();
    assert!(desk.files_with("a secret: with/signs").is_empty());
    let narrow = desk.run(&["token", issuer, "--min-valid", "100000"]);
    assert!(!narrow.err.contains("invalid_client"), "{narrow:?}");
    assert!(!ran.out.contains("with/signs") && !ran.err.contains("with/signs"));
}

#[test]
fn slow_down_denied_and_expired_are_understood() {
    let desk = Desk::new();
    // The provider allows one poll a second, but says otherwise.
    let hasty = json!({"interval": 0.2});
    desk.op.fault_times(Endpoint::DeviceAuthorization, Fault::Patch(hasty), 1);
    let login = start(&desk, &[]);
    let code = user_code(&desk);
    wait_until("a poll that comes too early", || desk.op.count(Endpoint::Token) >= 2);
    assert!(desk.op.approve_device(&code, "alice"));
    let ran = login.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(desk.op.count(Endpoint::Token), 3, "slow_down adds five seconds");
    desk.run(&["logout", "--all"]);

    let login = start(&desk, &[]);
    let code = user_code(&desk);
    assert!(desk.op.deny_device(&code));
    let ran = login.end();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("denied in the browser"), "{ran:?}");

    let login = start(&desk, &[]);
    user_code(&desk);
    desk.op.expire_devices();
    let ran = login.end();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("in time"), "{ran:?}");
    assert_eq!(desk.run(&["token", "--check"]).code, Some(3));
}

#[test]
fn polling_goes_on_while_the_provider_is_away() {
    let desk = Desk::new();
    let login = start(&desk, &[]);
    let code = user_code(&desk);
    desk.op.fault_times(Endpoint::Token, Fault::Close, 1);
    wait_until("a failed poll", || desk.op.count(Endpoint::Token) >= 1);
    desk.op.fault_times(Endpoint::Token, Fault::Status(503), 1);
    desk.op.approve_device(&code, "alice");
    let ran = login.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn the_metadata_must_be_the_issuers_own() {
    let desk = Desk::new();
    let patched = json!({"issuer": "https://other.example"});
    desk.op.fault(Endpoint::Discovery, Fault::Patch(patched));
    let ran = start(&desk, &[]).end();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("another issuer"), "{ran:?}");
    let plain = json!({"token_endpoint": "http://op.example/token"});
    desk.op.fault(Endpoint::Discovery, Fault::Patch(plain));
    let ran = start(&desk, &[]).end();
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(ran.err.contains("plain http"), "{ran:?}");
    assert_eq!(desk.op.count(Endpoint::Registration), 0);
}

#[test]
fn r38_insecure_is_about_the_service_and_never_about_the_provider() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    let mut command = desk.mccli(&["--insecure", "login", desk.op.issuer(), "--device"]);
    let ran = crate::desk::ran(command.env_remove("SSL_CERT_FILE").output().unwrap());
    assert_eq!(ran.code, Some(9), "{ran:?}");
}

#[test]
fn the_picture_is_shown_on_a_terminal_only() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    let ran = desk.run(&["login", desk.op.issuer(), "--device"]);
    assert!(!ran.err.contains('█') && !ran.err.contains('\u{1b}'), "{ran:?}");
    let mut words = desk.bare(&["login", desk.op.issuer(), "--device"]);
    words.env("TERM", "xterm");
    let mut terminal = motley_tests::sandbox::Terminal::start(&words).unwrap();
    let ended = terminal.wait(crate::desk::PATIENCE).unwrap();
    assert!(ended.stdout.contains('█'), "{}", ended.stdout);
    assert!(ended.stdout.contains("waiting for the browser"), "{}", ended.stdout);
    let mut words = desk.bare(&["login", desk.op.issuer(), "--device", "--no-qr"]);
    words.env("TERM", "xterm");
    let mut terminal = motley_tests::sandbox::Terminal::start(&words).unwrap();
    let ended = terminal.wait(crate::desk::PATIENCE).unwrap();
    assert!(ended.is_success(), "{}", ended.stdout);
    assert!(ended.stdout.contains("and enter the code:"), "{}", ended.stdout);
    assert!(!ended.stdout.contains('█'), "{}", ended.stdout);
}

#[test]
fn a_login_may_name_client_secret_and_scopes_on_its_line() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    desk.op.add_client("desk", Some("a secret: with/signs"));
    let secret = desk.home().join("secret");
    std::fs::write(&secret, "a secret: with/signs\n").unwrap();
    let secret = secret.to_str().unwrap();
    let issuer = desk.op.issuer();
    let own = ["--client-id", "desk", "--client-secret-file", secret];
    let more = ["--scope", "openid", "--store", "file"];
    let line = [&["login", issuer, "--device", "--json"], &own[..], &more].concat();
    let login = desk.run(&line).json();
    assert_eq!(
        (&login["client_id"], &login["scopes"]),
        (&json!("desk"), &json!(["openid", "offline_access"]))
    );
    assert_eq!(desk.run(&["token", issuer]).code, Some(0));
    std::fs::write(secret, "another\n").unwrap();
    let wrong = desk.run(&line);
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    assert!(wrong.err.contains("invalid_client"), "{wrong:?}");
    std::fs::remove_file(secret).unwrap();
    let missing = desk.run(&line);
    assert!(missing.code != Some(0) && missing.err.contains(secret), "{missing:?}");
    assert!(desk.files_with("a secret: with/signs").is_empty());
}
