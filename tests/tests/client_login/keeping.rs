//! What of a login is where, and how it ends.

use motley_tests::op::{Endpoint, Fault};

use crate::desk::Desk;

#[test]
fn logout_revokes_at_the_provider_and_leaves_nothing_here() {
    let desk = Desk::logged_in();
    let token = desk.run(&["token", desk.op.issuer()]).out;
    assert_eq!(desk.op.refresh_tokens(), 1);
    let ran = desk.run(&["logout"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("Logged out at"), "{ran:?}");
    assert_eq!(desk.op.refresh_tokens(), 0);
    assert!(desk.op.count(Endpoint::Revocation) >= 1);
    let left: Vec<_> = std::fs::read_dir(desk.logins())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|ending| ending != "lock"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(desk.run(&["token", "--check"]).code, Some(3));
    assert!(desk.files_with(token.trim()).is_empty());
    assert_eq!(desk.run(&["logout"]).code, Some(3), "there is nothing to end");
    assert_eq!(desk.run(&["logout", "--all"]).code, Some(0));
}

#[test]
fn a_login_ends_here_even_if_the_provider_is_down() {
    for fault in [Some(Fault::Status(503)), None] {
        let desk = Desk::logged_in();
        match fault {
            Some(fault) => desk.op.fault(Endpoint::Revocation, fault),
            None => desk.op.down(),
        }
        let ran = desk.run(&["logout", desk.op.issuer(), "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.json()[0]["revoked"], false);
        assert!(ran.err.contains("were not revoked"), "{ran:?}");
        assert_eq!(desk.run(&["token", "--check"]).code, Some(3));
    }
}

#[test]
fn several_logins_are_told_apart() {
    let desk = Desk::logged_in();
    desk.op.sign_in(Some("bob"));
    desk.op.add_client("second", None);
    let more = ["login", desk.op.issuer(), "--device", "--store", "file", "--client-id", "second"];
    assert_eq!(desk.run(&more).code, Some(0));
    let who = desk.run(&["whoami", "--json"]).json();
    let subjects: Vec<&str> = who["logins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["claims"]["sub"].as_str().unwrap())
        .collect();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    assert!(subjects.contains(&"sub-alice") && subjects.contains(&"sub-bob"));
    let words = desk.run(&["whoami"]).out;
    assert!(words.contains("alice@example.org") && words.contains("bob@example.org"), "{words}");
    let unclear = desk.run(&["logout"]);
    assert_eq!(unclear.code, Some(2), "{unclear:?}");
    assert!(unclear.err.contains("--all"), "{unclear:?}");
    assert_eq!(desk.run(&["logout", "--all"]).code, Some(0));
    assert_eq!(desk.run(&["whoami"]).code, Some(3));
}

#[test]
fn r38_nothing_secret_is_in_files_but_the_stores_own_nor_in_what_is_shown() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    let shown = desk.run(&["--debug", "login", desk.op.issuer(), "--device", "--store", "file"]);
    let token = desk.run(&["token", desk.op.issuer()]).out;
    for secret in [token.trim(), "refresh-", "device-"] {
        assert!(desk.files_with(secret).is_empty(), "{secret}");
        assert!(!shown.err.contains(secret) && !shown.out.contains(secret), "{secret}");
    }
    let label = std::fs::read_to_string(desk.file("json")).unwrap();
    assert!(label.contains(desk.op.issuer()) && !label.contains("token\""), "{label}");
}
