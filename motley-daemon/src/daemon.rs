//! Builds the parts from the configuration, opens the doors, and runs until told to stop.

use crate::{
    account::{AccountParts, AccountRules, Accounts, Forget},
    admission::Admission,
    audit::{Audit, Event},
    clock::{Clock, SystemClock},
    config::{Config, Listen, OpConfig},
    identity::{HttpSettings, Provider, TokenVerifier},
    otp::OneTimePasswords,
    serve::{
        admin::{self, Admin},
        http::{self, HttpLimits},
        listen::{self, Listeners},
        login::{self, Login, LoginLimits},
        rest::{Rest, RestService},
    },
    store::Store,
    throttle::{Throttle, ThrottleLimits},
};
use anyhow::Context;
use feudal_plugins::{Backend, local_unix::LocalUnix};
use motley_proto::Identity;
use std::{os::fd::OwnedFd, path::Path, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

/// How often what was left undone is tried again, and old one-time passwords are swept.
const RECONCILE_EVERY: Duration = Duration::from_secs(10);
/// Sources of failed logins that are remembered.
const THROTTLED_SOURCES: usize = 10_000;

struct ForgetTokens(Arc<TokenVerifier>);

impl Forget for ForgetTokens {
    fn forget(&self, identity: &Identity) {
        self.0.forget(identity);
    }
}

/// The parts of a running daemon.
struct Parts {
    config: Arc<Config>,
    verifier: Arc<TokenVerifier>,
    passwords: Arc<OneTimePasswords>,
    accounts: Arc<Accounts>,
    admission: Arc<Admission>,
    throttle: Arc<Throttle>,
}

fn provider(op: &OpConfig) -> Provider {
    Provider {
        issuer: op.issuer.clone(),
        opaque_tokens: op.opaque_tokens,
        userinfo: op.userinfo,
        introspection: op.introspection.clone(),
        timeout: op.timeout,
        allow_http: op.allow_http_loopback,
    }
}

async fn build(config: Config) -> anyhow::Result<Parts> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let http = HttpSettings { ca_file: config.mapper.ca_file.clone() };
    let verifier =
        TokenVerifier::new(config.ops.iter().map(provider).collect(), &http, clock.clone())?;
    let verifier = Arc::new(verifier);
    make_folder(config.store.file().as_deref())?;
    let store = Store::open(&config.store.url).await.with_context(|| {
        format!("[store] url {}: is the folder writable by this user?", config.store.url)
    })?;
    make_folder(Some(&config.audit.file))?;
    let audit = Audit::open(&config.audit.file, clock.clone())?;
    audit.record(Event::Started { version: env!("CARGO_PKG_VERSION").to_owned() })?;
    let lifetime = i64::try_from(config.otp.lifetime.as_secs()).unwrap_or(600);
    let passwords = Arc::new(OneTimePasswords::new(store.clone(), clock.clone(), lifetime));
    let backend: Arc<dyn Backend> =
        Arc::new(LocalUnix::new(config.adapter.local_unix.clone(), &config.root.socket));
    let accounts = Arc::new(Accounts::new(AccountParts {
        store,
        backend,
        passwords: passwords.clone(),
        audit: Arc::new(audit),
        clock: clock.clone(),
        forget: Arc::new(ForgetTokens(verifier.clone())),
        rules: AccountRules {
            names: config.adapter.names.clone(),
            groups: config.adapter.groups.clone(),
            local_unix: config.adapter.local_unix.clone(),
            login_info: config.adapter.login_info.clone(),
            first_uid: motley_proto::names::FIRST_PERSON_ID,
        },
    }));
    let enabled = config.otp.enabled.then(|| passwords.clone());
    let admission =
        Arc::new(Admission::new(verifier.clone(), &config.ops, enabled, accounts.clone()));
    let limits = ThrottleLimits {
        burst: config.limits.attempts_per_source,
        per_minute: config.limits.attempts_per_source,
        sources: THROTTLED_SOURCES,
    };
    let throttle = Arc::new(Throttle::new(limits, clock));
    Ok(Parts { config: Arc::new(config), verifier, passwords, accounts, admission, throttle })
}

fn make_folder(file: Option<&Path>) -> anyhow::Result<()> {
    match file.and_then(Path::parent) {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display())),
        _ => Ok(()),
    }
}

async fn open_doors(config: &Config, passed: Vec<(OwnedFd, String)>) -> anyhow::Result<Listeners> {
    let mut listeners = Listeners::adopt(passed)?;
    if listeners.rest.is_empty() {
        for place in &config.server.listen {
            match place {
                Listen::Tcp(address) => listeners.add_tcp(*address).await?,
                Listen::Unix(path) => listeners.add_unix(path)?,
            }
        }
    }
    if listeners.login.is_none() {
        listeners.login = Some(listen::bind(&config.login.socket, 0o600)?);
    }
    if listeners.admin.is_none() {
        let mode = if config.admin.group.is_some() { 0o660 } else { 0o600 };
        listeners.admin = Some(listen::bind(&config.admin.socket, mode)?);
        if let Some(group) = &config.admin.group {
            give_to_group(&config.admin.socket, group)?;
        }
    }
    Ok(listeners)
}

fn give_to_group(path: &Path, group: &str) -> anyhow::Result<()> {
    let gid = nix::unistd::Group::from_name(group)?
        .with_context(|| format!("[admin] group {group}: no such group; make it or name another"))?
        .gid;
    std::os::unix::fs::chown(path, None, Some(gid.as_raw())).with_context(|| {
        format!("[admin] group {group}: this user can't give {} to it", path.display())
    })
}

/// Runs the daemon until SIGTERM or SIGINT. `passed` are the sockets that systemd opened.
///
/// # Errors
/// When it can't start: configuration, store, audit log or a socket.
pub async fn run(config: Config, passed: Vec<(OwnedFd, String)>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let parts = build(config).await?;
    let listeners = open_doors(&parts.config, passed).await?;
    for line in parts.accounts.reconcile().await? {
        tracing::warn!(repaired = line, "after an unclean end");
    }
    let places = tell_places(&parts.config, &listeners);
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    spawn_doors(&mut tasks, &parts, listeners, places, &stopped);
    tasks.spawn(keep_house(parts.accounts.clone(), parts.passwords.clone(), stopped));
    let warming = tokio::spawn({
        let verifier = parts.verifier.clone();
        async move { verifier.keep_fresh().await }
    });
    // Not under a service manager there is nobody to notify, and that is fine.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("stopping; running requests may end");
    warming.abort();
    stop.send_replace(true);
    while tasks.join_next().await.is_some() {}
    parts.accounts.store().close().await;
    Ok(())
}

/// Prints where the daemon can be reached: people who start it by hand need to know.
fn tell_places(config: &Config, listeners: &Listeners) -> Vec<String> {
    let mut places: Vec<String> =
        listeners.rest.iter().map(|rest| format!("REST {}", rest.place())).collect();
    places.push(format!("login unix:{}", config.login.socket.display()));
    places.push(format!("admin unix:{}", config.admin.socket.display()));
    for place in &places {
        eprintln!("motley-daemon: listening: {place}");
    }
    if config.ops.is_empty() {
        eprintln!(
            "motley-daemon: no provider is configured, so nobody is trusted: add a section [authorisation.NAME]"
        );
    }
    places
}

fn spawn_doors(
    tasks: &mut JoinSet<()>,
    parts: &Parts,
    listeners: Listeners,
    places: Vec<String>,
    stopped: &watch::Receiver<bool>,
) {
    let limits = &parts.config.limits;
    let own_uid = nix::unistd::geteuid().as_raw();
    let service = RestService::new(Rest {
        admission: parts.admission.clone(),
        config: parts.config.clone(),
        time_limit: limits.request_timeout,
    });
    let http_limits = HttpLimits {
        connections: limits.connections,
        head_bytes: limits.header,
        ..HttpLimits::default()
    };
    for listener in listeners.rest {
        tasks.spawn(http::serve(listener, service.clone(), http_limits, stopped.clone()));
    }
    if let Some(listener) = listeners.login {
        let opaque =
            parts.config.ops.iter().any(|op| op.opaque_tokens || op.introspection.is_some());
        let login = Login {
            admission: parts.admission.clone(),
            throttle: parts.throttle.clone(),
            limits: LoginLimits {
                deadline: parts.config.login.deadline,
                conversations: limits.logins,
                opaque_min_bytes: opaque.then_some(OPAQUE_MIN_BYTES),
                chunked_prompts: parts.config.login.chunked_prompts,
                ..LoginLimits::default()
            },
            own_uid,
        };
        tasks.spawn(login::serve(listener, Arc::new(login), stopped.clone()));
    }
    if let Some(listener) = listeners.admin {
        let admin = Admin {
            accounts: parts.accounts.clone(),
            issuers: parts.config.ops.iter().map(|op| op.issuer.to_string()).collect(),
            listening: places,
            own_uid,
        };
        tasks.spawn(admin::serve(listener, Arc::new(admin), stopped.clone()));
    }
}

/// Shortest answer that may be an opaque token and not a password, in bytes.
const OPAQUE_MIN_BYTES: u16 = 32;

/// Repairs, retries and sweeps until told to stop.
async fn keep_house(
    accounts: Arc<Accounts>,
    passwords: Arc<OneTimePasswords>,
    mut stop: watch::Receiver<bool>,
) {
    let mut timer = tokio::time::interval(RECONCILE_EVERY);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            _ = stop.changed() => return,
        }
        match accounts.reconcile().await {
            Ok(lines) => lines.iter().for_each(|line| tracing::info!(done = line, "reconciled")),
            Err(error) => tracing::error!(%error, "reconcile"),
        }
        if let Err(error) = passwords.sweep().await {
            tracing::error!(%error, "sweep one-time passwords");
        }
    }
}
