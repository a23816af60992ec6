//! Primary groups: one that motley gave is replaced, one that the local admin chose never.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{AccountFacts, NewAccount, Task, TaskAnswer, TaskDone, TaskRefusal};
use motley_root::{
    accounts::Accounts,
    runner::{CommandRunner, Finished, Program, RunError, SystemRunner},
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, lchown},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};
use support::{fate::doomed, *};

fn create(accounts: &Accounts) -> AccountFacts {
    account(accounts.carry_out(&Task::Create(plan("jdoe", 5001))))
}

fn set(accounts: &Accounts, to: &str) -> TaskAnswer {
    let (identity, name) = (identity("jdoe"), user("jdoe"));
    accounts.carry_out(&Task::SetPrimaryGroup { identity, name, group: group(to) })
}

fn primary(facts: &AccountFacts) -> (&str, bool) {
    (facts.primary_group.as_deref().unwrap(), facts.managed_primary)
}

fn gid_of(path: &str) -> u32 {
    fs::symlink_metadata(path).unwrap().gid()
}

#[test]
fn r22_a_primary_group_that_motley_gave_is_replaced_and_takes_the_files_of_the_home_along() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    let before = create(&accounts);
    assert_eq!(primary(&before), ("wlcg", true));
    fs::write("/home/jdoe/thesis", "years").unwrap();
    fs::write("/home/jdoe/shared", "others").unwrap();
    lchown("/home/jdoe/thesis", Some(5001), Some(before.gid)).unwrap();
    lchown("/home/jdoe/shared", Some(5001), Some(1600)).unwrap();
    // A link that leads out of the home, to a file of the same group.
    fs::write("/mnt/outside", "").unwrap();
    lchown("/mnt/outside", Some(5001), Some(before.gid)).unwrap();
    std::os::unix::fs::symlink("/mnt/outside", "/home/jdoe/link").unwrap();
    let now = account(set(&accounts, "cms"));
    assert_eq!(primary(&now), ("cms", true));
    assert_ne!(now.gid, before.gid);
    assert_eq!(now.groups, ["atlas"]);
    assert_eq!((gid_of("/home/jdoe/thesis"), gid_of("/home/jdoe/shared")), (now.gid, 1600));
    assert_eq!(gid_of("/mnt/outside"), before.gid, "the link was followed");
    assert_eq!(account(set(&accounts, "cms")), now, "asked again");
    // A group of which it was a member by motley is its primary group alone from now on.
    let now = account(set(&accounts, "atlas"));
    assert_eq!((primary(&now), now.groups.len()), (("atlas", true), 0));
    assert!(now.managed_groups.is_empty());
}

#[test]
fn r22_a_primary_group_that_the_local_admin_chose_stays() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts);
    let leave_it = |what: &str| {
        let refused = set(&accounts, "cms");
        assert!(matches!(refused, Err(TaskRefusal::Forbidden(_))), "{what}: {refused:?}");
        assert!(!inspect(&accounts, "jdoe").unwrap().managed_primary, "{what}");
    };
    shell("usermod -g localteam jdoe");
    leave_it("another one");
    assert_eq!(inspect(&accounts, "jdoe").unwrap().gid, 1600);
    // Seen once, it is the admin's choice also when it is the old one again.
    shell("usermod -g wlcg jdoe");
    leave_it("the old one, by hand");
    assert!(!fs::read_to_string("/etc/group").unwrap().contains("cms:"), "made for nothing");
    drop(accounts);
    let accounts = open(Setup::default());
    assert!(!inspect(&accounts, "jdoe").unwrap().managed_primary, "the ledger forgot it");

    let gecos = identity("kim").unique_id();
    shell(&format!("useradd -m -g localteam -u 5002 -c '{gecos}' kim"));
    let (identity, name) = (identity("kim"), user("kim"));
    let adopt = Task::Adopt { identity: identity.clone(), name: name.clone() };
    assert!(!account(accounts.carry_out(&adopt)).managed_primary);
    let task = Task::SetPrimaryGroup { identity, name, group: group("cms") };
    assert!(matches!(accounts.carry_out(&task), Err(TaskRefusal::Forbidden(_))));
}

#[test]
fn r22_no_group_of_the_host_becomes_the_primary_one_and_no_other_account_is_touched() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    let before = create(&accounts);
    let refused = set(&accounts, "localteam");
    assert!(matches!(refused, Err(TaskRefusal::GroupForbidden { .. })), "{refused:?}");
    for (subject, name) in [("x", "jdoe"), ("jdoe", "localadmin")] {
        let (identity, name) = (identity(subject), user(name));
        let task = Task::SetPrimaryGroup { identity, name: name.clone(), group: group("cms") };
        assert_eq!(accounts.carry_out(&task), Err(TaskRefusal::NotManaged(name)));
    }
    assert_eq!(inspect(&accounts, "jdoe"), Some(before));
    // What is allowed by name may be it, as for a new account.
    assert_eq!(account(set(&accounts, "nogroup")).gid, 65_534);
}

#[test]
fn r24_a_death_at_any_step_leaves_a_primary_group_that_can_be_replaced() {
    if !enter() {
        return;
    }
    fate::be_quiet();
    let mut ended = Vec::new();
    for steps in 0..40u32 {
        let name = format!("u{steps}");
        let plan = NewAccount {
            primary_group: group(&format!("p{steps}")),
            groups: vec![],
            ..plan(&name, 5000 + steps)
        };
        let to = |number: u32| Task::SetPrimaryGroup {
            identity: plan.identity.clone(),
            name: plan.name.clone(),
            group: group(&format!("q{steps}-{number}")),
        };
        let accounts = open(Setup::default());
        account(accounts.carry_out(&Task::Create(plan.clone())));
        drop(accounts);
        let accounts = doomed(usize::try_from(steps).unwrap());
        let lived = catch_unwind(AssertUnwindSafe(|| accounts.carry_out(&to(1))));
        drop(accounts);
        let accounts = open(Setup::default());
        assert!(accounts.recover().is_empty());
        let facts = inspect(&accounts, &name).unwrap();
        assert!(facts.managed_primary, "{steps}: {facts:?}");
        ended.push(facts.primary_group.clone().unwrap().remove(0));
        // The local admin's hand counts again once it is settled.
        let facts = account(accounts.carry_out(&to(2)));
        assert_eq!(primary(&facts), (format!("q{steps}-2").as_str(), true));
        if lived.is_ok() {
            assert!(ended.contains(&'p') && ended.ends_with(&['q', 'q']), "{ended:?}");
            return;
        }
    }
    panic!("the primary group was never replaced: {ended:?}");
}

/// usermod, as far as `runs`, until its time is over.
struct Slow {
    runs: bool,
}

impl CommandRunner for Slow {
    fn run(&self, program: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
        let real = SystemRunner::new(Path::new("/"));
        if program != Program::Usermod || !args.contains(&"--gid") {
            return real.run(program, args, limit);
        }
        assert!(limit <= Duration::from_secs(3), "everybody waits for it: {limit:?}");
        if self.runs {
            real.run(program, args, limit)?;
        }
        Err(RunError::TooSlow { program: "usermod".to_owned(), seconds: limit.as_secs() })
    }
}

#[test]
fn r24_a_walk_that_outlasts_its_time_counts_as_done_once_passwd_shows_the_group() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts);
    drop(accounts);
    let accounts = open(Setup { runner: Box::new(Slow { runs: false }), ..Setup::default() });
    let refused = set(&accounts, "cms");
    assert!(matches!(refused, Err(TaskRefusal::Failed { .. })), "{refused:?}");
    assert_eq!(primary(&inspect(&accounts, "jdoe").unwrap()), ("wlcg", true));
    drop(accounts);
    let accounts = open(Setup { runner: Box::new(Slow { runs: true }), ..Setup::default() });
    assert_eq!(primary(&account(set(&accounts, "cms"))), ("cms", true));
    // What did not come about before was not taken for given.
    shell("usermod -g wlcg jdoe");
    let refused = set(&accounts, "atlas");
    assert!(matches!(refused, Err(TaskRefusal::Forbidden(_))), "{refused:?}");
    let groups = accounts.carry_out(&Task::SetGroups {
        identity: identity("jdoe"),
        name: user("jdoe"),
        join: vec![],
        leave: vec![group("atlas")],
    });
    assert!(matches!(groups, Ok(TaskDone::Groups { .. })));
}
