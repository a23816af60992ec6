//! Groups: what may be joined, and memberships that are not ours to take.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{AccountFacts, NewAccount, Task, TaskDone, TaskRefusal};
use motley_root::{
    accounts::Accounts,
    runner::{CommandRunner, Finished, Program, RunError, SystemRunner},
};
use std::{path::Path, time::Duration};
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
