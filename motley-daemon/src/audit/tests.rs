//! The chain of the audit log: whole, torn, tampered with, put aside and gone on with.

use super::*;
use crate::clock::SystemClock;
use motley_proto::{Identity, Issuer, Subject, UserName};

fn event(reason: &str) -> Event {
    Event::LoginRefused {
        request: "r".to_owned(),
        user: field("evil\n{\"event\":\"started\"}"),
        rhost: None,
        reason: reason.to_owned(),
    }
}

#[test]
fn r39_a_changed_line_is_found_and_a_restart_goes_on_with_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    for _ in 0..2 {
        let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
        audit.record(event("one")).unwrap();
        audit.record(event("two")).unwrap();
    }
    assert_eq!(verify(&path).unwrap().lines, 4);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 4, "r31: one line for each event");
    std::fs::write(&path, text.replacen("one", "0ne", 1)).unwrap();
    assert!(matches!(verify(&path), Err(AuditError::Broken { line: 2, .. })));
    let without_second: Vec<_> =
        text.lines().enumerate().filter(|(at, _)| *at != 1).map(|(_, line)| line).collect();
    std::fs::write(&path, without_second.join("\n")).unwrap();
    assert!(matches!(verify(&path), Err(AuditError::Broken { line: 2, .. })));
}

#[test]
fn r39_a_line_that_was_cut_off_does_not_break_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
    audit.record(event("one")).unwrap();
    drop(audit);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], b"{\"time\":17"].concat()).unwrap();
    Audit::open(&path, Arc::new(SystemClock)).unwrap().record(event("two")).unwrap();
    assert_eq!(verify(&path).unwrap().lines, 2);
}

#[test]
fn r39_what_a_full_disk_took_of_a_line_is_taken_back() {
    use nix::sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigSet, Signal},
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
    audit.record(event("one")).unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    signals.thread_block().unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    // Stands in for the disk: the next write is cut short, the one after it fails.
    setrlimit(Resource::RLIMIT_FSIZE, size + 20, hard).unwrap();
    let refused = audit.record(event("two"));
    setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();
    assert!(matches!(refused, Err(AuditError::File { .. })));
    audit.record(event("three")).unwrap();
    assert_eq!(verify(&path).unwrap().lines, 2);
}

#[test]
fn r39_a_log_whose_last_line_is_not_ours_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    std::fs::write(&path, "something else\n").unwrap();
    let opened = Audit::open(&path, Arc::new(SystemClock));
    assert!(matches!(opened, Err(AuditError::Foreign { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "something else\n");
}

#[test]
fn r39_a_full_disk_is_an_error() {
    let audit = Audit::open(Path::new("/dev/full"), Arc::new(SystemClock)).unwrap();
    assert!(matches!(audit.record(event("x")), Err(AuditError::File { .. })));
}

fn granted(subject: &str, name: &str) -> Event {
    let issuer = Issuer::new("https://op.example").unwrap();
    Event::LoginGranted {
        request: "r".to_owned(),
        identity: Identity::new(issuer, Subject::new(subject).unwrap()),
        name: UserName::new(name).unwrap(),
        rhost: Some("192.0.2.7".to_owned()),
        by: "token".to_owned(),
    }
}

#[test]
fn r39_the_chain_goes_on_over_files_that_were_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
    audit.record(event("one")).unwrap();
    assert_eq!(audit.rotate().unwrap(), folder.path().join("audit.jsonl.1"));
    audit.record(event("two")).unwrap();
    assert_eq!(audit.rotate().unwrap(), folder.path().join("audit.jsonl.2"));
    drop(audit);
    Audit::open(&path, Arc::new(SystemClock)).unwrap().record(event("three")).unwrap();
    let checked = verify(&path).unwrap();
    assert_eq!((checked.lines, checked.files, checked.begins), (5, 3, Begins::AtTheStart));
    let second = folder.path().join("audit.jsonl.2");
    let text = std::fs::read_to_string(&second).unwrap();
    assert!(text.starts_with("{\"time\":") && text.contains("\"file\":\"audit.jsonl.1\""));
    std::fs::write(&second, text.replacen("two", "2wo", 1)).unwrap();
    let broken = verify(&path).unwrap_err();
    assert!(broken.to_string().contains("audit.jsonl line 1"), "{broken}");
    std::fs::remove_file(&second).unwrap();
    let broken = verify(&path).unwrap_err();
    assert!(broken.to_string().contains("audit.jsonl line 1"), "a file is missing: {broken}");
    std::fs::write(&second, text).unwrap();
    std::fs::remove_file(folder.path().join("audit.jsonl.1")).unwrap();
    let begins = Begins::After("audit.jsonl.1".to_owned());
    assert_eq!(verify(&path).unwrap().begins, begins, "the oldest was moved elsewhere");
}

#[test]
fn r39_a_first_line_that_only_claims_to_go_on_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
    audit.record(event("one")).unwrap();
    audit.rotate().unwrap();
    audit.record(event("two")).unwrap();
    drop(audit);
    // Whoever forges a file in the place of the current one does not know how the other one ends.
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(folder.path().join("audit.jsonl.1"), folder.path().join("kept")).unwrap();
    Audit::open(&path, Arc::new(SystemClock)).unwrap().record(event("forged")).unwrap();
    std::fs::rename(folder.path().join("kept"), folder.path().join("audit.jsonl.1")).unwrap();
    assert!(matches!(verify(&path), Err(AuditError::Broken { line: 1, .. })));
}

#[test]
fn r39_a_crash_while_a_file_is_put_aside_loses_no_link_of_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
    audit.record(event("one")).unwrap();
    drop(audit);
    // Killed between the two renames.
    std::fs::rename(&path, folder.path().join("audit.jsonl.1")).unwrap();
    std::fs::write(folder.path().join("audit.jsonl.new"), "draft").unwrap();
    let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
    audit.record(event("two")).unwrap();
    assert_eq!(verify(&path).unwrap().lines, 3);
    audit.rotate().unwrap();
    assert_eq!(verify(&path).unwrap().files, 3);
}

#[test]
fn r39_a_log_that_has_grown_large_is_put_aside_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = Audit::open_with(&path, Arc::new(SystemClock), 2000).unwrap();
    for _ in 0..40 {
        audit.record(event("guessed")).unwrap();
    }
    let checked = verify(&path).unwrap();
    assert!(checked.files > 3, "{checked:?}");
    assert_eq!(checked.lines, 40 + u64::from(checked.files) - 1, "none is lost");
}

#[test]
fn the_end_is_read_in_pages_and_followed_over_a_file_that_is_put_aside() {
    use super::read::{Wanted, newest, page};
    use motley_proto::admin::{Target, TrailFilter, TrailStart};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = Audit::open(&path, Arc::new(SystemClock)).unwrap();
    for number in 0..500 {
        audit.record(event(&format!("guess {number}"))).unwrap();
        if number == 250 {
            audit.record(granted("7", "kim")).unwrap();
            audit.rotate().unwrap();
        }
    }
    let all = Wanted::default();
    let end = page(&path, TrailStart::Last(3), &all).unwrap();
    assert_eq!(end.lines.len(), 3);
    assert!(end.lines[0].contains("guess 497") && !end.more);
    audit.rotate().unwrap();
    audit.record(event("late")).unwrap();
    let after = page(&path, TrailStart::After(end.next), &all).unwrap();
    assert_eq!(after.lines.len(), 2, "the first line of the new file and the late one");
    assert!(after.lines[1].contains("late"));
    let mut whole = page(&path, TrailStart::Last(10_000), &all).unwrap();
    let mut count = whole.lines.len();
    while whole.more {
        whole = page(&path, TrailStart::After(whole.next), &all).unwrap();
        assert!(serde_json::to_vec(&whole).unwrap().len() < 60_000);
        count += whole.lines.len();
    }
    assert_eq!(count as u64, verify(&path).unwrap().lines);
    let by_name = Some(Target::Name(UserName::new("kim").unwrap()));
    let filter = TrailFilter { event: Some("login_granted".to_owned()), whom: by_name };
    let wanted = Wanted { filter, identities: Vec::new() };
    let found = page(&path, TrailStart::Last(5), &wanted).unwrap();
    assert_eq!(found.lines.len(), 1);
    assert!(newest(&path, &wanted, u64::MAX).unwrap().unwrap().contains("192.0.2.7"));
    assert_eq!(newest(&path, &wanted, 100).unwrap(), None, "beyond what may be read");
}
