//! The built client, `mccli`, with an environment that holds nothing of the caller's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::client::run_to_end;
use super::terminal::Terminal;
use super::{Answer, Outcome, Sandbox, built};

/// Variables of the caller that would change where mccli takes its token or endpoint from.
const FOREIGN: [&str; 20] = [
    "ACCESS_TOKEN",
    "OIDC",
    "OS_ACCESS_TOKEN",
    "OIDC_ACCESS_TOKEN",
    "WATTS_TOKEN",
    "WATTSON_TOKEN",
    "OIDC_AGENT_ACCOUNT",
    "OIDC_ISS",
    "OIDC_ISSUER",
    "OIDC_SOCK",
    "OIDC_REMOTE_SOCK",
    "MYTOKEN",
    "MYTOKEN_SERVER",
    "BEARER_TOKEN",
    "BEARER_TOKEN_FILE",
    "MCCLI_TOKEN_FILE",
    "MCCLI_TOKEN_CMD",
    "MCCLI_PROFILE",
    "MCCLI_COMPAT",
    "LOG",
];

/// One mccli command line.
#[derive(Debug, Clone)]
pub struct Mccli {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Mccli {
    /// The built program with these arguments.
    ///
    /// # Errors
    /// When it is not built.
    pub fn new<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> Result<Self> {
        Ok(Self::program(built("mccli")?, arguments))
    }

    /// Another program with the same command line, e.g. the Python client.
    pub fn program<S: AsRef<str>>(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(|word| word.as_ref().to_owned()).collect(),
            environment: Vec::new(),
            stdin: Vec::new(),
            limit: Duration::from_secs(60),
        }
    }

    /// One variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The authorities it trusts (`SSL_CERT_FILE`).
    #[must_use]
    pub fn ca(self, file: &Path) -> Self {
        self.env("SSL_CERT_FILE", &file.to_string_lossy())
    }

    /// Bytes for standard input (without a terminal).
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The longest it may take, 60 s unless set.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it without a terminal.
    ///
    /// # Errors
    /// When it does not end within the limit.
    pub fn run(&self, sb: &Sandbox) -> Result<Outcome> {
        run_to_end(sb, self.build(), &self.stdin, self.limit)
    }

    /// Runs it on a terminal, typing the answers in order.
    ///
    /// # Errors
    /// When a prompt does not appear or it does not end within the limit.
    pub fn on_terminal(&self, answers: &[Answer]) -> Result<Outcome> {
        let mut terminal = self.open_terminal()?;
        for answer in answers {
            terminal.expect(answer.prompt(), self.limit)?;
            terminal.type_line(answer.reply())?;
        }
        terminal.wait(self.limit)
    }

    /// Starts it on a terminal and leaves the talking to the test.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn open_terminal(&self) -> Result<Terminal> {
        Terminal::start(&self.build())
    }

    fn build(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}
