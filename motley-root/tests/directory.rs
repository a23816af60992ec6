//! Accounts that a directory keeps: whose sessions are ended, and whose never.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{Task, TaskAnswer, TaskDone, TaskRefusal};
use motley_root::{
    accounts::Accounts,
    config::default_limits,
    defaults::SiteDefaults,
    guard::{DirectoryUids, Limits},
};
use std::{
    io::Read,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
};
use support::{directory::Directory, *};

const UID: u32 = 58_740;

fn limits() -> Limits {
    let directory_uids = DirectoryUids::Range(58_000..=58_999);
    Limits { directory_uids, ..default_limits(&SiteDefaults::read(Path::new("/"))) }
}

fn with(known: Option<(&'static str, u32)>, limits: Limits) -> Accounts {
    open(Setup { names: Box::new(Directory(known)), limits, ..Setup::default() })
}

fn end(accounts: &Accounts, subject: &str, name: &str) -> TaskAnswer {
    accounts.carry_out(&Task::EndSessions { identity: identity(subject), name: user(name) })
}

fn sleeper(uid: u32) -> Child {
    let mut command = Command::new("/bin/sleep");
    command.arg("600").uid(uid).gid(100).stdin(Stdio::null()).spawn().unwrap()
}

#[test]
fn sessions_of_an_account_that_a_directory_keeps_are_listed_and_ended() {
    if !enter() {
        return;
    }
    let accounts = with(Some(("kim", UID)), limits());
    let mut running = sleeper(UID);
    let task = Task::Sessions { identity: identity("kim"), name: user("kim") };
    let Ok(TaskDone::SessionList(list)) = accounts.carry_out(&task) else { panic!("no list") };
    assert_eq!(list.processes.len(), 1, "{list:?}");
    let Ok(TaskDone::Sessions(ended)) = end(&accounts, "kim", "kim") else { panic!("no end") };
    assert_eq!((ended.processes, ended.remaining), (1, 0));
    assert!(!running.wait().unwrap().success());
    assert_eq!(
        end(&accounts, "x", "nobody-here"),
        Err(TaskRefusal::NoSuchAccount(user("nobody-here")))
    );
}

#[test]
fn r28_a_process_under_another_effective_uid_is_ended_too() {
    if !enter() {
        return;
    }
    let accounts = with(Some(("kim", UID)), limits());
    // Dumpable again, so that its directory in /proc is its effective uid's and not root's.
    let script = format!(
        "import ctypes, os, time\nos.setresuid({UID}, {0}, {0})\n\
         ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\nprint(flush=True)\ntime.sleep(600)\n",
        UID + 1
    );
    let mut running = Command::new("/usr/bin/python3")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0];
    running.stdout.take().unwrap().read_exact(&mut ready).unwrap();
    let owner = std::fs::metadata(format!("/proc/{}", running.id())).unwrap().uid();
    assert_eq!(owner, UID + 1);
    let Ok(TaskDone::Sessions(ended)) = end(&accounts, "kim", "kim") else { panic!("no end") };
    assert_eq!((ended.processes, ended.remaining), (1, 0));
    assert!(!running.wait().unwrap().success());
}

#[test]
fn r21_nobody_of_a_directory_is_touched_without_a_range_or_outside_of_it() {
    if !enter() {
        return;
    }
    let none = || default_limits(&SiteDefaults::read(Path::new("/")));
    for (known, limits) in [
        (("kim", UID), none()),
        (("kim", 57_999), limits()),
        (("kim", 59_000), limits()),
        (("kim", 0), Limits { directory_uids: DirectoryUids::Range(0..=u32::MAX), ..none() }),
        (("kim", 65_534), Limits { directory_uids: DirectoryUids::Range(0..=u32::MAX), ..none() }),
    ] {
        let mut running = (known.1 > 1000).then(|| sleeper(known.1));
        let refused = end(&with(Some(known), limits), "kim", "kim");
        assert!(
            matches!(&refused, Err(TaskRefusal::Forbidden(why)) if why.contains("directory_uids")),
            "{known:?}: {refused:?}"
        );
        if let Some(child) = &mut running {
            assert!(child.try_wait().unwrap().is_none(), "{known:?}");
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

#[test]
fn r21_names_and_uids_of_the_local_files_and_of_the_ledger_are_none_of_a_directory() {
    if !enter() {
        return;
    }
    let wide = || Limits { directory_uids: DirectoryUids::Range(1000..=60_000), ..limits() };
    let own = open(Setup::default());
    account(own.carry_out(&Task::Create(plan("jdoe", 5001))));
    drop(own);
    // A local admin's name and uid, and those of another identity's account, gone or not.
    let local = end(&with(Some(("localadmin", 1500)), wide()), "x", "localadmin");
    assert_eq!(local, Err(TaskRefusal::NotManaged(user("localadmin"))));
    let shared = end(&with(Some(("kim", 1500)), wide()), "kim", "kim");
    assert!(matches!(shared, Err(TaskRefusal::Forbidden(_))), "{shared:?}");
    shell("userdel jdoe");
    let name = end(&with(Some(("jdoe", 7000)), wide()), "kim", "jdoe");
    assert_eq!(name, Err(TaskRefusal::NotManaged(user("jdoe"))));
    let uid = end(&with(Some(("kim", 5001)), wide()), "kim", "kim");
    assert!(matches!(uid, Err(TaskRefusal::Forbidden(_))), "{uid:?}");
    // The same person's account may have moved to the directory.
    let moved = end(&with(Some(("jdoe", 5001)), wide()), "jdoe", "jdoe");
    assert!(moved.is_ok(), "{moved:?}");
}

#[test]
fn r28_nobody_counts_as_gone_while_the_directory_does_not_answer() {
    if !enter() {
        return;
    }
    let silent = end(&with(None, limits()), "kim", "kim");
    assert!(matches!(silent, Err(TaskRefusal::Failed { .. })), "{silent:?}");
}
