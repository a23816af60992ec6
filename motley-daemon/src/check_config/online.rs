//! Asks the parts that a configuration names whether they are there.

use crate::{
    clock::SystemClock,
    config::Config,
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
    let verifier = TokenVerifier::with_settings(
        config.providers(),
        &config.http_settings(),
        Arc::new(SystemClock),
        config.verifier_settings(),
    );
    let verifier = match verifier {
        Ok(verifier) => verifier,
        Err(error) => return OnlineReport::failed(&error.to_string()),
    };
    verifier.warm_up().await;
    let answers = verifier.providers_status().iter().map(judge).collect();
    OnlineReport { answers }
}

fn judge(status: &ProviderStatus) -> Answer {
    let what = status.issuer.to_string();
    match (&status.last_failure, status.key_count) {
        (Some(failure), _) => answer(&what, Outcome::Wrong, failure.why.as_str()),
        (None, 0) => answer(&what, Outcome::Wrong, "it publishes no key that can verify tokens"),
        (None, keys) if status.features.as_ref().is_some_and(|features| !features.userinfo) => {
            let says = format!(
                "it answers, and has {keys} keys, but no userinfo, so that it can't tell when a \
                 token is revoked"
            );
            answer(&what, Outcome::Doubtful, says)
        }
        (None, keys) => answer(&what, Outcome::Well, format!("it answers, and has {keys} keys")),
    }
}
