//! Accounts survive parallel first logins and a death of the helper at any step.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{NewAccount, Task, TaskDone, TaskRefusal};
use motley_root::{
    accounts::{Accounts, Outcome},
    runner::{CommandRunner, Finished, Program, RunError, SystemRunner},
};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    thread,
    time::{Duration, Instant},
};
use support::{fate::doomed, *};

/// The account is there in all its parts, or in none.
fn require_whole_or_absent(plan: &NewAccount) {
    let line_in = |file: &str| {
        let text = fs::read_to_string(file).unwrap();
        text.lines().any(|line| line.starts_with(&format!("{}:", plan.name)))
    };
    let home = format!("/home/{}", plan.name);
    let owner = fs::symlink_metadata(&home).ok().map(|meta| (meta.is_dir(), meta.uid()));
    let parts =
        [line_in("/etc/passwd"), line_in("/etc/shadow"), owner == Some((true, plan.uid.get()))];
    assert!(parts == [true; 3] || parts == [false; 3], "{}: {parts:?}", plan.name);
    assert!(parts[0] || owner.is_none(), "{}: {owner:?}", plan.name);
    let drafts = fs::read_dir("/home")
        .unwrap()
        .flatten()
        .filter(|e| e.file_name().as_encoded_bytes()[0] == b'.');
    assert_eq!(drafts.count(), 0, "{}", plan.name);
}

/// A plan whose groups are its own, so that each run makes them anew.
fn own_plan(number: u32) -> NewAccount {
    NewAccount {
        primary_group: group(&format!("p{number}")),
        groups: vec![group(&format!("s{number}")), group(&format!("t{number}"))],
        ..plan(&format!("u{number}"), 5000 + number)
    }
}

#[test]
fn r24_a_crash_at_any_step_is_repaired_at_the_next_start() {
    if !enter() {
        return;
    }
    fate::be_quiet();
    let mut outcomes = BTreeSet::new();
    for steps in 0..100 {
        let plan = own_plan(steps);
        let accounts = doomed(usize::try_from(steps).unwrap());
        let lived =
            catch_unwind(AssertUnwindSafe(|| accounts.carry_out(&Task::Create(plan.clone()))));
        drop(accounts);
        let accounts = open(Setup::default());
        for recovered in accounts.recover() {
            outcomes.insert(format!("{:?}", recovered.result.unwrap()));
        }
        require_whole_or_absent(&plan);
        assert_eq!(account(accounts.carry_out(&Task::Create(plan.clone()))).groups.len(), 2);
        require_whole_or_absent(&plan);
        if lived.is_ok() {
            assert!(steps > 20, "only {steps} steps");
            let expected = [Outcome::Finished, Outcome::TakenBack].map(|o| format!("{o:?}"));
            assert_eq!(outcomes, BTreeSet::from(expected));
            return;
        }
    }
    panic!("creating an account never ended");
}

#[test]
fn r24_a_half_made_account_can_be_rolled_back_and_a_whole_one_can_not() {
    if !enter() {
        return;
    }
    let (owner, name) = (|| identity("u1"), || user("u1"));
    let roll_back = |accounts: &Accounts| {
        accounts.carry_out(&Task::RollBack { identity: owner(), name: name() })
    };
    let plan = own_plan(1);
    // 18 steps lead behind the making of the home.
    let accounts = doomed(18);
    let lived = catch_unwind(AssertUnwindSafe(|| accounts.carry_out(&Task::Create(plan.clone()))));
    assert!(lived.is_err());
    drop(accounts);
    let accounts = open(Setup::default());
    assert!(fs::read_to_string("/etc/passwd").unwrap().contains("u1:"));
    let stranger = Task::RollBack { identity: identity("x"), name: name() };
    assert_eq!(accounts.carry_out(&stranger), Err(TaskRefusal::NotManaged(name())));
    let expire = Task::Expire { identity: owner(), name: name() };
    assert_eq!(accounts.carry_out(&expire), Err(TaskRefusal::NotManaged(name())));
    assert_eq!(roll_back(&accounts), Ok(TaskDone::RolledBack));
    require_whole_or_absent(&plan);
    assert!(!fs::read_to_string("/etc/passwd").unwrap().contains("u1:"));
    // Name and uid existed for a moment: they stay with their identity.
    let other = NewAccount { identity: identity("x"), ..plan.clone() };
    assert_eq!(accounts.carry_out(&Task::Create(other)), Err(TaskRefusal::NameTaken(name())));
    account(accounts.carry_out(&Task::Create(plan)));
    assert!(matches!(roll_back(&accounts), Err(TaskRefusal::Forbidden(_))));
}

#[test]
fn r24_what_useradd_left_when_it_was_killed_is_repaired() {
    if !enter() {
        return;
    }
    let plan = own_plan(1);
    // The reservation is on disk, and then useradd gets as far as passwd.
    let accounts = doomed(0);
    let lived = catch_unwind(AssertUnwindSafe(|| accounts.carry_out(&Task::Create(plan.clone()))));
    assert!(lived.is_err());
    drop(accounts);
    let gecos = plan.identity.unique_id();
    edit("/etc/passwd", |text| text + &format!("u1:x:5001:65534:{gecos}:/home/u1:/bin/sh\n"));
    let accounts = open(Setup::default());
    assert_eq!(accounts.recover()[0].result, Ok(Outcome::TakenBack));
    require_whole_or_absent(&plan);
    assert_eq!(account(accounts.carry_out(&Task::Create(plan))).uid, 5001);
}

#[test]
fn r24_recovery_removes_no_home_because_the_account_files_are_busy() {
    struct Usermod(Option<Finished>);
    impl CommandRunner for Usermod {
        fn run(&self, p: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
            match p {
                Program::Usermod => Ok(self.0.clone().expect("killed here")),
                _ => SystemRunner::new(Path::new("/")).run(p, args, limit),
            }
        }
    }
    if !enter() {
        return;
    }
    let plan = own_plan(1);
    let accounts = open(Setup { runner: Box::new(Usermod(None)), ..Setup::default() });
    let lived = catch_unwind(AssertUnwindSafe(|| accounts.carry_out(&Task::Create(plan.clone()))));
    assert!(lived.is_err());
    drop(accounts);
    fs::write("/home/u1/mine", "x").unwrap();
    let complaint = "usermod: cannot lock /etc/group; try again later.".to_owned();
    let locked = Usermod(Some(Finished { status: Some(10), complaint }));
    let accounts = open(Setup { runner: Box::new(locked), ..Setup::default() });
    assert_eq!(accounts.recover()[0].result, Err(TaskRefusal::Busy));
    drop(accounts);
    let accounts = open(Setup::default());
    assert_eq!(accounts.recover()[0].result, Ok(Outcome::Finished));
    assert!(fs::exists("/home/u1/mine").unwrap());
}

#[test]
fn r24_recovery_leaves_an_account_alone_that_somebody_else_made_meanwhile() {
    if !enter() {
        return;
    }
    let plan = own_plan(1);
    let accounts = doomed(0);
    let lived = catch_unwind(AssertUnwindSafe(|| accounts.carry_out(&Task::Create(plan.clone()))));
    assert!(lived.is_err());
    drop(accounts);
    shell("useradd -m -g nogroup -u 5001 -c 'Local Person' u1");
    let accounts = open(Setup::default());
    assert_eq!(accounts.recover()[0].result, Ok(Outcome::TakenBack));
    assert!(fs::exists("/home/u1").unwrap());
    assert_eq!(inspect(&accounts, "u1").unwrap().identity, None);
    assert_eq!(accounts.carry_out(&Task::Create(plan)), Err(TaskRefusal::NameTaken(user("u1"))));
}

#[test]
fn r24_a_failing_step_takes_back_what_was_begun() {
    struct Failing;
    impl CommandRunner for Failing {
        fn run(
            &self,
            program: Program,
            args: &[&str],
            limit: Duration,
        ) -> Result<Finished, RunError> {
            match program {
                Program::Usermod => {
                    Ok(Finished { status: Some(12), complaint: "disk full".into() })
                }
                _ => SystemRunner::new(Path::new("/")).run(program, args, limit),
            }
        }
    }
    if !enter() {
        return;
    }
    let accounts = open(Setup { runner: Box::new(Failing), ..Setup::default() });
    let refused = accounts.carry_out(&Task::Create(own_plan(1)));
    let Err(TaskRefusal::Failed { step, detail }) = refused else { panic!("{refused:?}") };
    assert_eq!((step.as_str(), detail.as_str()), ("usermod", "exit status 12: disk full"));
    require_whole_or_absent(&own_plan(1));
    assert_eq!(inspect(&accounts, "u1"), None);
    assert!(accounts.recover().is_empty());
}

#[test]
fn r24_kill_9_at_any_moment_leaves_nothing_half_made_after_restart() {
    if !enter() {
        return;
    }
    for round in 0..30u32 {
        let plan = own_plan(round);
        let running = helper::Helper::start();
        let asking = {
            let plan = plan.clone();
            thread::spawn(move || helper::ask(&Task::Create(plan)))
        };
        // Spread over the whole time that a creation takes, in steps that never fall together.
        let until = Instant::now() + Duration::from_micros(u64::from(round * 7919 % 120_000));
        while Instant::now() < until {
            thread::sleep(Duration::from_micros(200));
        }
        running.kill();
        let answer = asking.join().unwrap();
        let running = helper::Helper::start();
        require_whole_or_absent(&plan);
        if matches!(answer, Some(Ok(_))) {
            assert!(
                fs::read_to_string("/etc/passwd").unwrap().contains(&format!("{}:", plan.name))
            );
        }
        let again = helper::ask(&Task::Create(plan.clone())).unwrap();
        assert_eq!(account(again).groups.len(), 2, "round {round}: {}", helper::log_text());
        require_whole_or_absent(&plan);
        assert_eq!(running.stop(), Some(0));
    }
}

#[test]
fn r24_a_hundred_first_logins_at_once_give_a_hundred_accounts() {
    if !enter() {
        return;
    }
    let _running = helper::Helper::start();
    let asking: Vec<_> = (0..100)
        .map(|n| {
            thread::spawn(move || helper::ask(&Task::Create(plan(&format!("u{n}"), 5000 + n))))
        })
        .collect();
    let made: Vec<_> = asking.into_iter().map(|a| account(a.join().unwrap().unwrap())).collect();
    let names: BTreeSet<_> = made.iter().map(|facts| facts.name.as_str()).collect();
    let uids: BTreeSet<_> = made.iter().map(|facts| facts.uid).collect();
    assert_eq!((names.len(), uids.len()), (100, 100));
    assert_eq!(fs::read_dir("/home").unwrap().count(), 100);
}

#[test]
fn r24_twenty_people_racing_for_one_name_and_uid_give_it_to_one() {
    if !enter() {
        return;
    }
    let _running = helper::Helper::start();
    let asking: Vec<_> = (0..20)
        .map(|n| {
            let plan = NewAccount { identity: identity(&format!("s{n}")), ..plan("pool001", 5001) };
            thread::spawn(move || helper::ask(&Task::Create(plan)).unwrap())
        })
        .collect();
    let answers: Vec<_> = asking.into_iter().map(|a| a.join().unwrap()).collect();
    let lost =
        answers.iter().filter(|a| **a == Err(TaskRefusal::NameTaken(user("pool001")))).count();
    assert_eq!((lost, answers.iter().filter(|a| a.is_ok()).count()), (19, 1), "{answers:?}");
}

#[test]
fn r24_twenty_first_logins_of_one_person_give_one_account() {
    if !enter() {
        return;
    }
    let _running = helper::Helper::start();
    let asking: Vec<_> = (0..20)
        .map(|n| {
            let name = format!("pool{:03}", n % 4);
            let plan = NewAccount { identity: identity("one"), ..plan(&name, 5000 + n % 4) };
            thread::spawn(move || helper::ask(&Task::Create(plan)).unwrap())
        })
        .collect();
    let mut names = BTreeSet::new();
    for answer in asking.into_iter().map(|a| a.join().unwrap()) {
        match answer {
            Ok(TaskDone::Account(facts)) => names.insert(facts.name),
            Err(TaskRefusal::IdentityHasAccount(name)) => names.insert(name),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(names.len(), 1);
    assert_eq!(fs::read_dir("/home").unwrap().count(), 1);
}
