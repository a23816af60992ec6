//! A person's desk: a home folder, mccli in it, and a provider to log in at.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use motley_tests::op::{TestCa, TestOp, User};
use motley_tests::sandbox::built;
use serde_json::Value;

/// Longest wait for anything that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Home folder and provider.
pub(crate) struct Desk {
    pub(crate) ca: TestCa,
    pub(crate) op: TestOp,
    home: tempfile::TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    /// A provider that knows alice, and nobody logged in.
    pub(crate) fn new() -> Self {
        let ca = TestCa::new().unwrap();
        let op = TestOp::builder(&ca).user(User::new("alice")).start().unwrap();
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Self { ca, op, home }
    }

    /// One where alice is logged in with a file as the store.
    pub(crate) fn logged_in() -> Self {
        let desk = Self::new();
        desk.op.sign_in(Some("alice"));
        let ran = desk.run(&["login", desk.op.issuer(), "--device", "--store", "file"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        desk.op.sign_in(None);
        desk
    }

    /// mccli with an environment that holds nothing of the caller's, and no terminal.
    pub(crate) fn mccli(&self, words: &[&str]) -> Command {
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(built("mccli").unwrap()).args(words);
        self.furnish(&mut command);
        command
    }

    /// mccli itself, so that its pid is the one of the child.
    pub(crate) fn bare(&self, words: &[&str]) -> Command {
        let mut command = Command::new(built("mccli").unwrap());
        command.args(words);
        self.furnish(&mut command);
        command
    }

    pub(crate) fn furnish(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("SSL_CERT_FILE", self.ca.path())
            .stdin(Stdio::null());
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        ran(self.mccli(words).output().unwrap())
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder of the logins.
    pub(crate) fn logins(&self) -> PathBuf {
        self.home().join(".local/state/mccli/logins")
    }

    /// The one file there with this ending.
    pub(crate) fn file(&self, ending: &str) -> PathBuf {
        let found: Vec<PathBuf> = fs::read_dir(self.logins())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == ending))
            .collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    /// Files below the home folder that hold the text as it is.
    pub(crate) fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut todo = vec![self.home().to_path_buf()];
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    todo.push(path);
                } else if holds(&fs::read(&path).unwrap_or_default(), text) {
                    found.push(path);
                }
            }
        }
        found
    }
}

pub(crate) fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

pub(crate) fn ran(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A running login whose standard error is read line by line.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: BufReader<std::process::ChildStderr>,
    seen: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines, seen: String::new() }
    }

    /// The next line that holds this text.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let count = self.lines.read_line(&mut line).unwrap();
            assert!(count > 0, "no line with {text:?} in {}", self.seen);
            self.seen.push_str(&line);
            if line.contains(text) {
                return line.trim_end().to_owned();
            }
        }
    }

    pub(crate) fn end(mut self) -> Ran {
        self.lines.read_to_string(&mut self.seen).unwrap();
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let code = self.child.wait().unwrap().code();
        Ran { code, out, err: self.seen }
    }
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
