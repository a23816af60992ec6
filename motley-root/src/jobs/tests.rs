//! Jobs that are put aside and back, over a spool of the test.

use super::*;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::PathBuf,
};

const UID: u32 = 5001;
const JOB: &str = "a0000101c2d3e4";

/// A spool as the packages make it; `None` without root, whose the files must be.
fn spool() -> Option<(tempfile::TempDir, Jobs)> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: needs root to make files of others");
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    for place in [CRONTABS, AT_JOBS] {
        fs::create_dir_all(root.path().join(SPOOL).join(place)).unwrap();
    }
    let jobs = Jobs::open(root.path()).unwrap().unwrap();
    Some((root, jobs))
}

fn hold(jobs: &Jobs, name: &str) -> Result<u32, JobsError> {
    jobs.hold(name, UID, || Ok(()))
}

fn put_back(jobs: &Jobs, name: &str) -> Result<PutBack, JobsError> {
    jobs.put_back(name, UID, || Ok(()))
}

fn job(root: &tempfile::TempDir, place: &str, name: &str, uid: u32, text: &str) -> PathBuf {
    let path = root.path().join(SPOOL).join(place).join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    chown(&path, Some(uid), Some(uid)).unwrap();
    path
}

fn shelf(root: &tempfile::TempDir) -> PathBuf {
    root.path().join(SPOOL).join(SHELF)
}

#[test]
fn jobs_are_put_aside_and_back_as_they_were_and_those_of_others_stay() {
    let Some((root, jobs)) = spool() else { return };
    let crontab = job(&root, CRONTABS, "jdoe", UID, "* * * * * id\n");
    let at = job(&root, AT_JOBS, JOB, UID, "#!/bin/sh\n");
    let others = [
        job(&root, CRONTABS, "jdoe2", 5002, "x"),
        job(&root, AT_JOBS, "a0000201c2d3e4", 5002, "x"),
        // One that runs, and one that is none.
        job(&root, AT_JOBS, "=0000301c2d3e4", UID, "x"),
        job(&root, AT_JOBS, ".SEQ", UID, "x"),
    ];
    let before = [&crontab, &at].map(|path| fs::metadata(path).unwrap());
    assert_eq!(hold(&jobs, "jdoe").unwrap(), 2);
    assert!(!crontab.exists() && !at.exists() && others.iter().all(|path| path.exists()));
    let closed = fs::metadata(shelf(&root)).unwrap();
    assert_eq!((closed.uid(), closed.mode() & 0o7777), (0, 0o700));
    assert_eq!(hold(&jobs, "jdoe").unwrap(), 0, "again");
    let back = put_back(&jobs, "jdoe").unwrap();
    assert_eq!(back, PutBack { jobs: 2, left: 0, of_at: true });
    for (path, before) in [&crontab, &at].into_iter().zip(before) {
        let after = fs::metadata(path).unwrap();
        let told = |meta: &fs::Metadata| (meta.ino(), meta.uid(), meta.gid(), meta.mode());
        assert_eq!(told(&after), told(&before));
    }
    assert_eq!(put_back(&jobs, "jdoe").unwrap(), PutBack::default(), "again");
    assert_eq!(fs::read_dir(shelf(&root)).unwrap().count(), 0);
}

#[test]
fn no_job_is_lost_when_others_are_made_meanwhile() {
    let Some((root, jobs)) = spool() else { return };
    for text in ["first", "second", "third"] {
        job(&root, CRONTABS, "jdoe", UID, text);
        assert_eq!(hold(&jobs, "jdoe").unwrap(), 1);
    }
    let back = put_back(&jobs, "jdoe").unwrap();
    assert_eq!((back.jobs, back.left), (1, 2));
    let crontab = root.path().join(SPOOL).join(CRONTABS).join("jdoe");
    assert_eq!(fs::read_to_string(&crontab).unwrap(), "third");
    let kept = shelf(&root).join("jdoe-5001");
    let text = |name: &str| fs::read_to_string(kept.join(name)).unwrap();
    assert_eq!((text("crontab"), text("crontab.2")), ("first".to_owned(), "second".to_owned()));
}

#[test]
fn a_spool_that_is_missing_keeps_no_other_job_back() {
    let Some((root, jobs)) = spool() else { return };
    let crontab = job(&root, CRONTABS, "jdoe", UID, "x");
    job(&root, AT_JOBS, JOB, UID, "x");
    hold(&jobs, "jdoe").unwrap();
    let at_jobs = root.path().join(SPOOL).join(AT_JOBS);
    fs::remove_dir(&at_jobs).unwrap();
    assert_eq!(put_back(&jobs, "jdoe").unwrap(), PutBack { jobs: 1, left: 1, of_at: false });
    assert!(crontab.exists());
    fs::create_dir(&at_jobs).unwrap();
    assert_eq!(put_back(&jobs, "jdoe").unwrap(), PutBack { jobs: 1, left: 0, of_at: true });
    assert!(at_jobs.join(JOB).exists());
}

#[test]
fn r28_many_jobs_are_held_in_portions_and_what_a_pause_breaks_off_can_be_gone_on_with() {
    let Some((root, jobs)) = spool() else { return };
    for number in 0..1500 {
        job(&root, AT_JOBS, &format!("a{number:05x}01c2d3e4"), UID, "x");
    }
    let waiting = || fs::read_dir(root.path().join(SPOOL).join(AT_JOBS)).unwrap().count();
    let mut left = 2;
    let broken_off = jobs.hold("jdoe", UID, || {
        left -= 1;
        if left == 0 { Err(step("wait", "", Errno::ETIMEDOUT)) } else { Ok(()) }
    });
    assert!(broken_off.is_err());
    let rest = waiting();
    assert!(0 < rest && rest < 1500, "{rest}");
    let mut pauses = 0;
    let counted = || -> Result<(), JobsError> {
        pauses += 1;
        Ok(())
    };
    assert_eq!(jobs.hold("jdoe", UID, counted).unwrap() as usize, rest);
    assert!(pauses >= rest / AT_ONCE && waiting() == 0, "{pauses}");
    assert_eq!(put_back(&jobs, "jdoe").unwrap(), PutBack { jobs: 1500, left: 0, of_at: true });
    assert_eq!(waiting(), 1500);
}

#[test]
fn jobs_of_a_removed_account_are_never_put_back() {
    let Some((root, jobs)) = spool() else { return };
    job(&root, CRONTABS, "jdoe", UID, "x");
    hold(&jobs, "jdoe").unwrap();
    job(&root, AT_JOBS, JOB, UID, "x");
    jobs.archive("jdoe", UID, "jdoe-5001-20270115T080000Z").unwrap();
    assert_eq!(put_back(&jobs, "jdoe").unwrap(), PutBack::default());
    let archive = shelf(&root).join("jdoe-5001-20270115T080000Z");
    assert_eq!(fs::read_dir(archive).unwrap().count(), 2);
    jobs.archive("kim", 5002, "kim-5002-20270115T080000Z").unwrap();
}

#[test]
fn r25_links_in_the_spool_lead_nowhere() {
    let Some((root, jobs)) = spool() else { return };
    let elsewhere = root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("jdoe"), "x").unwrap();
    chown(elsewhere.join("jdoe"), Some(UID), Some(UID)).unwrap();
    symlink(elsewhere.join("jdoe"), root.path().join(SPOOL).join(CRONTABS).join("jdoe")).unwrap();
    assert_eq!(hold(&jobs, "jdoe").unwrap(), 0);
    let at_jobs = root.path().join(SPOOL).join(AT_JOBS);
    fs::remove_dir(&at_jobs).unwrap();
    symlink(&elsewhere, &at_jobs).unwrap();
    assert!(hold(&jobs, "jdoe").is_err());
    assert!(elsewhere.join("jdoe").exists());
}

#[test]
fn r25_a_shelf_that_others_may_open_is_not_used() {
    let Some((root, jobs)) = spool() else { return };
    let crontab = job(&root, CRONTABS, "jdoe", UID, "x");
    fs::create_dir(shelf(&root)).unwrap();
    fs::set_permissions(shelf(&root), fs::Permissions::from_mode(0o755)).unwrap();
    let refused = hold(&jobs, "jdoe").unwrap_err();
    assert!(
        refused.to_string().contains("run: chown root /var/spool/cron/.motley-held"),
        "{refused}"
    );
    assert!(crontab.exists());
}

#[test]
fn a_host_without_cron_and_at_has_no_jobs() {
    let root = tempfile::tempdir().unwrap();
    assert!(Jobs::open(root.path()).unwrap().is_none());
    let Some((root, jobs)) = spool() else { return };
    for place in [CRONTABS, AT_JOBS] {
        fs::remove_dir(root.path().join(SPOOL).join(place)).unwrap();
    }
    assert_eq!(hold(&jobs, "jdoe").unwrap(), 0);
    assert_eq!(put_back(&jobs, "jdoe").unwrap(), PutBack::default());
}
