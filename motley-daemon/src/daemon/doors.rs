//! The doors of the running service, and how they are handed new parts.

use super::{parts::Parts, reload::ReloadHandle};
use crate::{
    clock::{Clock, SystemClock},
    config::{Config, Owners},
    measure::Measures,
    serve::{
        admin::{self, Admin},
        crowd::{Crowd, CrowdLimits},
        front::Front,
        gate::{Gate, GateLimits},
        health::{Health, Lasting, Listening},
        http::{self, Door, HttpLimits},
        listen::{self, HttpListener, Listeners},
        live::Live,
        login::{self, Login, LoginLimits},
        rest::{Rest, RestService},
        source::Scheme,
        tls::Tls,
    },
    throttle::Throttle,
};
use anyhow::Context;
use std::{
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

/// Shortest answer that may be an opaque token and not a password, in bytes.
const OPAQUE_MIN_BYTES: u16 = 32;
/// Connections for health and metrics; those who watch are few.
const WATCHERS: CrowdLimits = CrowdLimits { connections: 32, per_source: 16 };
/// How often histograms are tidied up, and those forgotten who owe no requests.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// What serves behind each door.
pub(super) struct Doors {
    rest: Live<RestService>,
    login: Live<Login>,
    admin: Live<Admin>,
    health: Option<Live<Health>>,
    fixed: Fixed,
}

/// What the doors need beside the parts, and keep.
pub(super) struct Fixed {
    /// Bounds failed logins.
    pub(super) throttle: Arc<Throttle>,
    /// Bounds requests.
    pub(super) gate: Arc<Gate>,
    /// TLS of the REST listeners.
    pub(super) tls: Option<Arc<Tls>>,
    /// What was measured, where somebody wants to know, and which listeners there are.
    pub(super) lasting: Option<Arc<Lasting>>,
    /// Where the daemon listens.
    pub(super) places: Vec<String>,
    /// Lets an admin ask for a reload.
    pub(super) reload: ReloadHandle,
    /// Uid of this process.
    pub(super) own_uid: u32,
    /// When it started.
    pub(super) started: Instant,
}

impl Doors {
    /// Puts these parts behind them.
    pub(super) fn new(parts: &Parts, fixed: Fixed) -> Self {
        Self {
            rest: Live::new(rest(parts)),
            login: Live::new(login(parts, &fixed)),
            admin: Live::new(admin(parts, &fixed)),
            health: fixed.lasting.clone().map(|lasting| Live::new(health(parts, lasting))),
            fixed,
        }
    }

    /// Lets other parts answer from now on. Requests that have begun end with the old ones.
    pub(super) fn replace(&self, parts: &Parts) {
        self.rest.replace(rest(parts));
        self.login.replace(login(parts, &self.fixed));
        self.admin.replace(admin(parts, &self.fixed));
        if let (Some(live), Some(lasting)) = (&self.health, &self.fixed.lasting) {
            live.replace(health(parts, lasting.clone()));
        }
        self.fixed.gate.set_limits(gate_limits(&parts.config));
        if let Some(tls) = &self.fixed.tls {
            tls.refresh();
        }
    }

    /// Begins to serve.
    pub(super) fn open(
        &self,
        tasks: &mut JoinSet<()>,
        config: &Config,
        listeners: Listeners,
        stopped: &watch::Receiver<bool>,
    ) {
        self.open_rest(tasks, config, listeners.rest, stopped);
        self.open_health(tasks, listeners.health, stopped);
        if let Some(listener) = listeners.login {
            tasks.spawn(login::serve(listener, self.login.clone(), stopped.clone()));
        }
        if let Some(listener) = listeners.admin {
            tasks.spawn(admin::serve(listener, self.admin.clone(), stopped.clone()));
        }
        tasks.spawn(tidy(self.fixed.gate.clone(), self.fixed.lasting.clone(), stopped.clone()));
    }

    fn open_rest(
        &self,
        tasks: &mut JoinSet<()>,
        config: &Config,
        listeners: Vec<HttpListener>,
        stopped: &watch::Receiver<bool>,
    ) {
        let limits = HttpLimits { head_bytes: config.limits.header, ..HttpLimits::default() };
        let crowd = Crowd::new(CrowdLimits {
            connections: config.limits.connections,
            per_source: config.limits.connections_per_source,
        });
        let front = Front { rest: self.rest.clone(), gate: self.fixed.gate.clone() };
        for listener in listeners {
            let place = listener.place(scheme(self.fixed.tls.as_deref()));
            let door = Door {
                listener,
                service: front.clone(),
                limits,
                crowd: crowd.clone(),
                tls: self.fixed.tls.clone(),
            };
            let task = tasks.spawn(http::serve(door, stopped.clone()));
            if let Some(lasting) = &self.fixed.lasting {
                lasting.listening.add(place, task);
            }
        }
        if let Some(tls) = &self.fixed.tls {
            tasks.spawn(tls.clone().watch(stopped.clone()));
        }
    }

    fn open_health(
        &self,
        tasks: &mut JoinSet<()>,
        listeners: Vec<HttpListener>,
        stopped: &watch::Receiver<bool>,
    ) {
        let Some(health) = &self.health else { return };
        let crowd = Crowd::new(WATCHERS);
        for listener in listeners {
            let (service, crowd) = (health.clone(), crowd.clone());
            let limits = HttpLimits::default();
            let door = Door { listener, service, limits, crowd, tls: None };
            tasks.spawn(http::serve(door, stopped.clone()));
        }
    }
}

/// Keeps what is counted and measured small, until told to stop.
async fn tidy(gate: Arc<Gate>, lasting: Option<Arc<Lasting>>, mut stop: watch::Receiver<bool>) {
    let mut timer = tokio::time::interval(TIDY_EVERY);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            _ = stop.changed() => return,
        }
        gate.sweep();
        if let Some(lasting) = &lasting {
            lasting.measures.upkeep();
        }
    }
}

/// Reads certificate and key, where they are configured.
pub(super) fn tls(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Option<Arc<Tls>>> {
    let owners = Owners { service: nix::unistd::geteuid().as_raw() };
    let load = |files| Tls::load(files, owners, Arc::clone(clock));
    Ok(config.server.tls.as_ref().map(load).transpose()?.map(Arc::new))
}

/// Begins to measure, where somebody may ask for it.
pub(super) fn lasting(
    listeners: &Listeners,
    gate: &Arc<Gate>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<Arc<Lasting>>> {
    if listeners.health.is_empty() {
        return Ok(None);
    }
    let measures = Measures::begin(clock.now()).context("[admin] listen: cannot measure")?;
    Ok(Some(Arc::new(Lasting::new(Listening::default(), measures, gate.clone()))))
}

/// How many requests are allowed.
pub(super) fn gate_limits(config: &Config) -> GateLimits {
    GateLimits::new(config.limits.requests_per_source, config.limits.requests_per_identity)
}

fn scheme(tls: Option<&Tls>) -> Scheme {
    if tls.is_some() { Scheme::Https } else { Scheme::Http }
}

fn health(parts: &Parts, lasting: Arc<Lasting>) -> Health {
    Health { admission: parts.admission.clone(), lasting }
}

fn rest(parts: &Parts) -> RestService {
    RestService::new(Rest {
        admission: parts.admission.clone(),
        config: parts.config.clone(),
        time_limit: parts.config.limits.request_timeout,
    })
}

fn login(parts: &Parts, fixed: &Fixed) -> Login {
    let config = &parts.config;
    let opaque = config.ops.iter().any(|op| op.opaque_tokens || op.introspection.is_some());
    Login {
        admission: parts.admission.clone(),
        throttle: fixed.throttle.clone(),
        limits: LoginLimits {
            deadline: config.login.deadline,
            conversations: config.limits.logins,
            opaque_min_bytes: opaque.then_some(OPAQUE_MIN_BYTES),
            codes: parts.admission.codes().is_some(),
            chunked_prompts: config.login.chunked_prompts,
            ..LoginLimits::default()
        },
        own_uid: fixed.own_uid,
    }
}

fn admin(parts: &Parts, fixed: &Fixed) -> Admin {
    Admin {
        admission: parts.admission.clone(),
        verifier: parts.verifier.clone(),
        config: parts.config.clone(),
        reload: fixed.reload.clone(),
        listening: fixed.places.clone(),
        own_uid: fixed.own_uid,
        started: fixed.started,
        configured_at: SystemClock.now(),
    }
}

/// Opens the sockets that the service manager did not pass.
pub(super) async fn bind(
    config: &Config,
    passed: Vec<(OwnedFd, String)>,
) -> anyhow::Result<Listeners> {
    let mut listeners = Listeners::adopt(passed)?;
    if listeners.rest.is_empty() {
        for place in &config.server.listen {
            listeners.rest.push(HttpListener::open(place).await?);
        }
    }
    if listeners.health.is_empty() {
        for place in &config.admin.listen {
            listeners.health.push(HttpListener::open(place).await?);
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

/// Prints where the daemon can be reached: people who start it by hand need to know.
pub(super) fn tell_places(
    config: &Config,
    listeners: &Listeners,
    tls: Option<&Tls>,
) -> Vec<String> {
    let rest = listeners.rest.iter().map(|rest| format!("REST {}", rest.place(scheme(tls))));
    let health =
        listeners.health.iter().map(|health| format!("health {}", health.place(Scheme::Http)));
    let mut places: Vec<String> = rest.chain(health).collect();
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
