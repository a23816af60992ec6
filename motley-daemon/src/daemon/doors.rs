//! The doors of the running service, and how they are handed new parts.

use super::{parts::Parts, reload::ReloadHandle};
use crate::{
    config::{Config, Listen},
    serve::{
        admin::{self, Admin},
        http::{self, HttpLimits},
        listen::{self, Listeners},
        live::Live,
        login::{self, Login, LoginLimits},
        rest::{Rest, RestService},
    },
    throttle::Throttle,
};
use anyhow::Context;
use std::{os::fd::OwnedFd, path::Path, sync::Arc};
use tokio::{sync::watch, task::JoinSet};

/// Shortest answer that may be an opaque token and not a password, in bytes.
const OPAQUE_MIN_BYTES: u16 = 32;

/// What serves behind each door.
pub(super) struct Doors {
    rest: Live<RestService>,
    login: Live<Login>,
    admin: Live<Admin>,
    fixed: Fixed,
}

/// What the doors need beside the parts, and keep.
pub(super) struct Fixed {
    /// Bounds failed logins.
    pub(super) throttle: Arc<Throttle>,
    /// Where the daemon listens.
    pub(super) places: Vec<String>,
    /// Lets an admin ask for a reload.
    pub(super) reload: ReloadHandle,
    /// Uid of this process.
    pub(super) own_uid: u32,
}

impl Doors {
    /// Puts these parts behind them.
    pub(super) fn new(parts: &Parts, fixed: Fixed) -> Self {
        Self {
            rest: Live::new(rest(parts)),
            login: Live::new(login(parts, &fixed)),
            admin: Live::new(admin(parts, &fixed)),
            fixed,
        }
    }

    /// Lets other parts answer from now on. Requests that have begun end with the old ones.
    pub(super) fn replace(&self, parts: &Parts) {
        self.rest.replace(rest(parts));
        self.login.replace(login(parts, &self.fixed));
        self.admin.replace(admin(parts, &self.fixed));
    }

    /// Begins to serve.
    pub(super) fn open(
        &self,
        tasks: &mut JoinSet<()>,
        config: &Config,
        listeners: Listeners,
        stopped: &watch::Receiver<bool>,
    ) {
        let http_limits = HttpLimits {
            connections: config.limits.connections,
            head_bytes: config.limits.header,
            ..HttpLimits::default()
        };
        for listener in listeners.rest {
            tasks.spawn(http::serve(listener, self.rest.clone(), http_limits, stopped.clone()));
        }
        if let Some(listener) = listeners.login {
            tasks.spawn(login::serve(listener, self.login.clone(), stopped.clone()));
        }
        if let Some(listener) = listeners.admin {
            tasks.spawn(admin::serve(listener, self.admin.clone(), stopped.clone()));
        }
    }
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

/// Prints where the daemon can be reached: people who start it by hand need to know.
pub(super) fn tell_places(config: &Config, listeners: &Listeners) -> Vec<String> {
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
