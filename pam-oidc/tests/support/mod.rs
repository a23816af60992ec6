//! A private machine for one test: its own passwd and system log, real libpam, the built module.
//!
//! The thread of the test gets a mount namespace of its own, so it needs root; the machine around
//! it is not touched.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod daemon;
pub(crate) mod ffi;
pub(crate) mod library;

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// A token that the daemon's double takes.
pub(crate) const GOOD: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJnb29kIn0.canary-good";
/// A token that it denies.
pub(crate) const WRONG: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ3cm9uZyJ9.canary-wrong";
/// What sshd passes on for a name that it does not know.
pub(crate) const JUNK: &str = "\u{8}\n\r\u{7f}INCORRECT\u{8}\n\r\u{7f}INCORRECT";

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/:/usr/sbin/nologin
motley:x:990:990::/:/usr/sbin/nologin
alice:x:2001:2001:a1@https%3A%2F%2Fop.example:/home/alice:/bin/sh
bob:x:2002:2002:Bob,,,:/home/bob:/bin/sh
carol:x:2003:2003:c1@https%3A%2F%2Fop.example:/home/carol:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";

/// Where root's files lie; /tmp is open to everybody.
const TRUSTED: &str = "/mnt";

/// Tests of one process share libpam's and libc's state, such as the open system log.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The private machine.
pub(crate) struct Machine {
    dir: tempfile::TempDir,
    log: Arc<Log>,
    _turn: MutexGuard<'static, ()>,
}

impl Machine {
    /// Enters a fresh one; the thread stays in it.
    pub(crate) fn enter() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(nix::unistd::geteuid().is_root(), "run as root: the test needs a mount namespace");
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount_at(None, Path::new("/"), MsFlags::MS_PRIVATE | MsFlags::MS_REC);
        let dir = tempfile::tempdir().unwrap();
        let passwd = dir.path().join("passwd");
        fs::write(&passwd, PASSWD).unwrap();
        mount_at(Some(&passwd), Path::new("/etc/passwd"), MsFlags::MS_BIND);
        furnish_dev(&dir.path().join("dev"));
        mount_tmpfs(Path::new(TRUSTED));
        ffi::close_log();
        Self { dir, log: Log::open(), _turn: turn }
    }

    /// A path on this machine that no other test uses.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path that only root can write, as are all directories above it.
    pub(crate) fn trusted_path(&self, name: &str) -> PathBuf {
        Path::new(TRUSTED).join(name)
    }

    /// Where the daemon shall listen.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("login.sock")
    }

    /// All lines that were logged since the last call.
    pub(crate) fn log(&self) -> String {
        self.log.take()
    }

    /// A PAM stack with this machine's socket, no floor time and these arguments; other modules
    /// stand behind it to show what "ignore" means.
    pub(crate) fn stack(&self, args: &str) -> Stack<'_> {
        let socket = self.socket();
        self.bare_stack(&format!("socket={} fail_floor_ms=0 {args}", socket.display()))
    }

    /// A PAM stack with exactly these arguments.
    pub(crate) fn bare_stack(&self, args: &str) -> Stack<'_> {
        let module = library::module();
        let module = module.display();
        let rule = "[success=done ignore=ignore default=die]";
        let lines = format!(
            "auth {rule} {module} {args}\nauth required pam_debug.so auth=cred_insufficient\n\
             account {rule} {module} {args}\naccount required pam_debug.so acct=acct_expired\n\
             session required {module} {args}\n"
        );
        self.stack_of(&lines)
    }

    /// A PAM stack of these lines.
    pub(crate) fn stack_of(&self, lines: &str) -> Stack<'_> {
        let dir = self.path("pam.d");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("sshd"), lines).unwrap();
        Stack { machine: self }
    }
}

/// A system log that is read all the time: the socket holds ten lines, and then callers wait.
struct Log {
    lines: Mutex<Vec<String>>,
    arrived: Condvar,
}

/// Ends what a reader of the log waits for.
const MARK: &str = "-- mark --";

impl Log {
    fn open() -> Arc<Self> {
        let socket = UnixDatagram::bind("/dev/log").unwrap();
        let log = Arc::new(Self { lines: Mutex::default(), arrived: Condvar::new() });
        let writer = Arc::clone(&log);
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count) = socket.recv(&mut buffer) {
                let line = String::from_utf8_lossy(&buffer[..count]).into_owned();
                writer.lines.lock().unwrap().push(line);
                writer.arrived.notify_all();
            }
        });
        log
    }

    fn take(&self) -> String {
        let socket = UnixDatagram::unbound().unwrap();
        socket.send_to(MARK.as_bytes(), "/dev/log").unwrap();
        let lines = self.lines.lock().unwrap();
        let unmarked = |lines: &mut Vec<String>| !lines.iter().any(|it| it == MARK);
        let mut lines = self.arrived.wait_while(lines, unmarked).unwrap();
        lines.drain(..).filter(|it| it != MARK).map(|it| it + "\n").collect()
    }
}

/// What `PAM_IGNORE` in the auth phase comes to in [`Machine::stack`].
pub(crate) const AUTH_IGNORED: i32 = ffi::CRED_INSUFFICIENT;
/// What `PAM_IGNORE` in the account phase comes to in [`Machine::stack`].
pub(crate) const ACCOUNT_IGNORED: i32 = ffi::ACCT_EXPIRED;

fn mount_at(source: Option<&Path>, target: &Path, flags: MsFlags) {
    mount(source, target, None::<&str>, flags, None::<&str>).unwrap();
}

fn mount_tmpfs(target: &Path) {
    mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::empty(), Some("mode=755")).unwrap();
}

/// A /dev with room for a system log of its own.
fn furnish_dev(staging: &Path) {
    fs::create_dir(staging).unwrap();
    mount_tmpfs(staging);
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        let target = staging.join(device);
        fs::write(&target, "").unwrap();
        mount_at(Some(&Path::new("/dev").join(device)), &target, MsFlags::MS_BIND);
    }
    mount_at(Some(staging), Path::new("/dev"), MsFlags::MS_BIND | MsFlags::MS_REC);
}

/// A PAM service on the machine.
pub(crate) struct Stack<'a> {
    machine: &'a Machine,
}

impl Stack<'_> {
    /// Starts a PAM transaction for a user who gives these answers in order.
    pub(crate) fn start(&self, user: &str, answers: &[&str]) -> ffi::Transaction {
        ffi::Transaction::start(&self.machine.path("pam.d"), user, answers)
    }

    /// One authentication: code, and what the user saw.
    pub(crate) fn authenticate(&self, user: &str, answers: &[&str]) -> (i32, Vec<ffi::Seen>) {
        let mut transaction = self.start(user, answers);
        let code = transaction.authenticate();
        (code, transaction.seen())
    }

    /// One question of the account phase: code, and what the user saw.
    pub(crate) fn check_account(&self, user: &str) -> (i32, Vec<ffi::Seen>) {
        let mut transaction = self.start(user, &[]);
        let code = transaction.check_account();
        (code, transaction.seen())
    }
}

/// The texts of the prompts among what the user saw.
pub(crate) fn prompts(seen: &[ffi::Seen]) -> Vec<&str> {
    seen.iter().filter(|it| it.is_prompt()).map(|it| it.text.as_str()).collect()
}

/// The texts of the messages among what the user saw.
pub(crate) fn messages(seen: &[ffi::Seen]) -> Vec<&str> {
    seen.iter().filter(|it| !it.is_prompt()).map(|it| it.text.as_str()).collect()
}
