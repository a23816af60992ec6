//! Asks the parts that a configuration names whether they are there.

use crate::{
    clock::SystemClock,
    config::{BackendConfig, Config, Digest, OpConfig, Owners, TlsFiles},
    identity::{ProviderStatus, TokenVerifier},
    notify::Smtp,
    serve::tls::Tls,
    store::Store,
};
use feudal_plugins::{
    Backend,
    bwidm::BwIdm,
    external::External,
    ldap::{LdapConfig, LdapDirectory},
};
use motley_proto::facts::ProviderFeatures;
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

/// Asks every provider for its metadata and keys, and the database for an answer, greets the mail server where mail is wanted, and
/// reads the certificate where TLS is spoken. In bounded time.
pub(super) async fn ask(config: &Config, owners: Owners) -> OnlineReport {
    let verifier = TokenVerifier::with_settings(
        config.providers(),
        &config.http_settings(),
        Arc::new(SystemClock),
        config.verifier_settings(),
    );
    let statuses = match verifier {
        Ok(verifier) => verifier.probe().await,
        Err(error) => return OnlineReport::failed(&error.to_string()),
    };
    let asked = config.ops.iter().zip(&statuses);
    let mut answers: Vec<Answer> = asked.flat_map(|(op, status)| judge(op, status)).collect();
    answers.extend(store(config).await);
    if config.notify.unauthorised != Digest::Off {
        answers.push(match Smtp::new(config).greet().await {
            Ok(said) => answer(MAIL, Outcome::Well, said),
            Err(error) => answer(MAIL, Outcome::Wrong, error.to_string()),
        });
    }
    if let BackendConfig::Ldap(ldap) = &config.adapter.backend {
        answers.push(directory(ldap).await);
    }
    answers.extend(outside(&config.adapter.backend).await);
    answers.extend(config.server.tls.as_ref().map(|files| certificate(files, owners)));
    OnlineReport { answers }
}

/// Asks a back end outside this host whether it could work.
async fn outside(backend: &BackendConfig) -> Option<Answer> {
    let (what, checked) = match backend {
        BackendConfig::LocalUnix(_) | BackendConfig::Ldap(_) => return None,
        BackendConfig::BwIdm(bwidm) => {
            let checked = match BwIdm::new(bwidm.config.clone()) {
                Ok(bwidm) => bwidm.check().await,
                Err(error) => Err(error),
            };
            ("[backend.bwidm]", checked.map_err(|error| error.to_string()))
        }
        BackendConfig::External(external) => {
            let checked = External::new(external.config.clone()).check().await;
            ("[backend.external]", checked.map_err(|error| error.to_string()))
        }
        BackendConfig::Map(map) => {
            let opened = map.config.open();
            ("[backend.map]", opened.map(|_| ()).map_err(|problems| problems.join("; ")))
        }
    };
    Some(match checked {
        Ok(()) => answer(what, Outcome::Well, "it answers"),
        Err(error) => answer(what, Outcome::Wrong, error),
    })
}

/// Binds, and reads both bases.
async fn directory(ldap: &LdapConfig) -> Answer {
    let what = format!("[backend.{}]", ldap.backend);
    match LdapDirectory::new(ldap.clone()).check().await {
        Ok(()) => answer(&what, Outcome::Well, format!("{} answers", ldap.url())),
        Err(error) => answer(&what, Outcome::Wrong, error.to_string()),
    }
}

/// A file that is not there yet is made at the start; a server must be there.
async fn store(config: &Config) -> Option<Answer> {
    let url = &config.store.url;
    if url.file().is_some_and(|file| !file.exists()) {
        return None;
    }
    let what = format!("[store] {url}");
    Some(match Store::probe(url).await {
        Ok(()) => answer(&what, Outcome::Well, "the database answers"),
        Err(error) => answer(&what, Outcome::Wrong, error.to_string()),
    })
}

const MAIL: &str = "[notifier.email]";

/// Only the daemon's own user can tell for sure whether the daemon may read its key.
fn certificate(files: &TlsFiles, owners: Owners) -> Answer {
    let what = "[server] tls_certificate";
    let is_daemon = nix::unistd::geteuid().as_raw() == owners.service;
    match Tls::load(files, owners, Arc::new(SystemClock)) {
        Ok(_) => answer(what, Outcome::Well, "certificate and key belong together"),
        Err(error) if is_daemon => answer(what, Outcome::Wrong, error.to_string()),
        Err(error) => answer(what, Outcome::Doubtful, error.to_string()),
    }
}

/// Whether a provider is there, and offers what its section builds on.
fn judge(op: &OpConfig, status: &ProviderStatus) -> Vec<Answer> {
    let what = status.issuer.to_string();
    if let Some(failure) = &status.last_failure {
        return vec![answer(&what, Outcome::Wrong, failure.why.as_str())];
    }
    if status.key_count == 0 {
        return vec![answer(&what, Outcome::Wrong, "it publishes no key that can verify tokens")];
    }
    let mut answers = vec![answer(
        &what,
        Outcome::Well,
        format!("it answers, and has {} keys", status.key_count),
    )];
    let features = status.features.clone().unwrap_or_default();
    let doubts = doubts(op, &features);
    answers.extend(doubts.into_iter().map(|(outcome, says)| answer(&what, outcome, says)));
    answers
}

/// What a section counts on and the provider does not offer.
fn doubts(op: &OpConfig, features: &ProviderFeatures) -> Vec<(Outcome, String)> {
    let mut found = Vec::new();
    if op.introspection.is_some() && !features.introspection {
        let says = "introspection_client_id is set, but it offers no introspection";
        found.push((Outcome::Doubtful, says.to_owned()));
    }
    let opens_opaque = features.userinfo || (op.introspection.is_some() && features.introspection);
    if op.opaque_tokens && !opens_opaque {
        let says =
            "opaque_tokens is set, but it offers neither userinfo nor introspection for them";
        found.push((Outcome::Wrong, says.to_owned()));
    } else if !features.userinfo {
        let says = "it offers no userinfo, so it can't tell that a token was revoked, and only \
                    claims in the token count";
        found.push((Outcome::Doubtful, says.to_owned()));
    }
    if op.client_id.is_some() && features.device_flow.is_none() {
        let says = "client_id is told to clients for the device flow, which it does not offer";
        found.push((Outcome::Doubtful, says.to_owned()));
    }
    let unknown: Vec<&str> = op
        .scopes
        .iter()
        .filter(|scope| !features.scopes.is_empty() && !features.scopes.contains(scope))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        let says = format!("it does not name these scopes: {}", unknown.join(", "));
        found.push((Outcome::Doubtful, says));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, validate};

    fn op(lines: &str) -> OpConfig {
        let source = |text: String| Source { path: "c".into(), text, is_public: false };
        let text = format!("[authorisation.a]\nop_url = https://op.example\n{lines}");
        let files = (source(text), source(String::new()));
        validate(files.0, files.1, Owners { service: 0 }).unwrap().0.ops.remove(0)
    }

    fn found(lines: &str, features: &ProviderFeatures) -> Vec<Outcome> {
        doubts(&op(lines), features).into_iter().map(|(outcome, _)| outcome).collect()
    }

    #[tokio::test]
    async fn the_database_is_asked_and_a_silent_one_is_wrong() {
        let Some(mut place) = crate::store::tests::Place::server() else { return };
        let source = |text: String| Source { path: "c".into(), text, is_public: false };
        let text = format!("[store]\nurl = {}\n", place.url());
        let config = validate(source(text), source(String::new()), Owners { service: 0 });
        let config = config.ok().map(|(config, _)| config).unwrap();
        let asked = store(&config).await.unwrap();
        assert_eq!((asked.outcome, asked.says.as_str()), (Outcome::Well, "the database answers"));
        place.stop();
        let asked = store(&config).await.unwrap();
        assert_eq!(asked.outcome, Outcome::Wrong);
        assert!(asked.says.contains("does not answer"), "{}", asked.says);
    }

    #[test]
    fn what_a_section_counts_on_is_held_against_what_the_provider_offers() {
        let none = ProviderFeatures::default();
        let some = ProviderFeatures {
            userinfo: true,
            scopes: vec!["openid".to_owned()],
            ..ProviderFeatures::default()
        };
        assert_eq!(found("scopes = [openid]\n", &some), []);
        assert_eq!(found("scopes = [openid, groups]\n", &some), [Outcome::Doubtful]);
        assert_eq!(
            found("scopes = [groups]\n", &none),
            [Outcome::Doubtful],
            "no list, no userinfo"
        );
        assert_eq!(found("client_id = c\n", &some), [Outcome::Doubtful]);
        assert_eq!(found("opaque_tokens = yes\n", &some), []);
        assert_eq!(found("opaque_tokens = yes\n", &none), [Outcome::Wrong]);
        let introspection = "introspection_client_id = c\nintrospection_client_secret = s\n";
        assert_eq!(found(introspection, &some), [Outcome::Doubtful]);
    }
}
