//! Verifies tokens: from a text to [`Verified`], with what was found out kept for a short while.

mod known;

pub use known::Known;

use super::claims;
use super::fetch::{Fetcher, HttpError, HttpSettings, Reach, install_crypto};
use super::kept::Freshness;
use super::provider::{Provider, UserinfoMode, without_slash};
use super::refusal::{NoIdentity, NoKey, TokenRefusal};
use super::remembered::{Outcome, Remembered, TokenHash};
use super::token::{self, Presented, Unverified};
use super::upstream::{ProviderStatus, Upstream};
use super::userinfo::{ask_about_signed, open_opaque};
use crate::clock::Clock;
use crate::verified::{ClaimSources, Verified};
use motley_proto::{Identity, Issuer, Secret};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Least time that a question gets, even when the ones before it used up the rest.
const LAST_QUESTION: Duration = Duration::from_millis(500);

/// How tokens are verified, beside the providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifierSettings {
    /// Seconds by which a provider's clock may be ahead of ours (`nbf`, `iat`).
    pub skew: i64,
    /// How long a verified token is believed without asking again; never past its `exp`.
    pub remember_verified: Duration,
    /// How long a token that its provider's keys refuse stays refused.
    pub remember_refused: Duration,
    /// How long a provider that could not be asked about a token is left alone about this token.
    pub remember_failure: Duration,
    /// When metadata and keys are fetched again.
    pub freshness: Freshness,
}

impl Default for VerifierSettings {
    fn default() -> Self {
        Self {
            skew: 60,
            remember_verified: Duration::from_secs(60),
            remember_refused: Duration::from_secs(2),
            remember_failure: Duration::from_secs(1),
            freshness: Freshness::default(),
        }
    }
}

/// Why tokens can't be verified with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum VerifierError {
    /// The HTTP client can't be set up.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Two providers are the same but for a slash.
    #[error("{0} and {1} are one provider; keep one of them")]
    Duplicate(Issuer, Issuer),
    /// An issuer is http and that was not allowed.
    #[error("{0} is not https; set `allow_http_loopback = yes` in its section if this is a test")]
    PlainHttp(Issuer),
}

/// Turns tokens into [`Verified`]: the only door to it.
pub struct TokenVerifier {
    upstreams: Vec<Arc<Upstream>>,
    by_issuer: HashMap<String, usize>,
    remembered: Remembered,
    settings: VerifierSettings,
    clock: Arc<dyn Clock>,
}

impl TokenVerifier {
    /// Sets up for these providers and asks nothing yet.
    ///
    /// # Errors
    /// When two providers are one, one is http without leave, or there is no HTTPS client.
    pub fn new(
        providers: Vec<Provider>,
        http: &HttpSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, VerifierError> {
        Self::with_settings(providers, http, clock, VerifierSettings::default())
    }

    /// Like [`TokenVerifier::new`], with times of one's own.
    ///
    /// # Errors
    /// Those of [`TokenVerifier::new`].
    pub fn with_settings(
        providers: Vec<Provider>,
        http: &HttpSettings,
        clock: Arc<dyn Clock>,
        settings: VerifierSettings,
    ) -> Result<Self, VerifierError> {
        install_crypto();
        let by_issuer = index(&providers)?;
        let fetcher = Fetcher::new(http, reach(&providers))?;
        let upstreams = providers
            .into_iter()
            .map(|one| Arc::new(Upstream::new(one, fetcher.clone(), settings.freshness)))
            .collect();
        Ok(Self { upstreams, by_issuer, remembered: Remembered::new(), settings, clock })
    }

    /// Verifies a token. `hint` is the issuer that the client names; it only matters for opaque ones.
    ///
    /// Nothing is sent anywhere unless a configured provider is responsible for the token.
    ///
    /// # Errors
    /// Says why the token proves no identity.
    pub async fn verify(
        &self,
        token: &Secret,
        hint: Option<&Issuer>,
    ) -> Result<Arc<Verified>, TokenRefusal> {
        let hash = TokenHash::of(token);
        if let Some(verified) = self.remembered.verified(&hash, self.clock.now()).await {
            return Ok(verified);
        }
        let result = match token::read(token.expose())? {
            Presented::Signed(unverified) => self.verify_signed(hash, *unverified, token).await,
            Presented::Opaque => self.verify_opaque(hash, token, hint).await,
        };
        if let Err(refusal) = &result {
            tracing::debug!(reason = %refusal, "token refused");
        }
        result
    }

    /// Forgets what was found out about an identity's tokens, so that the next use asks anew.
    pub fn forget(&self, identity: &Identity) {
        self.remembered.forget(identity);
    }

    /// Fetches the metadata and keys of all providers, so that the first login need not wait.
    pub async fn warm_up(&self) {
        futures_util::future::join_all(self.upstreams.iter().map(|one| one.warm_up())).await;
    }

    /// Begins with the metadata and keys that another verifier has fetched, so that a new
    /// configuration needs no provider that is down right now. What it found out about tokens is
    /// left behind.
    pub fn take_over(&self, before: &Self) {
        for upstream in &self.upstreams {
            let same = |one: &&Arc<Upstream>| one.config.issuer == upstream.config.issuer;
            if let Some(known) = before.upstreams.iter().find(same) {
                upstream.take_over(known);
            }
        }
    }

    /// Keeps metadata and keys from growing old while nobody logs in, so that a key which a provider
    /// withdrew is not believed at the first login of the day. Never ends; drop it to stop.
    pub async fn keep_fresh(&self) {
        loop {
            self.warm_up().await;
            tokio::time::sleep(self.settings.freshness.max_age).await;
        }
    }

    /// Facts about each provider, in the order of the configuration.
    pub fn providers_status(&self) -> Vec<ProviderStatus> {
        self.upstreams.iter().map(|one| one.status()).collect()
    }

    async fn verify_signed(
        &self,
        hash: TokenHash,
        unverified: Unverified<'_>,
        token: &Secret,
    ) -> Result<Arc<Verified>, TokenRefusal> {
        let Some((at, upstream)) = self.responsible(unverified.issuer()) else {
            return Err(TokenRefusal::untrusted(unverified.issuer()));
        };
        let work = async {
            let found = self.examine_signed(upstream, unverified, token).await;
            self.judge(found)
        };
        self.remembered.once(hash, at, work).await
    }

    async fn verify_opaque(
        &self,
        hash: TokenHash,
        token: &Secret,
        hint: Option<&Issuer>,
    ) -> Result<Arc<Verified>, TokenRefusal> {
        let (at, upstream) = self.named_provider(&hash, hint).await?;
        let work = async {
            let found = self.examine_opaque(upstream, token).await;
            self.judge(found)
        };
        let verified = self.remembered.once(hash, at, work).await?;
        self.remembered.note_provider(hash, at).await;
        Ok(verified)
    }

    /// The configured provider of an issuer; one slash at the end is left to discovery to decide.
    fn responsible(&self, issuer: &str) -> Option<(usize, &Arc<Upstream>)> {
        let at = *self.by_issuer.get(without_slash(issuer))?;
        Some((at, self.upstreams.get(at)?))
    }

    /// The one provider to which an opaque token may be sent: none gets to see another's tokens.
    async fn named_provider(
        &self,
        hash: &TokenHash,
        hint: Option<&Issuer>,
    ) -> Result<(usize, &Arc<Upstream>), NoIdentity> {
        if let Some(hint) = hint {
            let known = self.responsible(hint.as_str());
            return known.ok_or_else(|| NoIdentity::HintUnknown(hint.to_string()));
        }
        let mut marked =
            self.upstreams.iter().enumerate().filter(|(_, one)| one.config.opaque_tokens);
        let at = match (self.remembered.provider(hash).await, marked.next(), marked.next()) {
            (Some(at), _, _) => Some(at),
            (None, Some((at, _)), None) => Some(at),
            (None, None, None) if self.upstreams.len() == 1 => Some(0),
            _ => None,
        };
        let found = at.and_then(|at| Some((at, self.upstreams.get(at)?)));
        found.ok_or(NoIdentity::ProviderUnknown)
    }

    async fn examine_signed(
        &self,
        upstream: &Upstream,
        unverified: Unverified<'_>,
        token: &Secret,
    ) -> Result<Found, TokenRefusal> {
        let begin = Instant::now();
        let unreachable = |why| NoKey::Unreachable { issuer: upstream.name(), why };
        let metadata = upstream.metadata().await.map_err(unreachable)?;
        let own = [upstream.config.issuer.as_str(), metadata.issuer.as_str()];
        if !own.contains(&unverified.issuer()) {
            return Err(TokenRefusal::untrusted(unverified.issuer()));
        }
        upstream.verify_signature(&unverified).await?;
        let claims = unverified.into_claims();
        let subject = claims::subject(&claims)?;
        let expires = claims::check_times(&claims, self.clock.now(), self.settings.skew)?;
        let told = match upstream.config.userinfo {
            UserinfoMode::Always => {
                let limit = time_left(upstream, begin);
                ask_about_signed(upstream, &metadata, token, &subject, limit).await?
            }
            UserinfoMode::WhenNeeded => Default::default(),
        };
        let identity = Identity::new(metadata.issuer.clone(), subject);
        let sources =
            ClaimSources { userinfo: told.claims, introspection: None, token: Some(claims) };
        let verified = Verified::attest(identity, sources, Some(expires));
        Ok(Found { verified, incomplete: told.incomplete })
    }

    async fn examine_opaque(
        &self,
        upstream: &Upstream,
        token: &Secret,
    ) -> Result<Found, TokenRefusal> {
        let begin = Instant::now();
        let unreachable = |why| NoIdentity::Unreachable { issuer: upstream.name(), why };
        let metadata = upstream.metadata().await.map_err(unreachable)?;
        let limit = time_left(upstream, begin);
        let opened = open_opaque(upstream, &metadata, token, self.clock.now(), limit).await?;
        let identity = Identity::new(metadata.issuer.clone(), opened.subject);
        let sources = ClaimSources {
            userinfo: opened.userinfo,
            introspection: opened.introspection,
            token: None,
        };
        let verified = Verified::attest(identity, sources, opened.expires);
        Ok(Found { verified, incomplete: opened.incomplete })
    }

    /// Decides how long a result is kept: the less certain, the shorter.
    fn judge(&self, found: Result<Found, TokenRefusal>) -> Outcome {
        let settings = &self.settings;
        match found {
            Ok(Found { verified, incomplete: true }) => {
                Outcome::verified(verified, settings.remember_failure)
            }
            Ok(Found { verified, incomplete: false }) => {
                Outcome::verified(verified, settings.remember_verified)
            }
            Err(refusal) if refusal.is_transient() => {
                Outcome::refused(refusal, settings.remember_failure)
            }
            Err(refusal) => Outcome::refused(refusal, settings.remember_refused),
        }
    }
}

/// Everything on loopback needs no certificate authorities and no proxy.
fn reach(providers: &[Provider]) -> Reach {
    if providers.iter().any(|one| one.issuer.is_https()) {
        Reach::Internet
    } else {
        Reach::Loopback
    }
}

/// A verified token, and whether its provider had more to tell but could not.
struct Found {
    verified: Verified,
    incomplete: bool,
}

fn index(providers: &[Provider]) -> Result<HashMap<String, usize>, VerifierError> {
    let mut by_issuer = HashMap::new();
    for (at, provider) in providers.iter().enumerate() {
        if !provider.issuer.is_https() && !provider.allow_http {
            return Err(VerifierError::PlainHttp(provider.issuer.clone()));
        }
        let key = without_slash(provider.issuer.as_str()).to_owned();
        if let Some(before) = by_issuer.insert(key, at).and_then(|before| providers.get(before)) {
            return Err(VerifierError::Duplicate(before.issuer.clone(), provider.issuer.clone()));
        }
    }
    Ok(by_issuer)
}

/// What is left of the time for one token, and never more than one question may take.
fn time_left(upstream: &Upstream, begin: Instant) -> Duration {
    let left = upstream.config.timeout.saturating_sub(begin.elapsed());
    left.min(upstream.question_limit()).max(LAST_QUESTION)
}
