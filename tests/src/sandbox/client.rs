//! The ssh client: on a terminal with typed answers, or without one through an askpass program.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::terminal::Terminal;
use super::{Sandbox, SshKey};

/// How long one login may take unless the test says otherwise.
const LIMIT: Duration = Duration::from_secs(60);

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output; on a terminal everything that was shown.
    pub stdout: String,
    /// Standard error; empty on a terminal.
    pub stderr: String,
    /// The prompts that the askpass program was called with.
    pub prompts: Vec<String>,
    /// From start to end.
    pub took: Duration,
}

impl Outcome {
    /// Whether it ended with exit code 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

/// What is answered to the next prompt that contains a text.
#[derive(Debug, Clone)]
pub struct Answer {
    prompt: String,
    reply: String,
    delay: Duration,
}

impl Answer {
    /// Answers `reply` and Enter to a prompt that contains `prompt`.
    #[must_use]
    pub fn line(prompt: &str, reply: &str) -> Self {
        Self { prompt: prompt.to_owned(), reply: reply.to_owned(), delay: Duration::ZERO }
    }

    /// The same, but only so long after the prompt. An askpass program waits; a terminal does not.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The text to wait for.
    #[must_use]
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// What is typed.
    #[must_use]
    pub fn reply(&self) -> &str {
        &self.reply
    }
}

/// One ssh command line; host keys are kept apart from the caller's own.
#[derive(Debug, Clone)]
pub struct Ssh {
    program: PathBuf,
    user: String,
    host: String,
    port: u16,
    options: Vec<String>,
    command: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Ssh {
    /// A login as `user` at 127.0.0.1, port 22.
    #[must_use]
    pub fn to(user: &str) -> Self {
        Self {
            program: "ssh".into(),
            user: user.to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 22,
            options: Vec::new(),
            command: Vec::new(),
            environment: Vec::new(),
            stdin: Vec::new(),
            limit: LIMIT,
        }
    }

    /// Another host name or address.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = host.to_owned();
        self
    }

    /// Another port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// One argument before the host, e.g. `-v`; two for `-o X=y`. They win over the defaults.
    #[must_use]
    pub fn option(mut self, argument: &str) -> Self {
        self.options.push(argument.to_owned());
        self
    }

    /// Logs in with this key and no other.
    #[must_use]
    pub fn key(self, key: &SshKey) -> Self {
        let file = key.path.to_string_lossy().into_owned();
        self.option("-i").option(&file).option("-oIdentitiesOnly=yes")
    }

    /// Uses public keys only, never a prompt.
    #[must_use]
    pub fn keys_only(self) -> Self {
        self.option("-oPreferredAuthentications=publickey").option("-oBatchMode=yes")
    }

    /// Asks at most `count` times.
    #[must_use]
    pub fn prompts(self, count: u8) -> Self {
        self.option(&format!("-oNumberOfPasswordPrompts={count}"))
    }

    /// The remote command (as one or several words, joined by ssh).
    #[must_use]
    pub fn command(mut self, words: &str) -> Self {
        self.command.push(words.to_owned());
        self
    }

    /// One variable of the client's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Bytes for standard input (without a terminal).
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The longest the login may take, 60 s unless set.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it on a terminal and leaves the talking to the test.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn open_terminal(&self, sb: &Sandbox) -> Result<Terminal> {
        let mut command = self.build(sb);
        command.env_remove("SSH_ASKPASS").env_remove("DISPLAY");
        Terminal::start(&command)
    }

    /// Runs it on a terminal, typing the answers in order, each when its prompt has appeared.
    ///
    /// # Errors
    /// When a prompt does not appear or the program does not end; the error carries the screen.
    pub fn on_terminal(&self, sb: &Sandbox, answers: &[Answer]) -> Result<Outcome> {
        let mut terminal = self.open_terminal(sb)?;
        for answer in answers {
            terminal.expect(&answer.prompt, self.limit)?;
            terminal.type_line(&answer.reply)?;
        }
        terminal.wait(self.limit)
    }

    /// Runs it without a terminal; prompts go to an askpass program that gives the answers. Each
    /// answer serves every prompt that contains its text; any other prompt gets none.
    ///
    /// # Errors
    /// When it cannot be started or does not end within the limit.
    pub fn with_askpass(&self, sb: &Sandbox, answers: &[Answer]) -> Result<Outcome> {
        let askpass = Askpass::write(sb, answers)?;
        let mut command = self.build(sb);
        command.env("SSH_ASKPASS", &askpass.program).env("SSH_ASKPASS_REQUIRE", "force");
        let mut outcome = run_to_end(sb, command, &self.stdin, self.limit)?;
        outcome.prompts = askpass.prompts();
        Ok(outcome)
    }

    fn build(&self, sb: &Sandbox) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["-F", "/dev/null"])
            .args(&self.options)
            .args(sb.host_key_options())
            .args(["-p", &self.port.to_string(), "-l", &self.user, &self.host])
            .args(&self.command)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A shell script that knows the answers, as ssh wants one.
struct Askpass {
    program: PathBuf,
    log: PathBuf,
}

impl Askpass {
    fn write(sb: &Sandbox, answers: &[Answer]) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let dir = sb.dir().join(format!("askpass-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir_all(&dir)?;
        let (program, log) = (dir.join("askpass"), dir.join("prompts"));
        let mut script = format!("#!/bin/sh\nprintf '%s\\n' \"$1\" >> {}\n", log.display());
        for (number, answer) in answers.iter().enumerate() {
            let reply = dir.join(format!("reply-{number}"));
            fs::write(&reply, format!("{}\n", answer.reply))?;
            let prompt = answer.prompt.replace('\'', "'\\''");
            let (reply, delay) = (reply.display(), answer.delay.as_secs());
            script += &format!(
                "case \"$1\" in *'{prompt}'*) sleep {delay}; cat {reply}; exit 0;; esac\n"
            );
        }
        script += "exit 1\n";
        fs::write(&program, script)?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        Ok(Self { program, log })
    }

    fn prompts(&self) -> Vec<String> {
        super::service::read_lossy(&self.log).lines().map(str::to_owned).collect()
    }
}

/// Runs a command without terminal, with `stdin` as its input.
///
/// # Errors
/// When it cannot be started or does not end within `limit`; it is killed then.
pub(crate) fn run_to_end(
    sb: &Sandbox,
    mut command: Command,
    stdin: &[u8],
    limit: Duration,
) -> Result<Outcome> {
    // Output goes to files: a background child that keeps a pipe open must not look like a hang.
    let (out, out_path) = scratch_file(sb.dir().as_path())?;
    let (err, err_path) = scratch_file(sb.dir().as_path())?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(out)
        .stderr(err)
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if let Some(mut input) = child.stdin.take() {
        let bytes = stdin.to_vec();
        // The reader may leave early; then the rest of the input is nobody's.
        thread::spawn(move || drop(input.write_all(&bytes)));
    }
    let status = super::until("the end of the program", limit, || child.try_wait().ok().flatten());
    let took = started.elapsed();
    let (stdout, stderr) =
        (super::service::read_lossy(&out_path), super::service::read_lossy(&err_path));
    if status.is_err() {
        drop(child.kill());
        drop(child.wait());
    }
    let status = status.with_context(|| format!("stdout:\n{stdout}\nstderr:\n{stderr}"))?;
    Ok(ended(status, stdout, stderr, took))
}

/// Puts the parts of an outcome together.
pub(crate) fn ended(status: ExitStatus, stdout: String, stderr: String, took: Duration) -> Outcome {
    let (code, signal) = (status.code(), status.signal());
    Outcome { code, signal, stdout, stderr, prompts: Vec::new(), took }
}

fn scratch_file(dir: &Path) -> Result<(fs::File, PathBuf)> {
    Ok(tempfile::NamedTempFile::new_in(dir)?.keep()?)
}
