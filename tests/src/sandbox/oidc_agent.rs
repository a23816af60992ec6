//! The distribution's oidc-agent, headless, with one account made from a refresh token.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Sandbox;
use super::client::run_to_end;
use super::service::Service;
use crate::op::TestOp;

/// A running agent with one loaded account.
#[derive(Debug)]
pub struct OidcAgent {
    socket: PathBuf,
    account: String,
    dir: PathBuf,
    _service: Service,
}

impl OidcAgent {
    /// Starts the agent and makes the account `name` of `user` at `op`, through a refresh token.
    ///
    /// # Errors
    /// When oidc-agent-cli is missing, or the provider does not play along.
    pub fn start(sb: &Sandbox, op: &TestOp, ca: &Path, user: &str, name: &str) -> Result<Self> {
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
        let agent = Self { socket, account: name.to_owned(), dir, _service: service };
        agent.generate(sb, op, ca, user)?;
        Ok(agent)
    }

    /// Value for `OIDC_SOCK`.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Short name of the loaded account.
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
        let outcome = run_to_end(sb, command, b"", Duration::from_secs(30))?;
        if !outcome.is_success() {
            bail!("oidc-token failed: {}{}", outcome.stdout, outcome.stderr);
        }
        Ok(outcome.stdout.trim().to_owned())
    }

    fn generate(&self, sb: &Sandbox, op: &TestOp, ca: &Path, user: &str) -> Result<()> {
        let (client, secret) = op.add_client("oidc-agent-client", Some("oidc-agent-secret"));
        let mut command = Command::new("oidc-gen");
        command
            .args(["--prompt=none", "--confirm-default", "--pw-env=OIDC_ENCRYPTION_PW"])
            .arg(format!("--iss={}", op.issuer()))
            .arg(format!("--cp={}", ca.display()))
            .arg(format!("--client-id={client}"))
            .arg(format!("--client-secret={}", secret.unwrap_or_default()))
            .arg("--scope=openid profile email offline_access")
            .arg("--redirect-uri=http://localhost:18250")
            .arg(format!("--rt={}", op.refresh_token(user, &client)))
            .arg(&self.account)
            .env("OIDC_SOCK", &self.socket)
            .env("OIDC_CONFIG_DIR", &self.dir)
            .env("OIDC_ENCRYPTION_PW", "pw")
            .stdin(Stdio::null());
        let outcome = run_to_end(sb, command, b"", Duration::from_secs(30))?;
        if !outcome.is_success() {
            bail!("oidc-gen failed: {}{}", outcome.stdout, outcome.stderr);
        }
        Ok(())
    }
}
