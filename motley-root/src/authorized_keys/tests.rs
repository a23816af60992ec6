//! Keys in homes whose owners mean no good.

use super::*;
use nix::fcntl::open;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

const UID: u32 = 5001;
const BODY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIGHyZ7T3gXm8T6wYyTqKwXkq0d2YcEoFJk1lJ0m3o0aB";

fn key(comment: &str) -> SshKey {
    SshKey::new(&format!("ssh-ed25519 {BODY} {comment}")).unwrap()
}

/// A home of the uid, and something of root's outside; `None` without root.
fn home() -> Option<(tempfile::TempDir, OwnedFd)> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: needs root to make files of others");
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(UID), Some(UID)).unwrap();
    fs::create_dir(root.path().join("elsewhere")).unwrap();
    let fd = open(&home, OPEN | OFlag::O_DIRECTORY, Mode::empty()).unwrap();
    Some((root, fd))
}

fn own(path: &Path, mode: u32) {
    chown(path, Some(UID), Some(UID)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn ssh_directory(root: &tempfile::TempDir) -> std::path::PathBuf {
    let directory = root.path().join("home/.ssh");
    fs::create_dir(&directory).unwrap();
    own(&directory, 0o700);
    directory
}

fn text(root: &tempfile::TempDir) -> String {
    fs::read_to_string(root.path().join("home/.ssh/authorized_keys")).unwrap()
}

#[test]
fn r25_keys_are_written_for_their_owner_alone_and_once() {
    let Some((root, home)) = home() else { return };
    assert!(!keep(&home, UID, UID, &[]).unwrap(), "nothing to write, nothing made");
    assert!(!root.path().join("home/.ssh").exists());
    assert!(keep(&home, UID, UID, &[key("a"), key("b")]).unwrap());
    let told = |path: &str| {
        let meta = fs::metadata(root.path().join("home").join(path)).unwrap();
        (meta.uid(), meta.gid(), meta.mode() & 0o7777)
    };
    assert_eq!(told(".ssh"), (UID, UID, 0o700));
    assert_eq!(told(".ssh/authorized_keys"), (UID, UID, 0o600));
    assert_eq!(text(&root), format!("{BEGIN}\n{}\n{}\n{END}\n", key("a"), key("b")));
    assert!(!keep(&home, UID, UID, &[key("a"), key("b")]).unwrap(), "again");
    assert_eq!(fs::read_dir(root.path().join("home/.ssh")).unwrap().count(), 1, "no draft is left");
}

#[test]
fn r25_lines_of_the_owner_stay_and_keys_that_are_gone_go() {
    let Some((root, home)) = home() else { return };
    let file = ssh_directory(&root).join("authorized_keys");
    fs::write(&file, "ssh-rsa mine without-newline").unwrap();
    own(&file, 0o644);
    keep(&home, UID, UID, &[key("a")]).unwrap();
    let ours = format!("{BEGIN}\n{}\n{END}\n", key("a"));
    assert_eq!(text(&root), format!("ssh-rsa mine without-newline\n{ours}"));
    fs::write(&file, format!("{}# more of mine\n", text(&root))).unwrap();
    keep(&home, UID, UID, &[key("b")]).unwrap();
    let expected =
        format!("ssh-rsa mine without-newline\n# more of mine\n{BEGIN}\n{}\n{END}\n", key("b"));
    assert_eq!(text(&root), expected);
    assert!(keep(&home, UID, UID, &[]).unwrap());
    assert_eq!(text(&root), "ssh-rsa mine without-newline\n# more of mine\n");
}

#[test]
fn a_part_without_its_end_takes_no_line_of_the_owner_with_it() {
    for (before, after) in [
        (format!("{BEGIN}\nold\nmine\n"), "old\nmine\n".to_owned()),
        (format!("mine\n{END}\nmore\n"), "mine\nmore\n".to_owned()),
        (format!("{BEGIN}\nmine\n{BEGIN}\nold\n{END}\nmore"), "mine\nmore".to_owned()),
        (format!("{BEGIN}\nold\n{END}\nmine\n{BEGIN}\nold\n{END}\n"), "mine\n".to_owned()),
    ] {
        let kept = with_keys(before.as_bytes(), &[]);
        assert_eq!(String::from_utf8(kept).unwrap(), after, "{before}");
    }
}

#[test]
fn r25_a_file_of_a_mebibyte_is_read_in_one_pass_whatever_stands_in_it() {
    let fill = |line: &str| line.repeat(1024 * 1024 / line.len());
    let begun = format!("{BEGIN}\n");
    let now = std::time::Instant::now();
    for (text, kept) in [
        (fill("\n"), 1024 * 1024),
        (fill("a\n"), 1024 * 1024),
        (fill(&begun), 0),
        (fill(&begun) + &fill("\n"), 1024 * 1024),
        (fill(&format!("{begun}\n")), 1024 * 1024 / (begun.len() + 1)),
        (fill(&format!("{END}\n")), 0),
    ] {
        assert_eq!(with_keys(text.as_bytes(), &[]).len(), kept);
    }
    let took = now.elapsed();
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
}

#[test]
fn r25_a_directory_of_roots_that_is_swapped_in_is_not_given_away() {
    let Some((root, home)) = home() else { return };
    let made = make_directory(&home).unwrap().unwrap();
    let ssh = root.path().join("home/.ssh");
    let opened = || open(&ssh, OPEN | OFlag::O_DIRECTORY, Mode::empty()).unwrap();
    let fresh = |made: &FileStat| {
        let fd = opened();
        require_fresh(&fd, &fstat(&fd).unwrap(), made)
    };
    fresh(&made).unwrap();
    assert!(make_directory(&home).unwrap().is_none(), "what is there was not made now");
    fs::write(ssh.join("file"), "root's").unwrap();
    assert!(fresh(&made).is_err(), "something is in it");
    fs::rename(&ssh, root.path().join("home/aside")).unwrap();
    fs::create_dir(&ssh).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(fresh(&made).is_err(), "it is another one");
    assert!(keep(&home, UID, UID, &[key("a")]).is_err(), "root's from before");
    assert_eq!(fs::metadata(&ssh).unwrap().uid(), 0);
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let fd = opened();
    let stat = fstat(&fd).unwrap();
    assert!(require_fresh(&fd, &stat, &stat).is_err(), "others may look into it");
}

#[test]
fn r25_what_could_lead_elsewhere_or_is_not_the_owners_is_refused() {
    type Trap = fn(&Path, &Path);
    let traps: [(&str, Trap); 8] = [
        ("link as directory", |ssh, elsewhere| symlink(elsewhere, ssh).unwrap()),
        ("file as directory", |ssh, _| {
            fs::write(ssh, "").unwrap();
            own(ssh, 0o600);
        }),
        ("directory of another", |ssh, _| {
            fs::create_dir(ssh).unwrap();
            chown(ssh, Some(5002), Some(5002)).unwrap();
        }),
        ("directory of root", |ssh, _| fs::create_dir(ssh).unwrap()),
        ("directory for all", |ssh, _| {
            fs::create_dir(ssh).unwrap();
            own(ssh, 0o777);
        }),
        ("link as file", |ssh, elsewhere| {
            fs::create_dir(ssh).unwrap();
            own(ssh, 0o700);
            symlink(elsewhere.join("secret"), ssh.join("authorized_keys")).unwrap();
        }),
        ("pipe as file", |ssh, _| {
            fs::create_dir(ssh).unwrap();
            own(ssh, 0o700);
            let pipe = ssh.join("authorized_keys");
            nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
            own(&pipe, 0o600);
        }),
        ("second name of a file", |ssh, elsewhere| {
            fs::create_dir(ssh).unwrap();
            own(ssh, 0o700);
            own(&elsewhere.join("secret"), 0o600);
            fs::hard_link(elsewhere.join("secret"), ssh.join("authorized_keys")).unwrap();
        }),
    ];
    for (what, trap) in traps {
        let Some((root, home)) = home() else { return };
        let elsewhere = root.path().join("elsewhere");
        fs::write(elsewhere.join("secret"), "root's\n").unwrap();
        trap(&root.path().join("home/.ssh"), &elsewhere);
        let refused = keep(&home, UID, UID, &[key("a")]);
        assert!(matches!(refused, Err(KeysError::Unsafe { .. })), "{what}: {refused:?}");
        assert_eq!(fs::read_to_string(elsewhere.join("secret")).unwrap(), "root's\n", "{what}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1, "{what}");
    }
}

#[test]
fn r25_an_owner_who_swaps_links_all_the_time_leads_nothing_out_of_the_home() {
    let Some((root, home)) = home() else { return };
    let elsewhere = root.path().join("elsewhere");
    fs::write(elsewhere.join("authorized_keys"), "root's\n").unwrap();
    let before = fs::metadata(&elsewhere).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let ssh = root.path().join("home/.ssh");
            let (aside, file) = (root.path().join("home/aside"), ssh.join("authorized_keys"));
            while !stop.load(Ordering::Relaxed) {
                let _ = fs::rename(&ssh, &aside);
                let _ = symlink(&elsewhere, &ssh);
                let _ = fs::remove_file(&ssh);
                let _ = fs::rename(&aside, &ssh);
                let _ = fs::remove_file(&file);
                let _ = symlink(elsewhere.join("authorized_keys"), &file);
                let _ = symlink(elsewhere.join("draft"), ssh.join(DRAFT));
                let _ = fs::remove_file(&file);
            }
        });
        for round in 0..400 {
            let _ = keep(&home, UID, UID, &[key(&format!("k{round}"))]);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let after = fs::metadata(&elsewhere).unwrap();
    assert_eq!((after.uid(), after.mode()), (before.uid(), before.mode()));
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(elsewhere.join("authorized_keys")).unwrap(), "root's\n");
    assert_eq!(fs::metadata(elsewhere.join("authorized_keys")).unwrap().uid(), 0);
}
