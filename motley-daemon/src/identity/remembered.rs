//! Remembers for a short while what was found out about a token, filed under its hash only.

use super::flights::Flights;
use super::forgotten::{Begun, Forgotten};
use super::refusal::TokenRefusal;
use crate::clock::Timestamp;
use crate::verified::{ClaimMap, Verified};
use aws_lc_rs::digest::{SHA256, digest};
use moka::Expiry;
use moka::sync::Cache;
use motley_proto::{Identity, Secret};
use serde_json::Value;
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
/// About what a name or value takes beside its text.
const NODE_BYTES: usize = 48;

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
    refused_from: Option<Timestamp>,
}

impl Outcome {
    /// The token is good. From `refused_from` on it is not, whatever is remembered.
    pub(crate) fn verified(
        verified: Verified,
        hold: Duration,
        refused_from: Option<Timestamp>,
    ) -> Self {
        Self { result: Ok(Arc::new(verified)), hold, refused_from }
    }

    /// The token is refused.
    pub(crate) fn refused(refusal: TokenRefusal, hold: Duration) -> Self {
        Self { result: Err(refusal), hold, refused_from: None }
    }
}

/// Where a result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was found out now.
    Work,
    /// It was remembered, or found out by another who wanted the same.
    Memory,
}

#[derive(Clone)]
struct Good {
    verified: Arc<Verified>,
    hold: Duration,
    refused_from: Option<Timestamp>,
    begun: Begun,
}

#[derive(Clone)]
struct Refused {
    refusal: TokenRefusal,
    hold: Duration,
}

/// Each entry lives as long as it says.
struct ByHold;

impl Expiry<TokenHash, Good> for ByHold {
    fn expire_after_create(&self, _: &TokenHash, good: &Good, _: Instant) -> Option<Duration> {
        Some(good.hold)
    }
    fn expire_after_update(
        &self,
        _: &TokenHash,
        good: &Good,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(good.hold)
    }
}

impl Expiry<Question, Refused> for ByHold {
    fn expire_after_create(&self, _: &Question, refused: &Refused, _: Instant) -> Option<Duration> {
        Some(refused.hold)
    }
    fn expire_after_update(
        &self,
        _: &Question,
        refused: &Refused,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(refused.hold)
    }
}

/// A token and the number of the provider that is asked about it.
type Question = (TokenHash, usize);

/// Bounded tables of recent results, shared by all threads.
pub(crate) struct Remembered {
    good: Cache<TokenHash, Good>,
    refused: Cache<Question, Refused>,
    providers: Cache<TokenHash, usize>,
    flights: Flights<(Question, Begun), Outcome>,
    forgotten: Forgotten,
}

impl Remembered {
    /// Empty.
    pub(crate) fn new() -> Self {
        Self {
            good: Cache::builder()
                .max_capacity(MAX_VERIFIED_BYTES)
                .weigher(|_, good: &Good| weight(&good.verified))
                .expire_after(ByHold)
                .build(),
            refused: Cache::builder().max_capacity(MAX_REFUSED).expire_after(ByHold).build(),
            providers: Cache::builder()
                .max_capacity(MAX_PROVIDERS)
                .time_to_live(REMEMBER_PROVIDER)
                .build(),
            flights: Flights::new(),
            forgotten: Forgotten::default(),
        }
    }

    /// The mark of a verification that begins now.
    pub(crate) fn begin(&self) -> Begun {
        self.forgotten.begin()
    }

    /// The result of a recent verification, if the token has not ended since and nobody made it
    /// void.
    pub(crate) fn verified(&self, hash: &TokenHash, now: Timestamp) -> Option<Arc<Verified>> {
        let good = self.good.get(hash)?;
        let is_taken = good.refused_from.is_none_or(|end| now < end);
        let holds = is_taken && self.forgotten.holds(good.verified.identity(), good.begun);
        holds.then_some(good.verified)
    }

    /// Runs a verification, or waits for the one of the same token at the same provider that is
    /// under way and was not begun before the last suspension, or repeats a recent refusal.
    pub(crate) async fn once(
        &self,
        question: Question,
        begun: Begun,
        work: impl Future<Output = Outcome>,
    ) -> (Result<Arc<Verified>, TokenRefusal>, Origin) {
        if let Some(refused) = self.refused.get(&question) {
            return (Err(refused.refusal), Origin::Memory);
        }
        let flight = self.flights.join((question, begun), async {
            let outcome = work.await;
            self.file(question, begun, &outcome);
            outcome
        });
        let (outcome, is_own) = flight.await;
        (outcome.result, if is_own { Origin::Work } else { Origin::Memory })
    }

    fn file(&self, question: Question, begun: Begun, outcome: &Outcome) {
        let Outcome { result, hold, refused_from } = outcome.clone();
        // What is held for no time would only push out what is.
        if hold.is_zero() {
            return;
        }
        match result {
            Ok(verified) => {
                let good = Good { verified, hold, refused_from, begun };
                self.good.insert(question.0, good);
            }
            Err(refusal) => self.refused.insert(question, Refused { refusal, hold }),
        }
    }

    /// Makes void what was or is being found out about an identity's tokens.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.forgotten.forget(identity);
    }

    /// The provider that once vouched for this opaque token.
    pub(crate) fn provider(&self, hash: &TokenHash) -> Option<usize> {
        self.providers.get(hash)
    }

    /// Notes that this provider does not vouch for an opaque token any more.
    pub(crate) fn forget_provider(&self, hash: &TokenHash, provider: usize) {
        if self.provider(hash) == Some(provider) {
            self.providers.invalidate(hash);
        }
    }

    /// Notes which provider vouches for an opaque token.
    pub(crate) fn note_provider(&self, hash: TokenHash, provider: usize) {
        self.providers.insert(hash, provider);
    }
}

/// About how much memory an entry takes.
fn weight(verified: &Verified) -> u32 {
    let sources = verified.sources();
    let all = [&sources.userinfo, &sources.introspection, &sources.token];
    let claims = all.into_iter().flatten().map(members);
    ENTRY_BYTES.saturating_add(u32::try_from(claims.sum::<usize>()).unwrap_or(u32::MAX))
}

fn members(claims: &ClaimMap) -> usize {
    claims.iter().map(|(name, value)| NODE_BYTES + name.len() + tree(value)).sum()
}

fn tree(value: &Value) -> usize {
    NODE_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(tree).sum(),
            Value::Object(claims) => members(claims),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}
