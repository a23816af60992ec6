//! Tests of the account flow.

use super::*;
use crate::flow::script::{Stage, entry};

fn managed() -> Option<Entry> {
    Some(Entry { gecos: "6c61@https%3A%2F%2Fop.example%2F".to_owned(), ..entry(1000)? })
}

#[test]
fn the_daemon_is_asked_about_name_and_uid_and_its_word_holds() {
    for (result, ending) in [
        (LoginResult::Allow, Ending::Granted),
        (LoginResult::Unmanaged, Ending::NotOurs),
        (LoginResult::Suspended, Ending::Suspended),
        (LoginResult::Deny, Ending::Denied),
        (LoginResult::TooManyTries, Ending::Denied),
    ] {
        let mut stage = Stage::new().ends(result);
        assert_eq!(stage.check_account().ending, ending, "{result:?}");
        assert_eq!(stage.service.heard[0]["account"]["uid"], 1000);
        assert_eq!(stage.service.heard[0]["account"]["user"], "alice");
    }
}

#[test]
fn r08_a_suspended_user_is_told_so_in_the_daemons_words() {
    let mut stage =
        Stage::new().ends_with(LoginResult::Suspended, "alice", 7, Some("Suspended by CERT\n"));
    assert_eq!(stage.check_account().message.unwrap(), "Suspended by CERT\\u{a}");
    let mut stage = Stage::new().ends(LoginResult::Suspended);
    assert_eq!(stage.check_account().message.unwrap(), SUSPENDED_MESSAGE);
}

#[test]
fn r08_a_suspended_account_is_found_by_every_spelling_of_its_name() {
    for typed in ["ALICE", "alice@ad.example"] {
        let mut stage = Stage::new().ends(LoginResult::Suspended);
        (stage.user.name, stage.caller.user) = (typed.into(), typed.parse().unwrap());
        assert_eq!(stage.check_account().ending, Ending::Suspended, "{typed}");
        assert_eq!(stage.service.heard[0]["account"]["user"], "alice");
        let mut stage = Stage::new().ends_with(LoginResult::Allow, typed, 7, None);
        (stage.user.name, stage.caller.user) = (typed.into(), typed.parse().unwrap());
        assert_ne!(stage.check_account().ending, Ending::Granted, "{typed}");
    }
}

#[test]
fn accounts_that_can_not_be_ours_are_left_alone_without_a_question() {
    for account in [None, entry(0), entry(999)] {
        let mut stage = Stage::new().names([account]);
        assert_eq!(stage.check_account().ending, Ending::NotOurs);
        assert!(stage.service.heard.is_empty());
    }
    let mut stage = Stage::new().option(|it| it.skip_users.push("alice".to_owned()));
    assert_eq!(stage.check_account().ending, Ending::NotOurs);
    assert!(stage.service.heard.is_empty());
}

#[test]
fn r08_without_a_verdict_managed_accounts_are_refused_and_others_left_to_other_modules() {
    use OnError::{Deny, DenyManaged, Ignore};
    for (wish, account, ending) in [
        (DenyManaged, managed(), Ending::Unavailable),
        (DenyManaged, entry(1000), Ending::LetPass),
        (Deny, entry(1000), Ending::Unavailable),
        (Ignore, managed(), Ending::LetPass),
        (Deny, entry(0), Ending::NotOurs),
    ] {
        for stage in [
            Stage::new(),
            Stage::new().ends(LoginResult::Error),
            Stage::new().prompts(),
            Stage::new().ends_with(LoginResult::Allow, "bob", 7, None),
            Stage::new().ends_with(LoginResult::Allow, "alice", 8, None),
        ] {
            let mut stage = stage.names([account.clone()]).option(|it| it.account_on_error = wish);
            assert_eq!(stage.check_account().ending, ending, "{wish:?} {account:?}");
        }
    }
}

#[test]
fn r07_a_user_that_is_another_one_at_the_end_is_refused() {
    let mut stage = Stage::new().ends(LoginResult::Allow);
    stage.user.name = "bob".to_owned();
    assert_eq!(stage.check_account().ending, Ending::UserChanged);
}

#[test]
fn r08_a_name_service_that_fails_is_no_verdict() {
    for (wish, ending) in [
        (OnError::Deny, Ending::Unavailable),
        (OnError::DenyManaged, Ending::LetPass),
        (OnError::Ignore, Ending::LetPass),
    ] {
        let mut stage = Stage::new().option(|it| it.account_on_error = wish);
        stage.names.fail();
        assert_eq!(stage.check_account().ending, ending, "{wish:?}");
        assert!(stage.service.heard.is_empty());
    }
}
