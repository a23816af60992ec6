//! Tests of the login flow.

use super::*;
use crate::flow::script::{Stage, entry};

const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
const JUNK: &str = "\u{8}\n\r\u{7f}INCORRECT\u{8}\n\r\u{7f}INCORR";

#[test]
fn a_good_token_logs_in_after_one_prompt() {
    let mut stage = Stage::new().prompts().types(TOKEN).ends(LoginResult::Allow);
    let report = stage.log_in();
    assert_eq!(report.ending, Ending::Granted);
    assert_eq!(stage.user.saw, [("Access Token:".to_owned(), Echo::Off)]);
    let hello = &stage.service.heard[0]["hello"];
    assert_eq!(hello["user"], "alice");
    assert_eq!(hello["known"], true);
    assert_eq!(hello["rhost"], "192.0.2.1");
    assert_eq!(stage.service.heard[1]["answer"], TOKEN);
    assert_eq!(stage.waited(), 0);
    assert_eq!(report.message, None);
}

#[test]
fn a_message_of_the_daemon_is_shown_after_success_without_control_characters() {
    let mut stage = Stage::new().prompts().types(TOKEN).ends_with(
        LoginResult::Allow,
        "alice",
        7,
        Some("token ends soon\u{1b}[2J"),
    );
    assert_eq!(stage.log_in().message.unwrap(), "token ends soon\\u{1b}[2J");
}

#[test]
fn r32_wrong_unknown_suspended_and_shapeless_answers_are_told_the_same_after_the_same_time() {
    let cases = [
        Stage::new().prompts().types(TOKEN).ends(LoginResult::Deny),
        Stage::new().prompts().types(TOKEN).ends(LoginResult::Suspended),
        Stage::new().prompts().types(TOKEN).ends(LoginResult::Unmanaged),
        Stage::new().prompts().types(TOKEN).ends(LoginResult::Error),
        Stage::new().prompts().types(TOKEN).ends(LoginResult::TooManyTries),
        Stage::new().prompts().types(TOKEN),
        Stage::new().prompts().types(TOKEN).ends_with(LoginResult::Deny, "alice", 7, Some("why")),
        Stage::new().prompts().types("my password").ends(LoginResult::Deny),
        Stage::new().prompts().types(JUNK).ends(LoginResult::Deny).names([None]),
        Stage::new().prompts().types(JUNK).ends(LoginResult::Deny),
        Stage::new().prompts().types(TOKEN).ends(LoginResult::Deny).names([entry(999)]),
    ];
    for mut stage in cases {
        let report = stage.log_in();
        assert_ne!(report.ending, Ending::Granted);
        assert_eq!(report.message.as_deref(), Some(FAILURE_MESSAGE), "{report:?}");
        assert_eq!(stage.waited(), 2009, "{report:?}");
    }
}

#[test]
fn the_contact_is_part_of_the_message() {
    let mut stage = Stage::new()
        .option(|it| it.contact = Some("https://host.example/ssh".to_owned()))
        .prompts()
        .types(TOKEN)
        .ends(LoginResult::Deny);
    let message = stage.log_in().message.unwrap();
    assert_eq!(message, "OIDC login failed. See https://host.example/ssh");
}

#[test]
fn a_daemon_that_is_down_means_no_prompt_and_no_delay() {
    let mut stage = Stage::new().types(TOKEN);
    let report = stage.log_in();
    assert_eq!(report.ending, Ending::Unavailable);
    assert!(stage.user.saw.is_empty());
    assert_eq!((stage.waited(), report.message), (0, None));
}

#[test]
fn names_in_skip_users_are_left_alone_without_a_word() {
    let mut stage = Stage::new().option(|it| it.skip_users.push("alice".to_owned()));
    assert_eq!(stage.log_in().ending, Ending::NotOurs);
    assert!(stage.user.saw.is_empty() && stage.service.heard.is_empty());
}

#[test]
fn an_empty_answer_fails_at_once_and_the_daemon_is_not_asked() {
    for known in [entry(1000), None] {
        let mut stage = Stage::new().prompts().types("").names([known]);
        let report = stage.log_in();
        assert_eq!(report.ending, Ending::Denied);
        assert_eq!(stage.service.heard[1]["withheld"], "empty");
        assert_eq!(stage.waited(), 0);
        assert_eq!(report.message.as_deref(), Some(FAILURE_MESSAGE));
    }
}

#[test]
fn what_does_not_look_like_a_token_never_reaches_the_daemon() {
    for (answer, why) in [
        ("correct horse", "shape"),
        ("Tr0ub4dor", "shape"),
        ("eyJ.only-two", "shape"),
        ("p\u{e4}ssword", "shape"),
        (JUNK, "unknown_user"),
    ] {
        let mut stage = Stage::new().prompts().types(answer).ends(LoginResult::Allow);
        assert_eq!(stage.log_in().ending, Ending::Denied, "{answer:?}");
        assert_eq!(stage.service.heard[1]["withheld"], why, "{answer:?}");
        assert_eq!(stage.service.heard.len(), 2);
        assert!(!stage.heard().contains(answer));
    }
}

#[test]
fn bytes_that_are_no_text_never_reach_the_daemon() {
    let mut stage = Stage::new().prompts().ends(LoginResult::Deny);
    stage.user.types.push_back(b"\xff\xfe");
    assert_eq!(stage.log_in().ending, Ending::Denied);
    assert_eq!(stage.service.heard[1]["withheld"], "shape");
}

#[test]
fn an_answer_longer_than_any_token_stays_here() {
    let long: &'static str = "x".repeat(MAX_TOKEN_BYTES + 1).leak();
    let mut stage =
        Stage::new().prompts_with("Access Token:", Some(10)).types(long).ends(LoginResult::Deny);
    assert_eq!(stage.log_in().ending, Ending::Denied);
    assert_eq!(stage.service.heard[1]["withheld"], "shape");
}

#[test]
fn nothing_that_is_typed_for_an_unknown_or_system_account_leaves_the_process() {
    for account in [None, entry(0), entry(999)] {
        let mut stage =
            Stage::new().names([account.clone()]).prompts().types(TOKEN).ends(LoginResult::Allow);
        assert_eq!(stage.log_in().ending, Ending::Denied, "{account:?}");
        assert_eq!(stage.service.heard[0]["hello"]["known"], account.is_some());
        assert_eq!(stage.service.heard[1]["withheld"], "unknown_user");
        assert!(!stage.heard().contains(TOKEN));
    }
}

#[test]
fn opaque_tokens_are_sent_only_where_the_daemon_wants_them() {
    for (least, sent) in [(None, false), (Some(41), false), (Some(40), true)] {
        let token = "abcdefghijklmnopqrstuvwxyz0123456789-._~";
        let mut stage =
            Stage::new().prompts_with("Access Token:", least).types(token).ends(LoginResult::Allow);
        assert_eq!(stage.log_in().ending == Ending::Granted, sent, "{least:?}");
        assert_eq!(stage.heard().contains(token), sent, "{least:?}");
    }
}

#[test]
fn an_answer_of_1023_bytes_is_said_to_be_cut() {
    let cut: &'static str = format!("eyJ{}", "x".repeat(1020)).leak();
    let whole: &'static str = format!("eyJ.{}.x", "x".repeat(1017)).leak();
    for (answer, known) in [(cut, entry(1000)), (whole, entry(1000)), (cut, None)] {
        let mut stage = Stage::new().names([known]).prompts().types(answer).ends(LoginResult::Deny);
        let report = stage.log_in();
        assert!(report.reason.contains("probably cut by the ssh client"), "{}", report.reason);
        assert_eq!(report.message.unwrap(), format!("{FAILURE_MESSAGE} {CUT_HINT}"));
    }
    let mut stage = Stage::new().prompts().types(cut).ends(LoginResult::Deny);
    stage.log_in();
    assert_eq!(stage.service.heard[1]["withheld"], "cut");
    let mut stage = Stage::new().prompts().types(whole).ends(LoginResult::Allow);
    assert_eq!(stage.log_in().ending, Ending::Granted);
}

#[test]
fn chunks_are_sent_one_by_one_until_the_daemon_has_decided() {
    let mut stage = Stage::new()
        .option(|it| it.prompt = "Paste OIDC Access Token:".to_owned())
        .prompts()
        .types("oidc-chunk:1/3:eyJh")
        .prompts_with("Access Token (part 2):", None)
        .types("oidc-chunk:2/3:bGci")
        .prompts_with("Access Token (part 3):", None)
        .types("oidc-chunk:3/3:Oi.x.y")
        .ends(LoginResult::Allow);
    assert_eq!(stage.log_in().ending, Ending::Granted);
    let prompts: Vec<&str> = stage.user.saw.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(
        prompts,
        ["Paste OIDC Access Token:", "Access Token (part 2):", "Access Token (part 3):"]
    );
    assert_eq!(stage.service.heard[3]["answer"], "oidc-chunk:3/3:Oi.x.y");
}

#[test]
fn r03_a_daemon_that_asks_for_ever_is_cut_off() {
    let mut stage = Stage::new();
    for _ in 0..200 {
        stage = stage.prompts().types("oidc-chunk:1/2:x");
    }
    assert_eq!(stage.log_in().ending, Ending::BadReply);
    assert_eq!(stage.user.saw.len(), 100);
}

#[test]
fn r31_a_prompt_with_control_characters_is_escaped() {
    let mut stage = Stage::new().prompts_with("Code\n\u{1b}[31m:", None).types("");
    stage.log_in();
    assert_eq!(stage.user.saw[0].0, "Code\\u{a}\\u{1b}[31m:");
}

#[test]
fn a_verdict_about_another_name_or_question_is_a_bad_reply() {
    for (user, nonce) in [("bob", 7), ("alice", 8), ("Alice", 7)] {
        for result in [LoginResult::Allow, LoginResult::Deny] {
            let mut stage =
                Stage::new().prompts().types(TOKEN).ends_with(result, user, nonce, None);
            assert_eq!(stage.log_in().ending, Ending::BadReply, "{user} {nonce} {result:?}");
        }
    }
}

#[test]
fn a_name_service_that_fails_looks_like_an_unknown_name_and_is_named_in_the_log() {
    let mut stage = Stage::new().prompts().types(TOKEN).ends(LoginResult::Allow);
    stage.names.fail();
    let report = stage.log_in();
    assert_eq!(report.ending, Ending::Denied);
    assert!(report.reason.contains("EIO"), "{}", report.reason);
    assert!(!stage.heard().contains(TOKEN));
}

#[test]
fn allow_without_an_answer_is_a_bad_reply() {
    let mut stage = Stage::new().ends(LoginResult::Allow);
    assert_eq!(stage.log_in().ending, Ending::BadReply);
}

#[test]
fn too_many_tries_may_come_before_the_prompt_and_after_a_withheld_answer() {
    let mut stage = Stage::new().ends(LoginResult::TooManyTries);
    assert_eq!(stage.log_in().ending, Ending::TooManyTries);
    assert!(stage.user.saw.is_empty());
    let mut stage = Stage::new().prompts().types("password").ends(LoginResult::TooManyTries);
    assert_eq!(stage.log_in().ending, Ending::TooManyTries);
}

#[test]
fn r07_a_user_that_changed_during_the_dialogue_is_refused() {
    let mut stage = Stage::new().prompts().types(TOKEN).ends(LoginResult::Allow);
    stage.user.becomes = Some("bob");
    assert_eq!(stage.log_in().ending, Ending::UserChanged);
    assert_eq!(stage.waited(), 2009);
}

#[test]
fn a_name_whose_account_changed_during_the_login_is_refused() {
    for after in [None, entry(1001), entry(0)] {
        let mut stage = Stage::new()
            .names([entry(1000), after.clone()])
            .prompts()
            .types(TOKEN)
            .ends(LoginResult::Allow);
        assert_eq!(stage.log_in().ending, Ending::Denied, "{after:?}");
    }
}

#[test]
fn r09_a_token_opens_an_account_under_its_own_name_only() {
    let mut stage =
        Stage::new().prompts().types(TOKEN).ends_with(LoginResult::Allow, "bob", 7, None);
    (stage.user.name, stage.caller.user) = ("bob".to_owned(), "bob".parse().unwrap());
    assert_eq!(stage.log_in().ending, Ending::Denied);
    assert!(!stage.heard().contains(TOKEN));
}

#[test]
fn r09_a_daemon_that_lies_opens_no_local_account_where_an_identity_is_required() {
    let ours = Entry { gecos: "6c61@https%3A%2F%2Fop.example%2F".into(), ..entry(1000).unwrap() };
    let local = Entry { gecos: "Alice Admin,,,".into(), ..entry(1000).unwrap() };
    for (account, ending) in [(ours, Ending::Granted), (local, Ending::Denied)] {
        let mut stage = Stage::new()
            .option(|it| it.require_identity = true)
            .names([Some(account)])
            .prompts()
            .types(TOKEN)
            .ends(LoginResult::Allow);
        assert_eq!(stage.log_in().ending, ending);
        assert_eq!(stage.heard().contains(TOKEN), ending == Ending::Granted);
    }
}

#[test]
fn an_account_that_appears_during_the_login_has_to_come_again() {
    let mut stage =
        Stage::new().names([None, entry(1000)]).prompts().types(TOKEN).ends(LoginResult::Allow);
    assert_eq!(stage.log_in().ending, Ending::Denied);
}

#[test]
fn a_user_who_can_not_be_asked_is_a_conversation_error() {
    let mut stage = Stage::new().prompts();
    assert_eq!(stage.log_in().ending, Ending::NoAnswer);
    assert_eq!(stage.service.heard[1]["withheld"], "no_answer");
    assert_eq!(stage.waited(), 0);
}

#[test]
fn pass_non_token_hands_on_what_is_no_token_and_says_nothing() {
    let pass = |it: &mut Options| it.pass_non_token = true;
    let mut stage =
        Stage::new().option(pass).prompts().types("my password").ends(LoginResult::Deny);
    let report = stage.log_in();
    assert_eq!((report.ending, report.message), (Ending::Denied, None));
    assert_eq!(stage.user.authtok.as_deref(), Some("my password"));
    let mut stage = Stage::new().option(pass).prompts().types(TOKEN).ends(LoginResult::Deny);
    assert_eq!(stage.log_in().message, None);
    assert_eq!(stage.user.authtok, None, "a token must not reach other modules");
}

#[test]
fn a_code_leaves_the_process_only_where_codes_are_given_out() {
    for typed in ["k7dm-3xqp-9rtw-h2vn", "K7DM3XQP9RTWH2VN"] {
        let mut stage = Stage::new().prompts_for_codes().types(typed).ends(LoginResult::Allow);
        assert_eq!(stage.log_in().ending, Ending::Granted, "{typed}");
        let mut stage = Stage::new().prompts().types(typed).ends(LoginResult::Allow);
        assert_eq!(stage.log_in().ending, Ending::Denied, "{typed}");
        assert!(!stage.heard().contains(typed), "{typed}");
    }
}

#[test]
fn a_password_that_looks_like_a_code_still_reaches_the_modules_that_know_it() {
    let password = "k7dm3xqp9rtwh2vn";
    let pass = |it: &mut Options| it.pass_non_token = true;
    let stage = Stage::new().option(pass).prompts_for_codes().types(password);
    let mut stage = stage.ends(LoginResult::Deny);
    let report = stage.log_in();
    assert_eq!((report.ending, report.message), (Ending::Denied, None));
    assert_eq!(stage.user.authtok.as_deref(), Some(password));
}

#[test]
fn without_pass_non_token_no_answer_reaches_other_modules() {
    let mut stage = Stage::new().prompts().types("my password").ends(LoginResult::Deny);
    stage.log_in();
    assert_eq!(stage.user.authtok, None);
}

#[test]
fn an_earlier_password_is_taken_as_the_options_say() {
    use EarlierPassword::{Leave, Try, Use};
    for (wish, earlier, prompts, ending) in [
        (Leave, Some(TOKEN), 1, Ending::Granted),
        (Try, Some(TOKEN), 0, Ending::Granted),
        (Try, None, 1, Ending::Granted),
        (Use, Some(TOKEN), 0, Ending::Granted),
        (Use, None, 0, Ending::NoAnswer),
        (Try, Some("password"), 0, Ending::Denied),
    ] {
        let mut stage = Stage::new()
            .option(|it| it.earlier_password = wish)
            .prompts()
            .types(TOKEN)
            .ends(LoginResult::Allow);
        stage.user.authtok = earlier.map(str::to_owned);
        assert_eq!(stage.log_in().ending, ending, "{wish:?} {earlier:?}");
        assert_eq!(stage.user.saw.len(), prompts, "{wish:?} {earlier:?}");
    }
}

/// One thing that a daemon may say, good or bad, and what the user types if it is a prompt.
fn turn() -> impl proptest::strategy::Strategy<Value = (u8, usize, usize, usize)> {
    (0..3u8, 0..6usize, 0..2usize, 0..6usize)
}

proptest::proptest! {
    #[test]
    fn r09_only_allow_about_this_name_and_question_after_a_sent_answer_is_success(
        turns in proptest::collection::vec(turn(), 0..6),
        known in proptest::bool::ANY,
    ) {
        use LoginResult::{Allow, Deny, Error, Suspended, TooManyTries, Unmanaged};
        let results = [Allow, Deny, Suspended, Unmanaged, TooManyTries, Error];
        let answers = [TOKEN, "", "password", JUNK, "oidc-chunk:1/2:x", "a b"];
        let mut stage = Stage::new().names([known.then(|| entry(1000)).flatten()]);
        for &(kind, result, wrong, answer) in &turns {
            stage = match kind {
                0 | 1 => stage.prompts().types(answers[answer]),
                _ => stage.ends_with(results[result], ["alice", "bob"][wrong], 7, None),
            };
        }
        let granted = stage.log_in().ending == Ending::Granted;
        let verdict = turns.iter().position(|it| it.0 == 2);
        let asked = verdict.map_or(&turns[..], |end| &turns[..end]);
        let sent = |it: &(u8, usize, usize, usize)| matches!(it.3, 0 | 4);
        let expected = known
            && verdict.is_some_and(|end| turns[end].1 == 0 && turns[end].2 == 0)
            && !asked.is_empty()
            && asked.iter().all(sent);
        proptest::prop_assert_eq!(granted, expected);
    }
}
