//! Homes against what may stand in their way.

use super::*;
use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
};

/// Directories of root's own; without root there is nobody whose home could be made.
fn base() -> Option<(tempfile::TempDir, HomeBase)> {
    if !nix::unistd::geteuid().is_root() {
        assert_ne!(std::env::var("REQUIRE_E2E").as_deref(), Ok("1"), "not root");
        eprintln!("SKIPPED: needs root to give files away");
        return None;
    }
    let outer = tempfile::tempdir().unwrap();
    fs::create_dir(outer.path().join("skel")).unwrap();
    fs::create_dir(outer.path().join("home")).unwrap();
    let base = HomeBase::open(&outer.path().join("home")).unwrap();
    Some((outer, base))
}

fn home(outer: &Path) -> (PathBuf, u32) {
    (outer.join("skel"), 54_321)
}

fn make(outer: &Path, base: &HomeBase, name: &str) -> Result<(), HomeError> {
    let (skel, uid) = home(outer);
    base.make(name, &NewHome { uid, gid: uid, mode: 0o700, skel: &skel })
}

#[test]
fn r25_a_draft_that_a_crash_left_is_replaced_and_its_links_are_not_followed() {
    let Some((outer, base)) = base() else { return };
    let draft = outer.path().join("home/.jdoe.new");
    fs::create_dir_all(draft.join("deep/er")).unwrap();
    fs::write(outer.path().join("victim"), "x").unwrap();
    symlink(outer.path(), draft.join("deep/link")).unwrap();
    make(outer.path(), &base, "jdoe").unwrap();
    assert!(!draft.exists());
    assert_eq!(fs::read_dir(outer.path().join("home/jdoe")).unwrap().count(), 0);
    assert!(outer.path().join("victim").exists());
}

#[test]
fn r25_hard_links_and_links_in_the_skeleton_lead_nowhere_else() {
    let Some((outer, base)) = base() else { return };
    let skel = outer.path().join("skel");
    fs::write(outer.path().join("secret"), "root's").unwrap();
    symlink(outer.path().join("secret"), skel.join("link")).unwrap();
    fs::write(skel.join("file"), "hello").unwrap();
    make(outer.path(), &base, "jdoe").unwrap();
    let made = outer.path().join("home/jdoe");
    assert!(fs::symlink_metadata(made.join("link")).unwrap().file_type().is_symlink());
    assert_eq!(fs::metadata(outer.path().join("secret")).unwrap().uid(), 0);
    assert_ne!(
        fs::metadata(made.join("file")).unwrap().ino(),
        fs::metadata(skel.join("file")).unwrap().ino()
    );
}

#[test]
fn r25_what_is_in_the_way_is_named_and_left_alone() {
    let Some((outer, base)) = base() else { return };
    fs::create_dir(outer.path().join("home/a")).unwrap();
    symlink("/", outer.path().join("home/b")).unwrap();
    for (name, what) in [("a", "a directory of uid 0"), ("b", "no directory")] {
        let error = make(outer.path(), &base, name).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    assert_eq!(fs::read_dir(outer.path().join("home")).unwrap().count(), 2);
}

#[test]
fn r25_removal_takes_only_a_home_of_that_uid() {
    let Some((outer, base)) = base() else { return };
    let (_, uid) = home(outer.path());
    fs::create_dir(outer.path().join("home/other")).unwrap();
    symlink(outer.path(), outer.path().join("home/link")).unwrap();
    make(outer.path(), &base, "jdoe").unwrap();
    fs::create_dir(outer.path().join("home/jdoe/sub")).unwrap();
    symlink(outer.path(), outer.path().join("home/jdoe/sub/out")).unwrap();
    for name in ["other", "link", "jdoe", "absent"] {
        base.remove(name, uid).unwrap();
    }
    let left = fs::read_dir(outer.path().join("home")).unwrap().count();
    assert_eq!((left, outer.path().join("skel").exists()), (2, true));
}

#[test]
fn a_site_without_a_skeleton_gets_empty_homes() {
    let Some((outer, base)) = base() else { return };
    fs::remove_dir(outer.path().join("skel")).unwrap();
    make(outer.path(), &base, "jdoe").unwrap();
    assert!(outer.path().join("home/jdoe").is_dir());
}

#[test]
fn r25_homes_are_deleted_in_turns_however_wide_and_deep_they_are() {
    let Some((outer, base)) = base() else { return };
    let shelf = base.open_shelf().unwrap();
    let at = outer.path().join("home").join(SHELF);
    for home in ["a.deleted", "b.deleted", "c"] {
        // Two chains, each deeper than anything that is opened at once, and names that are in the way.
        for chain in ["x", "y"] {
            fs::create_dir_all(at.join(home).join(format!("{chain}/").repeat(170))).unwrap();
        }
        for number in 0..300 {
            fs::write(at.join(home).join(format!(".motley-{number}")), "").unwrap();
        }
        symlink(outer.path(), at.join(home).join("link")).unwrap();
    }
    let once = delete(shelf.as_fd(), c"a.deleted", &at, Some(Instant::now())).unwrap();
    assert_eq!(once, Deletion::NotYet);
    base.delete_aside(".deleted", Duration::ZERO).unwrap();
    let left: Vec<_> = fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["c"]);
    assert!(outer.path().join("skel").exists());
}
