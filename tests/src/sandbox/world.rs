//! The whole road in one call: provider, root process, daemon, sshd with our PAM module.

use anyhow::{Context, Result, bail};

use super::{Answer, Daemon, DaemonBuilder, Outcome, PamStack, Root, Sandbox, Ssh, Sshd};
use crate::op::{TestCa, TestOp};

/// Everything a login needs, running.
#[derive(Debug)]
pub struct World {
    /// Vouches for the provider.
    pub ca: TestCa,
    /// The provider `demo` of the daemon's configuration.
    pub op: TestOp,
    /// The root process.
    pub root: Root,
    /// The daemon.
    pub daemon: Daemon,
    /// sshd at port 22 of every loopback address.
    pub sshd: Sshd,
}

impl World {
    /// Everybody of the provider is authorised; the PAM stack is [`PamStack::shipped`].
    ///
    /// # Errors
    /// When a part is not built or does not come up.
    pub fn start(sb: &Sandbox) -> Result<Self> {
        Self::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| daemon)
    }

    /// The same with other lines in the provider's section, another PAM stack, and whatever
    /// `adjust` does to the daemon's configuration.
    ///
    /// # Errors
    /// When a part is not built or does not come up.
    pub fn with(
        sb: &Sandbox,
        rules: &str,
        pam: PamStack,
        adjust: impl FnOnce(DaemonBuilder) -> DaemonBuilder,
    ) -> Result<Self> {
        let ca = TestCa::new()?;
        let op = TestOp::builder(&ca).start()?;
        let root = Root::start(sb)?;
        let daemon = adjust(Daemon::for_op("demo", &op, rules).ca(ca.path())).start(sb)?;
        let sshd = Sshd::new(sb).pam(pam).start()?;
        Ok(Self { ca, op, root, daemon, sshd })
    }

    /// Deploys the owner of a token over REST and returns the login name.
    ///
    /// # Errors
    /// When the answer is not `deployed`; the text carries the answer.
    pub fn deploy(&self, token: &str) -> Result<String> {
        let reply = self.daemon.rest()?.get("/user/deploy", Some(token))?;
        let answer = reply.json();
        if reply.status != 200 || answer["state"] != "deployed" {
            bail!("deploy answered {}: {}", reply.status, reply.text);
        }
        let name = answer["credentials"]["ssh_user"].as_str();
        name.map(str::to_owned).with_context(|| format!("no ssh_user in {}", reply.text))
    }

    /// Logs in on a terminal, pasting `secret` (a token or one-time password) once, and runs
    /// `id -un`.
    ///
    /// # Errors
    /// When no prompt appears, or ssh does not end.
    pub fn paste(&self, sb: &Sandbox, user: &str, secret: &str) -> Result<Outcome> {
        let ssh = Ssh::to(user).prompts(1).command("id -un");
        let ssh = ssh.option("-oPreferredAuthentications=keyboard-interactive");
        ssh.on_terminal(sb, &[Answer::line("Access Token:", secret)])
    }
}
