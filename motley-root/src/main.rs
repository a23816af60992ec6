//! Starts the root helper: reads its limits, repairs what a crash left, and serves the task socket.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

use anyhow::{Context, bail};
use clap::Parser;
use motley_proto::peer::Judge;
use motley_root::{
    accounts::{Accounts, Recovered, Unwatched, World},
    adapter::{self, Wishes},
    config::{KEYS, default_limits, read_limits},
    database::{Database, SystemNames},
    defaults::SiteDefaults,
    guard::Limits,
    hardening::harden,
    ledger::Ledger,
    runner::SystemRunner,
    serve::{Signals, log, serve},
    socket::{self, DaemonUser, TaskSocket},
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const DEFAULT_CONFIG: &str = "/etc/motley_cue/motley-root.conf";

/// How often homes are looked for that are to be deleted.
const HOMES_PAUSE: Duration = Duration::from_secs(20);
/// How long one that can't be deleted is left alone.
const HOMES_RETRY: Duration = Duration::from_secs(900);

/// Carries out account tasks for motley-daemon, as root and without network.
#[derive(Debug, Parser)]
#[command(version, after_long_help = configuration_help())]
struct Options {
    /// Where to listen, unless the service manager passes a socket.
    #[arg(long, value_name = "PATH", default_value = "/run/motley_cue/task.sock")]
    socket: PathBuf,
    /// Directory of the ledger.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/motley-root")]
    state: PathBuf,
    /// The only user who may send tasks.
    #[arg(long, value_name = "NAME", default_value = "motley")]
    daemon_user: String,
    /// Limits of this helper; must belong to root [default: /etc/motley_cue/motley-root.conf, if it exists].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The site's feudal_adapter.conf, whose groups, home base and shells may be used too; must belong
    /// to root [default: $FEUDAL_ADAPTER_CONFIG, else the one in /etc/motley_cue or /etc/feudal].
    #[arg(long, value_name = "FILE")]
    adapter_config: Option<PathBuf>,
}

fn configuration_help() -> String {
    let keys = KEYS.iter().map(|(key, meaning)| format!("  {key}: {meaning}\n"));
    format!(
        "The configuration file holds `key = value` lines, lists separated by commas:\n{}",
        keys.collect::<String>()
    )
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("must be started as root; it edits the account files");
    }
    die_on_panic();
    let passed: Vec<_> =
        sd_notify::listen_fds().context("sockets of the service manager")?.collect();
    for missed in harden(&passed) {
        log(&format!("hardening: {missed}"));
    }
    let daemon = daemon_user(&options.daemon_user)?;
    let root = Path::new("/");
    let site = SiteDefaults::read(root);
    let mut limits = limits(options.config.as_deref(), &site)?;
    let wishes = widen(&mut limits, options.adapter_config.as_deref());
    let ledger = Ledger::open(&options.state).context("ledger")?;
    let accounts = Arc::new(Accounts::new(world(root, site, limits, wishes), ledger));
    tell(accounts.recover());
    let task_socket = listen(
        options,
        &passed,
        DaemonUser { uid: daemon.uid.as_raw(), gid: daemon.gid.as_raw() },
    )?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let signals = Signals::watch().context("signals")?;
    let removing = Arc::clone(&accounts);
    // Ending sessions and scripts may take seconds for each: nobody's login waits for that.
    std::thread::spawn(move || {
        tell(removing.resume_removals());
        removing.resume_hooks();
        loop {
            let deleted = removing.delete_homes();
            std::thread::sleep(if deleted { HOMES_PAUSE } else { HOMES_RETRY });
        }
    });
    let judge = Judge { daemon_uid: daemon.uid.as_raw(), admin_socket: false };
    let served = serve(task_socket.listener, accounts, judge, &signals).context("task socket");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    if let Some(path) = task_socket.made {
        let _ = std::fs::remove_file(path);
    }
    served
}

fn tell(settled: Vec<Recovered>) {
    for Recovered { name, result } in settled {
        log(&format!("recover {name}: {result:?}"));
    }
}

/// A defect must not leave a thread that half did something: the next start repairs it.
fn die_on_panic() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        log(&format!("defect at {place}; ending, the next start repairs what was begun"));
        std::process::abort();
    }));
}

fn daemon_user(name: &str) -> anyhow::Result<nix::unistd::User> {
    let user = nix::unistd::User::from_name(name)
        .with_context(|| format!("look up the user {name}"))?
        .with_context(|| format!("no user {name}; create it (adduser --system --group {name}) or name another with --daemon-user"))?;
    if user.uid.is_root() {
        bail!("--daemon-user {name} is root; the daemon must run as a user of its own");
    }
    Ok(user)
}

fn limits(config: Option<&Path>, site: &SiteDefaults) -> anyhow::Result<Limits> {
    let path = match config {
        Some(path) => Some(path),
        None => find_config(Path::new(DEFAULT_CONFIG))?,
    };
    Ok(path.map_or_else(|| Ok(default_limits(site)), |path| read_limits(path, site))?)
}

/// The file, if it is there. A link that leads nowhere is no absence: the limits that the site wrote
/// down would be gone, and the defaults are wider.
fn find_config(path: &Path) -> anyhow::Result<Option<&Path>> {
    match std::fs::metadata(path) {
        Ok(_) => return Ok(Some(path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    let there = path.ancestors().find_map(|part| Some((part, part.symlink_metadata().ok()?)));
    match there {
        Some((part, meta)) if meta.is_symlink() => {
            let part = part.display();
            bail!(
                "{part} is a link that leads nowhere, and limits may stand there; mend the link or remove it"
            )
        }
        _ => Ok(None),
    }
}

/// Takes the admin's word from the adapter's configuration, if it is the admin's alone.
fn widen(limits: &mut Limits, named: Option<&Path>) -> Wishes {
    let environment = std::env::var("FEUDAL_ADAPTER_CONFIG").ok();
    let Some(path) = adapter::find(named, environment.as_deref()) else { return Wishes::default() };
    adapter::widen(limits, &path).unwrap_or_else(|error| {
        let error = anyhow::Error::from(error);
        log(&format!("{error:#}; its groups, homes, shells and scripts do not count here"));
        Wishes::default()
    })
}

fn world(root: &Path, site: SiteDefaults, limits: Limits, wishes: Wishes) -> World {
    World {
        root: root.to_owned(),
        database: Database::new(root),
        names: Box::new(SystemNames),
        runner: Box::new(SystemRunner::new(root)),
        limits,
        wishes,
        site,
        today,
        now,
        witness: Box::new(Unwatched),
    }
}

fn now() -> i64 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

fn today() -> i64 {
    now() / 86_400
}

fn listen(options: &Options, passed: &[i32], daemon: DaemonUser) -> anyhow::Result<TaskSocket> {
    if !passed.is_empty() {
        log("listening on the socket of the service manager");
        return Ok(socket::take_passed(passed)?);
    }
    let made = socket::make(&options.socket, daemon)?;
    log(&format!("listening on {}", options.socket.display()));
    Ok(made)
}
