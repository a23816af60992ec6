//! The two services that are measured, each started as its packages start it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use motley_tests::op::TestOp;
use motley_tests::sandbox::{
    ADMIN_SOCKET, Daemon, LOGIN_SOCKET, Rest, Root, Sandbox, Service, TASK_SOCKET,
};

use crate::accounts::MEMBERSHIP;

/// Where the Python stack keeps its files; our own take the usual places.
const ORIGINAL: &str = "/var/lib/python-stack";
const ORIGINAL_ADDRESS: &str = "127.0.0.1:8081";
const START_LIMIT: Duration = Duration::from_secs(60);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Which {
    /// motley-daemon and motley-root.
    Ours,
    /// motley_cue under gunicorn.
    Python,
}

/// A service that can be started again and again.
pub(crate) trait Stack {
    /// Which it is.
    fn which(&self) -> Which;
    /// Starts it anew; does not wait for its first answer.
    fn launch(&mut self, sb: &Sandbox) -> Result<()>;
    /// Ends it.
    fn stop(&mut self);
    /// Process groups of its processes.
    fn groups(&self) -> Vec<u32>;
    /// Base URL.
    fn url(&self) -> &str;
    /// What it has logged, over all starts.
    fn log(&self) -> String;

    /// The end of that.
    fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        let lines: String = lines.into_iter().rev().map(|line| format!("{line}\n")).collect();
        format!("{}, end of its log:\n{lines}", self.which())
    }

    /// Waits until /info is answered with 200.
    fn wait_for_info(&self) -> Result<()>;
}

/// Asks for /info every millisecond until it is answered with 200.
fn wait_for_info(url: &str, last_words: impl Fn() -> String) -> Result<()> {
    let rest = Rest::with_timeout(url, None, Duration::from_secs(5))?;
    let begin = Instant::now();
    while !rest.get("/info", None).is_ok_and(|reply| reply.status == 200) {
        ensure!(begin.elapsed() < START_LIMIT, "no answer from {url}; {}", last_words());
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Who is authorised, in words that both read alike.
fn rules() -> String {
    format!(
        "authorise_all = no\nauthorised_vos = [\n    {MEMBERSHIP}\n    ]\n\
         vo_claim = eduperson_entitlement\nvo_match = one\n"
    )
}

/// How accounts are made: the shipped files, without comments.
const ADAPTER: &str = "\
[ldf_adapter]
backend = local_unix
fallback_group = nogroup

[username_generator]
mode = friendly

[groups]
policy = all
method = classic

[login_info]
description = Measured service
login_help = mccli ssh
ssh_host = 127.0.0.1

[backend.local_unix]
shell = /bin/bash
home_base = /home
deploy_user_ssh_keys = no
";

/// What the Python stack is told besides.
const ADAPTER_MESSAGES: &str = "
[messages]
log_level = WARNING
log_file = /var/lib/python-stack/adapter.log
log_name_changes = no
log_primary_group_definition = no
log_username_creation = no

[approval]
enabled = no
user_db_location = /var/lib/python-stack/pending_users.db
notifier = email

[notifier.email]
";

/// Our daemon and root helper.
pub(crate) struct Ours {
    root: Root,
    daemon: Daemon,
}

impl Ours {
    /// Writes its configuration; `userinfo` is the option of that name.
    pub(crate) fn install(
        sb: &Sandbox,
        op: &TestOp,
        bundle: &Path,
        userinfo: &str,
    ) -> Result<Self> {
        // All requests come from one address and one person, which the limits are there to stop.
        let config = format!(
            "[server]\nlisten = 127.0.0.1:8080\n[login]\nsocket = {LOGIN_SOCKET}\n\
             [admin]\nsocket = {ADMIN_SOCKET}\n[root]\nsocket = {TASK_SOCKET}\n\
             [store]\nurl = sqlite:/var/lib/motley_cue/motley.db\n[mapper]\nlog_level = WARNING\n\
             [limits]\nrequests_per_source = 1000000000\nrequests_per_identity = 1000000000\n"
        );
        let rules = format!("{}userinfo = {userinfo}\n", rules());
        let daemon =
            Daemon::with(&config).op("demo", op, &rules).adapter(ADAPTER).ca(bundle).install(sb)?;
        // The accounts lie above the uids that useradd gives.
        fs::write("/etc/motley_cue/motley-root.conf", "uid_max = 999999\n")?;
        let mut root = Root::start(sb)?;
        root.kill();
        Ok(Self { root, daemon })
    }
}

impl Stack for Ours {
    fn which(&self) -> Which {
        Which::Ours
    }

    fn launch(&mut self, sb: &Sandbox) -> Result<()> {
        self.stop();
        self.root.restart(sb)?;
        self.daemon.launch(sb).map(drop)
    }

    fn stop(&mut self) {
        self.daemon.kill();
        self.root.kill();
    }

    fn groups(&self) -> Vec<u32> {
        [self.daemon.service(), self.root.service()]
            .into_iter()
            .flatten()
            .map(Service::pid)
            .collect()
    }

    fn url(&self) -> &str {
        self.daemon.url()
    }

    fn wait_for_info(&self) -> Result<()> {
        wait_for_info(self.daemon.url(), || self.last_words())
    }

    fn log(&self) -> String {
        let services = [self.daemon.service(), self.root.service()];
        services.into_iter().flatten().map(Service::log).collect()
    }
}

/// motley_cue from PyPI, in a virtual environment.
pub(crate) struct Python {
    venv: PathBuf,
    bundle: PathBuf,
    url: String,
    service: Option<Service>,
}

impl Python {
    /// Writes its configuration: the shipped one, with the provider and the rules of ours.
    pub(crate) fn install(venv: &Path, op: &TestOp, bundle: &Path) -> Result<Self> {
        let dir = Path::new(ORIGINAL);
        fs::create_dir_all(dir)?;
        let config = format!(
            "[mapper]\nlog_level = WARNING\n\
             [mapper.otp]\nuse_otp = True\nbackend = sqlite\n\
             db_location = {ORIGINAL}/tokenmap.db\nkeyfile = {ORIGINAL}/motley_cue.key\n\
             [privacy]\nprivacy_contact = admin@example.org\n\
             [DEFAULT]\nscopes = [\"openid\", \"profile\", \"email\", \"eduperson_entitlement\"]\n\
             [authorisation.demo]\nop_url = {}\n{}",
            op.issuer(),
            rules()
        );
        fs::write(dir.join("motley_cue.conf"), config)?;
        fs::write(dir.join("feudal_adapter.conf"), format!("{ADAPTER}{ADAPTER_MESSAGES}"))?;
        fs::write(
            dir.join("flaat.conf"),
            "[ops]\nops_that_support_jwt = [\n    ]\nops_that_support_audience = [\n    ]\n",
        )?;
        Ok(Self {
            venv: venv.to_owned(),
            bundle: bundle.to_owned(),
            url: format!("http://{ORIGINAL_ADDRESS}"),
            service: None,
        })
    }

    /// As motley-cue.service does, without its restarts after every 1000 requests.
    fn command(&self) -> Command {
        let mut command = Command::new(self.venv.join("bin/gunicorn"));
        let path = format!(
            "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            self.venv.join("bin").display()
        );
        command
            .args(["motley_cue.api:api", "-k", "uvicorn.workers.UvicornWorker", "--config"])
            .arg(self.venv.join("etc/gunicorn/gunicorn.conf.py"))
            .current_dir(ORIGINAL)
            .env("PATH", path)
            .env("BIND", ORIGINAL_ADDRESS)
            .env("ACCESS_LOG", format!("{ORIGINAL}/access.log"))
            .env("ERROR_LOG", format!("{ORIGINAL}/error.log"))
            .env("LOG_LEVEL_GUNICORN", "info")
            .env("MAX_REQUESTS", "0")
            .env("MOTLEY_CUE_CONFIG", format!("{ORIGINAL}/motley_cue.conf"))
            .env("FEUDAL_ADAPTER_CONFIG", format!("{ORIGINAL}/feudal_adapter.conf"))
            .env("FLAAT_CONFIG", format!("{ORIGINAL}/flaat.conf"))
            .env("REQUESTS_CA_BUNDLE", &self.bundle)
            .env("SSL_CERT_FILE", &self.bundle);
        command
    }
}

impl Stack for Python {
    fn which(&self) -> Which {
        Which::Python
    }

    fn launch(&mut self, sb: &Sandbox) -> Result<()> {
        self.stop();
        self.service = Some(Service::start(sb, "python-stack", self.command())?);
        Ok(())
    }

    fn stop(&mut self) {
        self.service = None;
    }

    fn groups(&self) -> Vec<u32> {
        self.service.iter().map(Service::pid).collect()
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn wait_for_info(&self) -> Result<()> {
        wait_for_info(&self.url, || self.last_words())
    }

    fn log(&self) -> String {
        self.service.as_ref().map(Service::log).unwrap_or_default()
    }
}
