//! A private copy of the host's account files, the helper in it, and a client for it.
#![allow(dead_code)]

pub mod directory;
pub mod fate;
pub mod ffi;
pub mod helper;

use motley_proto::{
    Identity, Issuer, Subject, Uid, UserName,
    names::GroupName,
    task::{AccountFacts, AccountPath, NewAccount, Task, TaskAnswer, TaskDone},
};
use motley_root::{
    accounts::{Accounts, Unwatched, Witness, World},
    adapter::Wishes,
    config::default_limits,
    database::{Database, NameService, SystemNames},
    defaults::SiteDefaults,
    guard::Limits,
    ledger::Ledger,
    runner::{CommandRunner, Finished, Program, RunError, SystemRunner},
};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use std::{
    cell::Cell,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Uid and gid of the daemon's user in the sandbox.
pub const DAEMON: u32 = 990;
pub const STATE: &str = "/var/lib/motley-root";

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
    motley:x:990:990::/nonexistent:/usr/sbin/nologin\n\
    localadmin:x:1500:1500:Local Admin,,,:/home/localadmin:/bin/bash\n\
    this line is malformed\n";
const GROUP: &str = "root:x:0:\nsudo:x:27:localadmin\ndocker:x:998:\nshadow:x:42:\n\
    nogroup:x:65534:\nmotley:x:990:\nlocaladmin:x:1500:\nlocalteam:x:1600:localadmin\n";

/// Gives this thread (and what it starts) account files, homes and run-time directories of its own.
///
/// False when that needs root and we are not; a run that demands these tests fails then.
pub fn enter() -> bool {
    if !nix::unistd::geteuid().is_root() {
        let demanded = std::env::var_os("REQUIRE_E2E").is_some_and(|value| value == "1");
        assert!(!demanded, "REQUIRE_E2E=1, but not root: can't make a private /etc");
        eprintln!("SKIPPED: needs root to make a private /etc");
        return false;
    }
    unshare(CloneFlags::CLONE_NEWNS).expect("private mounts");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("tmpfs"), "/mnt", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).unwrap();
    furnish_etc();
    for (name, over) in [
        ("home", "/home"),
        ("lib", "/var/lib"),
        ("log", "/var/log"),
        ("mail", "/var/mail"),
        ("etc", "/etc"),
        ("run", "/run"),
    ] {
        let from = Path::new("/mnt").join(name);
        fs::create_dir_all(&from).unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o755)).unwrap();
        mount(Some(&from), over, none, MsFlags::MS_BIND, none).unwrap();
    }
    true
}

fn furnish_etc() {
    let etc = Path::new("/mnt/etc");
    fs::create_dir_all(etc).unwrap();
    for name in
        ["ld.so.cache", "ld.so.conf", "ld.so.conf.d", "login.defs", "pam.d", "security", "skel"]
    {
        Command::new("/bin/cp")
            .args(["-a", &format!("/etc/{name}"), "/mnt/etc/"])
            .status()
            .unwrap();
    }
    let shadow: String = PASSWD
        .lines()
        .map(|l| format!("{}:*:19000:0:99999:7:::\n", l.split(':').next().unwrap()))
        .collect();
    for (name, text, mode) in [
        ("passwd", PASSWD, 0o644),
        ("group", GROUP, 0o644),
        ("shadow", shadow.as_str(), 0o640),
        ("gshadow", "", 0o640),
        ("subuid", "", 0o644),
        ("subgid", "", 0o644),
        ("shells", "/bin/sh\n/bin/bash\n", 0o644),
        ("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\ngshadow: files\n", 0o644),
    ] {
        fs::write(etc.join(name), text).unwrap();
        fs::set_permissions(etc.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

pub fn identity(subject: &str) -> Identity {
    Identity::new(
        Issuer::new("https://op.example/").unwrap(),
        Subject::new(subject.to_owned()).unwrap(),
    )
}

pub fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

pub fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

pub fn path(text: &str) -> AccountPath {
    AccountPath::new(text).unwrap()
}

/// A plan for an account: the subject is the name unless it is changed.
pub fn plan(name: &str, uid: u32) -> NewAccount {
    NewAccount {
        identity: identity(name),
        name: user(name),
        uid: Uid::new(uid).unwrap(),
        primary_group: group("wlcg"),
        groups: vec![group("atlas")],
        shell: path("/bin/bash"),
        home_base: path("/home"),
    }
}

/// A program and its arguments.
pub type Call = (Program, Vec<String>);

/// Runs the installed programs and remembers what was run.
#[derive(Clone)]
pub struct Recorder {
    pub calls: Arc<Mutex<Vec<Call>>>,
}

impl Recorder {
    pub fn new() -> Self {
        Self { calls: Arc::default() }
    }
}

impl CommandRunner for Recorder {
    fn run(&self, program: Program, args: &[&str], limit: Duration) -> Result<Finished, RunError> {
        let owned = args.iter().map(|arg| arg.to_string()).collect();
        self.calls.lock().unwrap().push((program, owned));
        SystemRunner::new(Path::new("/")).run(program, args, limit)
    }
}

pub struct Setup {
    pub limits: Limits,
    pub wishes: Wishes,
    pub runner: Box<dyn CommandRunner>,
    pub witness: Box<dyn Witness>,
    pub names: Box<dyn NameService>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: default_limits(&SiteDefaults::read(Path::new("/"))),
            wishes: Wishes::default(),
            runner: Box::new(SystemRunner::new(Path::new("/"))),
            witness: Box::new(Unwatched),
            names: Box::new(SystemNames),
        }
    }
}

thread_local! {
    static TODAY: Cell<i64> = const { Cell::new(20_000) };
}

/// Lets this thread's helper believe that it is another day, in days since 1970-01-01.
pub fn set_today(day: i64) {
    TODAY.set(day);
}

/// The helper's insides on the sandbox's files.
pub fn open(setup: Setup) -> Accounts {
    let root = PathBuf::from("/");
    let world = World {
        database: Database::new(&root),
        names: setup.names,
        runner: setup.runner,
        limits: setup.limits,
        wishes: setup.wishes,
        site: SiteDefaults::read(&root),
        today: || TODAY.get(),
        now: || 1_800_000_000,
        witness: setup.witness,
        root,
    };
    Accounts::new(world, Ledger::open(Path::new(STATE)).expect("ledger"))
}

pub fn account(answer: TaskAnswer) -> AccountFacts {
    match answer {
        Ok(TaskDone::Account(facts)) => facts,
        other => panic!("expected an account, got {other:?}"),
    }
}

pub fn inspect(accounts: &Accounts, name: &str) -> Option<AccountFacts> {
    match accounts.carry_out(&Task::Inspect { name: user(name) }) {
        Ok(TaskDone::Inspected(facts)) => facts,
        other => panic!("expected facts, got {other:?}"),
    }
}

/// Changes a file of the sandbox as a local admin would, by hand.
pub fn edit(file: &str, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, change(text)).unwrap();
}

/// Runs a program of the sandbox, which must succeed.
pub fn shell(line: &str) {
    let status = Command::new("/bin/sh").args(["-c", line]).status().unwrap();
    assert!(status.success(), "{line}");
}
