//! The rules of the guard, case by case.

use super::*;
use crate::{config::default_limits, database::Database, defaults::SiteDefaults};
use motley_proto::{Issuer, Subject};
use proptest::prelude::*;
use std::{path::Path, sync::Arc};

fn limits() -> Limits {
    let site = SiteDefaults {
        uid_min: 1000,
        uid_max: 60_000,
        gids: 1000..=60_000,
        home_mode: 0o700,
        skel: Path::new("/etc/skel").into(),
    };
    default_limits(&site)
}

fn groups(text: &str) -> Arc<Groups> {
    let root = tempfile::tempdir().unwrap();
    let etc = root.path().join("etc");
    std::fs::create_dir(&etc).unwrap();
    for (file, text) in [("passwd", ""), ("group", text), ("shadow", "")] {
        std::fs::write(etc.join(file), text).unwrap();
    }
    Database::new(root.path()).read().unwrap().groups
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

fn plan() -> NewAccount {
    NewAccount {
        identity: identity("sub"),
        name: UserName::new("jdoe").unwrap(),
        uid: Uid::new(5001).unwrap(),
        primary_group: group("wlcg"),
        groups: vec![],
        shell: AccountPath::new("/bin/bash").unwrap(),
        home_base: AccountPath::new("/home").unwrap(),
    }
}

fn identity(subject: &str) -> Identity {
    Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new(subject).unwrap())
}

fn entry(uid: u32, gecos: &str) -> UserEntry {
    let text = |text: &str| text.to_owned();
    UserEntry {
        name: text("jdoe"),
        uid,
        gid: 100,
        gecos: text(gecos),
        home: text("/home/jdoe"),
        shell: text("/bin/sh"),
    }
}

fn is_forbidden<T: std::fmt::Debug>(result: Result<T, TaskRefusal>) -> bool {
    matches!(result, Err(TaskRefusal::Forbidden(_) | TaskRefusal::GroupForbidden { .. }))
}

#[test]
fn r21_a_full_sweep_of_uids_finds_only_those_within_the_limits() {
    let limits = limits();
    for uid in 0..=70_000 {
        assert_eq!(check_uid(uid, &limits).is_ok(), (1000..=60_000).contains(&uid), "{uid}");
    }
    assert!(is_forbidden(check_uid(u32::MAX, &limits)));
    let wide = Limits { uids: 0..=u32::MAX, ..limits };
    for uid in [0, 1, 999, 61_184, 65_519, 65_534, 65_535, u32::MAX] {
        assert!(is_forbidden(check_uid(uid, &wide)), "{uid}");
    }
}

#[test]
fn a_plan_needs_a_listed_shell_and_a_configured_base() {
    let listed = BTreeSet::from(["/bin/bash".to_owned()]);
    assert!(check_plan(&plan(), &limits(), &listed).is_ok());
    assert!(is_forbidden(check_plan(&plan(), &limits(), &BTreeSet::new())));
    for base in ["/home/sub", "/root", "/etc", "/hom", "/homes"] {
        let odd = NewAccount { home_base: AccountPath::new(base).unwrap(), ..plan() };
        assert!(is_forbidden(check_plan(&odd, &limits(), &listed)), "{base}");
    }
}

#[test]
fn shells_that_let_nobody_in_are_always_allowed() {
    for shell in SHELLS_THAT_REFUSE {
        let shell = AccountPath::new(*shell).unwrap();
        assert!(check_shell(&shell, &limits(), &BTreeSet::new()).is_ok(), "{shell}");
    }
}

#[test]
fn r22_groups_that_exist_are_used_only_when_they_are_ours_or_listed() {
    let local = groups("localteam:x:1600:\nnogroup:x:65534:\negi-a:x:1700:\negi-sys:x:900:\n");
    let (book, plain) = (Book::default(), limits());
    let prefixed = Limits { group_prefix: "egi-".to_owned(), ..limits() };
    let check = |name: &str, elsewhere, limits: &Limits| {
        check_group(&group(name), &local, elsewhere, &book, limits)
    };
    assert_eq!(check("new", None, &plain), Ok(GroupStep::Make(None)));
    assert_eq!(check("nogroup", None, &plain), Ok(GroupStep::Use(65_534)));
    for name in ["localteam", "egi-a", "egi-sys"] {
        assert!(is_forbidden(check(name, None, &plain)), "{name}");
    }
    // Known to a directory only: still somebody else's.
    assert!(is_forbidden(check("new", Some(7000), &plain)));
    assert_eq!(check("egi-a", None, &prefixed), Ok(GroupStep::Use(1700)));
    assert_eq!(check("egi-new", None, &prefixed), Ok(GroupStep::Make(None)));
    for name in ["new", "localteam", "egi", "egi-sys"] {
        assert!(is_forbidden(check(name, None, &prefixed)), "{name}");
    }
    assert_eq!(check("nogroup", None, &prefixed), Ok(GroupStep::Use(65_534)));
}

#[test]
fn only_the_exact_text_before_the_first_comma_names_an_identity() {
    let own = identity("a,b").unique_id().as_str().to_owned();
    assert!(names_identity(&entry(5001, &own), &identity("a,b")));
    assert!(names_identity(&entry(5001, &format!("{own},room,phone")), &identity("a,b")));
    for odd in [format!(" {own}"), format!("x,{own}"), own.replace("%2C", ","), format!("{own}%2F")]
    {
        assert!(!names_identity(&entry(5001, &odd), &identity("a,b")), "{odd}");
    }
}

#[test]
fn r21_adoption_needs_identity_range_and_a_uid_of_its_own() {
    let (name, own) = (UserName::new("jdoe").unwrap(), identity("s"));
    let gecos = own.unique_id().as_str().to_owned();
    let check = |uid, gecos: &str, sharing| {
        check_adoption(&entry(uid, gecos), sharing, &own, &name, &limits())
    };
    assert_eq!(check(5001, &gecos, 1).map(Uid::get), Ok(5001));
    assert_eq!(check(5001, "Local Person", 1), Err(TaskRefusal::NotManaged(name.clone())));
    for (uid, sharing) in [(0, 1), (999, 1), (60_001, 1), (65_534, 1), (5001, 2)] {
        assert!(is_forbidden(check(uid, &gecos, sharing)), "{uid} {sharing}");
    }
}

proptest! {
    #[test]
    fn r22_no_name_outside_the_prefix_is_ever_made_or_joined(name in "[a-z_][a-z0-9_.-]{0,20}") {
        let prefixed = Limits { group_prefix: "egi-".to_owned(), ..limits() };
        if let Ok(group) = GroupName::new(name.clone()) {
            let step = check_group(&group, &Groups::default(), None, &Book::default(), &prefixed);
            prop_assert_eq!(step.is_ok(), name.starts_with("egi-") || name == "nogroup");
        }
    }
}
