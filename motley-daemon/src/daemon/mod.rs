//! Builds the parts from the configuration, opens the doors, and runs until told to stop.

mod doors;
mod measured;
mod nodes;
mod parts;
mod reload;

#[cfg(test)]
pub(crate) use reload::channel as reload_channel;
pub use reload::{Reload, ReloadHandle};

use crate::{
    config::Config,
    identity::TokenVerifier,
    knocks::Knocks,
    measure,
    notify::{Desk, Outbox, Smtp},
    serve::{self, gate::Gate, live::Live},
    store::Store,
};
use doors::{Doors, Fixed};
use parts::{Ground, Parts};
use std::{
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// How often what was left undone is tried again, and old one-time passwords are swept.
const RECONCILE_EVERY: Duration = Duration::from_secs(10);

/// How often it is written down who knocked, and looked whether a digest is due.
const INFORM_EVERY: Duration = Duration::from_secs(10);

/// How often accounts are looked for that nobody uses.
const IDLE_EVERY: Duration = Duration::from_secs(60);

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// Runs the daemon until SIGTERM or SIGINT. `passed` are the sockets that systemd opened; `anew`
/// reads the configuration again on SIGHUP and when an admin asks for it.
///
/// # Errors
/// When it can't start: configuration, store, audit log or a socket.
pub async fn run(
    config: Config,
    passed: Vec<(OwnedFd, String)>,
    anew: Reload,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut signals = Signals::listen()?;
    let ground = Ground::open(&config).await?;
    let parts = Parts::build(&ground, config)?;
    let tls = doors::tls(&parts.config, &ground.clock)?;
    let listeners = doors::bind(&parts.config, passed).await?;
    let gate = Arc::new(Gate::new(doors::gate_limits(&parts.config)));
    let lasting = doors::lasting(&listeners, &gate, &ground.clock)?;
    let (handle, mut reloads) = reload::channel();
    let fixed = Fixed {
        throttle: ground.throttle.clone(),
        places: doors::tell_places(&parts.config, &listeners, tls.as_deref()),
        gate,
        tls,
        lasting,
        reload: handle,
        own_uid: nix::unistd::geteuid().as_raw(),
        started,
    };
    let doors = Doors::new(&parts, fixed);
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    doors.open(&mut tasks, &parts.config, listeners, &stopped);
    let mut freshness = keep_fresh(&parts.verifier);
    let parts = Live::new(parts);
    tasks.spawn(keep_house(parts.clone(), stopped.clone()));
    tasks.spawn(nodes::keep_in_step(parts.clone(), ground.beat(), stopped.clone()));
    tasks.spawn(keep_lively(parts.clone(), serve::request_id(), stopped.clone()));
    tasks.spawn(keep_informed(parts.clone(), (ground.desk(), ground.outbox()), stopped));
    // Not under a service manager there is nobody to notify, and that is fine.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    loop {
        let reply = tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hang_up.recv() => None,
            Some(reply) = reloads.next() => Some(reply),
        };
        let outcome = reload::reload(&ground, &parts, &doors, &anew).await;
        reload::tell(&outcome);
        measure::reload(if outcome.is_ok() { "ok" } else { "failed" });
        if outcome.is_ok() {
            freshness.abort();
            freshness = keep_fresh(&parts.get().verifier);
        }
        // Who asked may have gone away meanwhile.
        let _ = reply.map(|reply| reply.send(outcome));
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("stopping; running requests may end");
    freshness.abort();
    stop.send_replace(true);
    while tasks.join_next().await.is_some() {}
    write_knocks(&ground.knocks, &ground.store).await;
    ground.store.close().await;
    Ok(())
}

fn keep_fresh(verifier: &Arc<TokenVerifier>) -> JoinHandle<()> {
    let verifier = verifier.clone();
    tokio::spawn(async move { verifier.keep_fresh().await })
}

/// Repairs, retries and sweeps until told to stop. The first round is what follows a start: the marks
/// of the store hold before it, and logins do not wait for sessions to end.
async fn keep_house(parts: Live<Parts>, mut stop: watch::Receiver<bool>) {
    let mut timer = tokio::time::interval(RECONCILE_EVERY);
    let mut is_settled = false;
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            _ = stop.changed() => return,
        }
        let parts = parts.get();
        match parts.accounts.reconcile().await {
            Ok(lines) => lines.iter().for_each(|line| tracing::info!(done = line, "reconciled")),
            Err(error) => tracing::error!(%error, "reconcile"),
        }
        if !is_settled {
            let settled = parts.accounts.settle_accepted().await;
            is_settled = settled
                .inspect_err(|error| tracing::error!(%error, "requests that were accepted"))
                .is_ok();
        }
        if let Err(error) = parts.accounts.tidy_approvals().await {
            tracing::error!(%error, "requests for approval");
        }
        if let Err(error) = parts.passwords.sweep().await {
            tracing::error!(%error, "sweep one-time passwords");
        }
    }
}

/// Writes down who knocked and mails it to the admins, until told to stop.
async fn keep_informed(
    parts: Live<Parts>,
    (desk, outbox): (Desk, Outbox),
    mut stop: watch::Receiver<bool>,
) {
    let mut timer = tokio::time::interval(INFORM_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            _ = stop.changed() => return,
        }
        let parts = parts.get();
        if let Some(knocks) = parts.admission.knocks() {
            write_knocks(knocks, parts.accounts.store()).await;
        }
        let mail = Smtp::new(&parts.config);
        tokio::select! {
            done = desk.look(parts.config.notify.unauthorised, &mail) => match done {
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "digest of people who are not authorised"),
            },
            // A mail server that hangs must not hold up the end.
            _ = stop.changed() => return,
        }
        tokio::select! {
            done = outbox.post(&mail) => match done {
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "mails that wait"),
            },
            _ = stop.changed() => return,
        }
    }
}

/// Looks for accounts that nobody uses, until told to stop.
async fn keep_lively(parts: Live<Parts>, holder: String, mut stop: watch::Receiver<bool>) {
    let mut timer = tokio::time::interval(IDLE_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            _ = stop.changed() => return,
        }
        let look = parts.get().accounts.look_for_idle(&holder).await;
        if let Err(error) = look {
            tracing::error!(%error, "accounts that nobody uses");
        }
    }
}

async fn write_knocks(knocks: &Knocks, store: &Store) {
    if let Err(error) = knocks.write(store).await {
        tracing::error!(%error, "people who are not authorised could not be noted");
    }
}
