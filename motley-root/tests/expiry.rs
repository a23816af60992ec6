//! Expiry dates that motley did not set: whose they are, and which of them a resumption lifts.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{ExpiryMarks, NewAccount, Task};
use motley_root::accounts::Accounts;
use std::fs;
use support::*;

const NAME: &str = "jdoe";

/// The ledger of an account that was made or adopted on day 20000.
fn created() -> Accounts {
    let accounts = open(Setup::default());
    account(accounts.carry_out(&Task::Create(plan(NAME, 5001))));
    accounts
}

fn adopted() -> Accounts {
    shell("useradd -M -g nogroup -u 1700 -c 'jdoe@https%3A%2F%2Fop.example%2F' jdoe");
    let accounts = open(Setup::default());
    accounts.carry_out(&adopt()).unwrap();
    accounts
}

fn adopt() -> Task {
    Task::Adopt { identity: identity(NAME), name: user(NAME) }
}

fn set_groups() -> Task {
    let (join, leave) = (vec![], vec![]);
    Task::SetGroups { identity: identity(NAME), name: user(NAME), join, leave }
}

fn set_shell() -> Task {
    Task::SetShell { identity: identity(NAME), name: user(NAME), shell: path("/bin/bash") }
}

/// Whether the account is expired afterwards, and its date.
fn expire(accounts: &Accounts) -> (bool, String) {
    let task = Task::Expire { identity: identity(NAME), name: user(NAME) };
    (account(accounts.carry_out(&task)).expired, date())
}

fn unexpire(accounts: &Accounts) -> (bool, String) {
    let task = Task::Unexpire {
        identity: identity(NAME),
        name: user(NAME),
        marks: ExpiryMarks::OfSuspensions,
    };
    (account(accounts.carry_out(&task)).expired, date())
}

fn lift_own(accounts: &Accounts) -> (bool, String) {
    let marks = ExpiryMarks::Own;
    let task = Task::Unexpire { identity: identity(NAME), name: user(NAME), marks };
    (account(accounts.carry_out(&task)).expired, date())
}

fn date() -> String {
    let text = fs::read_to_string("/etc/shadow").unwrap();
    let line = text.lines().find(|line| line.starts_with("jdoe:")).unwrap();
    line.split(':').nth(7).unwrap().to_owned()
}

fn active() -> (bool, String) {
    (false, String::new())
}

fn expired(day: &str) -> (bool, String) {
    (true, day.to_owned())
}

#[test]
fn a_suspension_by_the_python_stack_after_the_adoption_is_lifted() {
    if !enter() {
        return;
    }
    let accounts = adopted();
    // On the day of the adoption, on a later one, and days after it was done.
    for (suspended, resumed) in [(20_000, 20_000), (20_005, 20_005), (20_006, 20_090)] {
        set_today(suspended);
        shell(&format!("chage -E {suspended} jdoe"));
        assert!(inspect(&accounts, NAME).unwrap().expired);
        set_today(resumed);
        assert_eq!(unexpire(&accounts), active(), "{suspended}");
    }
}

#[test]
fn a_suspension_by_the_python_stack_is_lifted_from_a_created_account_and_after_a_restart() {
    if !enter() {
        return;
    }
    let accounts = created();
    set_today(20_005);
    shell("chage -E 20005 jdoe");
    drop(accounts);
    assert_eq!(unexpire(&open(Setup::default())), active());
}

#[test]
fn one_resumption_lifts_both_suspensions_whichever_came_first() {
    if !enter() {
        return;
    }
    let accounts = created();
    set_today(20_005);
    shell("chage -E 20005 jdoe");
    assert_eq!(expire(&accounts), expired("1"));
    assert_eq!(unexpire(&accounts), active());
    expire(&accounts);
    shell("chage -E 20005 jdoe");
    assert_eq!(unexpire(&accounts), active());
    // The admin's date below both comes back.
    shell("usermod -e 30000 jdoe");
    expire(&accounts);
    shell("chage -E 20005 jdoe");
    assert_eq!(unexpire(&accounts), (false, "30000".to_owned()));
}

#[test]
fn a_suspension_that_was_there_at_the_adoption_is_lifted_also_after_one_of_ours() {
    if !enter() {
        return;
    }
    shell("useradd -M -g nogroup -u 1700 -e 19500 -c 'jdoe@https%3A%2F%2Fop.example%2F' jdoe");
    let accounts = open(Setup::default());
    accounts.carry_out(&adopt()).unwrap();
    assert_eq!(expire(&accounts), expired("1"));
    assert_eq!(unexpire(&accounts), active());
}

#[test]
fn r21_a_contract_end_that_any_task_saw_ahead_is_never_lifted() {
    if !enter() {
        return;
    }
    let accounts = created();
    let expire = Task::Expire { identity: identity(NAME), name: user(NAME) };
    let unexpire_task = Task::Unexpire {
        identity: identity(NAME),
        name: user(NAME),
        marks: ExpiryMarks::OfSuspensions,
    };
    let seen_by =
        [adopt(), Task::Create(plan(NAME, 5001)), set_groups(), set_shell(), unexpire_task, expire];
    for (round, task) in (0..).zip(&seen_by) {
        let end = 20_010 + 10 * round;
        set_today(end - 5);
        shell(&format!("usermod -e {end} jdoe"));
        accounts.carry_out(task).unwrap();
        set_today(end + 1);
        assert_eq!(unexpire(&accounts), expired(&end.to_string()), "{task:?}");
    }
    // It stays the admin's below a mark of ours, and across a restart.
    drop(accounts);
    let accounts = open(Setup::default());
    assert_eq!(unexpire(&accounts), expired("20060"));
    assert_eq!(self::expire(&accounts), expired("1"));
    assert_eq!(unexpire(&accounts), expired("20060"));
}

#[test]
fn r21_a_contract_end_that_was_there_at_the_adoption_is_never_lifted() {
    if !enter() {
        return;
    }
    shell("useradd -M -g nogroup -u 1700 -e 20010 -c 'jdoe@https%3A%2F%2Fop.example%2F' jdoe");
    let accounts = open(Setup::default());
    accounts.carry_out(&adopt()).unwrap();
    set_today(20_010);
    assert_eq!(unexpire(&accounts), expired("20010"));
    assert_eq!(expire(&accounts), expired("1"));
    assert_eq!(unexpire(&accounts), expired("20010"));
}

#[test]
fn r21_a_contract_end_that_useradd_gave_is_never_lifted() {
    if !enter() {
        return;
    }
    fs::create_dir_all("/etc/default").unwrap();
    fs::write("/etc/default/useradd", "EXPIRE=2024-10-14\n").unwrap();
    let accounts = created();
    assert_eq!(date(), "20010");
    set_today(20_011);
    assert_eq!(unexpire(&accounts), expired("20010"));
}

#[test]
fn r21_a_date_before_the_account_was_in_the_ledger_is_the_local_admins() {
    if !enter() {
        return;
    }
    let accounts = adopted();
    set_today(20_005);
    for (line, day) in
        [("usermod -e 1 jdoe", "1"), ("chage -E 0 jdoe", "0"), ("chage -E 19999 jdoe", "19999")]
    {
        shell(line);
        assert_eq!(unexpire(&accounts), expired(day));
        assert_eq!(expire(&accounts), expired("1"));
        assert_eq!(unexpire(&accounts), expired(day));
    }
}

#[test]
fn r21_an_account_whose_day_is_not_on_record_keeps_every_date_but_ours() {
    if !enter() {
        return;
    }
    drop(created());
    let ledger = format!("{STATE}/ledger.jsonl");
    edit(&ledger, |text| text.replace(r#","day":20000"#, ""));
    let accounts = open(Setup::default());
    assert_eq!((expire(&accounts), unexpire(&accounts)), (expired("1"), active()));
    set_today(20_005);
    shell("chage -E 20005 jdoe");
    assert_eq!(unexpire(&accounts), expired("20005"));
    assert_eq!((expire(&accounts), unexpire(&accounts)), (expired("1"), expired("20005")));
}

#[test]
fn an_account_that_is_made_again_counts_from_its_new_day() {
    if !enter() {
        return;
    }
    let accounts = created();
    shell("userdel jdoe");
    set_today(20_100);
    let again = NewAccount { groups: vec![], ..plan(NAME, 5001) };
    accounts.carry_out(&Task::Create(again)).unwrap();
    shell("chage -E 20050 jdoe");
    assert_eq!(unexpire(&accounts), expired("20050"));
    shell("chage -E 20100 jdoe");
    assert_eq!(unexpire(&accounts), active());
}

#[test]
fn r28_of_several_suspensions_only_ours_is_lifted_where_only_ours_shall_be() {
    if !enter() {
        return;
    }
    let accounts = created();
    set_today(20_005);
    // Ours alone.
    expire(&accounts);
    assert_eq!(lift_own(&accounts), active());
    // An admin's alone, above ours, and below.
    shell("chage -E 20005 jdoe");
    assert_eq!(lift_own(&accounts), expired("20005"));
    assert_eq!(unexpire(&accounts), active());
    expire(&accounts);
    shell("chage -E 20005 jdoe");
    assert_eq!(lift_own(&accounts), expired("20005"));
    assert_eq!(unexpire(&accounts), active());
    shell("chage -E 20005 jdoe");
    expire(&accounts);
    assert_eq!(lift_own(&accounts), expired("20005"));
    assert_eq!(unexpire(&accounts), active());
    // A date to come comes back.
    shell("chage -E 30000 jdoe");
    expire(&accounts);
    assert_eq!(lift_own(&accounts), (false, "30000".to_owned()));
}

#[test]
fn r28_a_suspension_of_the_former_keeper_is_not_ours() {
    if !enter() {
        return;
    }
    shell("useradd -M -g nogroup -u 1700 -e 19500 -c 'jdoe@https%3A%2F%2Fop.example%2F' jdoe");
    let accounts = open(Setup::default());
    accounts.carry_out(&adopt()).unwrap();
    assert!(lift_own(&accounts).0);
    assert_eq!(unexpire(&accounts), active());
}
