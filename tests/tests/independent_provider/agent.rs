//! The distribution's oidc-agent with an account at the independent provider.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use motley_tests::sandbox::{Sandbox, Service};

use crate::provider::{CLIENT, ISSUER, IndependentProvider, SECRET};

/// Short name of the account.
pub(crate) const ACCOUNT: &str = "independent";

/// A running agent with one loaded account.
#[derive(Debug)]
pub(crate) struct Agent {
    socket: PathBuf,
    _service: Service,
}

impl Agent {
    /// Starts it and makes the account of a person from a refresh token.
    ///
    /// # Errors
    /// When oidc-agent-cli is missing, or the two do not get on with each other.
    pub(crate) fn start(
        sb: &Sandbox,
        provider: &IndependentProvider,
        person: &str,
    ) -> Result<Self> {
        let dir = sb.dir().join("oidc-agent");
        fs::create_dir_all(&dir)?;
        let socket = dir.join("agent.sock");
        let mut command = Command::new("oidc-agent");
        command
            .args(["--no-autoload", "--console"])
            .arg(format!("--socket-path={}", socket.display()))
            .env("OIDC_CONFIG_DIR", &dir);
        let mut service =
            Service::start(sb, "oidc-agent", command).context("install oidc-agent-cli")?;
        service.wait_ready(Duration::from_secs(10), || UnixStream::connect(&socket).is_ok())?;
        let output = Command::new("oidc-gen")
            .args(["--prompt=none", "--confirm-default", "--pw-env=OIDC_ENCRYPTION_PW"])
            .arg(format!("--iss={ISSUER}"))
            .arg(format!("--cp={}", provider.ca.path().display()))
            .arg(format!("--client-id={CLIENT}"))
            .arg(format!("--client-secret={SECRET}"))
            .arg("--scope=openid profile email entitlements offline_access")
            .arg("--redirect-uri=http://localhost:18250")
            .arg(format!("--rt={}", provider.refresh_token(person)?))
            .arg(ACCOUNT)
            .env("OIDC_SOCK", &socket)
            .env("OIDC_CONFIG_DIR", &dir)
            .env("OIDC_ENCRYPTION_PW", "pw")
            .output()?;
        if !output.status.success() {
            bail!("oidc-gen failed: {output:?}");
        }
        Ok(Self { socket, _service: service })
    }

    /// Value for `OIDC_SOCK`.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }
}
