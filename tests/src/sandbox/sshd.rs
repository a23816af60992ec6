//! A real sshd with a configuration, a PAM stack and the built PAM module.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::service::Service;
use super::{LOGIN_SOCKET, Sandbox, check_run, library};

/// File name of the module under test in the PAM directory.
const MODULE: &str = "pam_oidc_token.so";

/// The contents of `/etc/pam.d/sshd`.
#[derive(Debug, Clone)]
pub struct PamStack {
    auth: Auth,
    arguments: Vec<String>,
}

#[derive(Debug, Clone)]
enum Auth {
    TokenThenPassword,
    TokenOnly,
    Distribution,
    Text(String),
}

impl PamStack {
    /// Token first, then the distribution's password stack; our account phase for every login.
    #[must_use]
    pub fn shipped() -> Self {
        Self::of(Auth::TokenThenPassword)
    }

    /// Token only: a refused token does not lead to a password prompt.
    #[must_use]
    pub fn token_only() -> Self {
        Self::of(Auth::TokenOnly)
    }

    /// What the distribution ships, without our module.
    #[must_use]
    pub fn distribution() -> Self {
        Self::of(Auth::Distribution)
    }

    /// Any other text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::of(Auth::Text(text.to_owned()))
    }

    /// Adds an argument to each line of our module, e.g. `fail_floor_ms=200`. The first argument
    /// is always `socket=…` unless one given here starts so.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    fn of(auth: Auth) -> Self {
        Self { auth, arguments: Vec::new() }
    }

    fn render(&self) -> String {
        let mut arguments = self.arguments.clone();
        if !arguments.iter().any(|argument| argument.starts_with("socket=")) {
            arguments.insert(0, format!("socket={LOGIN_SOCKET}"));
        }
        let module = format!("{MODULE} {}", arguments.join(" "));
        let control = "[success=done new_authtok_reqd=done maxtries=die default=ignore]";
        let (first, fallback) = match &self.auth {
            Auth::Text(text) => return text.clone(),
            Auth::Distribution => (None, "@include common-auth"),
            Auth::TokenThenPassword => (Some(&module), "@include common-auth"),
            Auth::TokenOnly => (Some(&module), "auth required pam_deny.so"),
        };
        let mut lines = Vec::new();
        lines.extend(first.map(|module| format!("auth {control} {module}")));
        lines.push(fallback.to_owned());
        lines.extend(first.map(|module| format!("account required {module}")));
        lines.push("@include common-account".to_owned());
        lines.extend(first.map(|module| format!("session optional {module}")));
        lines.push("@include common-session".to_owned());
        lines.push("@include common-password".to_owned());
        lines.join("\n") + "\n"
    }
}

/// Collects what a sshd shall be like.
#[derive(Debug)]
pub struct SshdBuilder<'a> {
    sb: &'a Sandbox,
    port: u16,
    options: Vec<String>,
    pam: PamStack,
    module: Option<PathBuf>,
}

impl SshdBuilder<'_> {
    /// The port on every loopback address; 22 unless set.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// One line of sshd_config; it wins over the defaults.
    #[must_use]
    pub fn option(mut self, line: &str) -> Self {
        self.options.push(line.to_owned());
        self
    }

    /// The PAM stack; [`PamStack::shipped`] unless set.
    #[must_use]
    pub fn pam(mut self, pam: PamStack) -> Self {
        self.pam = pam;
        self
    }

    /// Another build of the PAM module, e.g. one with a test feature.
    #[must_use]
    pub fn module(mut self, path: impl Into<PathBuf>) -> Self {
        self.module = Some(path.into());
        self
    }

    /// Installs configuration and module, starts sshd and waits until it accepts connections.
    ///
    /// # Errors
    /// When openssh-server is missing, the module is not built, or sshd does not come up.
    pub fn start(self) -> Result<Sshd> {
        let sb = self.sb;
        let stack = self.pam.render();
        if stack.contains(MODULE) {
            let built = self.module.map_or_else(|| library("pam_oidc_token"), Ok)?;
            sb.install_pam_module(&built)?;
        }
        fs::write("/etc/pam.d/sshd", stack)?;
        let dir = sb.dir().join(format!("sshd-{}", self.port));
        fs::create_dir_all(&dir)?;
        let host_key = dir.join("host_key");
        if !host_key.exists() {
            let file = host_key.to_string_lossy();
            check_run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &file])?;
        }
        let config = dir.join("sshd_config");
        let text = render_config(&self.options, self.port, &dir.to_string_lossy());
        // OpenSSH 9.8 and later turn a source away that failed several times, as tests do.
        fs::write(&config, format!("PerSourcePenalties no\n{text}"))?;
        if check_run("/usr/sbin/sshd", &["-t", "-f", &config.to_string_lossy()]).is_err() {
            fs::write(&config, text)?;
        }
        let mut sshd = Sshd { port: self.port, config, service: None };
        sshd.restart(sb)?;
        Ok(sshd)
    }
}

/// A running sshd; dropping it ends the listener (sessions end with the sandbox).
#[derive(Debug)]
pub struct Sshd {
    port: u16,
    config: PathBuf,
    service: Option<Service>,
}

impl Sshd {
    /// Starts describing one.
    #[allow(clippy::new_ret_no_self)]
    #[must_use]
    pub fn new(sb: &Sandbox) -> SshdBuilder<'_> {
        SshdBuilder { sb, port: 22, options: Vec::new(), pam: PamStack::shipped(), module: None }
    }

    /// Ends the listener if there is one, and starts it again with the same files.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart(&mut self, sb: &Sandbox) -> Result<()> {
        self.service = None;
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(&self.config);
        let mut service = Service::start(sb, &format!("sshd-{}", self.port), command)
            .context("install openssh-server")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        service.wait_ready(Duration::from_secs(10), || TcpStream::connect(address).is_ok())?;
        self.service = Some(service);
        Ok(())
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// sshd's own log (PAM modules write to [`Sandbox::syslog`]).
    #[must_use]
    pub fn log(&self) -> String {
        self.service.as_ref().map(Service::log).unwrap_or_default()
    }

    /// Waits for a line of sshd's own log that contains `text`.
    ///
    /// # Errors
    /// When none has come within `limit`.
    pub fn wait_for_log(&self, text: &str, limit: Duration) -> Result<String> {
        self.service.as_ref().context("sshd does not run")?.wait_for_log(text, limit)
    }
}

impl Sandbox {
    /// Copies a build of the PAM module to the place where libpam looks for it.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn install_pam_module(&self, built: &std::path::Path) -> Result<PathBuf> {
        let target = self.pam_dir()?.join(MODULE);
        fs::copy(built, &target).with_context(|| format!("cannot copy {}", built.display()))?;
        Ok(target)
    }
}

/// Own options first: sshd takes the first value it meets.
fn render_config(options: &[String], port: u16, dir: &str) -> String {
    let own: String = options.iter().map(|option| format!("{option}\n")).collect();
    format!(
        "{own}Port {port}\n\
         ListenAddress 0.0.0.0\n\
         HostKey {dir}/host_key\n\
         PidFile {dir}/pid\n\
         UsePAM yes\n\
         KbdInteractiveAuthentication yes\n\
         PasswordAuthentication no\n\
         PubkeyAuthentication yes\n\
         AuthorizedKeysFile .ssh/authorized_keys\n\
         LogLevel VERBOSE\n\
         PrintMotd no\n\
         PrintLastLog no\n\
         UseDNS no\n\
         MaxStartups 300:30:400\n\
         Subsystem sftp internal-sftp\n"
    )
}
