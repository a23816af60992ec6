//! Accounts that are taken away: what goes, what is put aside, and what is never touched.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{
    ExpiryMarks, HomeFate, NewAccount, Removal, Task, TaskAnswer, TaskDone, TaskRefusal,
};
use motley_root::{
    accounts::{Accounts, Outcome},
    runner::{CommandRunner, Finished, Program, RunError, SystemRunner},
};
use std::{
    fs,
    io::Read,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};
use support::{
    directory,
    fate::{be_quiet, doomed},
    *,
};

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

fn has_line(file: &str, name: &str) -> bool {
    let text = fs::read_to_string(file).unwrap();
    text.lines().any(|line| line.starts_with(&format!("{name}:")))
}

fn everything() -> [Vec<u8>; 4] {
    ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"].map(|file| fs::read(file).unwrap())
}

fn sleeper(uid: u32) -> Child {
    Command::new("/bin/sleep").arg("600").uid(uid).gid(uid).spawn().unwrap()
}

#[test]
fn r25_a_removed_account_leaves_its_home_aside_where_root_alone_can_look() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    fs::write("/home/jdoe/thesis", "years").unwrap();
    symlink("/etc", "/home/jdoe/link").unwrap();
    let removal = removed(remove(&accounts, "jdoe"));
    assert_eq!(removal.home, HomeFate::Archived(ASIDE.to_owned()));
    assert_eq!(removal.group, Some(group("wlcg")), "motley made it and nobody is in it");
    for file in ["/etc/passwd", "/etc/shadow"] {
        assert!(!has_line(file, "jdoe"), "{file}");
    }
    assert!(!fs::read_to_string("/etc/group").unwrap().contains("jdoe"));
    assert!(!fs::exists("/home/jdoe").unwrap());
    let shelf = fs::metadata("/home/.removed").unwrap();
    assert_eq!((shelf.uid(), shelf.mode() & 0o7777), (0, 0o700));
    let thesis = format!("{ASIDE}/thesis");
    assert_eq!(fs::read_to_string(&thesis).unwrap(), "years");
    assert_eq!(fs::metadata(ASIDE).unwrap().uid(), 5001, "as it was");
    assert_eq!(removed(remove(&accounts, "jdoe")), Removal::default(), "once more does nothing");
}

#[test]
fn r23_name_and_uid_of_a_removed_account_go_to_nobody_else_and_back_to_their_owner() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    removed(remove(&accounts, "jdoe"));
    drop(accounts);
    let accounts = open(Setup::default());
    let stranger = |name, uid| {
        let plan = NewAccount { identity: identity("x"), ..plan(name, uid) };
        accounts.carry_out(&Task::Create(plan))
    };
    assert_eq!(stranger("jdoe", 5002), Err(TaskRefusal::NameTaken(user("jdoe"))));
    assert!(matches!(stranger("other", 5001), Err(TaskRefusal::UidTaken(_))));
    for round in 0..3 {
        let facts = account(accounts.carry_out(&Task::Create(plan("jdoe", 5001))));
        assert_eq!((facts.uid, facts.expired), (5001, false), "round {round}");
        assert!(!fs::exists("/home/jdoe/thesis").unwrap(), "a new home, not the old one");
        fs::write("/home/jdoe/thesis", "years").unwrap();
        removed(remove(&accounts, "jdoe"));
    }
    assert_eq!(fs::read_dir("/home/.removed").unwrap().count(), 4, "all of them in one second");
}

#[test]
fn r24_a_death_at_any_step_of_a_removal_is_repaired_at_the_next_start() {
    if !enter() {
        return;
    }
    be_quiet();
    for steps in 0..60u32 {
        let name = format!("u{steps}");
        let own =
            NewAccount { primary_group: group(&format!("p{steps}")), ..plan(&name, 5000 + steps) };
        let accounts = open(Setup::default());
        account(accounts.carry_out(&Task::Create(own.clone())));
        fs::write(format!("/home/{name}/mine"), "x").unwrap();
        drop(accounts);
        let accounts = doomed(usize::try_from(steps).unwrap());
        let lived = catch_unwind(AssertUnwindSafe(|| remove(&accounts, &name)));
        drop(accounts);
        let accounts = open(Setup::default());
        for recovered in accounts.resume_removals() {
            assert_eq!(recovered.result, Ok(Outcome::Removed), "{steps}");
        }
        let gone = !has_line("/etc/passwd", &name);
        let aside = format!("/home/.removed/{name}-{}-20270115T080000Z/mine", own.uid);
        assert_eq!(fs::exists(&aside).unwrap(), gone, "after {steps} steps: whole or gone");
        assert_eq!(fs::exists(format!("/home/{name}")).unwrap(), !gone, "after {steps} steps");
        removed(remove(&accounts, &name));
        assert!(
            !has_line("/etc/passwd", &name) && !has_line("/etc/group", own.primary_group.as_str())
        );
        assert_eq!(fs::read_to_string(&aside).unwrap(), "x");
        account(accounts.carry_out(&Task::Create(own)));
        if lived.is_ok() {
            assert!(steps > 8, "only {steps} steps");
            return;
        }
    }
    panic!("removing an account never ended");
}

#[test]
fn r24_a_person_who_comes_back_in_the_middle_of_a_removal_gets_a_whole_account() {
    if !enter() {
        return;
    }
    be_quiet();
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    drop(accounts);
    // Four steps lead behind the putting aside of the home.
    let accounts = doomed(4);
    assert!(catch_unwind(AssertUnwindSafe(|| remove(&accounts, "jdoe"))).is_err());
    drop(accounts);
    let accounts = open(Setup::default());
    let id = || identity("jdoe");
    for other in [
        Task::Adopt { identity: id(), name: user("jdoe") },
        Task::RollBack { identity: id(), name: user("jdoe") },
    ] {
        let refused = accounts.carry_out(&other);
        assert!(matches!(refused, Err(TaskRefusal::Forbidden(_))), "{refused:?}");
    }
    let unexpire =
        Task::Unexpire { identity: id(), name: user("jdoe"), marks: ExpiryMarks::OfSuspensions };
    assert_eq!(accounts.carry_out(&unexpire), Err(TaskRefusal::NotManaged(user("jdoe"))));
    let facts = account(accounts.carry_out(&Task::Create(plan("jdoe", 5001))));
    assert!(!facts.expired && fs::exists("/home/jdoe").unwrap() && fs::exists(ASIDE).unwrap());
}

#[test]
fn r21_only_an_account_that_is_still_what_the_ledger_says_is_removed() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    create(&accounts, "kim", 5002);
    let before = everything();
    let refusal = |identity, name| accounts.carry_out(&Task::Remove { identity, name: user(name) });
    for (owner, name) in [("localadmin", "localadmin"), ("jdoe", "kim"), ("jdoe", "localadmin")] {
        let refused = refusal(identity(owner), name);
        assert_eq!(refused, Err(TaskRefusal::NotManaged(user(name))), "{owner} {name}");
    }
    assert_eq!(everything(), before);
    // The admin took the account over, or gave its uid a second name.
    edit("/etc/passwd", |text| text.replace("kim@https", "Kim, a colleague @https"));
    edit("/etc/passwd", |text| text + "alias:x:5001:5001::/home/alias:/bin/sh\n");
    let before = everything();
    assert_eq!(remove(&accounts, "kim"), Err(TaskRefusal::NotManaged(user("kim"))));
    assert!(matches!(remove(&accounts, "jdoe"), Err(TaskRefusal::Forbidden(_))));
    assert_eq!(everything(), before);
    assert!(fs::exists("/home/jdoe").unwrap() && fs::exists("/home/kim").unwrap());
}

#[test]
fn r25_only_the_accounts_own_home_is_put_aside() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    for (number, name) in (1u32..).zip(["link", "other", "shared", "moved"]) {
        create(&accounts, name, 5000 + number);
    }
    fs::rename("/home/link", "/home/real").unwrap();
    symlink("/home/real", "/home/link").unwrap();
    chown("/home/other", Some(1500), None).unwrap();
    edit("/etc/passwd", |text| text + "guest:x:1501:1501::/home/shared/guest:/bin/sh\n");
    edit("/etc/passwd", |text| text.replace("/home/moved", "/srv/moved"));
    for name in ["link", "other", "shared", "moved"] {
        let at = if name == "moved" { "/srv/moved".to_owned() } else { format!("/home/{name}") };
        assert_eq!(removed(remove(&accounts, name)).home, HomeFate::Left(at), "{name}");
        assert!(!has_line("/etc/passwd", name));
        assert!(fs::symlink_metadata(format!("/home/{name}")).is_ok(), "{name}");
    }
    assert!(fs::exists("/home/real").unwrap() && !fs::exists("/home/.removed").unwrap());
}

#[test]
fn r25_a_shelf_that_is_not_roots_alone_takes_no_home_and_is_not_followed() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    fs::create_dir("/mnt/elsewhere").unwrap();
    symlink("/mnt/elsewhere", "/home/.removed").unwrap();
    let refused = |why: &str| {
        let Err(TaskRefusal::Forbidden(reason)) = remove(&accounts, "jdoe") else {
            panic!("{why}")
        };
        assert!(reason.contains("/home/.removed must be a directory of root's"), "{reason}");
        assert!(fs::exists("/home/jdoe").unwrap() && has_line("/etc/passwd", "jdoe"), "{why}");
    };
    refused("a link");
    assert_eq!(fs::read_dir("/mnt/elsewhere").unwrap().count(), 0);
    fs::remove_file("/home/.removed").unwrap();
    fs::create_dir("/home/.removed").unwrap();
    fs::set_permissions("/home/.removed", fs::Permissions::from_mode(0o755)).unwrap();
    refused("open to everybody");
    assert!(inspect(&accounts, "jdoe").unwrap().expired, "shut already");
    fs::set_permissions("/home/.removed", fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(removed(remove(&accounts, "jdoe")).home, HomeFate::Archived(ASIDE.to_owned()));
}

#[test]
fn r22_the_primary_group_goes_only_if_motley_made_it_and_nobody_is_left_in_it() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    let with = |name: &str, uid, primary: &str| {
        let plan = NewAccount { primary_group: group(primary), groups: vec![], ..plan(name, uid) };
        account(accounts.carry_out(&Task::Create(plan)));
        name.to_owned()
    };
    let first = with("a", 5001, "lab");
    let second = with("b", 5002, "lab");
    let configured = with("c", 5003, "nogroup");
    let listed = with("d", 5004, "crew");
    shell("gpasswd -a localadmin crew >/dev/null");
    let gid = |name: &str| {
        let text = fs::read_to_string("/etc/group").unwrap();
        text.lines().find_map(|l| {
            l.strip_prefix(&format!("{name}:x:"))?.split(':').next().map(str::to_owned)
        })
    };
    let had = gid("lab");
    assert_eq!(removed(remove(&accounts, &first)).group, None, "b is in it");
    assert_eq!(removed(remove(&accounts, &second)).group, Some(group("lab")));
    assert_eq!(removed(remove(&accounts, &configured)).group, None);
    assert_eq!(removed(remove(&accounts, &listed)).group, None, "a local member is in it");
    assert_eq!((gid("lab"), gid("crew").is_some(), gid("nogroup").is_some()), (None, true, true));
    with("e", 5005, "newcomers");
    assert_ne!(gid("newcomers"), had, "r23: the files of a group that is gone are not theirs");
    with("f", 5006, "lab");
    assert_eq!(gid("lab"), had, "they are the group's again");
}

#[test]
fn r22_a_group_of_the_accounts_name_that_motley_did_not_make_stays() {
    if !enter() {
        return;
    }
    edit("/etc/login.defs", |text| text + "\nUSERGROUPS_ENAB yes\n");
    let has_group = |line: &str| fs::read_to_string("/etc/group").unwrap().contains(line);
    shell("groupadd -g 1700 jdoe");
    shell("useradd -M -g jdoe -u 1700 -c 'jdoe@https%3A%2F%2Fop.example%2F' jdoe");
    fs::create_dir("/home/jdoe").unwrap();
    fs::write("/home/jdoe/mine", "x").unwrap();
    for path in ["/home/jdoe", "/home/jdoe/mine"] {
        chown(path, Some(1700), Some(1700)).unwrap();
    }
    // Somebody lives in it, so it is left where it is.
    edit("/etc/passwd", |text| text + "guest:x:1501:1501::/home/jdoe/guest:/bin/sh\n");
    let accounts = open(Setup::default());
    accounts.carry_out(&Task::Adopt { identity: identity("jdoe"), name: user("jdoe") }).unwrap();
    assert_eq!(removed(remove(&accounts, "jdoe")).home, HomeFate::Left("/home/jdoe".to_owned()));
    assert!(!has_line("/etc/passwd", "jdoe") && has_group("jdoe:x:1700:"));
    assert_eq!(fs::metadata("/home/jdoe/mine").unwrap().gid(), 1700, "as it was");
    fs::rename("/home/jdoe", "/home/kept").unwrap();
    let again = accounts.carry_out(&Task::Create(plan("jdoe", 1700)));
    assert_eq!(again, Err(TaskRefusal::NameTaken(user("jdoe"))), "a group has the name");
    // One that was made for the account goes and comes back with it.
    let crew = NewAccount { primary_group: group("crew"), ..plan("crew", 5004) };
    for _ in 0..2 {
        account(accounts.carry_out(&Task::Create(crew.clone())));
        assert!(has_group("crew:x:"));
        removed(remove(&accounts, "crew"));
        assert!(!has_group("crew:x:"));
    }
}

#[test]
fn sessions_and_processes_are_listed_without_their_arguments_and_ended_by_a_removal() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    let mut running = sleeper(5001);
    let task = Task::Sessions { identity: identity("jdoe"), name: user("jdoe") };
    let Ok(TaskDone::SessionList(list)) = accounts.carry_out(&task) else { panic!("no list") };
    let [process] = list.processes.as_slice() else { panic!("{list:?}") };
    assert_eq!((process.command.as_str(), process.pid), ("sleep", running.id()));
    assert!(!format!("{list:?}").contains("600"), "arguments are nobody's business: {list:?}");
    let stranger = Task::Sessions { identity: identity("x"), name: user("jdoe") };
    assert_eq!(accounts.carry_out(&stranger), Err(TaskRefusal::NotManaged(user("jdoe"))));
    let removal = removed(remove(&accounts, "jdoe"));
    assert_eq!((removal.ended.processes, removal.ended.remaining), (1, 0));
    assert!(!running.wait().unwrap().success());
}

#[test]
fn r28_a_process_whose_name_is_no_text_is_listed_and_ended() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    let script = r"printf 'a\377' > /proc/$$/comm; echo; read -r never";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).uid(5001).gid(5001).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut hidden = command.spawn().unwrap();
    let mut said = [0];
    hidden.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    let comm = fs::read(format!("/proc/{}/comm", hidden.id())).unwrap();
    assert_eq!(comm, b"a\xff\n", "it has that name");
    let (identity, name) = (|| identity("jdoe"), || user("jdoe"));
    let listed = accounts.carry_out(&Task::Sessions { identity: identity(), name: name() });
    let Ok(TaskDone::SessionList(list)) = listed else { panic!("{listed:?}") };
    assert_eq!(list.processes.len(), 1, "{list:?}");
    let ended = accounts.carry_out(&Task::EndSessions { identity: identity(), name: name() });
    let Ok(TaskDone::Sessions(ended)) = ended else { panic!("{ended:?}") };
    assert_eq!((ended.processes, ended.remaining), (1, 0));
    assert!(!hidden.wait().unwrap().success());
}

#[test]
fn r28_a_process_in_a_container_of_the_account_ends_with_its_sessions() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    fs::write("/etc/subuid", "jdoe:3000000000:9\n").unwrap();
    let start = |apart: &str| {
        let script = format!("exec {apart} /bin/sh -c 'echo; read -r never'");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).uid(3_000_000_003).gid(3_000_000_003);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let is_there = child.stdout.as_mut().unwrap().read_exact(&mut [0]).is_ok();
        (child, is_there)
    };
    let (mut contained, is_there) = start("unshare --user");
    if !is_there {
        eprintln!("SKIPPED: no user namespaces here");
        return;
    }
    let (mut elsewhere, _) = start("");
    let task = Task::EndSessions { identity: identity("jdoe"), name: user("jdoe") };
    let Ok(TaskDone::Sessions(ended)) = accounts.carry_out(&task) else { panic!() };
    assert_eq!((ended.processes, ended.remaining), (1, 0));
    assert!(!contained.wait().unwrap().success());
    assert!(elsewhere.try_wait().unwrap().is_none(), "somebody whom a directory knows");
    elsewhere.kill().unwrap();
    elsewhere.wait().unwrap();
}

#[test]
fn r24_a_removal_that_finds_the_account_files_locked_is_finished_later() {
    struct Locked;
    impl CommandRunner for Locked {
        fn run(&self, p: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
            match p {
                Program::Userdel => {
                    let complaint = "userdel: cannot lock /etc/passwd; try again later.".to_owned();
                    Ok(Finished { status: Some(1), complaint })
                }
                _ => SystemRunner::new(Path::new("/")).run(p, args, limit),
            }
        }
    }
    if !enter() {
        return;
    }
    let accounts = open(Setup { runner: Box::new(Locked), ..Setup::default() });
    create(&accounts, "jdoe", 5001);
    assert_eq!(remove(&accounts, "jdoe"), Err(TaskRefusal::Busy));
    assert!(inspect(&accounts, "jdoe").unwrap().expired);
    drop(accounts);
    let accounts = open(Setup::default());
    assert_eq!(accounts.resume_removals()[0].result, Ok(Outcome::Removed));
    assert!(!has_line("/etc/passwd", "jdoe") && fs::exists(ASIDE).unwrap());
}

/// Its logind answers when the other task is done.
struct Waiting(Mutex<mpsc::Receiver<()>>);

impl CommandRunner for Waiting {
    fn run(&self, p: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
        if p == Program::Loginctl {
            let waited = self.0.lock().unwrap().recv_timeout(Duration::from_secs(30));
            waited.expect("the other task was let through");
            return Ok(Finished { status: Some(0), complaint: String::new() });
        }
        SystemRunner::new(Path::new("/")).run(p, args, limit)
    }
}

#[test]
fn a_removal_that_waits_for_sessions_to_end_lets_other_tasks_through() {
    if !enter() {
        return;
    }
    let (done, waited) = mpsc::channel();
    let runner = Box::new(Waiting(Mutex::new(waited)));
    let accounts = open(Setup { runner, ..Setup::default() });
    create(&accounts, "jdoe", 5001);
    fs::create_dir_all("/run/systemd/sessions").unwrap();
    fs::write("/run/systemd/sessions/1", "UID=5001\n").unwrap();
    thread::scope(|scope| {
        let removing = scope.spawn(|| removed(remove(&accounts, "jdoe")));
        while !removing.is_finished() && !inspect(&accounts, "jdoe").unwrap().expired {
            thread::sleep(Duration::from_millis(5));
        }
        create(&accounts, "kim", 5002);
        done.send(()).unwrap();
        assert_eq!(removing.join().unwrap().ended.sessions, 1);
    });
    assert!(!has_line("/etc/passwd", "jdoe") && has_line("/etc/passwd", "kim"));
}

#[test]
fn r28_a_person_who_comes_back_in_the_middle_of_a_removal_keeps_no_task_waiting() {
    if !enter() {
        return;
    }
    be_quiet();
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    create(&accounts, "kim", 5002);
    drop(accounts);
    let accounts = doomed(4);
    assert!(catch_unwind(AssertUnwindSafe(|| remove(&accounts, "jdoe"))).is_err());
    drop(accounts);
    let (done, waited) = mpsc::channel();
    let runner = Box::new(Waiting(Mutex::new(waited)));
    let accounts = open(Setup { runner, ..Setup::default() });
    fs::create_dir_all("/run/systemd/sessions").unwrap();
    fs::write("/run/systemd/sessions/1", "UID=5001\n").unwrap();
    thread::scope(|scope| {
        let coming = scope.spawn(|| create(&accounts, "jdoe", 5001));
        // Long enough for it to have the turn, if it took one for all of its work.
        thread::sleep(Duration::from_millis(300));
        let expire = Task::Expire { identity: identity("kim"), name: user("kim") };
        account(accounts.carry_out(&expire));
        assert!(!coming.is_finished());
        done.send(()).unwrap();
        coming.join().unwrap();
    });
    assert!(!inspect(&accounts, "jdoe").unwrap().expired);
}

#[test]
fn r22_a_group_that_is_somebodys_primary_one_in_a_directory_stays() {
    if !enter() {
        return;
    }
    let lab = |name: &str, uid| NewAccount {
        primary_group: group("lab"),
        groups: vec![],
        ..plan(name, uid)
    };
    let known = |name| Box::new(directory::Directory(Some((name, 58_001))));
    let accounts = open(Setup { names: known("dora"), ..Setup::default() });
    let facts = account(accounts.carry_out(&Task::Create(lab("jdoe", 5001))));
    assert_eq!(facts.gid, directory::GID, "what the directory says of dora");
    assert_eq!(removed(remove(&accounts, "jdoe")).group, None);
    assert!(has_line("/etc/group", "lab"));
    drop(accounts);
    // One of whom passwd knows is no other.
    let accounts = open(Setup { names: known("localadmin"), ..Setup::default() });
    account(accounts.carry_out(&Task::Create(lab("kim", 5002))));
    assert_eq!(removed(remove(&accounts, "kim")).group, Some(group("lab")));
}

#[test]
fn r21_what_an_admin_made_anew_after_deleting_the_account_by_hand_stays() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    shell("userdel jdoe");
    let removal = removed(remove(&accounts, "jdoe"));
    assert_eq!(removal.home, HomeFate::Archived(ASIDE.to_owned()), "what it left behind");
    create(&accounts, "kim", 5002);
    shell("userdel kim && useradd -u 5003 -g nogroup -c 'Another Kim' kim");
    let before = everything();
    assert_eq!(remove(&accounts, "kim"), Err(TaskRefusal::NotManaged(user("kim"))));
    assert_eq!(everything(), before);
    assert!(fs::exists("/home/kim").unwrap());
}

#[test]
fn r21_an_account_that_moved_from_passwd_to_a_directory_is_left_alone() {
    if !enter() {
        return;
    }
    let accounts = open(Setup::default());
    create(&accounts, "jdoe", 5001);
    drop(accounts);
    shell("userdel jdoe");
    let mut running = sleeper(5001);
    for known in [Some(("jdoe", 5001)), Some(("kim", 5001)), Some(("jdoe", 7000)), None] {
        let accounts =
            open(Setup { names: Box::new(directory::Directory(known)), ..Setup::default() });
        let refused = remove(&accounts, "jdoe");
        let expected = match known {
            Some(_) => {
                matches!(&refused, Err(TaskRefusal::Forbidden(why)) if why.contains("remove that one first"))
            }
            None => matches!(refused, Err(TaskRefusal::Failed { .. })),
        };
        assert!(expected, "{known:?}: {refused:?}");
        assert!(fs::exists("/home/jdoe").unwrap() && running.try_wait().unwrap().is_none());
    }
    removed(remove(&open(Setup::default()), "jdoe"));
    assert!(!running.wait().unwrap().success() && !fs::exists("/home/jdoe").unwrap());
}
