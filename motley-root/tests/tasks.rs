//! Tasks on real account files with the real programs, in a private copy of /etc and /home.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{
    AccountFacts, ExpiryMarks, NewAccount, SessionsEnded, Task, TaskDone, TaskRefusal,
};
use motley_root::{
    accounts::Accounts,
    runner::{CommandRunner, Finished, Program, RunError, SystemRunner},
};
use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use support::*;

fn create(accounts: &Accounts, name: &str, uid: u32) -> AccountFacts {
    account(accounts.carry_out(&Task::Create(plan(name, uid))))
}

#[test]
fn a_created_account_is_what_was_asked_for() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    let facts = create(&accounts, "jdoe", 5001);
    assert_eq!(
        (facts.uid, facts.shell.as_str(), facts.home.as_str()),
        (5001, "/bin/bash", "/home/jdoe")
    );
    assert_eq!(facts.gecos, "jdoe@https%3A%2F%2Fop.example%2F");
    assert_eq!(facts.primary_group.as_deref(), Some("wlcg"));
    assert_eq!(
        (facts.groups.as_slice(), facts.managed_groups),
        (&["atlas".to_owned()][..], vec![group("atlas")])
    );
    assert_eq!((facts.expired, facts.identity), (false, Some(identity("jdoe"))));
    assert_eq!(inspect(&accounts, "jdoe").unwrap().uid, 5001);
    assert_eq!(inspect(&accounts, "nobody-here"), None);
    let mode = |path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(
        (mode("/etc/passwd"), mode("/etc/group"), mode("/etc/shadow")),
        (0o644, 0o644, 0o640)
    );
}

#[test]
fn names_with_dots_and_long_names_are_made() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "john.doe", 5001);
    create(&accounts, "_x2345678901234567890123456789.1", 5002);
}

#[test]
fn creating_again_changes_nothing_and_joins_what_is_new() {
    if !enter() {
        return;
    }
    let recorder = Recorder::new();
    let accounts = open(Setup { runner: Box::new(recorder.clone()), ..Setup::default() });
    create(&accounts, "jdoe", 5001);
    let before = recorder.calls.lock().unwrap().len();
    create(&accounts, "jdoe", 5001);
    assert_eq!(recorder.calls.lock().unwrap().len(), before);
    let more = NewAccount { groups: vec![group("cms")], ..plan("jdoe", 5001) };
    let facts = account(accounts.carry_out(&Task::Create(more)));
    assert_eq!(facts.groups, ["atlas", "cms"]);
}

#[test]
fn r21_accounts_that_motley_did_not_make_are_never_touched() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    let before = (fs::read("/etc/passwd").unwrap(), fs::read("/etc/shadow").unwrap());
    // root and nobody can't even be written as a task.
    for name in ["root", "nobody", "daemon", "sshd"] {
        let text = format!(
            r#"{{"expire":{{"identity":{{"issuer":"https://op.example","subject":"s"}},"name":"{name}"}}}}"#
        );
        assert!(serde_json::from_str::<Task>(&text).is_err(), "{name}");
    }
    let (identity, name) = (identity("localadmin"), user("localadmin"));
    let (i, n) = (|| identity.clone(), || name.clone());
    for task in [
        Task::Adopt { identity: i(), name: n() },
        Task::SetGroups {
            identity: i(),
            name: n(),
            join: vec![group("atlas")],
            leave: vec![group("localteam")],
        },
        Task::SetPrimaryGroup { identity: i(), name: n(), group: group("atlas") },
        Task::SetShell { identity: i(), name: n(), shell: path("/bin/sh") },
        Task::Expire { identity: i(), name: n() },
        Task::Unexpire { identity: i(), name: n(), marks: ExpiryMarks::OfSuspensions },
        Task::EndSessions { identity: i(), name: n() },
    ] {
        assert_eq!(accounts.carry_out(&task), Err(TaskRefusal::NotManaged(n())), "{task:?}");
    }
    assert_eq!(
        accounts.carry_out(&Task::RollBack { identity: i(), name: n() }),
        Ok(TaskDone::RolledBack)
    );
    assert_eq!(
        accounts.carry_out(&Task::Create(plan("localadmin", 5001))),
        Err(TaskRefusal::NameTaken(n()))
    );
    let taken = accounts.carry_out(&Task::Create(plan("jdoe", 1500)));
    assert!(matches!(taken, Err(TaskRefusal::UidTaken(_))), "{taken:?}");
    let after = (fs::read("/etc/passwd").unwrap(), fs::read("/etc/shadow").unwrap());
    assert!(before == after);
}

#[test]
fn r21_an_account_that_was_replaced_by_hand_is_not_managed_any_more() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    edit("/etc/passwd", |text| text.replace("jdoe:x:5001", "jdoe:x:0"));
    let refused =
        accounts.carry_out(&Task::Expire { identity: identity("jdoe"), name: user("jdoe") });
    assert_eq!(refused, Err(TaskRefusal::NotManaged(user("jdoe"))));
    assert_eq!(inspect(&accounts, "jdoe").unwrap().identity, None);
}

#[test]
fn r21_an_account_that_was_made_anew_by_hand_belongs_to_nobody_else() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    // useradd takes the highest uid again, once it is free.
    shell("userdel jdoe && useradd -M -u 5001 -g nogroup -s /bin/sh -c 'Jane Doe,,,' jdoe");
    let (i, n) = (|| identity("jdoe"), || user("jdoe"));
    let (join, leave) = (vec![group("atlas")], vec![]);
    for task in [
        Task::Adopt { identity: i(), name: n() },
        Task::SetGroups { identity: i(), name: n(), join, leave },
        Task::SetPrimaryGroup { identity: i(), name: n(), group: group("atlas") },
        Task::SetShell { identity: i(), name: n(), shell: path("/bin/bash") },
        Task::Unexpire { identity: i(), name: n(), marks: ExpiryMarks::OfSuspensions },
    ] {
        assert_eq!(accounts.carry_out(&task), Err(TaskRefusal::NotManaged(n())), "{task:?}");
    }
    let again = accounts.carry_out(&Task::Create(plan("jdoe", 5001)));
    assert_eq!(again, Err(TaskRefusal::NameTaken(n())));
    let facts = inspect(&accounts, "jdoe").unwrap();
    assert_eq!((facts.identity, facts.shell.as_str(), facts.groups), (None, "/bin/sh", vec![]));
    // What shuts people out works all the same: nobody escapes it by a change of the comment.
    let expired = accounts.carry_out(&Task::Expire { identity: i(), name: n() });
    assert!(account(expired).expired);
}

#[test]
fn r23_a_retired_name_or_uid_never_goes_to_another_identity() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    shell("userdel -r jdoe 2>/dev/null");
    let other = |name: &str, uid| {
        let stranger = identity("somebody-else");
        accounts.carry_out(&Task::Create(NewAccount { identity: stranger, ..plan(name, uid) }))
    };
    assert_eq!(other("jdoe", 5002), Err(TaskRefusal::NameTaken(user("jdoe"))));
    assert!(matches!(other("other", 5001), Err(TaskRefusal::UidTaken(_))));
    // The same identity comes back to its own, and to nothing else.
    let elsewhere = NewAccount { identity: identity("jdoe"), ..plan("jdoe2", 5003) };
    let refused = accounts.carry_out(&Task::Create(elsewhere));
    assert_eq!(refused, Err(TaskRefusal::IdentityHasAccount(user("jdoe"))));
    assert_eq!(create(&accounts, "jdoe", 5001).uid, 5001);
}

#[test]
fn r23_the_ledger_wins_over_an_old_passwd_that_was_restored() {
    if !enter() {
        return;
    }
    let old: Vec<_> = ["passwd", "shadow", "group", "gshadow"]
        .map(|name| (name, fs::read(format!("/etc/{name}")).unwrap()))
        .into();
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    drop(accounts);
    for (name, content) in old {
        fs::write(format!("/etc/{name}"), content).unwrap();
    }
    let accounts = open(Setup::default());
    let stranger = NewAccount { identity: identity("stranger"), ..plan("jdoe", 5001) };
    assert_eq!(
        accounts.carry_out(&Task::Create(stranger)),
        Err(TaskRefusal::NameTaken(user("jdoe")))
    );
    // Its owner finds the home as it was left.
    fs::write("/home/jdoe/mine", "x").unwrap();
    assert_eq!(create(&accounts, "jdoe", 5001).identity, Some(identity("jdoe")));
    assert!(fs::exists("/home/jdoe/mine").unwrap());
}

#[test]
fn r23_one_identity_gets_one_account_also_when_the_ledger_is_lost() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    drop(accounts);
    fs::remove_dir_all(STATE).unwrap();
    let accounts = open(Setup::default());
    let second = NewAccount { identity: identity("jdoe"), ..plan("jdoe2", 5002) };
    let refused = accounts.carry_out(&Task::Create(second));
    assert_eq!(refused, Err(TaskRefusal::IdentityHasAccount(user("jdoe"))));
    assert_eq!(create(&accounts, "jdoe", 5001).identity, Some(identity("jdoe")));
}

#[test]
fn r26_every_program_gets_the_name_behind_two_dashes() {
    if !enter() {
        return;
    }
    let recorder = Recorder::new();
    let accounts = open(Setup { runner: Box::new(recorder.clone()), ..Setup::default() });
    create(&accounts, "jdoe", 5001);
    let (i, n) = (|| identity("jdoe"), || user("jdoe"));
    for task in [
        Task::SetGroups { identity: i(), name: n(), join: vec![], leave: vec![group("atlas")] },
        Task::SetPrimaryGroup { identity: i(), name: n(), group: group("cms") },
        Task::SetShell { identity: i(), name: n(), shell: path("/bin/sh") },
        Task::Expire { identity: i(), name: n() },
        Task::Unexpire { identity: i(), name: n(), marks: ExpiryMarks::OfSuspensions },
    ] {
        accounts.carry_out(&task).unwrap();
    }
    let calls = recorder.calls.lock().unwrap();
    let used: std::collections::BTreeSet<_> =
        calls.iter().map(|(program, _)| program.name()).collect();
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["groupadd", "useradd", "usermod"]);
    for (program, args) in calls.iter() {
        assert!(program.path().starts_with("/usr/"), "{program}");
        assert_eq!(args[args.len() - 2], "--", "{program} {args:?}");
    }
    let (_, args) = calls.iter().find(|(program, _)| *program == Program::Useradd).unwrap();
    assert_eq!(args.last().unwrap(), "jdoe");
}

#[test]
fn an_expired_account_says_so_and_gets_its_old_date_back() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    let task = |expire: &str| {
        let (identity, name) = (identity("jdoe"), user("jdoe"));
        let task = match expire {
            "expire" => Task::Expire { identity, name },
            _ => Task::Unexpire { identity, name, marks: ExpiryMarks::OfSuspensions },
        };
        account(accounts.carry_out(&task)).expired
    };
    let date = || {
        let text = fs::read_to_string("/etc/shadow").unwrap();
        let line = text.lines().find(|line| line.starts_with("jdoe:")).unwrap().to_owned();
        line.split(':').nth(7).unwrap().to_owned()
    };
    assert_eq!((task("expire"), date()), (true, "1".into()));
    assert_eq!((task("expire"), date()), (true, "1".into()));
    assert_eq!((task("unexpire"), date()), (false, "".into()));
    shell("usermod -e 30000 jdoe");
    assert_eq!((task("expire"), task("unexpire"), date()), (true, false, "30000".into()));
    // An expiry of the local admin's own is not lifted.
    shell("usermod -e 19000 jdoe");
    assert_eq!((task("unexpire"), date()), (true, "19000".into()));
    assert_eq!((task("expire"), task("unexpire"), date()), (true, true, "19000".into()));
    // Nor is the very day that usermod(8) recommends and that we use.
    shell("usermod -e 1 jdoe");
    assert_eq!((task("unexpire"), date()), (true, "1".into()));
    assert_eq!((task("expire"), task("unexpire"), date()), (true, true, "1".into()));
    // Nor is one that they set while ours was there.
    task("expire");
    shell("usermod -e 19001 jdoe");
    assert_eq!((task("unexpire"), date()), (true, "19001".into()));
}

#[test]
fn an_account_of_the_python_stack_is_adopted_by_its_gecos_field() {
    if !enter() {
        return;
    }
    shell(
        "groupadd old && useradd -m -g old -u 1700 -s /bin/bash -c 'sub-1@https%3A%2F%2Fop.example%2F,room 1,,' legacy && gpasswd -a legacy localteam >/dev/null",
    );
    let accounts = open(Setup::default());
    let adopt = |subject: &str| {
        accounts.carry_out(&Task::Adopt { identity: identity(subject), name: user("legacy") })
    };
    assert_eq!(adopt("sub-2"), Err(TaskRefusal::NotManaged(user("legacy"))));
    assert_eq!(adopt("sub"), Err(TaskRefusal::NotManaged(user("legacy"))));
    let facts = account(adopt("sub-1"));
    assert_eq!((facts.identity, facts.managed_groups.len()), (Some(identity("sub-1")), 0));
    assert_eq!(account(adopt("sub-1")).uid, 1700);
    assert_eq!(
        accounts.carry_out(&Task::Adopt { identity: identity("x"), name: user("gone") }),
        Err(TaskRefusal::NoSuchAccount(user("gone")))
    );
    assert!(
        account(
            accounts.carry_out(&Task::Expire { identity: identity("sub-1"), name: user("legacy") })
        )
        .expired
    );
}

#[test]
fn r21_accounts_outside_the_range_or_sharing_a_uid_are_not_adopted() {
    if !enter() {
        return;
    }
    shell(
        "useradd -M -g nogroup -u 900 -c 'a@https%3A%2F%2Fop.example%2F' a && useradd -M -g nogroup -u 61000 -c 'b@https%3A%2F%2Fop.example%2F' b && useradd -M -o -g nogroup -u 1500 -c 'c@https%3A%2F%2Fop.example%2F' c",
    );
    let accounts = open(Setup::default());
    for name in ["a", "b", "c"] {
        let refused =
            accounts.carry_out(&Task::Adopt { identity: identity(name), name: user(name) });
        assert!(matches!(refused, Err(TaskRefusal::Forbidden(_))), "{name}: {refused:?}");
    }
}

#[test]
fn an_account_that_was_suspended_when_it_was_adopted_can_be_resumed() {
    if !enter() {
        return;
    }
    shell("useradd -M -g nogroup -u 1700 -e 19500 -c 'sub-1@https%3A%2F%2Fop.example%2F' legacy");
    let accounts = open(Setup::default());
    let (i, n) = (|| identity("sub-1"), || user("legacy"));
    assert!(account(accounts.carry_out(&Task::Adopt { identity: i(), name: n() })).expired);
    assert!(
        !account(accounts.carry_out(&Task::Unexpire {
            identity: i(),
            name: n(),
            marks: ExpiryMarks::OfSuspensions
        }))
        .expired
    );
}

#[test]
fn shells_that_are_not_listed_are_refused() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    let set = |shell: &str| {
        let task =
            Task::SetShell { identity: identity("jdoe"), name: user("jdoe"), shell: path(shell) };
        accounts.carry_out(&task)
    };
    for shell in ["/bin/sh", "/usr/sbin/nologin", "/bin/bash"] {
        assert_eq!(account(set(shell)).shell, shell);
    }
    for shell in ["/tmp/evil", "/usr/bin/python3", "/home/jdoe/sh"] {
        assert!(matches!(set(shell), Err(TaskRefusal::Forbidden(_))), "{shell}");
    }
}

#[test]
fn all_processes_of_the_account_are_ended_also_stubborn_ones() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    // A uid that nobody on this host uses: the process table is not private here.
    create(&accounts, "jdoe", 58_731);
    let start = |line: &str| {
        Command::new("/bin/sh")
            .args(["-c", line])
            .uid(58_731)
            .gid(65_534)
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut children = [
        start("exec sleep 600"),
        start("trap '' TERM HUP; while :; do sleep 1; done"),
        start("kill -STOP $$; sleep 600"),
    ];
    let begun = Instant::now();
    let task = Task::EndSessions { identity: identity("jdoe"), name: user("jdoe") };
    let Ok(TaskDone::Sessions(SessionsEnded { sessions, processes, remaining, .. })) =
        accounts.carry_out(&task)
    else {
        panic!("no count")
    };
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert!(sessions >= 1 && processes >= 3, "{sessions} {processes}");
    assert_eq!(remaining, 0);
    for child in &mut children {
        assert!(!child.wait().unwrap().success());
    }
    let again = accounts.carry_out(&task);
    assert_eq!(again, Ok(TaskDone::Sessions(SessionsEnded::default())));
}

#[test]
fn locked_account_files_are_busy_and_leave_nothing_behind() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    let mut holder = Command::new("/bin/sleep").arg("600").spawn().unwrap();
    fs::write("/etc/passwd.lock", format!("{}\0", holder.id())).unwrap();
    let refused = accounts.carry_out(&Task::Create(plan("jdoe", 5001)));
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(refused, Err(TaskRefusal::Busy));
    assert_eq!(inspect(&accounts, "jdoe"), None);
    fs::remove_file("/etc/passwd.lock").unwrap();
    assert_eq!(create(&accounts, "jdoe", 5001).uid, 5001);
}

#[test]
fn a_lock_held_by_another_program_is_busy_in_bounded_time() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    let file = fs::File::create("/etc/.pwd.lock").unwrap();
    let whole = libc::flock {
        l_type: libc::F_WRLCK.try_into().unwrap(),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_OFD_SETLK(&whole)).unwrap();
    let begun = Instant::now();
    assert_eq!(accounts.carry_out(&Task::Create(plan("jdoe", 5001))), Err(TaskRefusal::Busy));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // The lock ends with the program; the second try finishes what the first began.
    drop(file);
    assert_eq!(create(&accounts, "jdoe", 5001).uid, 5001);
}

#[test]
fn r24_a_lock_that_is_given_back_in_time_is_waited_for_whichever_file_it_is_of() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    let files = ["passwd", "shadow", "group", "gshadow", "subuid", "subgid"];
    for (uid, file) in (5001..).zip(files) {
        let path = format!("/etc/{file}.lock");
        let holder = Command::new("/bin/sleep").arg("600").spawn().unwrap();
        fs::write(&path, format!("{}\0", holder.id())).unwrap();
        let given_back = thread::spawn(move || {
            let mut holder = holder;
            thread::sleep(Duration::from_millis(300));
            fs::remove_file(path).unwrap();
            holder.kill().unwrap();
            holder.wait().unwrap();
        });
        let begun = Instant::now();
        assert_eq!(create(&accounts, &format!("u{file}"), uid).uid, uid, "{file}");
        assert!(begun.elapsed() >= Duration::from_millis(300), "{file}: no lock was met");
        given_back.join().unwrap();
    }
}

/// The installed programs, but each finds a lock of some file taken at its first run.
struct LockedAtFirst(std::sync::Mutex<std::collections::HashSet<Program>>);

impl CommandRunner for LockedAtFirst {
    fn run(&self, program: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
        if self.0.lock().unwrap().insert(program) {
            let complaint = "cannot lock /etc/gshadow; try again later.".to_owned();
            return Ok(Finished { status: Some(10), complaint });
        }
        SystemRunner::new(Path::new("/")).run(program, args, limit)
    }
}

#[test]
fn r24_a_lock_of_the_group_files_is_waited_for_whichever_program_meets_it() {
    if !enter() {
        return;
    }
    let runner = Box::new(LockedAtFirst(Default::default()));
    let accounts = open(Setup { runner, ..Setup::default() });
    assert_eq!(create(&accounts, "jdoe", 5001).groups, ["atlas"]);
}

#[test]
fn looking_at_an_account_is_quick_among_fifty_thousand() {
    if !enter() {
        return;
    }
    let many = |line: fn(u32) -> String| (20_000..70_000).map(line).collect::<String>();
    edit("/etc/passwd", |text| {
        text + &many(|n| format!("u{n}:x:{n}:65534:s{n}@iss:/home/u{n}:/bin/sh\n"))
    });
    edit("/etc/shadow", |text| text + &many(|n| format!("u{n}:!:19000:0:99999:7:::\n")));
    let accounts = open(Setup::default());
    inspect(&accounts, "u30000");
    let begun = Instant::now();
    for n in 30_000..30_100 {
        assert_eq!(inspect(&accounts, &format!("u{n}")).unwrap().uid, n);
    }
    let each = begun.elapsed() / 100;
    assert!(each < Duration::from_millis(1), "{each:?}");
}
