//! Keys in homes: no mount is entered, and a home that does not answer keeps nobody else waiting.

#[allow(unreachable_pub)]
mod support;

use motley_proto::{
    SshKey,
    task::{Task, TaskAnswer, TaskDone, TaskRefusal},
};
use motley_root::{accounts::Accounts, adapter::Wishes};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{fs, os::fd::AsFd, thread, time::Duration};
use support::*;

const FILE: &str = "/home/jdoe/.ssh/authorized_keys";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGHyZ7T3gXm8T6wYyTqKwXkq0d2YcEoFJk1lJ0m3o0aB kim";

fn ready() -> Accounts {
    let wishes = Wishes { keys: true, ..Wishes::default() };
    let accounts = open(Setup { wishes, ..Setup::default() });
    account(accounts.carry_out(&Task::Create(plan("jdoe", 5001))));
    accounts
}

fn set_keys(accounts: &Accounts, keys: &[&str]) -> TaskAnswer {
    let keys = keys.iter().map(|key| SshKey::new(key).unwrap()).collect();
    accounts.carry_out(&Task::SetKeys { identity: identity("jdoe"), name: user("jdoe"), keys })
}

/// What is mounted may be a program of the owner's that never answers.
#[test]
fn r25_keys_are_not_written_into_a_mount_nor_read_from_one() {
    if !enter() {
        return;
    }
    let accounts = ready();
    assert!(set_keys(&accounts, &[KEY]).is_ok());
    let written = fs::read_to_string(FILE).unwrap();
    let refused = |what: &str| match set_keys(&accounts, &[]) {
        Err(TaskRefusal::Forbidden(why)) => {
            assert_eq!(why, format!("{what} is a mount, which is not entered"));
        }
        other => panic!("{what}: {other:?}"),
    };
    shell("mount -t tmpfs -o uid=5001,mode=700 own /home/jdoe/.ssh");
    refused(".ssh");
    shell("umount /home/jdoe/.ssh && mount --bind /home/jdoe/.ssh /home/jdoe/.ssh");
    refused(".ssh");
    shell(&format!("umount /home/jdoe/.ssh && mount --bind {FILE} {FILE}"));
    refused("authorized_keys");
    shell(&format!("umount {FILE}"));
    assert_eq!(fs::read_to_string(FILE).unwrap(), written);
    assert!(set_keys(&accounts, &[]).is_ok());
    assert_eq!(fs::read_to_string(FILE).unwrap(), "");
}

#[test]
fn r28_a_home_that_does_not_answer_keeps_no_suspension_waiting_and_no_key_outlives_the_account() {
    if !enter() {
        return;
    }
    let accounts = ready();
    account(accounts.carry_out(&Task::Create(plan("kim", 5002))));
    assert!(set_keys(&accounts, &[]).is_ok());
    shell("install -d -o 5001 -m 700 /home/jdoe/.ssh");
    let held = ffi::hold_opening("/home/jdoe/.ssh").unwrap();
    thread::scope(|scope| {
        let writing = scope.spawn(|| set_keys(&accounts, &[KEY]));
        let mut watched = [PollFd::new(held.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut watched, PollTimeout::from(20_000u16)), Ok(1), "it waits in the home");
        for name in ["kim", "jdoe"] {
            let (identity, name) = (identity(name), user(name));
            assert!(account(accounts.carry_out(&Task::Expire { identity, name })).expired);
        }
        let removing = scope.spawn(|| {
            let (identity, name) = (identity("jdoe"), user("jdoe"));
            accounts.carry_out(&Task::Remove { identity, name })
        });
        thread::sleep(Duration::from_millis(300));
        assert!(!removing.is_finished() && !writing.is_finished());
        assert!(fs::exists("/home/jdoe").unwrap(), "it waits for the keys");
        drop(held);
        assert!(matches!(writing.join().unwrap(), Ok(TaskDone::Keys(kept)) if kept.changed));
        let removed = removing.join().unwrap();
        assert!(matches!(removed, Ok(TaskDone::Removed(_))), "{removed:?}");
    });
    let aside = "/home/.removed/jdoe-5001-20270115T080000Z/.ssh/authorized_keys";
    assert_eq!(fs::read_to_string(aside).unwrap(), "", "keys that nobody vouches for");
}
