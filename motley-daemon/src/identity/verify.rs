//! Verifies tokens: from a text to [`Verified`], with what was found out kept for a short while.

mod known;

pub use known::Known;

use super::examine::Found;
use super::fetch::{Fetcher, HttpError, HttpSettings, Reach, install_crypto};
use super::forgotten::Begun;
use super::kept::Freshness;
use super::provider::{Provider, without_slash};
use super::refusal::{NoIdentity, TokenRefusal};
use super::remembered::{Origin, Outcome, Remembered, TokenHash};
use super::token::{self, Presented, Unverified};
use super::upstream::{Standing, Upstream};
use crate::clock::Clock;
use crate::verified::Verified;
use motley_proto::facts::ProviderStatus;
use motley_proto::{Identity, Issuer, Secret};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Longest time for a probe of all providers: the admin waits for it.
const PROBE_LIMIT: Duration = Duration::from_secs(15);

/// To whom an opaque token is shown that nobody named a provider for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpaqueOffer {
    /// To the one marked or only provider; to nobody where several are marked.
    #[default]
    NamedOnly,
    /// To each marked provider in turn. Each of them then sees the tokens of the others.
    AllMarked,
}

/// How tokens are verified, beside the providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifierSettings {
    /// Seconds by which a provider's clock may be ahead of ours (`nbf`, `iat`).
    pub skew: i64,
    /// Oldest token that is taken, counted from its `iat`.
    pub max_age: Option<Duration>,
    /// To whom opaque tokens without a named provider are shown.
    pub opaque: OpaqueOffer,
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
            max_age: None,
            opaque: OpaqueOffer::default(),
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
    pub(super) settings: VerifierSettings,
    pub(super) clock: Arc<dyn Clock>,
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
        let (result, origin) = self.verify_or_remember(token, hint).await;
        measure(&result, origin);
        if let Err(refusal) = &result {
            tracing::debug!(reason = %refusal, "token refused");
        }
        result
    }

    async fn verify_or_remember(
        &self,
        token: &Secret,
        hint: Option<&Issuer>,
    ) -> (Verification, Origin) {
        let hash = TokenHash::of(token);
        if let Some(verified) = self.remembered.verified(&hash, self.clock.now())
            && fits(&verified, hint)
        {
            return (Ok(verified), Origin::Memory);
        }
        let begun = self.remembered.begin();
        match token::read(token.expose()) {
            Ok(Presented::Signed(unverified)) => {
                self.verify_signed(hash, begun, *unverified, token).await
            }
            Ok(Presented::Opaque) => Box::pin(self.verify_opaque(hash, begun, token, hint)).await,
            Err(refusal) => (Err(refusal), Origin::Work),
        }
    }

    /// Forgets what was or is being found out about an identity's tokens, under both spellings of
    /// its issuer's last slash, so that the next use asks anew.
    pub fn forget(&self, identity: &Identity) {
        self.remembered.forget(identity);
    }

    /// Fetches the metadata and keys of all providers, so that the first login need not wait.
    pub async fn warm_up(&self) {
        futures_util::future::join_all(self.upstreams.iter().map(|one| one.warm_up())).await;
    }

    /// Begins with the metadata and keys that another verifier has fetched, so that a new
    /// configuration needs no provider that is down right now; not where the way to the provider
    /// (CA file, proxy, http) is another one. What it found out about tokens is
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

    /// Asks all providers for their metadata and keys anew, at the same time and in bounded time,
    /// and tells the facts. A provider that fails this is no worse off than before.
    pub async fn probe(&self) -> Vec<ProviderStatus> {
        let probes = self.upstreams.iter().map(|one| async {
            // Out of time is counted by the request that was under way.
            let _ = tokio::time::timeout(PROBE_LIMIT, one.probe()).await;
        });
        futures_util::future::join_all(probes).await;
        self.providers_status()
    }

    /// Facts about each provider, in the order of the configuration.
    pub fn providers_status(&self) -> Vec<ProviderStatus> {
        self.upstreams.iter().map(|one| one.status()).collect()
    }

    async fn verify_signed(
        &self,
        hash: TokenHash,
        begun: Begun,
        unverified: Unverified<'_>,
        token: &Secret,
    ) -> (Verification, Origin) {
        let Some((at, upstream)) = self.responsible(unverified.issuer()) else {
            return (Err(TokenRefusal::untrusted(unverified.issuer())), Origin::Work);
        };
        // On the heap, since every layer below would hold it once more.
        let work = Box::pin(async {
            let found = self.examine_signed(upstream, unverified, token).await;
            self.judge(found)
        });
        self.remembered.once((hash, at), begun, work).await
    }

    /// Asks the providers to which the token may be sent, one after the other, until one knows it.
    async fn verify_opaque(
        &self,
        hash: TokenHash,
        begun: Begun,
        token: &Secret,
        hint: Option<&Issuer>,
    ) -> (Verification, Origin) {
        let named = match self.named_providers(&hash, hint) {
            Ok(named) => named,
            Err(why) => return (Err(why.into()), Origin::Work),
        };
        let mut refusals = Vec::new();
        for (at, upstream) in named {
            let standing = self.standing(&hash, at);
            let work = Box::pin(async {
                let found = self.examine_opaque(upstream, token, standing).await;
                self.judge(found)
            });
            match self.remembered.once((hash, at), begun, work).await {
                (Ok(verified), origin) => {
                    self.remembered.note_provider(hash, at);
                    return (Ok(verified), origin);
                }
                (Err(refusal), origin) => {
                    if !refusal.is_transient() {
                        self.remembered.forget_provider(&hash, at);
                    }
                    refusals.push((refusal, origin));
                }
            }
        }
        nobody_knows(refusals)
    }

    /// An opaque token that this provider has known before is no invention, so the questions about it
    /// don't queue behind those about inventions.
    pub(super) fn standing(&self, hash: &TokenHash, at: usize) -> Standing {
        match self.remembered.provider(hash) {
            Some(provider) if provider == at => Standing::Vouched,
            _ => Standing::Unknown,
        }
    }

    /// The configured provider of an issuer; one slash at the end is left to discovery to decide.
    pub(super) fn responsible(&self, issuer: &str) -> Option<(usize, &Arc<Upstream>)> {
        let at = *self.by_issuer.get(without_slash(issuer))?;
        Some((at, self.upstreams.get(at)?))
    }

    /// The providers to which an opaque token may be sent, best first. There is one, since none gets
    /// to see another's tokens; several only where the configuration says so.
    pub(super) fn named_providers(
        &self,
        hash: &TokenHash,
        hint: Option<&Issuer>,
    ) -> Result<Vec<(usize, &Arc<Upstream>)>, NoIdentity> {
        if let Some(hint) = hint {
            let known = self.responsible(hint.as_str());
            return known
                .map(|one| vec![one])
                .ok_or_else(|| NoIdentity::HintUnknown(hint.to_string()));
        }
        if let Some(at) = self.remembered.provider(hash)
            && let Some(upstream) = self.upstreams.get(at)
        {
            return Ok(vec![(at, upstream)]);
        }
        let all = || self.upstreams.iter().enumerate();
        let mut marked: Vec<_> = all().filter(|(_, one)| one.config.opaque_tokens).collect();
        if marked.is_empty() && self.upstreams.len() == 1 {
            marked = all().collect();
        }
        match (marked.len(), self.settings.opaque) {
            (0, _) | (2.., OpaqueOffer::NamedOnly) => Err(NoIdentity::ProviderUnknown),
            _ => {
                // One that fails must not keep its users' tokens from being known elsewhere.
                marked.sort_by_key(|(_, one)| one.is_failing());
                Ok(marked)
            }
        }
    }

    /// Decides how long a result is kept: the less certain, the shorter.
    fn judge(&self, found: Result<Found, TokenRefusal>) -> Outcome {
        let settings = &self.settings;
        match found {
            Ok(Found { verified, refused_from, asked }) => {
                let hold = if asked.is_incomplete() {
                    settings.remember_failure.min(settings.remember_verified)
                } else {
                    settings.remember_verified
                };
                Outcome::verified(verified, hold, refused_from)
            }
            Err(refusal) if refusal.is_transient() => {
                Outcome::refused(refusal, settings.remember_failure)
            }
            Err(refusal) => Outcome::refused(refusal, settings.remember_refused),
        }
    }
}

/// Whether a client that names a provider may be told what was found out about its token. Of an
/// opaque one, which names none itself, another provider may have told: it would be another's word.
fn fits(verified: &Verified, hint: Option<&Issuer>) -> bool {
    let same = |hint: &Issuer| {
        without_slash(hint.as_str()) == without_slash(verified.identity().issuer.as_str())
    };
    verified.sources().token.is_some() || hint.is_none_or(same)
}

/// What verification comes to.
type Verification = Result<Arc<Verified>, TokenRefusal>;

/// Sums up the refusals of all providers that were asked. As long as one of them could not be
/// asked, nobody can say that the token is unknown.
fn nobody_knows(refusals: Vec<(TokenRefusal, Origin)>) -> (Verification, Origin) {
    let reasons: Vec<String> = refusals.iter().map(|(refusal, _)| refusal.reason()).collect();
    let remembered = refusals.iter().all(|(_, origin)| *origin == Origin::Memory);
    let origin = if remembered { Origin::Memory } else { Origin::Work };
    let count = refusals.len();
    let mut refusals = refusals.into_iter().map(|(refusal, _)| refusal);
    let first = refusals.next();
    let first = match first {
        Some(first) if count == 1 || first.is_transient() => Some(first),
        _ => refusals.find(TokenRefusal::is_transient),
    };
    let refusal = first.unwrap_or_else(|| NoIdentity::NobodyKnows(reasons.join("; ")).into());
    (Err(refusal), origin)
}

/// Counts a verification. The words are few and none comes from outside.
fn measure(result: &Verification, origin: Origin) {
    let outcome = result.as_ref().map_or_else(TokenRefusal::kind, |_| "good");
    metrics::counter!("motley_token_verifications_total", "outcome" => outcome).increment(1);
    let cache = match (origin, result) {
        (Origin::Work, _) => "miss",
        (Origin::Memory, Ok(_)) => "hit",
        (Origin::Memory, Err(_)) => "refused",
    };
    metrics::counter!("motley_token_cache_total", "result" => cache).increment(1);
}

/// Everything on loopback needs no certificate authorities and no proxy.
fn reach(providers: &[Provider]) -> Reach {
    if providers.iter().any(|one| one.issuer.is_https()) {
        Reach::Internet
    } else {
        Reach::Loopback
    }
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
