//! Which provider a login is at, where the service takes several.

mod double;

use double::{
    HOST, Stage,
    service::{Manner, Service},
    texts,
};
use std::{
    io::Write,
    process::{Command, Stdio},
};

fn run(stage: &Stage, words: &[&str]) -> (Option<i32>, String) {
    let output = stage.mccli(words).output().unwrap();
    (output.status.code(), texts(&output).1)
}

/// Runs mccli on a terminal where this is typed.
fn on_terminal(stage: &Stage, words: &[&str], typed: &str) -> (Option<i32>, String) {
    let line = [&[env!("CARGO_BIN_EXE_mccli")], words].concat().join(" ");
    let mut command = Command::new("script");
    stage.furnish(&mut command);
    let mut child = command
        .args(["-qec", &line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    keyboard.write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(keyboard);
    (output.status.code(), texts(&output).0)
}

#[test]
fn without_a_terminal_the_providers_are_listed() {
    let stage = Stage::new();
    let service = Service::start(Manner::accepting("t"));
    for more in [&[][..], &["--no-input"], &["--iss", "https://third.example"]] {
        let url = service.url();
        let words = [&["login", "--mc-endpoint", &url], more].concat();
        let (code, said) = run(&stage, &words);
        assert_eq!(code, Some(2), "{said}");
        for issuer in ["https://op.example.org", "https://other.example.org", "mccli login ISSUER"]
        {
            assert!(said.contains(issuer), "{said}");
        }
    }
}

#[test]
fn on_a_terminal_a_menu_asks() {
    let stage = Stage::new();
    let service = Service::start(Manner::accepting("t"));
    let url = service.url();
    let words = ["login", "--mc-endpoint", &url];
    let (code, shown) = on_terminal(&stage, &words, "2\n");
    assert!(shown.contains("1) https://op.example.org\r\n"), "{shown}");
    assert!(shown.contains("No answer from https://other.example.org/"), "{shown}");
    assert_eq!(code, Some(8), "{shown}");
    for typed in ["0\n", "3\n", "x\n", "\n"] {
        assert_eq!(on_terminal(&stage, &words, typed).0, Some(2), "{typed:?}");
    }
    let named = [&words[..], &["--iss", "op.example.org/"]].concat();
    let (_, said) = run(&stage, &named);
    assert!(said.contains("No answer from https://op.example.org/"), "{said}");
}

#[test]
fn who_has_no_token_is_offered_a_login_and_may_say_no() {
    let stage = Stage::new();
    let service = Service::start(Manner::accepting("t"));
    let url = service.url();
    let words = [&["ssh", "--mc-endpoint", &url], &HOST[..]].concat();
    let (code, shown) = on_terminal(&stage, &words, "n\n");
    assert!(shown.contains("Log in now? [Y/n]"), "{shown}");
    assert!(!stage.ssh_ran() && code == Some(1), "{shown}");
    let (_, shown) = on_terminal(&stage, &words, "y\n1\n");
    assert!(shown.contains("No answer from https://op.example.org/"), "{shown}");
    let (_, said) = run(&stage, &words);
    assert!(!said.contains("Log in now"), "{said}");
    let quiet = [&["--no-input"], &words[..]].concat();
    assert!(!on_terminal(&stage, &quiet, "").1.contains("Log in now"));
}
