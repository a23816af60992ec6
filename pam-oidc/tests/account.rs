//! The account phase through real libpam: it runs for key and certificate logins, too.

mod support;

use motley_proto::login::{LoginResult, Nonce};
use std::time::{Duration, Instant};
use support::{
    ACCOUNT_IGNORED, Machine,
    daemon::Daemon,
    ffi::{PERM_DENIED, SUCCESS, USER_UNKNOWN},
    messages,
};

#[test]
fn r08_a_suspended_user_is_refused_and_told_so() {
    let machine = Machine::enter();
    let daemon = Daemon::honest(&machine);
    let (code, seen) = machine.stack("").check_account("carol");
    assert_eq!((code, messages(&seen)), (PERM_DENIED, vec!["Suspended by the security team"]));
    assert!(daemon.heard()[0].contains(r#""uid":2003"#));
    assert!(machine.log().contains("refused user=carol"));
}

#[test]
fn r08_every_refusal_of_the_daemon_is_a_refusal() {
    for result in [LoginResult::Suspended, LoginResult::Deny, LoginResult::TooManyTries] {
        let machine = Machine::enter();
        let _daemon = Daemon::twisting(&machine, move |mut done| {
            done.result = result;
            done
        });
        assert_eq!(machine.stack("").check_account("alice").0, PERM_DENIED, "{result:?}");
    }
}

#[test]
fn an_allowed_account_is_success_and_an_unmanaged_one_is_left_to_other_modules() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    assert_eq!(machine.stack("").check_account("alice").0, SUCCESS);
    assert_eq!(machine.stack("").check_account("bob").0, ACCOUNT_IGNORED);
}

#[test]
fn r09_accounts_of_the_system_and_unknown_names_are_never_a_success_and_never_asked_about() {
    let machine = Machine::enter();
    let daemon = Daemon::twisting(&machine, |mut done| {
        done.result = LoginResult::Allow;
        done
    });
    for user in ["root", "daemon", "stranger"] {
        assert_eq!(machine.stack("").check_account(user).0, ACCOUNT_IGNORED, "{user}");
    }
    assert_eq!(machine.stack("skip_users=alice").check_account("alice").0, ACCOUNT_IGNORED);
    assert_eq!(machine.stack("").check_account("a\nb").0, USER_UNKNOWN);
    assert!(daemon.heard().is_empty());
}

#[test]
fn r08_with_the_daemon_down_managed_users_are_refused_and_others_keep_their_way_in() {
    let machine = Machine::enter();
    for (args, user, code) in [
        ("", "alice", PERM_DENIED),
        ("", "bob", ACCOUNT_IGNORED),
        ("", "root", ACCOUNT_IGNORED),
        ("account_on_error=deny", "bob", PERM_DENIED),
        ("account_on_error=deny", "root", ACCOUNT_IGNORED),
        ("account_on_error=ignore", "alice", ACCOUNT_IGNORED),
    ] {
        assert_eq!(machine.stack(args).check_account(user).0, code, "{user} {args}");
    }
}

#[test]
fn r08_a_verdict_that_is_none_counts_as_no_verdict() {
    let wrong: [fn(&mut motley_proto::login::Done); 3] = [
        |done| done.result = LoginResult::Error,
        |done| done.nonce = Nonce::from_bytes([0; 16]),
        |done| done.user = motley_proto::LoginName::new("root").unwrap(),
    ];
    for twist in wrong {
        let machine = Machine::enter();
        let _daemon = Daemon::twisting(&machine, move |mut done| {
            twist(&mut done);
            done
        });
        assert_eq!(machine.stack("").check_account("alice").0, PERM_DENIED);
        assert_eq!(machine.stack("").check_account("bob").0, ACCOUNT_IGNORED);
    }
}

#[test]
fn r04_a_hanging_daemon_holds_a_key_login_no_longer_than_the_time_limit() {
    let machine = Machine::enter();
    let _daemon = Daemon::serve(&machine, |_stream, _| {
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    });
    let start = Instant::now();
    assert_eq!(machine.stack("timeout=1").check_account("bob").0, ACCOUNT_IGNORED);
    assert!((1000..3000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[test]
fn account_and_credentials_of_a_key_login_need_no_authentication_before() {
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    let mut transaction = machine.stack("").start("alice", &[]);
    assert_eq!(transaction.check_account(), SUCCESS);
    assert_eq!(transaction.open_session(), SUCCESS);
    assert_eq!(transaction.close_session(), SUCCESS);
    assert!(transaction.seen().is_empty());
}
