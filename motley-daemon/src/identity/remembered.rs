//! Remembers for a short while what was found out about a token, filed under its hash only.

use super::refusal::TokenRefusal;
use crate::clock::Timestamp;
use crate::verified::Verified;
use aws_lc_rs::digest::{SHA256, digest};
use moka::Expiry;
use moka::future::Cache;
use motley_proto::{Identity, Secret};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most memory that verified tokens take, about, in bytes.
const MAX_VERIFIED_BYTES: u64 = 96 * 1024 * 1024;
/// Most refusals that are remembered.
const MAX_REFUSED: u64 = 20_000;
/// Most opaque tokens whose provider is remembered, and for how long.
const MAX_PROVIDERS: u64 = 100_000;
const REMEMBER_PROVIDER: Duration = Duration::from_secs(24 * 3600);
/// About what an entry takes beside its claims.
const ENTRY_BYTES: u32 = 1024;

/// SHA-256 of a token: the key of every table, so that a memory image of them holds no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes the token.
    pub(crate) fn of(token: &Secret) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.expose().as_bytes()).as_ref());
        Self(hash)
    }
}

/// The result of one verification and how long it may be used again.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    result: Result<Arc<Verified>, TokenRefusal>,
    hold: Duration,
}

impl Outcome {
    /// The token is good.
    pub(crate) fn verified(verified: Verified, hold: Duration) -> Self {
        Self { result: Ok(Arc::new(verified)), hold }
    }

    /// The token is refused.
    pub(crate) fn refused(refusal: TokenRefusal, hold: Duration) -> Self {
        Self { result: Err(refusal), hold }
    }
}

#[derive(Clone)]
struct Good {
    verified: Arc<Verified>,
    hold: Duration,
}

/// Each entry lives as long as it says.
struct ByHold;

impl Expiry<TokenHash, Good> for ByHold {
    fn expire_after_create(&self, _: &TokenHash, good: &Good, _: Instant) -> Option<Duration> {
        Some(good.hold)
    }
}

impl Expiry<(TokenHash, usize), Outcome> for ByHold {
    fn expire_after_create(
        &self,
        _: &(TokenHash, usize),
        outcome: &Outcome,
        _: Instant,
    ) -> Option<Duration> {
        // Good ones are kept in the other table, from which they can be forgotten.
        Some(if outcome.result.is_ok() { Duration::ZERO } else { outcome.hold })
    }
}

/// Bounded tables of recent results, shared by all threads.
pub(crate) struct Remembered {
    good: Cache<TokenHash, Good>,
    flights: Cache<(TokenHash, usize), Outcome>,
    providers: Cache<TokenHash, usize>,
}

impl Remembered {
    /// Empty.
    pub(crate) fn new() -> Self {
        Self {
            good: Cache::builder()
                .max_capacity(MAX_VERIFIED_BYTES)
                .weigher(|_, good: &Good| weight(&good.verified))
                .expire_after(ByHold)
                .support_invalidation_closures()
                .build(),
            flights: Cache::builder().max_capacity(MAX_REFUSED).expire_after(ByHold).build(),
            providers: Cache::builder()
                .max_capacity(MAX_PROVIDERS)
                .time_to_live(REMEMBER_PROVIDER)
                .build(),
        }
    }

    /// The result of a recent verification, if the token has not ended since.
    pub(crate) async fn verified(&self, hash: &TokenHash, now: Timestamp) -> Option<Arc<Verified>> {
        let good = self.good.get(hash).await?;
        good.verified.expires().is_none_or(|expires| now < expires).then_some(good.verified)
    }

    /// Runs a verification, or waits for the one of the same token at the same provider that is
    /// under way, or repeats a recent refusal.
    pub(crate) async fn once(
        &self,
        hash: TokenHash,
        provider: usize,
        work: impl Future<Output = Outcome>,
    ) -> Result<Arc<Verified>, TokenRefusal> {
        let outcome = self.flights.get_with((hash, provider), async {
            let outcome = work.await;
            if let Ok(verified) = &outcome.result {
                let good = Good { verified: Arc::clone(verified), hold: outcome.hold };
                self.good.insert(hash, good).await;
            }
            outcome
        });
        outcome.await.result
    }

    /// Drops the verified tokens of an identity.
    pub(crate) fn forget(&self, identity: &Identity) {
        let identity = identity.clone();
        let forgotten =
            self.good.invalidate_entries_if(move |_, good| *good.verified.identity() == identity);
        if forgotten.is_err() {
            self.good.invalidate_all();
        }
    }

    /// The provider that once vouched for this opaque token.
    pub(crate) async fn provider(&self, hash: &TokenHash) -> Option<usize> {
        self.providers.get(hash).await
    }

    /// Notes which provider vouches for an opaque token.
    pub(crate) async fn note_provider(&self, hash: TokenHash, provider: usize) {
        self.providers.insert(hash, provider).await;
    }
}

/// About how much memory an entry takes.
fn weight(verified: &Verified) -> u32 {
    let sources = verified.sources();
    let all = [&sources.userinfo, &sources.introspection, &sources.token];
    let claims = all.into_iter().flatten().map(|claims| {
        // The text of a claim is about a third of what its tree takes.
        serde_json::to_vec(claims).map_or(0, |text| 3 * text.len())
    });
    ENTRY_BYTES.saturating_add(u32::try_from(claims.sum::<usize>()).unwrap_or(u32::MAX))
}
