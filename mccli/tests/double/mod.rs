//! Doubles for the parts around mccli: the service (plain http on loopback) and ssh (a script).
#![allow(dead_code)] // Each test binary uses its own part of this module.

pub(crate) mod http;
pub(crate) mod mytoken;
pub(crate) mod service;

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Longest wait for anything that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The prompt of the double's host, for the account `alice`.
pub(crate) const PROMPT: &str = "(alice@cue.example.org) Access Token:";

/// Words that make ssh log in at `cue.example.org` without reading the user's configuration.
pub(crate) const HOST: [&str; 5] = ["-F", "none", "-o", "HostName=cue.example.org", "cue"];

/// Stands in for ssh: passes `-G` and `-V` on to the real one, else records its words and
/// environment, has the prompts of the test answered, and goes on with the test's own script.
const SSH_DOUBLE: &str = r#"#!/bin/sh
if test -e "$DOUBLE/version"; then
    case "$1" in
    -G) /usr/bin/ssh "$@" | grep -v acceptedalgorithms; exit 0 ;;
    -V) cat "$DOUBLE/version" >&2; exit 0 ;;
    esac
fi
case "$1" in -G | -V) exec /usr/bin/ssh "$@" ;; esac
for word in "$@"; do printf '%s\0' "$word"; done > "$DOUBLE/argv"
cat /proc/$$/environ > "$DOUBLE/environ"
echo $$ > "$DOUBLE/pid"
number=0
while IFS= read -r prompt; do
    number=$((number + 1))
    "$SSH_ASKPASS" "$prompt" < /dev/null > "$DOUBLE/answer.$number" 2> "$DOUBLE/said.$number"
    echo $? > "$DOUBLE/code.$number"
done < "$DOUBLE/prompts"
. "$DOUBLE/then"
"#;

/// A folder with the ssh double and all it recorded.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
}

/// How askpass ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) answer: String,
    pub(crate) said: String,
    pub(crate) code: String,
}

impl Stage {
    /// A double that logs in, runs nothing and ends with 0.
    pub(crate) fn new() -> Self {
        let stage = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["bin", "run"] {
            fs::create_dir(stage.path(folder)).unwrap();
        }
        fs::set_permissions(stage.path("run"), fs::Permissions::from_mode(0o700)).unwrap();
        let ssh = stage.path("bin").join("ssh");
        fs::write(&ssh, SSH_DOUBLE).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
        stage.prompts(&[PROMPT]).then("exit 0")
    }

    /// What the double asks.
    pub(crate) fn prompts(self, prompts: &[&str]) -> Self {
        let lines: String = prompts.iter().map(|prompt| format!("{prompt}\n")).collect();
        fs::write(self.path("prompts"), lines).unwrap();
        self
    }

    /// Which old version the double pretends to be.
    pub(crate) fn version(self, text: &str) -> Self {
        fs::write(self.path("version"), text).unwrap();
        self
    }

    /// What the double does after its login: lines for sh.
    pub(crate) fn then(self, script: &str) -> Self {
        fs::write(self.path("then"), script).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// mccli with nothing in its environment but what is needed, and no terminal.
    pub(crate) fn mccli<W: AsRef<OsStr>>(&self, words: &[W]) -> Command {
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(env!("CARGO_BIN_EXE_mccli")).args(words);
        self.furnish(&mut command);
        command
    }

    /// The environment that every process of a test gets.
    pub(crate) fn furnish(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("DOUBLE", self.folder.path())
            .stdin(Stdio::null());
    }

    /// The words that ssh got.
    pub(crate) fn argv(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("argv")).expect("ssh was not started");
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    /// True if ssh was started for a login.
    pub(crate) fn ssh_ran(&self) -> bool {
        self.path("argv").exists()
    }

    /// How the prompt with this number (from 1) was answered.
    pub(crate) fn answered(&self, number: u32) -> Answered {
        let read = |what: &str| {
            let text = fs::read_to_string(self.path(&format!("{what}.{number}"))).unwrap();
            text.trim_end().to_owned()
        };
        Answered { answer: read("answer"), said: read("said"), code: read("code") }
    }

    /// True if no broker's folder is left.
    pub(crate) fn no_broker_left(&self) -> bool {
        fs::read_dir(self.path("run")).unwrap().next().is_none()
    }
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Standard output and error as text.
pub(crate) fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Every process whose command line or environment holds the text.
pub(crate) fn processes_that_show(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        for file in ["cmdline", "environ"] {
            let path: &Path = &entry.path().join(file);
            let Ok(bytes) = fs::read(path) else { continue };
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&bytes)));
            }
        }
    }
    found
}

/// The broker beside the ssh with this pid.
pub(crate) fn broker_of(ssh: &str) -> Option<String> {
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.to_owned();
        let is_broker = line.ends_with(b"__broker\0") && parent == ssh.trim();
        is_broker.then(|| entry.file_name().to_string_lossy().into_owned())
    })
}
