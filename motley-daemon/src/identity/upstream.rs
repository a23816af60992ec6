//! What is kept about one configured provider: its metadata, its keys and how busy we keep it.

use super::fetch::{Endpoint, FetchError, Fetcher};
use super::kept::{Freshness, Kept, Load, Stamped};
use super::keys::{Finding, KeySet};
use super::provider::{Metadata, Provider};
use super::refusal::{NoKey, TokenRefusal};
use super::token::Unverified;
use motley_proto::Issuer;
use motley_proto::text::escape;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Most questions about tokens of one standing that are under way at one provider, so that a slow
/// one holds up nobody but its own users.
const MAX_QUESTIONS: usize = 32;

/// What is known about a token before its provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its signature holds, or its provider knows it.
    Vouched,
    /// Anybody could have made it up. Such questions never take the place of the others.
    Unknown,
}

/// Facts about one provider, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderStatus {
    /// The issuer as configured.
    pub issuer: Issuer,
    /// The issuer in the provider's own words, once discovery answered.
    pub discovered: Option<Issuer>,
    /// How many keys can verify tokens.
    pub keys: usize,
    /// How long ago they were fetched.
    pub keys_age: Option<Duration>,
    /// What the last fetch of metadata or keys ended in and how long ago, if it failed.
    pub last_failure: Option<(FetchError, Duration)>,
    /// Questions about tokens that are under way.
    pub questions: usize,
}

/// One configured provider at run time.
pub(crate) struct Upstream {
    pub(crate) config: Provider,
    pub(crate) fetcher: Fetcher,
    metadata: Arc<Kept<Metadata>>,
    keys: Arc<Kept<KeySet>>,
    vouched: Semaphore,
    unknown: Semaphore,
    suspect_age: Duration,
}

impl Upstream {
    /// Asks nothing yet.
    pub(crate) fn new(config: Provider, fetcher: Fetcher, rules: Freshness) -> Self {
        let metadata = keep_metadata(&config, &fetcher, rules);
        let keys = keep_keys(&config, &fetcher, rules, Arc::clone(&metadata));
        let [vouched, unknown] = [(); 2].map(|()| Semaphore::new(MAX_QUESTIONS));
        let suspect_age = rules.suspect_age;
        Self { config, fetcher, metadata, keys, vouched, unknown, suspect_age }
    }

    /// Begins with the metadata and keys that another one of the same issuer has.
    pub(crate) fn take_over(&self, before: &Self) {
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

    /// Asks a question about a token when there is room for it. Waiting for room and for the answer
    /// take `limit` together.
    pub(crate) async fn ask<T>(
        &self,
        standing: Standing,
        limit: Duration,
        question: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let slots = match standing {
            Standing::Vouched => &self.vouched,
            Standing::Unknown => &self.unknown,
        };
        let whole = async {
            let _slot = slots.acquire().await.map_err(|_| FetchError::Busy)?;
            question.await
        };
        tokio::time::timeout(limit, whole).await.unwrap_or(Err(FetchError::Timeout(limit)))
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

    /// Facts for the operator.
    pub(crate) fn status(&self) -> ProviderStatus {
        let keys = self.keys.current();
        ProviderStatus {
            issuer: self.config.issuer.clone(),
            discovered: self.metadata.current().map(|kept| kept.value.issuer.clone()),
            keys: keys.as_ref().map_or(0, |kept| kept.value.len()),
            keys_age: keys.map(|kept| self.keys.age(&kept)),
            last_failure: self.metadata.last_failure().or_else(|| self.keys.last_failure()),
            questions: 2 * MAX_QUESTIONS
                - self.vouched.available_permits()
                - self.unknown.available_permits(),
        }
    }
}

fn verify_with(keys: &Stamped<KeySet>, token: &Unverified<'_>) -> Finding {
    keys.value.verify(token.key_id(), token.algorithm(), token.signed_octets(), token.signature())
}

fn keep_metadata(config: &Provider, fetcher: &Fetcher, rules: Freshness) -> Arc<Kept<Metadata>> {
    let (issuer, limit) = (config.issuer.clone(), config.timeout / 2);
    let fetcher = fetcher.clone();
    let load: Load<Metadata> = Box::new(move || {
        let (fetcher, issuer) = (fetcher.clone(), issuer.clone());
        Box::pin(async move {
            let place = Endpoint::of_discovery(&issuer)?;
            Metadata::parse(&issuer, &fetcher.document("discovery", &place, limit).await?)
        })
    });
    Kept::new(format!("metadata of {}", config.issuer), rules, Arc::new(Instant::now), load)
}

fn keep_keys(
    config: &Provider,
    fetcher: &Fetcher,
    rules: Freshness,
    metadata: Arc<Kept<Metadata>>,
) -> Arc<Kept<KeySet>> {
    let (fetcher, limit) = (fetcher.clone(), config.timeout / 2);
    let load: Load<KeySet> = Box::new(move || {
        let (fetcher, metadata) = (fetcher.clone(), Arc::clone(&metadata));
        Box::pin(async move {
            let about = metadata.get().await?;
            let unusable = |place, why: String| FetchError::Unusable { place, why };
            let place = about
                .value
                .jwks
                .clone()
                .ok_or_else(|| unusable("discovery", "has no usable jwks_uri".to_owned()))?;
            let document = match fetcher.document("jwks_uri", &place, limit).await {
                Ok(document) => document,
                // The keys may have moved: the next attempt looks them up again.
                Err(why) => {
                    metadata.refresh_in_background(about.fetched);
                    return Err(why);
                }
            };
            KeySet::parse(&document).map_err(|why| unusable("jwks_uri", why.to_string()))
        })
    });
    Kept::new(format!("keys of {}", config.issuer), rules, Arc::new(Instant::now), load)
}
