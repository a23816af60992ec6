//! Homes: made for the account, and never taken over from somebody else.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{AccountFacts, NewAccount, Task, TaskRefusal};
use motley_root::accounts::Accounts;
use std::{fs, os::unix::fs::MetadataExt};
use support::*;

fn create(accounts: &Accounts, name: &str, uid: u32) -> AccountFacts {
    account(accounts.carry_out(&Task::Create(plan(name, uid))))
}

#[test]
fn r25_what_stands_where_a_home_would_be_is_never_taken_over() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    fs::create_dir("/mnt/victim").unwrap();
    shell(
        "mkdir /home/a && chown 1500 /home/a; ln -s /mnt/victim /home/b; mkfifo /home/c; ln -s /nowhere /home/d; touch /home/e; mkdir /home/f && chown 5006 /home/f",
    );
    for (name, uid) in
        [("a", 5001), ("b", 5002), ("c", 5003), ("d", 5004), ("e", 5005), ("f", 5006)]
    {
        let refused = accounts.carry_out(&Task::Create(plan(name, uid)));
        assert_eq!(refused, Err(TaskRefusal::NameTaken(user(name))), "{name}");
        assert_eq!(inspect(&accounts, name), None);
    }
    assert_eq!(fs::metadata("/mnt/victim").unwrap().uid(), 0);
    assert_eq!(fs::read_dir("/mnt/victim").unwrap().count(), 0);
}

#[test]
fn r25_a_home_on_a_shared_file_system_is_kept_when_the_site_says_so() {
    if !enter() {
        return;
    }
    let mut setup = Setup::default();
    setup.limits.existing_homes = motley_root::guard::ExistingHomes::Keep;
    let accounts = open(setup);
    shell(
        "mkdir -m 700 /home/jdoe && echo x >/home/jdoe/mine && chown -R 5001 /home/jdoe; mkdir /home/b",
    );
    create(&accounts, "jdoe", 5001);
    assert_eq!(fs::read_to_string("/home/jdoe/mine").unwrap(), "x\n");
    assert!(accounts.carry_out(&Task::Create(plan("b", 5002))).is_err());
}

#[test]
fn r25_the_home_belongs_to_the_account_and_holds_the_skeleton() {
    if !enter() {
        return;
    }
    shell(
        "mkdir -p /etc/skel/.ssh && chmod 700 /etc/skel/.ssh && echo a >/etc/skel/.ssh/config && ln -s .profile /etc/skel/link && mkfifo /etc/skel/fifo && chmod 4755 /etc/skel/.profile && echo 'HOME_MODE 0700' >>/etc/login.defs",
    );
    let accounts = open(Setup::default());
    let facts = create(&accounts, "jdoe", 5001);
    let seen = |name: &str| {
        let meta = fs::symlink_metadata(format!("/home/jdoe/{name}")).unwrap();
        (meta.uid(), meta.gid(), meta.mode() & 0o7777)
    };
    let of = |mode| (5001, facts.gid, mode);
    assert_eq!(seen(""), of(0o700));
    assert_eq!((seen(".ssh"), seen(".ssh/config")), (of(0o700), of(0o644)));
    assert_eq!((seen("link"), seen(".profile")), (of(0o777), of(0o755)));
    assert!(!fs::exists("/home/jdoe/fifo").unwrap());
    assert_eq!(fs::read_dir("/home").unwrap().count(), 1);
}

#[test]
fn r25_a_base_that_others_can_write_is_refused() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    shell("chmod 1777 /home");
    let refused = accounts.carry_out(&Task::Create(plan("jdoe", 5001)));
    assert!(
        matches!(&refused, Err(TaskRefusal::Forbidden(why)) if why.contains("chmod go-w /home")),
        "{refused:?}"
    );
}

/// Whoever can rename it puts another directory in its place.
#[test]
fn r25_a_base_below_a_directory_that_others_can_write_is_refused() {
    if !enter() {
        return;
    }
    let mut setup = Setup::default();
    setup.limits.home_bases.insert(path("/home/lab/people"));
    let accounts = open(setup);
    let create = || {
        let plan = NewAccount { home_base: path("/home/lab/people"), ..plan("jdoe", 5001) };
        accounts.carry_out(&Task::Create(plan))
    };
    shell("mkdir -p /home/lab/people && chmod 755 /home/lab/people");
    for wrong in [
        "chmod 777 /home/lab",
        "chmod 775 /home/lab",
        "chmod 755 /home/lab && chown 1500 /home/lab",
    ] {
        shell(wrong);
        let refused = create();
        let named = matches!(&refused, Err(TaskRefusal::Forbidden(why)) if why.contains("chown root /home/lab "));
        assert!(named, "{wrong}: {refused:?}");
    }
    shell("chown root /home/lab");
    assert_eq!(account(create()).home, "/home/lab/people/jdoe");
}
