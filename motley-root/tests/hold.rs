//! What would start something for a suspended account: held, put back, and nothing of others touched.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{ExpiryMarks, Held, Task, TaskAnswer, TaskDone, TaskRefusal};
use motley_root::{
    accounts::{Accounts, Asker},
    runner::{CommandRunner, Finished, Program, RunError, SystemRunner},
};
use std::{
    fs,
    io::Read,
    os::unix::{fs::chown, process::CommandExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::*;

const LINGER: &str = "/var/lib/systemd/linger/jdoe";
const CRONTAB: &str = "/var/spool/cron/crontabs/jdoe";
const AT_JOB: &str = "/var/spool/cron/atjobs/a0000101c2d3e4";

/// A logind that does what is asked, or not.
struct Logind {
    works: Arc<AtomicBool>,
}

impl CommandRunner for Logind {
    fn run(&self, program: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
        if program != Program::Loginctl {
            return SystemRunner::new(Path::new("/")).run(program, args, limit);
        }
        if !self.works.load(Ordering::SeqCst) {
            let complaint = "Could not disable linger: Connection timed out".to_owned();
            return Ok(Finished { status: Some(1), complaint });
        }
        match args {
            ["disable-linger", "--", name] => {
                fs::remove_file(Path::new(LINGER).with_file_name(name)).unwrap();
            }
            ["enable-linger", "--", name] => {
                fs::write(Path::new(LINGER).with_file_name(name), "").unwrap();
            }
            _ => {}
        }
        Ok(Finished { status: Some(0), complaint: String::new() })
    }
}

/// An account with a crontab, a job of at and lingering services; the switch of its logind.
fn account_with_jobs() -> (Accounts, Arc<AtomicBool>) {
    // A spool of the sandbox: the host's must not be touched.
    nix::mount::mount(
        Some("tmpfs"),
        "/var/spool",
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        Some("mode=755"),
    )
    .unwrap();
    for directory in ["/var/spool/cron/crontabs", "/var/spool/cron/atjobs"] {
        fs::create_dir_all(directory).unwrap();
    }
    fs::create_dir_all("/var/lib/systemd/linger").unwrap();
    let (accounts, works) = restarted();
    account(accounts.carry_out(&Task::Create(plan("jdoe", 5001))));
    for path in [CRONTAB, AT_JOB] {
        fs::write(path, "job").unwrap();
        chown(path, Some(5001), Some(5001)).unwrap();
    }
    fs::write("/var/spool/cron/crontabs/localadmin", "job").unwrap();
    fs::write(LINGER, "").unwrap();
    (accounts, works)
}

fn restarted() -> (Accounts, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(true));
    let runner = Box::new(Logind { works: works.clone() });
    (open(Setup { runner, ..Setup::default() }), works)
}

fn hold(accounts: &Accounts) -> TaskAnswer {
    accounts.carry_out(&Task::Hold { identity: identity("jdoe"), name: user("jdoe") })
}

fn release(accounts: &Accounts) -> TaskAnswer {
    accounts.carry_out(&Task::Release { identity: identity("jdoe"), name: user("jdoe") })
}

fn there() -> [bool; 3] {
    [CRONTAB, AT_JOB, LINGER].map(|path| fs::exists(path).unwrap())
}

#[test]
fn r28_jobs_and_lingering_services_are_held_and_put_back_also_after_a_restart() {
    if !enter() {
        return;
    }
    let (accounts, _) = account_with_jobs();
    assert_eq!(hold(&accounts), Ok(TaskDone::Held(Held { jobs: 2, linger: true, left: 0 })));
    assert_eq!(there(), [false; 3]);
    assert!(fs::exists("/var/spool/cron/crontabs/localadmin").unwrap());
    assert_eq!(hold(&accounts), Ok(TaskDone::Held(Held::default())), "again");
    drop(accounts);
    let (accounts, _) = restarted();
    assert_eq!(release(&accounts), Ok(TaskDone::Released(Held { jobs: 2, linger: true, left: 0 })));
    assert_eq!(there(), [true; 3]);
    assert_eq!(release(&accounts), Ok(TaskDone::Released(Held::default())), "again");
}

#[test]
fn what_did_not_linger_before_does_not_linger_afterwards() {
    if !enter() {
        return;
    }
    let (accounts, _) = account_with_jobs();
    fs::remove_file(LINGER).unwrap();
    assert_eq!(hold(&accounts), Ok(TaskDone::Held(Held { jobs: 2, linger: false, left: 0 })));
    assert_eq!(
        release(&accounts),
        Ok(TaskDone::Released(Held { jobs: 2, linger: false, left: 0 }))
    );
    assert_eq!(there(), [true, true, false]);
}

#[test]
fn r28_jobs_that_were_made_while_sessions_ended_are_held_too() {
    if !enter() {
        return;
    }
    let (accounts, _) = account_with_jobs();
    hold(&accounts).unwrap();
    fs::write(CRONTAB, "made meanwhile").unwrap();
    fs::write(LINGER, "").unwrap();
    let task = Task::EndSessions { identity: identity("jdoe"), name: user("jdoe") };
    let Ok(TaskDone::Sessions(ended)) = accounts.carry_out(&task) else { panic!("no end") };
    assert_eq!((ended.jobs_held, ended.linger_ended), (1, true));
    assert_eq!(there(), [false; 3]);
    // The later crontab is the one that its owner wanted; the other is not lost.
    assert_eq!(release(&accounts), Ok(TaskDone::Released(Held { jobs: 2, linger: true, left: 1 })));
    assert_eq!(fs::read_to_string(CRONTAB).unwrap(), "made meanwhile");
    assert_eq!(
        fs::read_to_string("/var/spool/cron/.motley-held/jdoe-5001/crontab").unwrap(),
        "job"
    );
    // An account that is not held keeps its jobs when its sessions are ended.
    let Ok(TaskDone::Sessions(ended)) = accounts.carry_out(&task) else { panic!("no end") };
    assert_eq!((ended.jobs_held, there()), (0, [true; 3]));
}

#[test]
fn r28_a_logind_that_fails_is_told_of_holds_jobs_all_the_same_and_is_asked_again() {
    if !enter() {
        return;
    }
    let (accounts, works) = account_with_jobs();
    works.store(false, Ordering::SeqCst);
    let failed = hold(&accounts);
    assert!(
        matches!(&failed, Err(TaskRefusal::Failed { detail, .. }) if detail.contains("timed out")),
        "{failed:?}"
    );
    assert_eq!(there(), [false, false, true]);
    works.store(true, Ordering::SeqCst);
    assert_eq!(hold(&accounts), Ok(TaskDone::Held(Held { jobs: 0, linger: true, left: 0 })));
    works.store(false, Ordering::SeqCst);
    assert!(release(&accounts).is_err());
    assert_eq!(there(), [true, true, false]);
    works.store(true, Ordering::SeqCst);
    assert_eq!(release(&accounts), Ok(TaskDone::Released(Held { jobs: 0, linger: true, left: 0 })));
    assert_eq!(there(), [true; 3]);
}

/// Waits for so many looks at it.
struct Until(AtomicUsize);

impl Asker for Until {
    fn waits(&self) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

#[test]
fn r28_a_task_whose_asker_has_gone_when_its_turn_comes_changes_nothing() {
    if !enter() {
        return;
    }
    let (accounts, _) = account_with_jobs();
    let (identity, name) = (identity("jdoe"), user("jdoe"));
    let gone = |task: &Task| accounts.carry_out_for(task, &Until(AtomicUsize::new(0)));
    for task in [
        Task::Hold { identity: identity.clone(), name: name.clone() },
        Task::Expire { identity: identity.clone(), name: name.clone() },
        Task::Remove { identity: identity.clone(), name: name.clone() },
        Task::Create(plan("kim", 5002)),
    ] {
        assert_eq!(gone(&task), Err(TaskRefusal::Busy), "{task:?}");
    }
    assert_eq!(there(), [true; 3]);
    assert!(inspect(&accounts, "kim").is_none() && !inspect(&accounts, "jdoe").unwrap().expired);
    hold(&accounts).unwrap();
    let expire = Task::Expire { identity: identity.clone(), name: name.clone() };
    accounts.carry_out(&expire).unwrap();
    for task in [
        Task::Release { identity: identity.clone(), name: name.clone() },
        Task::Unexpire { identity, name, marks: ExpiryMarks::OfSuspensions },
    ] {
        assert_eq!(gone(&task), Err(TaskRefusal::Busy), "{task:?}");
    }
    assert_eq!(there(), [false; 3]);
    assert!(inspect(&accounts, "jdoe").unwrap().expired);
}

#[test]
fn r28_thousands_of_jobs_are_held_in_portions_and_the_next_try_goes_on() {
    if !enter() {
        return;
    }
    let (accounts, _) = account_with_jobs();
    for number in 0..2000 {
        let path = format!("/var/spool/cron/atjobs/b{number:05x}01c2d3e4");
        fs::write(&path, "job").unwrap();
        chown(&path, Some(5001), Some(5001)).unwrap();
    }
    let waiting = || fs::read_dir("/var/spool/cron/atjobs").unwrap().count();
    let task = Task::Hold { identity: identity("jdoe"), name: user("jdoe") };
    let broken_off = accounts.carry_out_for(&task, &Until(AtomicUsize::new(3)));
    assert_eq!(broken_off, Err(TaskRefusal::Busy));
    let rest = waiting();
    assert!(0 < rest && rest < 2001, "{rest}");
    let Ok(TaskDone::Held(held)) = hold(&accounts) else { panic!("not held") };
    assert_eq!((held.jobs as usize, waiting()), (rest, 0));
    let task = Task::Release { identity: identity("jdoe"), name: user("jdoe") };
    assert!(accounts.carry_out_for(&task, &Until(AtomicUsize::new(3))).is_err());
    assert!(0 < waiting() && waiting() < 2001);
    let Ok(TaskDone::Released(_)) = release(&accounts) else { panic!("not released") };
    assert_eq!((waiting(), there()), (2001, [true; 3]));
}

#[test]
fn r21_nothing_of_an_account_of_somebody_else_is_held() {
    if !enter() {
        return;
    }
    let (accounts, _) = account_with_jobs();
    for (subject, name) in [("x", "jdoe"), ("localadmin", "localadmin")] {
        let task = Task::Hold { identity: identity(subject), name: user(name) };
        assert_eq!(accounts.carry_out(&task), Err(TaskRefusal::NotManaged(user(name))));
    }
    assert_eq!(there(), [true; 3]);
    assert!(fs::exists("/var/spool/cron/crontabs/localadmin").unwrap());
}

#[test]
fn jobs_of_a_removed_account_are_gone_and_do_not_come_back_with_the_person() {
    if !enter() {
        return;
    }
    let (accounts, _) = account_with_jobs();
    hold(&accounts).unwrap();
    let task = Task::Remove { identity: identity("jdoe"), name: user("jdoe") };
    accounts.carry_out(&task).unwrap();
    account(accounts.carry_out(&Task::Create(plan("jdoe", 5001))));
    assert_eq!(release(&accounts), Ok(TaskDone::Released(Held::default())));
    assert_eq!(there(), [false; 3]);
    let archive = "/var/spool/cron/.motley-held/jdoe-5001-20270115T080000Z";
    assert_eq!(fs::read_dir(archive).unwrap().count(), 2);
}

#[test]
fn r28_when_an_account_is_taken_away_nothing_waits_any_more_when_its_sessions_are_told_to_end() {
    if !enter() {
        return;
    }
    let (accounts, _) = account_with_jobs();
    fs::write("/home/jdoe/seen", "").unwrap();
    chown("/home/jdoe/seen", Some(5001), Some(5001)).unwrap();
    let look = "trap 'ls -d /var/spool/cron/*/* /var/lib/systemd/linger/* >/home/jdoe/seen 2>/dev/null; exit' TERM
        echo ready; while :; do sleep 0.05; done";
    let mut session = std::process::Command::new("/bin/sh")
        .args(["-c", look])
        .stdout(std::process::Stdio::piped())
        .uid(5001)
        .gid(5001)
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    session.stdout.take().unwrap().read_exact(&mut ready).unwrap();
    let done = accounts.carry_out(&Task::Remove { identity: identity("jdoe"), name: user("jdoe") });
    assert!(matches!(done, Ok(TaskDone::Removed(_))), "{done:?}");
    session.wait().unwrap();
    let home = fs::read_dir("/home/.removed").unwrap().next().unwrap().unwrap().path();
    let seen = fs::read_to_string(home.join("seen")).unwrap();
    assert_eq!(seen, "/var/spool/cron/crontabs/localadmin\n");
    let held = "/var/spool/cron/.motley-held";
    let shelves: Vec<_> = fs::read_dir(held).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(shelves, [home.file_name().unwrap()], "where nothing is put back from");
}
