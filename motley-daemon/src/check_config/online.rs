//! Asks the parts that a configuration names whether they are there.

use crate::{
    clock::SystemClock,
    config::Config,
    daemon::{http_settings, provider},
    identity::{ProviderStatus, TokenVerifier},
};
use serde::Serialize;
use std::sync::Arc;

/// How one part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// As it must be.
    Well,
    /// It will do, but perhaps not as meant.
    Doubtful,
    /// Somebody will not get in.
    Wrong,
}

/// What one part answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Answer {
    /// Which part.
    pub(super) what: String,
    /// How it is.
    pub(super) outcome: Outcome,
    /// In words, with the cure where there is one.
    pub(super) says: String,
}

/// What all parts answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct OnlineReport {
    /// In the order of the configuration.
    pub(super) answers: Vec<Answer>,
}

impl OnlineReport {
    /// Nobody could be asked.
    pub(super) fn failed(why: &str) -> Self {
        Self { answers: vec![answer("this check", Outcome::Wrong, why)] }
    }

    /// True when nothing is wrong.
    pub(super) fn all_well(&self) -> bool {
        self.answers.iter().all(|answer| answer.outcome != Outcome::Wrong)
    }
}

fn answer(what: &str, outcome: Outcome, says: impl Into<String>) -> Answer {
    Answer { what: what.to_owned(), outcome, says: says.into() }
}

/// Asks every provider for its metadata and keys.
pub(super) async fn ask(config: &Config) -> OnlineReport {
    let providers = config.ops.iter().map(provider).collect();
    let http = http_settings(config);
    let verifier = match TokenVerifier::new(providers, &http, Arc::new(SystemClock)) {
        Ok(verifier) => verifier,
        Err(error) => return OnlineReport::failed(&error.to_string()),
    };
    verifier.warm_up().await;
    let answers = verifier.providers_status().iter().map(judge).collect();
    OnlineReport { answers }
}

fn judge(status: &ProviderStatus) -> Answer {
    let what = status.issuer.to_string();
    match (&status.last_failure, status.keys) {
        (Some((why, _)), _) => answer(&what, Outcome::Wrong, why.to_string()),
        (None, 0) => answer(&what, Outcome::Wrong, "it publishes no key that can verify tokens"),
        (None, keys) => answer(&what, Outcome::Well, format!("it answers, and has {keys} keys")),
    }
}
