//! The ledger across restarts, torn writes and contradictions.

use super::*;
use motley_proto::{Issuer, Subject, task::AccountPath};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

fn directory() -> (tempfile::TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let state = outer.path().join("state");
    (outer, state)
}

fn identity(subject: &str) -> Identity {
    Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new(subject).unwrap())
}

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn group(text: &str) -> GroupName {
    GroupName::new(text).unwrap()
}

fn reserve(subject: &str, user: &str, uid: u32) -> Event {
    let plan = NewAccount {
        identity: identity(subject),
        name: name(user),
        uid: Uid::new(uid).unwrap(),
        primary_group: group("wlcg"),
        groups: vec![],
        shell: AccountPath::new("/bin/sh").unwrap(),
        home_base: AccountPath::new("/home").unwrap(),
    };
    Event::Reserved { plan, home: HomePlan::Make }
}

fn standing(ledger: &Ledger, subject: &str, user: &str, uid: u32) -> Result<bool, TaskRefusal> {
    let standing = ledger.book().standing(&identity(subject), &name(user), Uid::new(uid).unwrap());
    Ok(standing? == Standing::Free)
}

#[test]
fn what_was_recorded_is_there_after_a_restart() {
    let (_outer, state) = directory();
    let mut ledger = Ledger::open(&state).unwrap();
    let mark = ExpiryMark { set: 1, previous: Some(20_000) };
    for event in [
        Event::GroupReserved { group: group("wlcg") },
        Event::GroupMade { group: group("wlcg"), gid: 2000 },
        Event::GroupReserved { group: group("begun") },
        reserve("a", "jdoe", 5001),
        Event::Joined { name: name("jdoe"), group: group("wlcg") },
        Event::ExpiryAhead { name: name("jdoe"), day: 20_000 },
        Event::Created { name: name("jdoe"), day: Some(19_000), hook: false },
        Event::Expired { name: name("jdoe"), mark },
    ] {
        ledger.record(event).unwrap();
    }
    let before = ledger.book().account_named(&name("jdoe")).unwrap().1.clone();
    drop(ledger);
    let ledger = Ledger::open(&state).unwrap();
    let (owner, record) = ledger.book().account_named(&name("jdoe")).unwrap();
    assert_eq!((owner, record), (&identity("a"), &before));
    assert_eq!((record.expiry, record.stage.clone()), (Some(mark), Stage::Complete));
    assert_eq!((record.since, record.ahead.iter().next()), (Some(19_000), Some(&20_000)));
    assert_eq!(ledger.book().group(&group("wlcg")), Some(GroupStage::Made(2000)));
    assert_eq!(ledger.book().unfinished_groups(), [group("begun")]);
}

#[test]
fn lines_that_name_no_day_are_still_read() {
    let (_outer, state) = directory();
    let mut ledger = Ledger::open(&state).unwrap();
    ledger.record(reserve("a", "jdoe", 5001)).unwrap();
    drop(ledger);
    let path = state.join("ledger.jsonl");
    let old = fs::read_to_string(&path).unwrap()
        + "{\"created\":{\"name\":\"jdoe\"}}\n"
        + "{\"adopted\":{\"identity\":{\"issuer\":\"https://op.example\",\"subject\":\"b\"},\"name\":\"old\",\"uid\":5002}}\n";
    fs::write(&path, old).unwrap();
    let ledger = Ledger::open(&state).unwrap();
    for account in ["jdoe", "old"] {
        let (_, record) = ledger.book().account_named(&name(account)).unwrap();
        assert_eq!((record.stage.clone(), record.since), (Stage::Complete, None));
    }
}

#[test]
fn r23_names_and_uids_stay_bound_when_the_account_is_gone() {
    let (_outer, state) = directory();
    let mut ledger = Ledger::open(&state).unwrap();
    ledger.record(reserve("a", "jdoe", 5001)).unwrap();
    ledger.record(Event::RolledBack { name: name("jdoe") }).unwrap();
    assert_eq!(standing(&ledger, "b", "jdoe", 5002), Err(TaskRefusal::NameTaken(name("jdoe"))));
    let uid = Uid::new(5001).unwrap();
    assert_eq!(standing(&ledger, "b", "other", 5001), Err(TaskRefusal::UidTaken(uid)));
    assert_eq!(standing(&ledger, "a", "jdoe", 5001), Ok(false));
    assert_eq!(standing(&ledger, "a", "fresh", 5003), Ok(true));
    // Given up a second time, before it came to be: still its own.
    ledger.record(reserve("a", "jdoe", 5001)).unwrap();
    ledger.record(Event::Released { name: name("jdoe") }).unwrap();
    assert_eq!(standing(&ledger, "b", "jdoe", 5002), Err(TaskRefusal::NameTaken(name("jdoe"))));
}

#[test]
fn a_reservation_that_came_to_nothing_frees_name_and_uid() {
    let (_outer, state) = directory();
    let mut ledger = Ledger::open(&state).unwrap();
    ledger.record(reserve("a", "jdoe", 5001)).unwrap();
    assert_eq!(ledger.book().unfinished_accounts().len(), 1);
    ledger.record(Event::Released { name: name("jdoe") }).unwrap();
    assert_eq!(standing(&ledger, "b", "jdoe", 5001), Ok(true));
}

#[test]
fn r23_delete_and_return_a_thousand_times_never_gives_a_name_to_somebody_else() {
    let (_outer, state) = directory();
    let mut ledger = Ledger::open(&state).unwrap();
    for round in 0..1000 {
        ledger.record(reserve("a", "jdoe", 5001)).unwrap();
        ledger.record(Event::RolledBack { name: name("jdoe") }).unwrap();
        assert!(standing(&ledger, "b", "jdoe", 6000 + round).is_err());
        assert!(standing(&ledger, "b", &format!("u{round}"), 5001).is_err());
    }
}

#[test]
fn an_event_that_contradicts_is_not_written() {
    let (_outer, state) = directory();
    let mut ledger = Ledger::open(&state).unwrap();
    ledger.record(reserve("a", "jdoe", 5001)).unwrap();
    let before = fs::read(state.join("ledger.jsonl")).unwrap();
    for event in [
        reserve("b", "jdoe", 5002),
        reserve("b", "other", 5001),
        reserve("a", "other", 5003),
        Event::Created { name: name("other"), day: None, hook: false },
        Event::ExpiryAhead { name: name("other"), day: 20_000 },
        Event::Ledger { version: 2 },
    ] {
        assert!(ledger.record(event.clone()).is_err(), "{event:?}");
    }
    assert_eq!(fs::read(state.join("ledger.jsonl")).unwrap(), before);
}

#[test]
fn r24_a_line_torn_by_a_crash_is_cut_off_at_every_length() {
    let (_outer, state) = directory();
    let path = state.join("ledger.jsonl");
    let mut ledger = Ledger::open(&state).unwrap();
    ledger.record(reserve("a", "jdoe", 5001)).unwrap();
    drop(ledger);
    let whole = fs::read(&path).unwrap();
    let line = whole.split_inclusive(|b| *b == b'\n').nth(1).unwrap().to_vec();
    for length in 0..line.len() {
        let mut torn = whole.clone();
        torn.extend_from_slice(&line[..length]);
        fs::write(&path, &torn).unwrap();
        let mut ledger = Ledger::open(&state).unwrap();
        ledger.record(Event::Created { name: name("jdoe"), day: None, hook: false }).unwrap();
        drop(ledger);
        let ledger = Ledger::open(&state).unwrap();
        assert_eq!(ledger.book().account_named(&name("jdoe")).unwrap().1.stage, Stage::Complete);
    }
}

#[test]
fn a_damaged_ledger_stops_the_start_with_file_and_line() {
    let (_outer, state) = directory();
    drop(Ledger::open(&state).unwrap());
    let path = state.join("ledger.jsonl");
    for (line, part) in [
        ("rubbish\n", "ledger.jsonl:2: not an event"),
        ("{\"created\":{\"name\":\"jdoe\"}}\n", "ledger.jsonl:2: no account jdoe is recorded"),
        ("{\"ledger\":{\"version\":9}}\n", "ledger.jsonl:2: version 9"),
        ("{\"created\":{\"name\":\"root\"}}\n", "ledger.jsonl:2: not an event"),
    ] {
        fs::write(&path, format!("{{\"ledger\":{{\"version\":1}}}}\n{line}")).unwrap();
        let error = Ledger::open(&state).unwrap_err().to_string();
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn r33_a_ledger_that_others_can_reach_is_refused() {
    let (_outer, state) = directory();
    drop(Ledger::open(&state).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&state), mode(&state.join("ledger.jsonl"))), (0o700, 0o600));
    for (path, mode) in [(state.clone(), 0o750), (state.join("ledger.jsonl"), 0o644)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(Ledger::open(&state), Err(LedgerError::Ownership { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o700)).unwrap();
    }
}

#[test]
fn r25_a_ledger_that_is_a_link_is_not_followed() {
    let (outer, state) = directory();
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(outer.path().join("victim"), "untouched").unwrap();
    std::os::unix::fs::symlink(outer.path().join("victim"), state.join("ledger.jsonl")).unwrap();
    assert!(Ledger::open(&state).is_err());
    assert_eq!(fs::read_to_string(outer.path().join("victim")).unwrap(), "untouched");
}

#[test]
fn two_processes_never_write_one_ledger() {
    let (_outer, state) = directory();
    let _first = Ledger::open(&state).unwrap();
    assert!(matches!(Ledger::open(&state), Err(LedgerError::InUse { .. })));
}
