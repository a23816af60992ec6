//! The two services under test: the unprivileged daemon and the root process.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::User;

use super::service::Service;
use super::{LocalUser, Rest, Sandbox, built};
use crate::op::{TestCa, TestOp};

/// Where the daemon talks to the PAM module.
pub const LOGIN_SOCKET: &str = "/run/motley_cue/login.sock";
/// Where the daemon talks to the root process.
pub const TASK_SOCKET: &str = "/run/motley_cue/task.sock";
/// Where the daemon talks to administrators.
pub const ADMIN_SOCKET: &str = "/run/motley_cue/admin.sock";
/// The daemon's system user.
const DAEMON_USER: &str = "motley";
const CONFIG_DIR: &str = "/etc/motley_cue";
const DAEMON_STATE: &str = "/var/lib/motley_cue";
const ROOT_STATE: &str = "/var/lib/motley-root";
const START_LIMIT: Duration = Duration::from_secs(20);

/// The running root process (`motley-root`).
#[derive(Debug)]
pub struct Root {
    service: Option<Service>,
}

impl Root {
    /// Starts it and waits for its socket.
    ///
    /// # Errors
    /// When it is not built or does not come up.
    pub fn start(sb: &Sandbox) -> Result<Self> {
        prepare(sb)?;
        let mut root = Self { service: None };
        root.restart(sb)?;
        Ok(root)
    }

    /// Starts it again after [`Root::kill`], or ends it first.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart(&mut self, sb: &Sandbox) -> Result<()> {
        self.service = None;
        let mut command = Command::new(built("motley-root")?);
        command
            .args(["--socket", TASK_SOCKET, "--state", ROOT_STATE])
            .args(["--daemon-user", DAEMON_USER]);
        let mut service = Service::start(sb, "motley-root", command)?;
        service.wait_ready(START_LIMIT, || UnixStream::connect(TASK_SOCKET).is_ok())?;
        self.service = Some(service);
        Ok(())
    }

    /// `kill -9`; the socket file stays behind, as after a crash.
    pub fn kill(&mut self) {
        self.service = None;
    }

    /// The running process, if it runs.
    #[must_use]
    pub fn service(&self) -> Option<&Service> {
        self.service.as_ref()
    }

    /// What it has logged, over all starts.
    #[must_use]
    pub fn log(&self, sb: &Sandbox) -> String {
        super::service::read_lossy(&sb.log_dir().join("motley-root.log"))
    }
}

/// Collects the daemon's configuration.
#[derive(Debug, Clone)]
pub struct DaemonBuilder {
    motley_cue: String,
    adapter: String,
    ca: Option<PathBuf>,
    environment: Vec<(String, String)>,
    listen: String,
    tls: Option<Tls>,
}

/// Certificate and key of the daemon, and whom its clients trust, as PEM texts.
#[derive(Debug, Clone)]
struct Tls {
    certificate: String,
    key: String,
    authority: String,
}

/// Certificate of a daemon that speaks TLS itself.
const TLS_CERTIFICATE: &str = "/etc/motley_cue/tls.pem";
/// Its key.
const TLS_KEY: &str = "/etc/motley_cue/tls.key";

/// Puts the pair in its place; the key is for root and the daemon's group.
///
/// # Errors
/// When a file cannot be written.
pub fn install_tls(certificate: &str, key: &str) -> Result<()> {
    let group = User::from_name(DAEMON_USER)?.context("no daemon user")?.gid.as_raw();
    for (path, text, mode) in [(TLS_KEY, key, 0o640), (TLS_CERTIFICATE, certificate, 0o644)] {
        let new = format!("{path}.new");
        fs::write(&new, text)?;
        chown(&new, Some(0), Some(group))?;
        fs::set_permissions(&new, Permissions::from_mode(mode))?;
        fs::rename(&new, path)?;
    }
    Ok(())
}

impl DaemonBuilder {
    /// Speaks TLS by itself, with a certificate of this authority for `localhost` and 127.0.0.1.
    ///
    /// # Errors
    /// When there can be no certificate.
    pub fn tls(mut self, ca: &TestCa) -> Result<Self> {
        let (certificate, key) = ca.issue_pem(&["localhost", "127.0.0.1"])?;
        self.tls = Some(Tls { certificate, key, authority: ca.pem().to_owned() });
        Ok(self
            .option("server", &format!("tls_certificate = {TLS_CERTIFICATE}"))
            .option("server", &format!("tls_key = {TLS_KEY}")))
    }

    /// Another place to listen on, and another database, for one of several nodes.
    #[must_use]
    pub fn at(mut self, listen: &str, store: &str) -> Self {
        let before = format!("listen = {}\n", self.listen);
        self.motley_cue =
            self.motley_cue.replacen(&before, &format!("listen = {listen}\n"), 1).replacen(
                &format!("url = sqlite:{DAEMON_STATE}/motley.db\n"),
                &format!("url = {store}\n"),
                1,
            );
        listen.clone_into(&mut self.listen);
        self
    }

    /// One more line in a section that is there already.
    #[must_use]
    pub fn option(mut self, section: &str, line: &str) -> Self {
        let head = format!("[{section}]\n");
        self.motley_cue = self.motley_cue.replacen(&head, &format!("{head}{line}\n"), 1);
        self
    }

    /// More text at the end of `motley_cue.conf`.
    #[must_use]
    pub fn section(mut self, text: &str) -> Self {
        self.motley_cue += text;
        self.motley_cue.push('\n');
        self
    }

    /// One more OpenID provider; `rules` are lines of its `[authorisation.NAME]` section.
    #[must_use]
    pub fn op(self, name: &str, op: &TestOp, rules: &str) -> Self {
        self.section(&format!("\n[authorisation.{name}]\nop_url = {}\n{rules}", op.issuer()))
    }

    /// The whole `feudal_adapter.conf`.
    #[must_use]
    pub fn adapter(mut self, text: &str) -> Self {
        text.clone_into(&mut self.adapter);
        self
    }

    /// The authorities the daemon trusts (`SSL_CERT_FILE`).
    #[must_use]
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca = Some(file.into());
        self
    }

    /// One variable of the daemon's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes both files and starts the daemon as its own user; waits until REST answers.
    ///
    /// # Errors
    /// When it is not built or does not come up; the text carries its log.
    pub fn start(self, sb: &Sandbox) -> Result<Daemon> {
        let mut daemon = self.install(sb)?;
        daemon.restart(sb)?;
        Ok(daemon)
    }

    /// Writes both files, but does not start the daemon yet.
    ///
    /// # Errors
    /// When the files or the daemon's user cannot be made.
    pub fn install(self, sb: &Sandbox) -> Result<Daemon> {
        let user = prepare(sb)?;
        let config = Path::new(CONFIG_DIR).join("motley_cue.conf");
        let adapter = Path::new(CONFIG_DIR).join("feudal_adapter.conf");
        fs::write(&config, &self.motley_cue)?;
        fs::write(&adapter, &self.adapter)?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", self.listen);
        if let Some(tls) = &self.tls {
            install_tls(&tls.certificate, &tls.key)?;
        }
        let authority = self.tls.map(|tls| tls.authority);
        let mut environment = self.environment;
        if let Some(ca) = &self.ca {
            let file = sb.dir().join("daemon-ca.pem");
            fs::copy(ca, &file).with_context(|| format!("cannot copy {}", ca.display()))?;
            fs::set_permissions(&file, Permissions::from_mode(0o644))?;
            environment.push(("SSL_CERT_FILE".into(), file.to_string_lossy().into_owned()));
        }
        Ok(Daemon { service: None, user, url, authority, config, adapter, environment })
    }
}

/// The daemon (`motley-daemon serve`); dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    service: Option<Service>,
    user: LocalUser,
    url: String,
    authority: Option<String>,
    config: PathBuf,
    adapter: PathBuf,
    environment: Vec<(String, String)>,
}

impl Daemon {
    /// A daemon whose `motley_cue.conf` is this text; it must listen at 127.0.0.1:8080.
    #[must_use]
    pub fn with(motley_cue: &str) -> DaemonBuilder {
        DaemonBuilder {
            motley_cue: format!("{motley_cue}\n"),
            adapter: DEFAULT_ADAPTER.to_owned(),
            ca: None,
            environment: Vec::new(),
            listen: "127.0.0.1:8080".to_owned(),
            tls: None,
        }
    }

    /// A daemon with the default sockets, a store under `/var/lib/motley_cue` and no provider.
    #[must_use]
    pub fn with_defaults() -> DaemonBuilder {
        Self::with(&format!(
            "[server]\nlisten = 127.0.0.1:8080\n\
             [login]\nsocket = {LOGIN_SOCKET}\n\
             [admin]\nsocket = {ADMIN_SOCKET}\n\
             [root]\nsocket = {TASK_SOCKET}\n\
             [store]\nurl = sqlite:{DAEMON_STATE}/motley.db\n\
             [mapper]\nlog_level = INFO"
        ))
    }

    /// The same with one provider; `rules` are lines of its section, e.g. `authorise_all = yes`.
    #[must_use]
    pub fn for_op(name: &str, op: &TestOp, rules: &str) -> DaemonBuilder {
        Self::with_defaults().op(name, op, rules)
    }

    /// Starts it again after [`Daemon::kill`], or ends it first.
    ///
    /// # Errors
    /// When it does not come up; the text carries its log.
    pub fn restart(&mut self, sb: &Sandbox) -> Result<()> {
        self.service = None;
        let rest = self.rest()?;
        let mut service = Service::start(sb, "motley-daemon", self.command()?)?;
        service.wait_ready(START_LIMIT, || {
            rest.get("/", None).is_ok_and(|reply| reply.status < 500)
        })?;
        self.service = Some(service);
        Ok(())
    }

    /// Starts it without waiting until it answers; for starts that must fail.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn launch(&mut self, sb: &Sandbox) -> Result<&mut Service> {
        let service = Service::start(sb, "motley-daemon", self.command()?)?;
        Ok(self.service.insert(service))
    }

    /// `kill -9`, as a crash.
    pub fn kill(&mut self) {
        self.service = None;
    }

    /// The running process, if it runs.
    #[must_use]
    pub fn service(&self) -> Option<&Service> {
        self.service.as_ref()
    }

    /// What it has logged, over all starts.
    #[must_use]
    pub fn log(&self, sb: &Sandbox) -> String {
        super::service::read_lossy(&sb.log_dir().join("motley-daemon.log"))
    }

    /// A REST client for it.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn rest(&self) -> Result<Rest> {
        Rest::new(&self.url, self.authority.as_deref())
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Path of its `motley_cue.conf`, to be changed before a restart.
    #[must_use]
    pub fn config_path(&self) -> &Path {
        &self.config
    }

    /// `setpriv` and not a changed uid alone: no supplementary groups, no capability, no way back.
    fn command(&self) -> Result<Command> {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &self.user.uid.to_string(), "--regid", &self.user.gid.to_string()])
            .args(["--clear-groups", "--inh-caps=-all", "--no-new-privs"])
            .arg(built("motley-daemon")?)
            .args(["serve", "--config"])
            .arg(&self.config)
            .arg("--adapter-config")
            .arg(&self.adapter)
            .current_dir("/")
            .env("HOME", DAEMON_STATE)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}

/// As the shipped file: friendly names, local accounts.
const DEFAULT_ADAPTER: &str = "\
[ldf_adapter]
backend = local_unix

[username_generator]
mode = friendly

[login_info]
description = Test service
login_help = mccli ssh {ssh_host}
ssh_host = 127.0.0.1

[backend.local_unix]
shell = /bin/bash
home_base = /home
deploy_user_ssh_keys = no
";

/// Makes user and directories as the packages would.
fn prepare(sb: &Sandbox) -> Result<LocalUser> {
    let user = sb.add_system_user(DAEMON_USER)?;
    let owner = User::from_name(DAEMON_USER)?.context("no daemon user")?;
    let (uid, gid) = (owner.uid.as_raw(), owner.gid.as_raw());
    for (dir, uid, gid, mode) in [
        (CONFIG_DIR, 0, 0, 0o755),
        ("/run/motley_cue", uid, gid, 0o755),
        (DAEMON_STATE, uid, gid, 0o750),
        (ROOT_STATE, 0, 0, 0o700),
    ] {
        fs::create_dir_all(dir)?;
        chown(dir, Some(uid), Some(gid))?;
        fs::set_permissions(dir, Permissions::from_mode(mode))?;
    }
    Ok(user)
}
