//! Groups: what may be joined, and memberships that are not ours to take.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{AccountFacts, NewAccount, Task, TaskDone, TaskRefusal};
use motley_root::{
    accounts::Accounts,
    database::{NameService, SystemNames, UserEntry},
    runner::{CommandRunner, Finished, Program, RunError, SystemRunner},
};
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::*;

fn create(accounts: &Accounts, name: &str, uid: u32) -> AccountFacts {
    account(accounts.carry_out(&Task::Create(plan(name, uid))))
}

#[test]
fn r22_a_claim_can_not_become_membership_of_a_local_group() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    for name in ["docker", "sudo", "shadow", "wheel", "adm", "lxd", "disk"] {
        assert!(motley_proto::GroupName::new(name).is_err(), "{name}");
    }
    for changed in [
        NewAccount { primary_group: group("localteam"), ..plan("jdoe", 5001) },
        NewAccount { groups: vec![group("localteam")], ..plan("jdoe", 5001) },
    ] {
        let refused = accounts.carry_out(&Task::Create(changed));
        assert!(matches!(refused, Err(TaskRefusal::GroupForbidden { .. })), "{refused:?}");
    }
    assert_eq!(inspect(&accounts, "jdoe"), None);
    create(&accounts, "jdoe", 5001);
    let join = Task::SetGroups {
        identity: identity("jdoe"),
        name: user("jdoe"),
        join: vec![group("localteam")],
        leave: vec![],
    };
    assert!(matches!(accounts.carry_out(&join), Err(TaskRefusal::GroupForbidden { .. })));
    assert_eq!(inspect(&accounts, "jdoe").unwrap().groups, ["atlas"]);
}

#[test]
fn r22_a_group_that_the_admin_made_again_by_hand_is_theirs() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    shell("gpasswd -d jdoe atlas >/dev/null && groupdel atlas && groupadd -g 1700 atlas");
    let join = Task::SetGroups {
        identity: identity("jdoe"),
        name: user("jdoe"),
        join: vec![group("atlas")],
        leave: vec![],
    };
    assert!(matches!(accounts.carry_out(&join), Err(TaskRefusal::GroupForbidden { .. })));
}

#[test]
fn nogroup_may_be_the_primary_group_and_listed_groups_may_be_joined() {
    if !enter() {
        return;
    }
    let mut setup = Setup::default();
    setup.limits.allowed_groups.insert(group("localteam"));
    let accounts = open(setup);
    let wanted = NewAccount {
        primary_group: group("nogroup"),
        groups: vec![group("localteam")],
        ..plan("jdoe", 5001)
    };
    let facts = account(accounts.carry_out(&Task::Create(wanted)));
    assert_eq!((facts.gid, facts.groups.as_slice()), (65_534, &["localteam".to_owned()][..]));
}

#[test]
fn memberships_given_by_the_local_admin_survive() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    shell("gpasswd -a jdoe localteam >/dev/null && gpasswd -a jdoe docker >/dev/null");
    let task = Task::SetGroups {
        identity: identity("jdoe"),
        name: user("jdoe"),
        join: vec![group("cms"), group("localteam")],
        leave: vec![group("atlas"), group("localteam"), group("cms")],
    };
    let Ok(TaskDone::Groups { joined, left, account }) = accounts.carry_out(&task) else {
        panic!("no groups")
    };
    // A group in which the account is already needs no right to join it; `join` wins over `leave`.
    assert_eq!((joined, left), (vec![group("cms")], vec![group("atlas")]));
    assert_eq!(account.groups, ["cms", "docker", "localteam"]);
    assert_eq!(account.managed_groups, [group("cms")]);
}

#[test]
fn a_membership_that_the_admin_ended_and_gave_again_is_theirs() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    let groups = |join, leave| {
        let task = Task::SetGroups { identity: identity("jdoe"), name: user("jdoe"), join, leave };
        accounts.carry_out(&task).unwrap()
    };
    shell("gpasswd -d jdoe atlas >/dev/null");
    groups(vec![], vec![]);
    shell("gpasswd -a jdoe atlas >/dev/null");
    groups(vec![], vec![group("atlas")]);
    assert_eq!(inspect(&accounts, "jdoe").unwrap().groups, ["atlas"]);
}

/// Removed by hand or gone from a directory, a person may live on in group(5) and gshadow(5): as a
/// member, as one by a line that only the C library can read, or as one who may add members.
#[test]
fn r22_a_name_that_a_group_still_lists_goes_to_nobody_new() {
    if !enter() {
        return;
    }
    edit("/etc/group", |text| {
        text.replace("docker:x:998:", "docker:x:998:ghost") + "power:x:997: odd\n"
    });
    edit("/etc/gshadow", |_| "sudo:*:chief:\nshadow:*::second\n".to_owned());
    let accounts = open(Setup::default());
    for name in ["ghost", "odd", "chief", "second"] {
        let refused = accounts.carry_out(&Task::Create(plan(name, 5001)));
        assert_eq!(refused, Err(TaskRefusal::NameTaken(user(name))), "{name}");
        assert_eq!(inspect(&accounts, name), None);
    }
    create(&accounts, "ghost2", 5001);
}

#[test]
fn r34_memberships_that_outlived_an_account_still_end_with_the_claim() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    // As vipw does it: the line goes, the memberships stay.
    let gone = |text: String| -> String {
        let stays = |line: &&str| !line.starts_with("jdoe:");
        text.lines().filter(stays).map(|line| line.to_owned() + "\n").collect()
    };
    edit("/etc/passwd", gone);
    edit("/etc/shadow", gone);
    let facts = create(&accounts, "jdoe", 5001);
    assert_eq!((facts.groups, facts.managed_groups), (vec!["atlas".into()], vec![group("atlas")]));
    let (identity, name) = (identity("jdoe"), user("jdoe"));
    let leave = Task::SetGroups { identity, name, join: vec![], leave: vec![group("atlas")] };
    accounts.carry_out(&leave).unwrap();
    assert_eq!(inspect(&accounts, "jdoe").unwrap().groups, [""; 0]);
}

/// Rules of pam_access(8) name people and groups alike, and userdel(8) removes both.
#[test]
fn r22_nobody_is_named_like_a_group_of_the_host() {
    if !enter() {
        return;
    }
    edit("/etc/group", |text| text + "shared:x:1700:\n");
    let mut setup = Setup::default();
    setup.limits.allowed_groups.insert(group("shared"));
    setup.runner = Box::new(NoJoining);
    let accounts = open(setup);
    for primary in ["shared", "wlcg"] {
        let named_so = NewAccount { primary_group: group(primary), ..plan("shared", 5001) };
        let refused = accounts.carry_out(&Task::Create(named_so));
        let groups = std::fs::read_to_string("/etc/group").unwrap();
        assert!(groups.contains("\nshared:x:1700:\n"), "rolled back with the account: {groups}");
        assert_eq!(refused, Err(TaskRefusal::NameTaken(user("shared"))), "{primary}");
    }
}

/// A host whose groupadd knows `a.b` for no name: the real one, given a name that it does not take.
struct Stricter;

impl CommandRunner for Stricter {
    fn run(&self, program: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
        let args: Vec<_> = args.iter().map(|arg| if *arg == "a.b" { "a b" } else { arg }).collect();
        SystemRunner::new(Path::new("/")).run(program, &args, limit)
    }
}

#[test]
fn a_group_whose_name_the_host_does_not_take_is_refused_alone() {
    if !enter() {
        return;
    }
    let accounts = open(Setup { runner: Box::new(Stricter), ..Setup::default() });
    let refused = |answer| match answer {
        Err(TaskRefusal::GroupForbidden { group, why }) => {
            assert_eq!((group.as_str(), why.contains("groupadd")), ("a.b", true), "{why}");
        }
        other => panic!("{other:?}"),
    };
    let with = |primary: &str, groups: &[&str]| NewAccount {
        primary_group: group(primary),
        groups: groups.iter().map(|name| group(name)).collect(),
        ..plan("jdoe", 5001)
    };
    refused(accounts.carry_out(&Task::Create(with("wlcg", &["atlas", "a.b"]))));
    refused(accounts.carry_out(&Task::Create(with("a.b", &["atlas"]))));
    assert_eq!(inspect(&accounts, "jdoe"), None);
    let facts = account(accounts.carry_out(&Task::Create(with("wlcg", &["atlas"]))));
    assert_eq!(facts.groups, ["atlas"]);
    let (identity, name) = (identity("jdoe"), user("jdoe"));
    let join = vec![group("cms"), group("a.b")];
    refused(accounts.carry_out(&Task::SetGroups { identity, name, join, leave: vec![] }));
    assert_eq!(inspect(&accounts, "jdoe").unwrap().groups, ["atlas"]);
}

/// Its groupadd does its work, and is ended for being slow all the same.
struct SlowGroups;

impl CommandRunner for SlowGroups {
    fn run(&self, program: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
        let done = SystemRunner::new(Path::new("/")).run(program, args, limit)?;
        match program {
            Program::Groupadd => {
                Err(RunError::TooSlow { program: "groupadd".to_owned(), seconds: limit.as_secs() })
            }
            _ => Ok(done),
        }
    }
}

#[test]
fn r24_a_group_that_came_to_be_though_groupadd_failed_is_known_as_made() {
    if !enter() {
        return;
    }
    let alone = NewAccount { groups: vec![], ..plan("jdoe", 5001) };
    let accounts = open(Setup { runner: Box::new(SlowGroups), ..Setup::default() });
    let refused = accounts.carry_out(&Task::Create(alone.clone()));
    assert!(matches!(refused, Err(TaskRefusal::Failed { .. })), "{refused:?}");
    assert_eq!(inspect(&accounts, "jdoe"), None);
    // Without that it would be a group of the host, which may not be used.
    let facts = account(accounts.carry_out(&Task::Create(alone)));
    assert_eq!(facts.primary_group.as_deref(), Some("wlcg"));
    let (identity, name) = (identity("jdoe"), user("jdoe"));
    let removed = accounts.carry_out(&Task::Remove { identity, name });
    let Ok(TaskDone::Removed(removal)) = removed else { panic!("{removed:?}") };
    assert_eq!(removal.group, Some(group("wlcg")));
}

/// The helper on a host whose groups have these gids.
fn open_with_gids(min: u32, max: u32, names: Box<dyn NameService>) -> Accounts {
    edit("/etc/login.defs", |text| {
        let others = text.lines().filter(|line| !line.starts_with("GID_M"));
        let others: String = others.map(|line| format!("{line}\n")).collect();
        format!("{others}GID_MIN {min}\nGID_MAX {max}\n")
    });
    open(Setup { names, ..Setup::default() })
}

/// Makes an account with this primary group alone, and yields its gid.
fn gid_of(accounts: &Accounts, number: u32) -> Result<u32, TaskRefusal> {
    let plan = NewAccount {
        primary_group: group(&format!("g{number}")),
        groups: vec![],
        ..plan(&format!("u{number}"), 5000 + number)
    };
    match accounts.carry_out(&Task::Create(plan))? {
        TaskDone::Account(facts) => Ok(facts.gid),
        other => panic!("{other:?}"),
    }
}

fn remove(accounts: &Accounts, number: u32) {
    let name = format!("u{number}");
    let (identity, name) = (identity(&name), user(&name));
    accounts.carry_out(&Task::Remove { identity, name }).unwrap();
}

#[test]
fn r23_new_groups_get_all_gids_of_the_hosts_range_that_were_never_given_and_no_other() {
    if !enter() {
        return;
    }
    // A group of the host at the end of the range, and one in its middle.
    edit("/etc/group", |text| text + "last:x:2005:\nmiddle:x:2003:\n");
    let accounts = open_with_gids(2000, 2005, Box::new(SystemNames));
    let first = gid_of(&accounts, 1).unwrap();
    remove(&accounts, 1);
    let mut given = vec![first];
    for number in 2..=4 {
        given.push(gid_of(&accounts, number).unwrap());
    }
    given.sort_unstable();
    assert_eq!(given, [2000, 2001, 2002, 2004]);
    let refused = gid_of(&accounts, 5).unwrap_err();
    let TaskRefusal::Failed { step, detail } = refused else { panic!("{refused:?}") };
    assert_eq!(step, "choose a gid");
    assert!(detail.contains("from 2000 to 2005") && detail.contains("GID_MAX"), "{detail}");
    assert_eq!(inspect(&accounts, "u5"), None);
    // Its own gid is the group's again, and a wider range has room.
    drop(accounts);
    let accounts = open_with_gids(2000, 2006, Box::new(SystemNames));
    assert_eq!(gid_of(&accounts, 1), Ok(first));
    remove(&accounts, 1);
    assert_eq!(gid_of(&accounts, 6), Ok(2006));
}

/// A directory that has a group for every gid.
struct Crowded(Arc<AtomicUsize>);

impl NameService for Crowded {
    fn user_named(&self, _: &str) -> io::Result<Option<UserEntry>> {
        Ok(None)
    }
    fn user_with_uid(&self, _: u32) -> io::Result<Option<UserEntry>> {
        Ok(None)
    }
    fn gid_of(&self, _: &str) -> io::Result<Option<u32>> {
        Ok(None)
    }
    fn gids_listing(&self, _: &str) -> io::Result<Vec<u32>> {
        Ok(Vec::new())
    }
    fn has_primary_user(&self, _: u32, _: &dyn Fn(&str) -> bool) -> io::Result<bool> {
        Ok(false)
    }
    fn group_with(&self, gid: u32) -> io::Result<Option<String>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Some(format!("d{gid}")))
    }
}

#[test]
fn r28_a_directory_full_of_groups_is_asked_so_many_questions_and_no_more() {
    if !enter() {
        return;
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let accounts = open_with_gids(1000, 60_000, Box::new(Crowded(Arc::clone(&asked))));
    gid_of(&accounts, 1).unwrap();
    remove(&accounts, 1);
    let before = asked.load(Ordering::Relaxed);
    let refused = gid_of(&accounts, 2);
    assert!(matches!(refused, Err(TaskRefusal::Failed { .. })), "{refused:?}");
    assert_eq!(asked.load(Ordering::Relaxed) - before, 200);
}

/// The installed programs, but usermod fails, so that a creation is rolled back.
struct NoJoining;

impl CommandRunner for NoJoining {
    fn run(&self, program: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
        if program == Program::Usermod {
            return Ok(Finished { status: Some(6), complaint: String::new() });
        }
        SystemRunner::new(Path::new("/")).run(program, args, limit)
    }
}
