//! Access tokens of a stored login: kept, refreshed once, and never lost.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use motley_tests::op::{Endpoint, Fault, GrantedToken};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::desk::{Desk, ran, wait_until};

/// Longer than any token of the provider lasts: every call asks for a new one.
const FOREVER: [&str; 2] = ["--min-valid", "100000"];

/// The kept token is one that ends soon, and so are all that come: each call wants a new one.
fn short_lived(desk: &Desk) {
    desk.op.grant_tokens(GrantedToken::Opaque { size: 0, lifetime: 30 });
    let ran = desk.run(&["token", desk.op.issuer(), "--min-valid", "5000"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_token_is_kept_until_it_ends_and_then_refreshed() {
    let desk = Desk::logged_in();
    desk.op.reset_counters();
    let first = desk.run(&["token", desk.op.issuer()]);
    let second = desk.run(&["token", desk.op.issuer()]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.out == second.out);
    assert_eq!(desk.op.requests(), 0, "what is kept needs nobody");
    let third = desk.run(&[&["token", desk.op.issuer()], &FOREVER[..]].concat());
    assert_eq!(third.code, Some(3), "the provider's tokens do not last so long: {third:?}");
    assert_eq!(desk.op.count(Endpoint::Token), 1);
    let fourth = desk.run(&["token", desk.op.issuer()]);
    assert!(fourth.out != first.out, "the newest one is used");
}

#[test]
fn r38_a_signed_token_is_never_printed_by_debug() {
    let desk = Desk::logged_in();
    let ran = desk.run(&["--debug", "token", desk.op.issuer()]);
    let token = ran.out.trim();
    assert!(token.len() > 100 && !ran.err.contains(token), "{}", ran.err);
}

#[test]
fn eight_processes_at_once_do_one_refresh() {
    let desk = Desk::logged_in();
    desk.op.rotate_refresh_tokens();
    short_lived(&desk);
    desk.op.grant_tokens(GrantedToken::Opaque { size: 0, lifetime: 3600 });
    desk.op.reset_counters();
    desk.op.fault(Endpoint::Token, Fault::LateMs(300));
    let children: Vec<_> = (0..8)
        .map(|_| {
            let mut command = desk.mccli(&["token", desk.op.issuer()]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let tokens: Vec<String> = children
        .into_iter()
        .map(|child| ran(child.wait_with_output().unwrap()))
        .inspect(|ran| assert_eq!(ran.code, Some(0), "{ran:?}"))
        .map(|ran| ran.out)
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(desk.op.count(Endpoint::Token), 1);
    assert_eq!(desk.op.refresh_tokens(), 1);
}

#[test]
fn a_new_refresh_token_is_saved_before_the_access_token_is_seen() {
    let desk = Desk::logged_in();
    desk.op.rotate_refresh_tokens();
    short_lived(&desk);
    for round in 0..12 {
        let mut command = desk.bare(&["token", desk.op.issuer()]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut first = [0u8; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let _ = kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGKILL);
        child.wait().unwrap();
        assert_eq!(desk.op.refresh_tokens(), 1, "round {round}");
    }
    let after = desk.run(&["token", desk.op.issuer()]);
    assert_eq!(after.code, Some(0), "the login lives: {after:?}");
}

#[test]
fn ctrl_c_between_the_answer_and_the_file_loses_nothing() {
    let desk = Desk::logged_in();
    desk.op.rotate_refresh_tokens();
    short_lived(&desk);
    desk.op.fault_times(Endpoint::Token, Fault::LateMs(1500), 1);
    desk.op.reset_counters();
    let mut command = desk.bare(&["token", desk.op.issuer()]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the refresh", || desk.op.count(Endpoint::Token) == 1);
    std::thread::sleep(Duration::from_millis(200));
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(2), "it ends by the signal, when all is saved: {status:?}");
    let after = desk.run(&["token", desk.op.issuer(), "--min-valid", "20"]);
    assert_eq!(after.code, Some(0), "{after:?}");
}

#[test]
fn a_login_that_the_provider_ended_says_how_to_begin_anew() {
    let desk = Desk::logged_in();
    desk.op.rotate_refresh_tokens();
    let sealed = std::fs::read(desk.file("sealed")).unwrap();
    short_lived(&desk);
    // Somebody else has used the copy: the provider takes the old refresh token no more.
    std::fs::write(desk.file("sealed"), sealed).unwrap();
    let ran = desk.run(&["token", desk.op.issuer(), "--min-valid", "5000"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("is over: the provider says invalid_grant"), "{ran:?}");
    assert!(ran.err.contains(&format!("mccli login {}", desk.op.issuer())), "{ran:?}");
}

#[test]
fn check_speaks_by_its_exit_code_alone() {
    let desk = Desk::logged_in();
    for (words, code) in [
        (vec!["token", "--check"], 0),
        (vec!["token", desk.op.issuer(), "--check"], 0),
        (vec!["token", "https://nobody.example", "--check"], 3),
        (vec!["token", desk.op.issuer(), "--check", "--min-valid", "100000"], 3),
    ] {
        let ran = desk.run(&words);
        assert_eq!(
            (ran.code, ran.out.as_str(), ran.err.as_str()),
            (Some(code), "", ""),
            "{words:?}"
        );
    }
    desk.op.down();
    assert_eq!(desk.run(&["token", "--check"]).code, Some(0), "a kept token needs nobody");
}
