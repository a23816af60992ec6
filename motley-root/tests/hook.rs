//! The site's script for new accounts: when it is run, as what, and what it can't break.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{HookRun, Task, TaskDone};
use motley_root::{
    accounts::Accounts,
    adapter::{LeavingHomes, Wishes},
    guard::ExistingHomes,
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};
use support::{directory::Directory, *};

const SCRIPT: &str = "/etc/new-account.sh";
const SAID: &str = "/run/said";

fn with_hook(path: &str) -> Setup {
    Setup { wishes: Wishes { hook: Some(path.into()), ..Wishes::default() }, ..Setup::default() }
}

fn write(path: &str, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn run(accounts: &Accounts, name: &str) -> HookRun {
    let task = Task::RunHook { identity: identity(name), name: user(name) };
    match accounts.carry_out(&task) {
        Ok(TaskDone::Hook(run)) => run,
        other => panic!("no run: {other:?}"),
    }
}

fn create(accounts: &Accounts, name: &str, uid: u32) {
    account(accounts.carry_out(&Task::Create(plan(name, uid))));
}

fn said() -> String {
    fs::read_to_string(SAID).unwrap_or_default()
}

#[test]
fn r26_the_script_is_run_once_for_each_creation_with_the_name_and_nothing_else() {
    if !enter() {
        return;
    }
    let script = "#!/bin/sh\n{ echo \"$# $1 $(id -u)\"; env | grep -v ^_= | sort; } >> /run/said\n";
    write(SCRIPT, script, 0o755);
    let accounts = open(with_hook(SCRIPT));
    create(&accounts, "jdoe", 5001);
    assert_eq!(said(), "", "not by the creation itself");
    assert_eq!(run(&accounts, "jdoe"), HookRun::Ended(Some(0)));
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(said(), format!("1 jdoe 0\n{path}\nPWD=/\n"));
    assert_eq!(run(&accounts, "jdoe"), HookRun::NotDue);
    create(&accounts, "jdoe", 5001);
    assert_eq!(run(&accounts, "jdoe"), HookRun::NotDue, "nothing was created");
    drop(accounts);
    let accounts = open(with_hook(SCRIPT));
    accounts.resume_hooks();
    assert_eq!(said().lines().count(), 3, "not again after a restart");
    // Who is made anew is greeted anew; an account that existed is not.
    accounts.carry_out(&Task::Remove { identity: identity("jdoe"), name: user("jdoe") }).unwrap();
    create(&accounts, "jdoe", 5001);
    assert_eq!(run(&accounts, "jdoe"), HookRun::Ended(Some(0)));
    shell("useradd -M -g nogroup -u 1700 -c 'kim@https%3A%2F%2Fop.example%2F' kim");
    accounts.carry_out(&Task::Adopt { identity: identity("kim"), name: user("kim") }).unwrap();
    assert_eq!(run(&accounts, "kim"), HookRun::NotDue);
}

#[test]
fn r24_a_script_that_a_crash_kept_from_being_run_is_run_at_the_next_start() {
    if !enter() {
        return;
    }
    write(SCRIPT, "echo \"$1\" >> /run/said\n", 0o644);
    let accounts = open(with_hook(SCRIPT));
    create(&accounts, "jdoe", 5001);
    drop(accounts);
    open(with_hook(SCRIPT)).resume_hooks();
    assert_eq!(said(), "jdoe\n");
    open(with_hook(SCRIPT)).resume_hooks();
    assert_eq!(said(), "jdoe\n");
}

#[test]
fn scripts_that_are_not_executable_are_read_by_their_interpreter() {
    if !enter() {
        return;
    }
    write(SCRIPT, "[[ $1 == jdoe ]] && exit 7\n", 0o600);
    write("/etc/new.py", "import sys\nsys.exit(len(sys.argv) + 40)\n", 0o600);
    write("/etc/new.pl", "exit 1\n", 0o600);
    for (path, expected) in [(SCRIPT, Some(7)), ("/etc/new.py", Some(42)), ("/etc/new.pl", None)] {
        let accounts = open(with_hook(path));
        create(&accounts, "jdoe", 5001);
        match (run(&accounts, "jdoe"), expected) {
            (HookRun::Ended(status), Some(_)) => assert_eq!(status, expected, "{path}"),
            (HookRun::Failed(why), None) => assert!(why.contains("chmod +x"), "{why}"),
            other => panic!("{path}: {other:?}"),
        }
        let task = Task::Remove { identity: identity("jdoe"), name: user("jdoe") };
        accounts.carry_out(&task).unwrap();
    }
}

#[test]
fn r25_a_second_asker_is_told_not_due_only_when_the_script_has_ended() {
    if !enter() {
        return;
    }
    write(SCRIPT, "#!/bin/sh\necho begun >> /run/said; sleep 1; echo ended >> /run/said\n", 0o755);
    let accounts = open(with_hook(SCRIPT));
    create(&accounts, "jdoe", 5001);
    std::thread::scope(|scope| {
        scope.spawn(|| accounts.resume_hooks());
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while said().is_empty() {
            assert!(std::time::Instant::now() < until, "it is not begun");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(run(&accounts, "jdoe"), HookRun::NotDue);
        assert_eq!(said(), "begun\nended\n");
    });
}

#[test]
fn r33_a_script_that_others_could_change_is_not_run() {
    if !enter() {
        return;
    }
    fs::create_dir("/etc/shared").unwrap();
    let script = "#!/bin/sh\necho ran >> /run/said\n";
    write("/etc/shared/new.sh", script, 0o755);
    write("/etc/own.sh", script, 0o755);
    write("/etc/loose.sh", script, 0o775);
    std::os::unix::fs::chown("/etc/own.sh", Some(1500), None).unwrap();
    fs::set_permissions("/etc/shared", fs::Permissions::from_mode(0o777)).unwrap();
    for (number, path) in
        (0u32..).zip(["/etc/shared/new.sh", "/etc/own.sh", "/etc/loose.sh", "new.sh", "/etc/none"])
    {
        let accounts = open(with_hook(path));
        let name = format!("user{number}");
        create(&accounts, &name, 5001 + number);
        let run = run(&accounts, &name);
        assert!(matches!(run, HookRun::Failed(_)), "{path}: {run:?}");
        assert!(inspect(&accounts, &name).is_some(), "the account stays");
    }
    assert!(!Path::new(SAID).exists());
}

#[test]
fn an_account_of_a_directory_is_greeted_once_too() {
    if !enter() {
        return;
    }
    use motley_root::{config::default_limits, defaults::SiteDefaults, guard::DirectoryUids};
    write(SCRIPT, "#!/bin/sh\necho \"$1\" >> /run/said; exit 3\n", 0o755);
    let mut limits = default_limits(&SiteDefaults::read(Path::new("/")));
    limits.directory_uids = DirectoryUids::Range(58_000..=58_999);
    limits.directory_hooks = true;
    let setup = |uid| Setup {
        limits: limits.clone(),
        names: Box::new(Directory(Some(("kim", uid)))),
        ..with_hook(SCRIPT)
    };
    assert_eq!(run(&open(setup(58_001)), "kim"), HookRun::Ended(Some(3)));
    assert_eq!(run(&open(setup(58_001)), "kim"), HookRun::NotDue);
    // A uid that changes there and back makes no account new again.
    assert_eq!(run(&open(setup(58_002)), "kim"), HookRun::Ended(Some(3)));
    assert_eq!(run(&open(setup(58_001)), "kim"), HookRun::NotDue);
    assert_eq!(said(), "kim\nkim\n");
}

#[test]
fn r27_the_daemons_word_alone_runs_no_script_for_accounts_of_a_directory() {
    if !enter() {
        return;
    }
    use motley_proto::task::TaskRefusal;
    use motley_root::{config::default_limits, defaults::SiteDefaults, guard::DirectoryUids};
    write(SCRIPT, "#!/bin/sh\necho \"$1\" >> /run/said\n", 0o755);
    let mut limits = default_limits(&SiteDefaults::read(Path::new("/")));
    limits.directory_uids = DirectoryUids::Range(58_000..=58_999);
    let names = Box::new(Directory(Some(("kim", 58_001))));
    let accounts = open(Setup { limits, names, ..with_hook(SCRIPT) });
    let task = Task::RunHook { identity: identity("kim"), name: user("kim") };
    let refused = accounts.carry_out(&task);
    assert!(
        matches!(&refused, Err(TaskRefusal::Forbidden(why)) if why.contains("directory_hooks = yes")),
        "{refused:?}"
    );
    assert_eq!(said(), "");
}

#[test]
fn r25_the_script_is_not_run_in_a_home_that_came_back_or_was_there_before() {
    if !enter() {
        return;
    }
    write(SCRIPT, "ln -s /etc/shadow /home/$1/link; echo \"$1\" >> /run/said\n", 0o644);
    let mut setup = with_hook(SCRIPT);
    setup.wishes.homes = LeavingHomes::Keep;
    setup.limits.existing_homes = ExistingHomes::Keep;
    let accounts = open(setup);
    create(&accounts, "jdoe", 5001);
    assert_eq!(run(&accounts, "jdoe"), HookRun::Ended(Some(0)));
    accounts.carry_out(&Task::Remove { identity: identity("jdoe"), name: user("jdoe") }).unwrap();
    create(&accounts, "jdoe", 5001);
    assert_eq!(run(&accounts, "jdoe"), HookRun::NotDue);
    shell("mkdir /home/kim && chown 5002 /home/kim");
    create(&accounts, "kim", 5002);
    assert_eq!(run(&accounts, "kim"), HookRun::NotDue);
    // A home that is gone is made anew, and so is greeted.
    accounts.carry_out(&Task::Remove { identity: identity("kim"), name: user("kim") }).unwrap();
    shell("rm -r /home/kim");
    create(&accounts, "kim", 5002);
    assert_eq!(run(&accounts, "kim"), HookRun::Ended(Some(0)));
    assert_eq!(said(), "jdoe\nkim\n");
}
