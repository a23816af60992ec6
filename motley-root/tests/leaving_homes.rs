//! What the site wants of homes that people leave, and of keys in homes.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{HomeFate, NewAccount, Removal, Task, TaskAnswer, TaskDone, TaskRefusal};
use motley_root::{
    accounts::Accounts,
    adapter::{LeavingHomes, Wishes},
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};
use support::*;

const ASIDE: &str = "/home/.removed/jdoe-5001-20270115T080000Z";

fn remove(accounts: &Accounts, name: &str) -> TaskAnswer {
    accounts.carry_out(&Task::Remove { identity: identity(name), name: user(name) })
}

fn removed(answer: TaskAnswer) -> Removal {
    match answer {
        Ok(TaskDone::Removed(removal)) => removal,
        other => panic!("expected a removal, got {other:?}"),
    }
}

fn create(accounts: &Accounts, name: &str, uid: u32) {
    account(accounts.carry_out(&Task::Create(plan(name, uid))));
}

#[test]
fn r25_a_home_that_is_to_be_deleted_goes_whole_and_nothing_that_it_leads_to() {
    if !enter() {
        return;
    }
    let wishes = Wishes { homes: LeavingHomes::Remove, ..Wishes::default() };
    let accounts = open(Setup { wishes, ..Setup::default() });
    create(&accounts, "jdoe", 5001);
    fs::create_dir("/mnt/elsewhere").unwrap();
    fs::write("/mnt/elsewhere/kept", "").unwrap();
    symlink("/mnt/elsewhere", "/home/jdoe/link").unwrap();
    fs::hard_link("/mnt/elsewhere/kept", "/mnt/elsewhere/second").unwrap();
    // Deeper than anything that is opened at once, and with nobody's permission.
    let deep = format!("/home/jdoe{}", "/d".repeat(150));
    fs::create_dir_all(&deep).unwrap();
    fs::write(format!("{deep}/file"), "").unwrap();
    fs::set_permissions(&deep, fs::Permissions::from_mode(0o000)).unwrap();
    let removal = removed(remove(&accounts, "jdoe"));
    let aside = format!("{ASIDE}.deleted");
    assert_eq!(removal.home, HomeFate::Deleting(aside.clone()));
    assert!(fs::exists(&aside).unwrap() && !fs::exists("/home/jdoe").unwrap());
    // Homes that were put aside earlier are none of those.
    fs::create_dir("/home/.removed/kim-5002-20260101T000000Z").unwrap();
    assert!(accounts.delete_homes());
    let left: Vec<_> = fs::read_dir("/home/.removed").unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(fs::exists("/mnt/elsewhere/kept").unwrap());
    let other = accounts
        .carry_out(&Task::Create(NewAccount { identity: identity("x"), ..plan("jdoe", 5009) }));
    assert_eq!(other, Err(TaskRefusal::NameTaken(user("jdoe"))), "r23: the name stays its owner's");
}

#[test]
fn r25_a_file_system_in_a_home_that_is_to_be_deleted_stays() {
    if !enter() {
        return;
    }
    let wishes = Wishes { homes: LeavingHomes::Remove, ..Wishes::default() };
    let accounts = open(Setup { wishes, ..Setup::default() });
    create(&accounts, "jdoe", 5001);
    fs::create_dir("/home/jdoe/data").unwrap();
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("tmpfs"), "/home/jdoe/data", Some("tmpfs"), flags, None::<&str>)
        .unwrap();
    fs::write("/home/jdoe/data/kept", "").unwrap();
    removed(remove(&accounts, "jdoe"));
    assert!(!accounts.delete_homes(), "told of, and tried again");
    assert!(fs::exists(format!("{ASIDE}.deleted/data/kept")).unwrap());
}

#[test]
fn r25_a_mount_of_the_same_file_system_is_not_entered_and_all_beside_it_goes() {
    if !enter() {
        return;
    }
    let wishes = Wishes { homes: LeavingHomes::Remove, ..Wishes::default() };
    let accounts = open(Setup { wishes, ..Setup::default() });
    create(&accounts, "jdoe", 5001);
    shell(
        "mkdir /mnt/home/kept && echo x >/mnt/home/kept/file && cd /home/jdoe && mkdir -p a/b data && touch a/file z one && mount --bind /mnt/home/kept data && mount --bind /mnt/home/kept/file one",
    );
    let seen = |path: &str| fs::metadata(path).unwrap().dev();
    assert_eq!(seen("/home/jdoe/data"), seen("/home/jdoe"), "the device tells nothing");
    removed(remove(&accounts, "jdoe"));
    assert!(!accounts.delete_homes(), "told of, and tried again");
    let left = format!("{ASIDE}.deleted");
    let mut names: Vec<_> =
        fs::read_dir(&left).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["data", "one"]);
    assert_eq!(fs::read_to_string("/mnt/home/kept/file").unwrap(), "x\n");
    shell(&format!("umount {left}/data {left}/one"));
    assert!(accounts.delete_homes());
    assert!(!fs::exists(&left).unwrap() && fs::exists("/mnt/home/kept/file").unwrap());
}

#[test]
fn r25_a_mount_in_a_home_that_is_put_aside_goes_along_and_a_mounted_home_stays() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    create(&accounts, "kim", 5002);
    shell(
        "mkdir /mnt/home/kept && echo x >/mnt/home/kept/file && mkdir /home/jdoe/data && mount --bind /mnt/home/kept /home/jdoe/data && mount --bind /home/kim /home/kim",
    );
    assert_eq!(removed(remove(&accounts, "jdoe")).home, HomeFate::Archived(ASIDE.to_owned()));
    assert_eq!(fs::read_to_string(format!("{ASIDE}/data/file")).unwrap(), "x\n");
    assert_eq!(removed(remove(&accounts, "kim")).home, HomeFate::Left("/home/kim".to_owned()));
}

#[test]
fn r25_a_home_of_many_names_is_deleted_without_collecting_them() {
    if !enter() {
        return;
    }
    let wishes = Wishes { homes: LeavingHomes::Remove, ..Wishes::default() };
    let accounts = open(Setup { wishes, ..Setup::default() });
    create(&accounts, "jdoe", 5001);
    for number in 0..150_000 {
        fs::write(format!("/home/jdoe/a-name-of-some-length-{number}"), "").unwrap();
    }
    removed(remove(&accounts, "jdoe"));
    let resident = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = resident();
    assert!(accounts.delete_homes());
    let grown = resident() - before;
    assert!(grown < 4096, "{grown} KiB for names");
    assert!(!fs::exists(format!("{ASIDE}.deleted")).unwrap());
}

#[test]
fn a_home_that_is_to_be_kept_stays_without_the_keys_of_the_provider() {
    if !enter() {
        return;
    }
    let wishes = Wishes { homes: LeavingHomes::Keep, keys: true, ..Wishes::default() };
    let accounts = open(Setup { wishes, ..Setup::default() });
    create(&accounts, "jdoe", 5001);
    fs::write("/home/jdoe/thesis", "years").unwrap();
    let key =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGHyZ7T3gXm8T6wYyTqKwXkq0d2YcEoFJk1lJ0m3o0aB kim";
    let keys = vec![motley_proto::SshKey::new(key).unwrap()];
    let task = Task::SetKeys { identity: identity("jdoe"), name: user("jdoe"), keys };
    assert!(matches!(accounts.carry_out(&task), Ok(TaskDone::Keys(kept)) if kept.changed));
    let file = "/home/jdoe/.ssh/authorized_keys";
    assert!(fs::read_to_string(file).unwrap().contains(key));
    let removal = removed(remove(&accounts, "jdoe"));
    assert_eq!(removal.home, HomeFate::Left("/home/jdoe".to_owned()));
    assert_eq!(fs::read_to_string(file).unwrap(), "");
    assert_eq!(fs::read_to_string("/home/jdoe/thesis").unwrap(), "years");
    create(&accounts, "jdoe", 5001);
    assert_eq!(fs::metadata("/home/jdoe/thesis").unwrap().uid(), 0, "the home was not made anew");
}

#[test]
fn r25_keys_are_written_for_accounts_of_the_ledger_only_and_where_root_asks_for_them() {
    if !enter() {
        return;
    }
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGHyZ7T3gXm8T6wYyTqKwXkq0d2YcEoFJk1lJ0m3o0aB";
    let task = |subject: &str, name: &str| Task::SetKeys {
        identity: identity(subject),
        name: user(name),
        keys: vec![motley_proto::SshKey::new(key).unwrap()],
    };
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    let refused = accounts.carry_out(&task("jdoe", "jdoe"));
    assert!(matches!(refused, Err(TaskRefusal::Forbidden(_))), "{refused:?}");
    drop(accounts);
    let wishes = Wishes { keys: true, ..Wishes::default() };
    let accounts = open(Setup { wishes, ..Setup::default() });
    for (subject, name) in [("x", "jdoe"), ("localadmin", "localadmin")] {
        let refused = accounts.carry_out(&task(subject, name));
        assert_eq!(refused, Err(TaskRefusal::NotManaged(user(name))));
    }
    shell("usermod -d /etc jdoe");
    let elsewhere = accounts.carry_out(&task("jdoe", "jdoe"));
    assert!(matches!(elsewhere, Err(TaskRefusal::Forbidden(_))), "{elsewhere:?}");
    assert!(!fs::exists("/etc/.ssh").unwrap() && !fs::exists("/home/jdoe/.ssh").unwrap());
}
