//! What is kept about one configured provider: its metadata, its keys and how busy we keep it.

use super::backoff::Patience;
use super::fetch::{Endpoint, FetchError, Fetcher};
use super::kept::{Freshness, Kept, Load, Stamped};
use super::keys::{Finding, KeySet};
use super::provider::{Metadata, Provider};
use super::refusal::{NoKey, TokenRefusal};
use super::tally::{Place, Tally, milliseconds};
use super::token::Unverified;
use motley_proto::facts::{BackOff, KeyFact, ProviderStatus};
use motley_proto::text::escape;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Most questions about tokens of one standing that are under way at one provider, so that a slow
/// one holds up nobody but its own users.
const MAX_QUESTIONS: usize = 32;
/// Most keys that are shown to the operator.
const SHOWN_KEYS: usize = 16;

/// What is known about a token before its provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its signature holds, or its provider knows it.
    Vouched,
    /// Anybody could have made it up. Such questions never take the place of the others.
    Unknown,
}

/// One configured provider at run time.
pub(crate) struct Upstream {
    pub(crate) config: Provider,
    pub(crate) fetcher: Fetcher,
    metadata: Arc<Kept<Metadata>>,
    keys: Arc<Kept<KeySet>>,
    vouched: Lane,
    unknown: Lane,
    suspect_age: Duration,
    tally: Arc<Tally>,
    rfc9068_seen: AtomicBool,
}

/// Questions about tokens of one standing: how many at a time, and whether now.
struct Lane {
    slots: Semaphore,
    patience: Patience,
}

impl Lane {
    fn new() -> Self {
        Self { slots: Semaphore::new(MAX_QUESTIONS), patience: Patience::default() }
    }

    fn under_way(&self) -> usize {
        MAX_QUESTIONS - self.slots.available_permits()
    }
}

impl Upstream {
    /// Asks nothing yet.
    pub(crate) fn new(config: Provider, fetcher: Fetcher, rules: Freshness) -> Self {
        let tally = Arc::new(Tally::new(&config.issuer));
        let metadata = keep_metadata(&config, &fetcher, rules, &tally);
        let keys = keep_keys(&config, &fetcher, rules, &tally, &metadata);
        Self {
            config,
            fetcher,
            metadata,
            keys,
            vouched: Lane::new(),
            unknown: Lane::new(),
            suspect_age: rules.suspect_age,
            tally,
            rfc9068_seen: AtomicBool::new(false),
        }
    }

    /// Begins with the metadata and keys that another one of the same issuer has, if they came on the
    /// way on which this one would fetch them. An admin who takes an authority out of the CA file
    /// does not want to believe for another day what it vouched for.
    pub(crate) fn take_over(&self, before: &Self) {
        let same_way = self.fetcher.way() == before.fetcher.way()
            && self.config.allow_http == before.config.allow_http;
        if !same_way {
            tracing::info!(issuer = %self.config.issuer, "reached in another way now; its keys are fetched anew");
            return;
        }
        self.metadata.seed(before.metadata.current());
        self.keys.seed(before.keys.current());
    }

    /// The issuer as configured, for messages.
    pub(crate) fn name(&self) -> String {
        self.config.issuer.to_string()
    }

    /// What the provider says about itself.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, FetchError> {
        Ok(self.metadata.get().await?.value)
    }

    /// Fetches metadata and keys if there are none.
    pub(crate) async fn warm_up(&self) {
        // A failure is logged and remembered where it happens; the first token tries again.
        let _ = self.keys.get().await;
    }

    /// The time that one question may take: half of what all together may.
    pub(crate) fn question_limit(&self) -> Duration {
        self.config.timeout / 2
    }

    /// Asks a question about a token when there is room for it and the provider is not left alone
    /// just now. Waiting for room and for the answer take `limit` together; `question` is told what
    /// is left of it. `about` tells people, or tokens of unknown people, apart.
    pub(crate) async fn ask<T, F>(
        &self,
        place: Place,
        (standing, about): (Standing, u64),
        limit: Duration,
        question: impl FnOnce(Duration) -> F,
    ) -> Result<T, FetchError>
    where
        F: Future<Output = Result<T, FetchError>>,
    {
        let began = Instant::now();
        let Lane { slots, patience } = self.lane(standing);
        let room = tokio::time::timeout(limit, slots.acquire());
        let _slot = match room.await {
            Ok(slot) => slot.map_err(|_| FetchError::Busy)?,
            Err(_) => return Err(FetchError::Timeout(limit)),
        };
        let asked = Instant::now();
        if !patience.lets_through(asked) {
            return Err(FetchError::Resting);
        }
        let left = limit.saturating_sub(began.elapsed());
        let result = self.tally.watch(place, question(left)).await;
        match &result {
            // Anybody can make up a token on which a provider chokes.
            Err(why) if standing == Standing::Unknown && !why.is_outage() => {}
            Err(why) if !why.is_final() => patience.failed(about, asked, Instant::now()),
            _ => patience.answered(),
        }
        result
    }

    fn lane(&self, standing: Standing) -> &Lane {
        match standing {
            Standing::Vouched => &self.vouched,
            Standing::Unknown => &self.unknown,
        }
    }

    /// Verifies the signature of a token with the provider's keys, fetching them anew where the
    /// token may be signed with one that is newer than the kept ones.
    pub(crate) async fn verify_signature(
        &self,
        token: &Unverified<'_>,
    ) -> Result<(), TokenRefusal> {
        let unreachable = |why| NoKey::Unreachable { issuer: self.name(), why };
        let kept = self.keys.get().await.map_err(unreachable)?;
        let mut finding = verify_with(&kept, token);
        let outdated = match finding {
            Finding::Verified => return Ok(()),
            Finding::Unknown | Finding::NoneFits => true,
            Finding::Wrong => self.keys.age(&kept) >= self.suspect_age,
        };
        if outdated {
            let newer = self.keys.renew(Some(kept.fetched)).await.map_err(unreachable)?;
            if newer.fetched != kept.fetched {
                finding = verify_with(&newer, token);
            }
        }
        match finding {
            Finding::Verified => Ok(()),
            Finding::Wrong | Finding::NoneFits => {
                Err(TokenRefusal::BadSignature { issuer: self.name() })
            }
            Finding::Unknown => Err(NoKey::Unknown {
                issuer: self.name(),
                kid: token.key_id().map_or_else(|| "(none)".to_owned(), |kid| escape(kid, 80)),
                algorithm: token.algorithm().name(),
            }
            .into()),
        }
    }

    /// True when a key that is kept made the signature, and the token names this provider. Fetches
    /// nothing.
    pub(crate) fn has_signed(&self, token: &Unverified<'_>) -> bool {
        let discovered = self.metadata.current();
        let names_us = token.issuer() == self.config.issuer.as_str()
            || discovered.is_some_and(|kept| kept.value.issuer.as_str() == token.issuer());
        let kept = self.keys.current().filter(|_| names_us);
        kept.is_some_and(|kept| matches!(verify_with(&kept, token), Finding::Verified))
    }

    /// True when tokens of this provider can be verified: its keys are kept, or, where its tokens
    /// are opaque, it has told where to ask about them.
    pub(crate) fn is_ready(&self) -> bool {
        let has_keys = self.keys.current().is_some_and(|kept| kept.value.len() > 0);
        let opaque = self.config.opaque_tokens || self.config.introspection.is_some();
        has_keys || (opaque && self.metadata.current().is_some())
    }

    /// Notes that a good token was declared as one of RFC 9068.
    pub(crate) fn note_rfc9068(&self) {
        self.rfc9068_seen.store(true, Ordering::Relaxed);
    }

    /// The key that the header of a token means, for the operator. Asks nobody.
    pub(crate) fn key_fact(&self, token: &Unverified<'_>) -> Option<KeyFact> {
        self.keys.current()?.value.fact(token.key_id(), token.algorithm())
    }

    /// Fetches metadata and keys anew, now, in bounded time.
    pub(crate) async fn probe(&self) {
        // Failures are counted where they happen.
        let anew = self.metadata.fetch_anew().await;
        if anew.is_ok() || self.metadata.current().is_some() {
            let _ = self.keys.fetch_anew().await;
        }
    }

    /// True while it fails, so that others are better asked first.
    pub(crate) fn is_failing(&self) -> bool {
        let unknown = self.metadata.current().is_none() && self.metadata.resting().is_some();
        unknown || self.unknown.patience.resting(Instant::now()).is_some()
    }

    /// Facts for the operator.
    pub(crate) fn status(&self) -> ProviderStatus {
        let (metadata, keys) = (self.metadata.current(), self.keys.current());
        let counted = self.tally.counted();
        let seconds = |age: Duration| age.as_secs();
        let features = metadata.as_ref().map(|kept| kept.value.features.clone());
        ProviderStatus {
            issuer: self.config.issuer.clone(),
            discovered: metadata.as_ref().map(|kept| kept.value.issuer.clone()),
            audience_configured: self.config.audience_configured,
            introspection_usable: self.config.introspection.is_some()
                && features.as_ref().is_some_and(|features| features.introspection),
            features,
            rfc9068_seen: self.rfc9068_seen.load(Ordering::Relaxed),
            metadata_age: metadata.map(|kept| seconds(self.metadata.age(&kept))),
            key_count: keys.as_ref().map_or(0, |kept| count(kept.value.len())),
            keys: keys.as_ref().map_or_else(Vec::new, |kept| kept.value.facts(SHOWN_KEYS)),
            keys_age: keys.map(|kept| seconds(self.keys.age(&kept))),
            latency: counted.latency,
            requests: counted.requests,
            failures: counted.failures,
            under_way: count(self.vouched.under_way() + self.unknown.under_way()),
            last_failure: counted.last_failure,
            back_off: self.back_off(),
        }
    }

    fn back_off(&self) -> Vec<BackOff> {
        let now = Instant::now();
        let resting = [
            ("discovery", self.metadata.resting()),
            ("jwks", self.keys.resting()),
            ("questions about verified tokens", self.vouched.patience.resting(now)),
            ("questions about unknown tokens", self.unknown.patience.resting(now)),
        ];
        let back_off = |(place, resting): (&str, Option<(u32, Duration)>)| {
            let (failures, next) = resting?;
            Some(BackOff { place: place.to_owned(), failures, next_ms: milliseconds(next) })
        };
        resting.into_iter().filter_map(back_off).collect()
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn verify_with(keys: &Stamped<KeySet>, token: &Unverified<'_>) -> Finding {
    keys.value.verify(token.key_id(), token.algorithm(), token.signed_octets(), token.signature())
}

fn keep_metadata(
    config: &Provider,
    fetcher: &Fetcher,
    rules: Freshness,
    tally: &Arc<Tally>,
) -> Arc<Kept<Metadata>> {
    let (issuer, limit) = (config.issuer.clone(), config.timeout / 2);
    let (fetcher, tally) = (fetcher.clone(), Arc::clone(tally));
    let load: Load<Metadata> = Box::new(move || {
        let (fetcher, tally, issuer) = (fetcher.clone(), Arc::clone(&tally), issuer.clone());
        Box::pin(async move {
            let place = Endpoint::of_discovery(&issuer)?;
            let read = async {
                let document = fetcher.document("discovery", &place, limit).await?;
                Metadata::parse(&issuer, &document)
            };
            tally.watch(Place::Discovery, read).await
        })
    });
    Kept::new(format!("metadata of {}", config.issuer), rules, Arc::new(Instant::now), load)
}

fn keep_keys(
    config: &Provider,
    fetcher: &Fetcher,
    rules: Freshness,
    tally: &Arc<Tally>,
    metadata: &Arc<Kept<Metadata>>,
) -> Arc<Kept<KeySet>> {
    let (fetcher, limit) = (fetcher.clone(), config.timeout / 2);
    let (tally, metadata) = (Arc::clone(tally), Arc::clone(metadata));
    let load: Load<KeySet> = Box::new(move || {
        let (fetcher, tally) = (fetcher.clone(), Arc::clone(&tally));
        let metadata = Arc::clone(&metadata);
        Box::pin(async move {
            let about = metadata.get().await?;
            let place = about.value.jwks.as_ref().ok_or_else(|| FetchError::Unusable {
                place: "discovery",
                why: "has no usable jwks_uri".to_owned(),
            })?;
            let read = async {
                let document = fetcher.document("jwks_uri", place, limit).await?;
                KeySet::parse(&document)
                    .map_err(|why| FetchError::Unusable { place: "jwks_uri", why: why.to_string() })
            };
            let keys = tally.watch(Place::Jwks, read).await;
            if keys.is_err() {
                // They may have moved: the next attempt looks them up again.
                metadata.refresh_in_background(about.fetched);
            }
            keys
        })
    });
    Kept::new(format!("keys of {}", config.issuer), rules, Arc::new(Instant::now), load)
}
