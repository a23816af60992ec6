//! Loads the configuration anew while requests run; a broken one changes nothing.

use super::{
    doors::Doors,
    parts::{Ground, Parts},
};
use crate::{
    config::{Config, ConfigError, Warning},
    serve::live::Live,
};
use motley_proto::admin::ReloadReport;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What reading both files comes to.
pub(super) type Loaded = Result<(Config, Vec<Warning>), ConfigError>;

/// How the process gets at its configuration again.
pub struct Reload {
    /// Reads both files.
    pub load: Box<dyn Fn() -> Loaded + Send + Sync>,
    /// Told what holds now, for what belongs to the process and not to the service.
    pub applied: Box<dyn Fn(&Config) + Send + Sync>,
}

/// Longest wait for the keys of providers before the new configuration serves; what is not there
/// by then is fetched by the first token.
const WARM_UP: Duration = Duration::from_secs(3);

type Reply = oneshot::Sender<Result<ReloadReport, String>>;

/// Asks the running daemon to load its configuration anew.
#[derive(Clone)]
pub struct ReloadHandle(mpsc::Sender<Reply>);

/// The other end of a [`ReloadHandle`].
pub(crate) struct ReloadRequests(mpsc::Receiver<Reply>);

/// A handle and its other end.
pub(crate) fn channel() -> (ReloadHandle, ReloadRequests) {
    let (send, receive) = mpsc::channel(4);
    (ReloadHandle(send), ReloadRequests(receive))
}

impl ReloadHandle {
    /// Loads the configuration anew and says what came of it.
    ///
    /// # Errors
    /// Everything that is wrong with the new configuration; the old one goes on to hold.
    pub async fn reload(&self) -> Result<ReloadReport, String> {
        let ended = || "the daemon is about to end".to_owned();
        let (reply, answer) = oneshot::channel();
        self.0.send(reply).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl ReloadRequests {
    /// The next request, with the way to answer it.
    pub(super) async fn next(&mut self) -> Option<Reply> {
        self.0.recv().await
    }
}

/// Loads, builds and swaps.
///
/// # Errors
/// What is wrong, for people; the old parts go on to serve then.
pub(super) async fn reload(
    ground: &Ground,
    live: &Live<Parts>,
    doors: &Doors,
    anew: &Reload,
) -> Result<ReloadReport, String> {
    let current = live.get();
    let (config, warnings) = (anew.load)().map_err(|error| error.to_string())?;
    let restart = current.config.needs_restart_for(&config);
    let next = Parts::build(ground, config).map_err(|error| format!("{error:#}"))?;
    next.verifier.take_over(&current.verifier);
    let _ = tokio::time::timeout(WARM_UP, next.verifier.warm_up()).await;
    doors.replace(&next);
    let report = ReloadReport {
        files: next.config.files.iter().map(|file| file.display().to_string()).collect(),
        warnings: warnings.iter().map(ToString::to_string).collect(),
        restart,
    };
    (anew.applied)(&next.config);
    live.replace(next);
    Ok(report)
}

/// Writes the outcome to the log.
pub(super) fn tell(outcome: &Result<ReloadReport, String>) {
    match outcome {
        Ok(report) => {
            for warning in &report.warnings {
                tracing::warn!(warning, "configuration");
            }
            for option in &report.restart {
                tracing::warn!(option, "changed, but takes effect at the next start only");
            }
            tracing::warn!("the configuration was loaded anew");
        }
        Err(problems) => {
            tracing::error!(problems, "the configuration was NOT loaded anew; the old one holds");
        }
    }
}
