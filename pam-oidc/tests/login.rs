//! Logins through real libpam and the built module, with a double of the daemon.

mod support;

use motley_proto::{
    LoginName,
    login::{LoginResult, Nonce},
};
use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    thread,
    time::{Duration, Instant},
};
use support::{
    AUTH_IGNORED, GOOD, JUNK, Machine, WRONG,
    daemon::{Daemon, hear, open, prompt},
    ffi::{
        AUTH_ERR, AUTHINFO_UNAVAIL, CONV_ERR, MAXTRIES, SUCCESS, SYSTEM_ERR, Seen, USER_UNKNOWN,
    },
    messages, prompts,
};

const FAILED: &str = "OIDC login failed.";

#[test]
fn a_good_token_logs_in() {
    let machine = Machine::enter();
    let daemon = Daemon::honest(&machine);
    let stack = machine.stack("");
    let mut transaction = stack.start("alice", &[GOOD]);
    transaction.set_rhost("192.0.2.7");
    transaction.set_tty("ssh");
    assert_eq!(transaction.authenticate(), SUCCESS);
    assert_eq!(transaction.seen(), [Seen { style: 1, text: "Access Token:".to_owned() }]);
    assert_eq!(transaction.check_account(), SUCCESS);
    assert_eq!(transaction.set_credentials(), SUCCESS);
    assert_eq!(transaction.open_session(), SUCCESS);
    assert_eq!(transaction.close_session(), SUCCESS);
    assert_eq!(transaction.user(), "alice", "PAM_USER is never changed");
    let hello = &daemon.heard()[0];
    for part in [r#""rhost":"192.0.2.7""#, r#""tty":"ssh""#, r#""known":true"#] {
        assert!(hello.contains(part), "{part} in {hello}");
    }
}

#[test]
fn a_wrong_token_is_denied_with_the_constant_message() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let (code, seen) = machine.stack("").authenticate("alice", &[WRONG]);
    assert_eq!((code, messages(&seen)), (AUTH_ERR, vec![FAILED]));
}

#[test]
fn an_empty_answer_fails_before_the_floor_time() {
    let machine = Machine::enter();
    let daemon = Daemon::honest(&machine);
    let socket = machine.socket();
    let stack = machine.bare_stack(&format!("socket={} fail_floor_ms=5000", socket.display()));
    let start = Instant::now();
    assert_eq!(stack.authenticate("alice", &[""]).0, AUTH_ERR);
    assert!(start.elapsed() < Duration::from_secs(4));
    assert!(!daemon.heard().iter().any(|it| it.contains("answer")));
}

#[test]
fn an_answer_that_looks_like_a_password_never_reaches_the_daemon() {
    let machine = Machine::enter();
    let daemon = Daemon::honest(&machine);
    let stack = machine.stack("");
    for password in ["hunter2", "correct horse battery", "p\u{e4}ss", "eyJ.half"] {
        assert_eq!(stack.authenticate("alice", &[password]).0, AUTH_ERR);
    }
    let mut transaction = stack.start("alice", &[]);
    transaction.answer_with(b"\xff\xfe\x80");
    assert_eq!(transaction.authenticate(), AUTH_ERR);
    for heard in daemon.heard() {
        let fits = heard.contains("hello") || heard == r#"{"withheld":"shape"}"#;
        assert!(fits, "{heard}");
    }
}

#[test]
fn an_unknown_user_gets_the_same_prompt_and_message_and_nothing_is_sent() {
    let machine = Machine::enter();
    let daemon = Daemon::honest(&machine);
    let stack = machine.stack("");
    let known = stack.authenticate("alice", &[WRONG]);
    assert_eq!(stack.authenticate("stranger", &[JUNK]), known);
    assert_eq!(stack.authenticate("stranger", &[GOOD]), known, "no success for an unknown name");
    assert_eq!(stack.authenticate("daemon", &[GOOD]), known, "no success below min_uid");
    assert_eq!(stack.authenticate("alice", &[JUNK]), known);
    let heard = daemon.heard().join("\n");
    assert!(!heard.contains("canary-good") && !heard.contains("INCORRECT"), "{heard}");
    assert_eq!(heard.matches(r#"{"withheld":"unknown_user"}"#).count(), 4);
}

#[test]
fn root_is_left_to_other_modules_without_a_prompt() {
    let machine = Machine::enter();
    let daemon = Daemon::honest(&machine);
    let (code, seen) = machine.stack("").authenticate("root", &[GOOD]);
    assert_eq!((code, prompts(&seen)), (AUTH_IGNORED, vec![]));
    assert!(daemon.heard().is_empty());
    let (code, _) = machine.stack("skip_users= min_uid=1").authenticate("root", &[GOOD]);
    assert_eq!(code, AUTH_ERR, "uid 0 never gets in with a token");
    assert_eq!(daemon.heard().len(), 2);
}

#[test]
fn an_answer_of_1023_bytes_is_said_to_be_cut() {
    let machine = Machine::enter();
    let daemon = Daemon::honest(&machine);
    let cut = format!("eyJ{}", "x".repeat(1020));
    let (code, seen) = machine.stack("").authenticate("alice", &[&cut]);
    assert_eq!(code, AUTH_ERR);
    assert!(messages(&seen)[0].contains("1023 bytes"), "{seen:?}");
    assert_eq!(machine.stack("").authenticate("stranger", &[&cut]).1, seen);
    assert!(machine.log().contains("probably cut by the ssh client"));
    assert_eq!(daemon.heard()[1], r#"{"withheld":"cut"}"#);
}

#[test]
fn a_token_in_three_chunks_logs_in() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let (one, rest) = GOOD.split_at(20);
    let (two, three) = rest.split_at(20);
    let answers = [
        format!("oidc-chunk:1/3:{one}"),
        format!("oidc-chunk:2/3:{two}"),
        format!("oidc-chunk:3/3:{three}"),
    ];
    let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
    let (code, seen) = machine.stack("").authenticate("alice", &answers);
    assert_eq!(code, SUCCESS);
    let expected = ["Access Token:", "Access Token (part 2):", "Access Token (part 3):"];
    assert_eq!(prompts(&seen), expected);
}

#[test]
fn the_configured_prompt_is_shown() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let stack = machine.stack("[prompt=(OTP or) Access Token:] contact=https://host.example/ssh");
    let (_, seen) = stack.authenticate("alice", &[WRONG]);
    assert_eq!(prompts(&seen), ["(OTP or) Access Token:"]);
    assert_eq!(messages(&seen), ["OIDC login failed. See https://host.example/ssh"]);
}

#[test]
fn a_daemon_that_is_down_means_no_prompt() {
    let machine = Machine::enter();
    let (code, seen) = machine.stack("").authenticate("alice", &[GOOD]);
    assert_eq!((code, seen), (AUTHINFO_UNAVAIL, vec![]));
    assert!(machine.log().contains("is the service running?"));
}

#[test]
fn r04_a_hanging_daemon_costs_the_time_limit_and_no_more() {
    let machine = Machine::enter();
    let _daemon = Daemon::serve(&machine, |_stream, _| {
        thread::sleep(Duration::from_secs(60));
        Ok(())
    });
    let start = Instant::now();
    let (code, seen) = machine.stack("timeout=1").authenticate("alice", &[GOOD]);
    assert_eq!((code, seen), (AUTHINFO_UNAVAIL, vec![]));
    assert!((1000..3000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[test]
fn r04_a_daemon_that_drips_bytes_costs_the_time_limit_and_no_more() {
    let machine = Machine::enter();
    let _daemon = Daemon::serve(&machine, |stream, heard| {
        let mut connection = open(stream.try_clone().unwrap())?;
        hear(&mut connection, heard)?;
        connection.send(&prompt("Access Token:"))?;
        hear(&mut connection, heard)?;
        let frame = motley_proto::frame::encode(&prompt("x"), motley_proto::frame::Cap::LOGIN)?;
        for byte in frame.iter().cycle().take(frame.len() - 1) {
            if std::io::Write::write_all(&mut &stream, &[*byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    });
    let start = Instant::now();
    assert_eq!(machine.stack("timeout=1").authenticate("alice", &[WRONG]).0, AUTHINFO_UNAVAIL);
    assert!((1000..3000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

fn listener_with_the_smallest_backlog(path: &Path) -> OwnedFd {
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
    };
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(fd.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
    listen(&fd, Backlog::new(0).unwrap()).unwrap();
    fd
}

#[test]
fn r04_a_full_backlog_costs_the_time_limit_and_no_more() {
    let machine = Machine::enter();
    let _listener = listener_with_the_smallest_backlog(&machine.socket());
    let mut waiting = Vec::new();
    let flood = Instant::now() + Duration::from_millis(100);
    while let Ok(connection) = motley_proto::client::Connection::open(
        &machine.socket(),
        motley_proto::frame::Cap::LOGIN,
        flood,
    ) {
        waiting.push(connection);
    }
    let start = Instant::now();
    assert_eq!(machine.stack("timeout=1").authenticate("alice", &[GOOD]).0, AUTHINFO_UNAVAIL);
    assert!((1000..3000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[test]
fn a_daemon_that_closes_early_is_unavailable_at_once() {
    let machine = Machine::enter();
    let _daemon = Daemon::serve(&machine, |stream, heard| {
        let mut connection = open(stream)?;
        hear(&mut connection, heard)?;
        connection.send(&prompt("Access Token:"))
    });
    let start = Instant::now();
    let (code, seen) = machine.stack("").authenticate("alice", &[GOOD]);
    assert_eq!((code, messages(&seen)), (AUTHINFO_UNAVAIL, vec![FAILED]));
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn r03_replies_that_are_no_message_are_refused() {
    let oversized: &[u8] = &[0, 1, 0, 1, 1, b'{'];
    for reply in [
        oversized,
        &[0xff, 0xff, 0xff, 0xff, 1],
        &[0, 0, 0, 0, 1],
        &[0, 0, 0, 3, 9, b'{', b'}'],
        &[0, 0, 0, 3, 1, b'{', b'}'],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\0\0\x13\x01{\"done\":\"allow\"}  ",
    ] {
        let machine = Machine::enter();
        let _daemon = Daemon::answering_with(&machine, reply);
        let (code, seen) = machine.stack("timeout=2").authenticate("alice", &[GOOD]);
        assert_eq!((code, messages(&seen)), (SYSTEM_ERR, vec![FAILED]), "{reply:?}");
    }
}

#[test]
fn a_verdict_about_another_name_or_question_is_refused() {
    let machine = Machine::enter();
    let _daemon = Daemon::twisting(&machine, |mut done| {
        done.nonce = Nonce::from_bytes([0; 16]);
        done
    });
    assert_eq!(machine.stack("").authenticate("alice", &[GOOD]).0, SYSTEM_ERR);
    drop(machine);
    let machine = Machine::enter();
    let _daemon = Daemon::twisting(&machine, |mut done| {
        done.user = LoginName::new("bob").unwrap();
        done
    });
    assert_eq!(machine.stack("").authenticate("alice", &[GOOD]).0, SYSTEM_ERR);
}

#[test]
fn too_many_tries_end_the_attempts() {
    let machine = Machine::enter();
    let _daemon = Daemon::twisting(&machine, |mut done| {
        done.result = LoginResult::TooManyTries;
        done
    });
    assert_eq!(machine.stack("").authenticate("alice", &[WRONG]).0, MAXTRIES);
    assert_eq!(machine.stack("").authenticate("stranger", &[JUNK]).0, MAXTRIES);
}

#[test]
fn r02_a_socket_served_by_a_third_user_is_refused_before_a_name_is_said() {
    let machine = Machine::enter();
    let daemon = Daemon::under_uid(&machine, 2002);
    assert_eq!(machine.stack("").authenticate("alice", &[GOOD]).0, AUTHINFO_UNAVAIL);
    assert!(machine.log().contains("runs as uid 2002"));
    assert_eq!(daemon.heard(), Vec::<String>::new());
    assert_eq!(machine.stack("daemon_user=bob").authenticate("alice", &[GOOD]).0, SUCCESS);
}

#[test]
fn r02_a_socket_served_by_the_daemons_user_is_taken() {
    let machine = Machine::enter();
    let _daemon = Daemon::under_uid(&machine, 990);
    assert_eq!(machine.stack("").authenticate("alice", &[GOOD]).0, SUCCESS);
}

#[test]
fn r07_a_user_changed_by_the_conversation_is_refused() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    for other in ["bob", "root"] {
        let stack = machine.stack("");
        let mut transaction = stack.start("alice", &[GOOD]);
        transaction.rename_while_asked(other);
        assert_eq!(transaction.authenticate(), AUTH_ERR);
    }
    assert!(machine.log().contains("PAM_USER changed"));
}

#[test]
fn r32_known_unknown_and_wrong_take_the_same_floor_time() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let socket = machine.socket();
    let stack = machine.bare_stack(&format!("socket={} fail_floor_ms=700", socket.display()));
    for (user, answer) in [
        ("alice", WRONG),
        ("alice", "password"),
        ("stranger", JUNK),
        ("stranger", WRONG),
        ("daemon", WRONG),
    ] {
        let start = Instant::now();
        assert_eq!(stack.authenticate(user, &[answer]).0, AUTH_ERR);
        let millis = start.elapsed().as_millis();
        assert!((700..1200).contains(&millis), "{user}: {millis} ms");
    }
    let start = Instant::now();
    assert_eq!(stack.authenticate("alice", &[GOOD]).0, SUCCESS);
    assert!(start.elapsed() < Duration::from_millis(600), "success does not wait");
}

#[test]
fn names_that_can_name_nobody_are_refused_before_anything_else() {
    let machine = Machine::enter();
    let daemon = Daemon::honest(&machine);
    let long = "x".repeat(257);
    for name in ["", "a\nb", "a\u{1b}[2J", &long] {
        let (code, seen) = machine.stack("").authenticate(name, &[]);
        // For an empty name libpam itself asks, and fails.
        let expected = if name.is_empty() { [USER_UNKNOWN, CONV_ERR] } else { [USER_UNKNOWN; 2] };
        assert!(expected.contains(&code), "{name:?}: {code}");
        assert!(!prompts(&seen).contains(&"Access Token:"));
    }
    assert!(!machine.log().contains('\u{1b}'));
    assert!(daemon.heard().is_empty());
}

#[test]
fn a_conversation_without_reply_is_a_conversation_error() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let stack = machine.stack("");
    let mut transaction = stack.start("alice", &[]);
    transaction.reply_with_null();
    assert_eq!(transaction.authenticate(), CONV_ERR);
    assert_eq!(stack.authenticate("alice", &[]).0, CONV_ERR);
}

#[test]
fn r09_the_shipped_line_honours_a_denial_and_asks_the_next_module() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let module = support::library::module();
    let lines = |next: &str| {
        format!(
            "auth [success=done new_authtok_reqd=done maxtries=die default=ignore] {} socket={} \
             fail_floor_ms=0\nauth required {next}\n",
            module.display(),
            machine.socket().display()
        )
    };
    let stack = machine.stack_of(&lines("pam_permit.so"));
    assert_eq!(stack.authenticate("alice", &[WRONG]).0, SUCCESS);
    let stack = machine.stack_of(&lines("pam_deny.so"));
    assert_eq!(stack.authenticate("alice", &[GOOD]).0, SUCCESS);
    assert_ne!(stack.authenticate("alice", &[WRONG]).0, SUCCESS, "a denial is honoured");
    assert_ne!(stack.authenticate("root", &[GOOD]).0, SUCCESS);
}

#[test]
fn a_password_typed_at_our_prompt_reaches_the_next_module_only_on_request() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let module = support::library::module();
    let second = |first: &str, second: &str| {
        machine.stack_of(&format!(
            "auth [success=done default=ignore] {module} socket={socket} fail_floor_ms=0 {first}\n\
             auth [success=done default=die] {module} socket={socket} fail_floor_ms=0 {second}\n",
            module = module.display(),
            socket = machine.socket().display(),
        ))
    };
    // The second instance of the module tells by its code whether there is a PAM_AUTHTOK.
    let stack = second("pass_non_token", "use_first_pass");
    assert_eq!(stack.authenticate("alice", &["my password"]), (AUTH_ERR, stack_seen()));
    let stack = second("", "use_first_pass");
    assert_eq!(stack.authenticate("alice", &["my password"]).0, CONV_ERR);
    let stack = second("pass_non_token", "try_first_pass");
    assert_eq!(prompts(&stack.authenticate("alice", &[WRONG, GOOD]).1).len(), 2);
}

fn stack_seen() -> Vec<Seen> {
    vec![
        Seen { style: 1, text: "Access Token:".to_owned() },
        Seen { style: 3, text: FAILED.to_owned() },
    ]
}

#[test]
fn r06_no_answer_shows_up_in_the_system_log() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let stack = machine.stack("debug");
    for answer in [GOOD, WRONG, "canary password", "canary-opaque"] {
        stack.authenticate("alice", &[answer]);
        stack.authenticate("stranger", &[answer]);
    }
    let log = machine.log();
    assert!(log.contains("granted user=alice") && log.contains("refused user=stranger"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[test]
fn r31_a_hostile_host_name_can_not_forge_a_log_line() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let stack = machine.stack("");
    let mut transaction = stack.start("alice", &[WRONG]);
    transaction.set_rhost("evil\ngranted user=root\u{1b}[2J");
    assert_eq!(transaction.authenticate(), AUTH_ERR);
    assert!(machine.log().contains("rhost=evil\\u{a}granted user=root\\u{1b}[2J:"));
}

#[test]
fn r06_replies_are_freed() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let stack = machine.stack("");
    let answer = format!("pass word {}", "x".repeat(200_000));
    let attempt = || assert_eq!(stack.authenticate("alice", &[&answer]).0, AUTH_ERR);
    attempt();
    let before = resident_kib();
    for _ in 0..300 {
        attempt();
    }
    let growth = resident_kib().saturating_sub(before);
    assert!(growth < 20_000, "{growth} KiB more after 300 replies of 200 kB");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
