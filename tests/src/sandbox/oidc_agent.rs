//! The distribution's oidc-agent, headless, with accounts made from a refresh token or a device flow.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::client::run_to_end;
use super::service::Service;
use super::{Sandbox, until};
use crate::op::TestOp;

/// How long each of its programs may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Its password for [`OidcAgent::lock`].
const PASSWORD: &str = "pw";

/// A running agent.
#[derive(Debug)]
pub struct OidcAgent {
    socket: PathBuf,
    account: String,
    dir: PathBuf,
    service: Service,
}

/// What kind of client an account of the agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentClient {
    /// It has a secret.
    Confidential,
    /// It has none.
    Public,
}

impl OidcAgent {
    /// Starts the agent and makes the account `name` of `user` at `op`, through a refresh token.
    ///
    /// # Errors
    /// When oidc-agent-cli is missing, or the provider does not play along.
    pub fn start(sb: &Sandbox, op: &TestOp, ca: &Path, user: &str, name: &str) -> Result<Self> {
        let agent = Self::without_accounts(sb, name)?;
        agent.add(sb, op, ca, user, name, AgentClient::Confidential)?;
        Ok(agent)
    }

    /// Starts the agent.
    ///
    /// # Errors
    /// When oidc-agent-cli is missing.
    pub fn without_accounts(sb: &Sandbox, name: &str) -> Result<Self> {
        let dir = sb.dir().join(format!("oidc-agent-{name}"));
        std::fs::create_dir_all(&dir)?;
        let mut command = Command::new("oidc-agent");
        let socket = dir.join("agent.sock");
        command
            .args(["--no-autoload", "--console"])
            .arg(format!("--socket-path={}", socket.display()))
            .env("OIDC_CONFIG_DIR", &dir);
        let mut service = Service::start(sb, &format!("oidc-agent-{name}"), command)
            .context("install oidc-agent-cli")?;
        service.wait_ready(Duration::from_secs(10), || UnixStream::connect(&socket).is_ok())?;
        Ok(Self { socket, account: name.to_owned(), dir, service })
    }

    /// Ends the agent; its socket stays behind.
    pub fn stop(&mut self) {
        self.service.kill();
    }

    /// Value for `OIDC_SOCK`.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Short name of the first account.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Asks the agent for an access token with its own client, `oidc-token`.
    ///
    /// # Errors
    /// What the agent says.
    pub fn token(&self, sb: &Sandbox) -> Result<String> {
        let mut command = Command::new("oidc-token");
        command.arg(&self.account).env("OIDC_SOCK", &self.socket);
        let outcome = run_to_end(sb, command, b"", LIMIT)?;
        if !outcome.is_success() {
            bail!("oidc-token failed: {}{}", outcome.stdout, outcome.stderr);
        }
        Ok(outcome.stdout.trim().to_owned())
    }

    /// Makes and loads an account through a refresh token.
    ///
    /// # Errors
    /// What oidc-gen says.
    pub fn add(
        &self,
        sb: &Sandbox,
        op: &TestOp,
        ca: &Path,
        user: &str,
        account: &str,
        kind: AgentClient,
    ) -> Result<()> {
        let mut command = self.oidc_gen(op, ca);
        let client = with_client(&mut command, op, account, kind);
        command.arg(format!("--rt={}", op.refresh_token(user, &client))).arg(account);
        check(&run_to_end(sb, command, b"", LIMIT)?)
    }

    /// Makes and loads an account through the device flow, which `user` approves.
    ///
    /// # Errors
    /// What oidc-gen says, or that it asks for no approval.
    pub fn add_by_device_flow(
        &self,
        sb: &Sandbox,
        op: &TestOp,
        ca: &Path,
        user: &str,
        account: &str,
    ) -> Result<()> {
        let mut command = self.oidc_gen(op, ca);
        with_client(&mut command, op, account, AgentClient::Confidential);
        command.arg("--flow=device").arg(account);
        std::thread::scope(|scope| {
            let generation = scope.spawn(|| run_to_end(sb, command, b"", LIMIT));
            let code = until("a user code", LIMIT, || op.pending_user_codes().pop());
            code.map(|code| op.approve_device(&code, user))?;
            match generation.join() {
                Ok(outcome) => check(&outcome?),
                Err(_) => bail!("the thread of oidc-gen ended badly"),
            }
        })
    }

    /// Locks the agent with a password.
    ///
    /// # Errors
    /// What the agent says.
    pub fn lock(&self) -> Result<()> {
        self.ask(&json!({"request": "lock", "password": PASSWORD}))
    }

    /// Unlocks it again.
    ///
    /// # Errors
    /// What the agent says.
    pub fn unlock(&self) -> Result<()> {
        self.ask(&json!({"request": "unlock", "password": PASSWORD}))
    }

    /// Takes an account out of the agent; its file stays.
    ///
    /// # Errors
    /// What the agent says.
    pub fn unload(&self, account: &str) -> Result<()> {
        self.ask(&json!({"request": "remove", "account": account}))
    }

    fn ask(&self, request: &Value) -> Result<()> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.write_all(request.to_string().as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let said: Value = serde_json::from_str(&answer).context("the answer of oidc-agent")?;
        if said["status"] != "success" {
            bail!("oidc-agent says: {answer}");
        }
        Ok(())
    }

    fn oidc_gen(&self, op: &TestOp, ca: &Path) -> Command {
        let mut command = Command::new("oidc-gen");
        command
            .args(["--prompt=none", "--confirm-default", "--pw-env=OIDC_ENCRYPTION_PW"])
            .arg(format!("--iss={}", op.issuer()))
            .arg(format!("--cp={}", ca.display()))
            .arg("--scope=openid profile email offline_access")
            .arg("--redirect-uri=http://localhost:18250")
            .env("OIDC_SOCK", &self.socket)
            .env("OIDC_CONFIG_DIR", &self.dir)
            .env("OIDC_ENCRYPTION_PW", "pw")
            .stdin(Stdio::null());
        command
    }
}

/// Registers a client for the account and names it to oidc-gen; gives its id.
fn with_client(command: &mut Command, op: &TestOp, account: &str, kind: AgentClient) -> String {
    let id = format!("oidc-agent-{account}");
    let secret = match kind {
        AgentClient::Confidential => Some("oidc-agent-secret"),
        AgentClient::Public => None,
    };
    let (client, _) = op.add_client(&id, secret);
    command.arg(format!("--client-id={client}"));
    match secret {
        Some(secret) => command.arg(format!("--client-secret={secret}")),
        None => command.args(["--pub", "-m"]),
    };
    client
}

fn check(outcome: &super::Outcome) -> Result<()> {
    if !outcome.is_success() {
        bail!("oidc-gen failed: {}{}", outcome.stdout, outcome.stderr);
    }
    Ok(())
}
