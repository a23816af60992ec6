//! Decides which REST requests are worth work now, without locking out anybody good.
//!
//! Who shares an address with an attacker (a NAT, a campus proxy) must get in all the same, so no
//! limit here counts by address alone what it then refuses by address alone:
//!
//! - A request without a token, or with one that was verified lately, costs next to nothing. It is
//!   never refused on account of its source, and never counted against it.
//! - A token that nobody here knows yet costs work: a question to its provider, or a look into the
//!   database. Such requests are counted by source, and those whose token turns out bad count ten
//!   times. Beyond the limit the signature decides: it is verified with the keys at hand, which
//!   costs about as much as a refusal and asks nobody. If it holds, the request passes. What is left
//!   to be refused are opaque tokens, one-time passwords and forgeries; the first two are the only
//!   ones of good people, and only while somebody behind the same address floods this very service.
//!   They may come again after `Retry-After`, over ssh nothing of this applies to them, and an
//!   opaque token that was good once is known for a day.
//! - Requests with tokens that are recognised are counted by the token. By the identity they are
//!   counted only once the service has granted what was asked: a service elsewhere to which somebody
//!   showed a token, or who holds one that was revoked, has a token that names this person and whose
//!   signature holds, and must not use up by it what the person may ask here. Tokens and identities
//!   enter their tables only by what a provider signed or vouched for, so they can't be filled with
//!   invented ones.
//! - The host itself is not counted.
//!
//! Time is that of a clock which nobody sets. All tables are bounded; when one is full, those who
//! owe least are forgotten, so a flood from ever new addresses can't wash out the debt of one.

use super::source::{Source, SourceKey};
use crate::{
    identity::{Known, TokenHash, TokenVerifier},
    throttle::Debts,
};
use axum::http::StatusCode;
use motley_proto::{Identity, Secret};
use std::{
    sync::{Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// What a bad token costs its source beside the request itself.
const FAILURE_COST: f64 = 9.0;
/// Sources, identities and tokens that are remembered, of each so many.
const MOST_REMEMBERED: usize = 20_000;

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// Requests with unknown tokens from one source, at once and in a minute.
    pub per_source: u32,
    /// Requests of one person, and with one token, at once and in a minute.
    pub per_identity: u32,
    /// Sources, identities and tokens that are remembered, of each so many.
    pub remembered: usize,
}

impl GateLimits {
    /// Limits for sources and identities.
    pub fn new(per_source: u32, per_identity: u32) -> Self {
        Self { per_source, per_identity, remembered: MOST_REMEMBERED }
    }
}

/// What the gate says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// It may pass; its outcome does not matter.
    Free,
    /// It may pass; if its token turns out bad, tell [`Gate::failed`].
    Counted(SourceKey),
    /// It may pass; if what it asks is granted to this person, tell [`Gate::granted`].
    Known(Identity),
    /// Not now.
    Refused {
        /// How long to wait.
        wait: Duration,
        /// Whose limit it was, for the log.
        whose: &'static str,
    },
}

/// Counts the requests of sources and people.
pub struct Gate {
    limits: RwLock<GateLimits>,
    now: Box<dyn Fn() -> Duration + Send + Sync>,
    sources: Mutex<Debts<SourceKey>>,
    identities: Mutex<Debts<Identity>>,
    tokens: Mutex<Debts<TokenHash>>,
}

impl Gate {
    /// Nobody has asked for anything yet.
    pub fn new(limits: GateLimits) -> Self {
        let begun = Instant::now();
        Self::with_clock(limits, Box::new(move || begun.elapsed()))
    }

    /// The same by another clock, which must never go back.
    fn with_clock(limits: GateLimits, now: Box<dyn Fn() -> Duration + Send + Sync>) -> Self {
        Self {
            limits: RwLock::new(limits),
            now,
            sources: Mutex::new(Debts::new(limits.remembered)),
            identities: Mutex::new(Debts::new(limits.remembered)),
            tokens: Mutex::new(Debts::new(limits.remembered)),
        }
    }

    /// Sets other limits; what was counted stays counted.
    pub fn set_limits(&self, limits: GateLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    fn limits(&self) -> GateLimits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        (self.now)()
    }

    /// May a request with this token pass? Nobody is asked about the token for this.
    pub async fn judge(
        &self,
        source: Source,
        token: Option<&Secret>,
        verifier: &TokenVerifier,
    ) -> Passage {
        let (Some(token), Some(key)) = (token, source.key()) else { return Passage::Free };
        if let Known::Identity(identity) = verifier.remembers(token).await {
            return self.pass_identity(identity, token);
        }
        let Err(wait) = self.count_source(key) else { return Passage::Counted(key) };
        match verifier.recognises(token).await {
            Known::Identity(identity) => self.pass_identity(identity, token),
            Known::Provider => self.pass_token(token, Passage::Free),
            Known::Nothing => Passage::Refused { wait, whose: "source" },
        }
    }

    /// Notes that the token of a counted request was bad.
    pub fn failed(&self, key: SourceKey) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.add(&key, FAILURE_COST, self.now(), self.limits().per_source);
    }

    /// Notes that a person who passed as known was granted what was asked.
    pub fn granted(&self, identity: &Identity) {
        let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        identities.add(identity, 1.0, self.now(), self.limits().per_identity);
    }

    /// Forgets who owes nothing any more.
    pub fn sweep(&self) {
        let (now, limits) = (self.now(), self.limits());
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.sweep(now, limits.per_source);
        drop(sources);
        let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        identities.sweep(now, limits.per_identity);
        drop(identities);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.sweep(now, limits.per_identity);
    }

    /// How many sources and how many identities are remembered.
    pub fn sizes(&self) -> (usize, usize) {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner).len();
        (sources, self.identities.lock().unwrap_or_else(PoisonError::into_inner).len())
    }

    /// Counts a request of a source, or says how long it is beyond its limit.
    fn count_source(&self, key: SourceKey) -> Result<(), Duration> {
        let (now, limit) = (self.now(), self.limits().per_source);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let beyond = beyond(sources.owed(&key, now, limit), limit);
        match beyond {
            // What is refused is not counted, so that whoever only tries again may pass some day.
            Some(wait) => Err(wait),
            None => {
                sources.add(&key, 1.0, now, limit);
                Ok(())
            }
        }
    }

    /// Lets a token of this person pass unless he was granted too much, or it was used too often.
    fn pass_identity(&self, identity: Identity, token: &Secret) -> Passage {
        let (now, limit) = (self.now(), self.limits().per_identity);
        let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        let owed = identities.owed(&identity, now, limit);
        drop(identities);
        match beyond(owed, limit) {
            Some(wait) => Passage::Refused { wait, whose: "identity" },
            None => self.pass_token(token, Passage::Known(identity)),
        }
    }

    /// Counts a use of this token, which passes so unless it was used too often.
    fn pass_token(&self, token: &Secret, so: Passage) -> Passage {
        let (now, limit, hash) = (self.now(), self.limits().per_identity, TokenHash::of(token));
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        match beyond(tokens.owed(&hash, now, limit), limit) {
            Some(wait) => Passage::Refused { wait, whose: "token" },
            None => {
                tokens.add(&hash, 1.0, now, limit);
                so
            }
        }
    }
}

/// How long somebody who owes this must wait for one more request, if at all.
fn beyond(owed: f64, limit: u32) -> Option<Duration> {
    let limit = f64::from(limit);
    let surplus = owed + 1.0 - limit;
    (surplus > 0.0).then(|| Duration::from_secs_f64((surplus * 60.0 / limit).clamp(0.0, 3600.0)))
}

/// Status of an answer after which the token counts as bad.
pub(super) fn is_failure(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::SystemClock, identity::HttpSettings};
    use motley_proto::{Issuer, Subject};
    use std::{
        net::IpAddr,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };

    fn verifier() -> TokenVerifier {
        TokenVerifier::new(Vec::new(), &HttpSettings::default(), Arc::new(SystemClock)).unwrap()
    }

    /// A gate, and the milliseconds of its clock.
    fn gate(limits: GateLimits) -> (Gate, Arc<AtomicU64>) {
        let clock = Arc::new(AtomicU64::new(0));
        let hand = clock.clone();
        let now = move || Duration::from_millis(hand.load(Ordering::Relaxed));
        (Gate::with_clock(limits, Box::new(now)), clock)
    }

    fn from(address: &str) -> Source {
        Source::Peer(address.parse::<IpAddr>().unwrap())
    }

    fn identity(subject: &str) -> Identity {
        let issuer = Issuer::new("https://op.example").unwrap();
        Identity::new(issuer, Subject::new(subject).unwrap())
    }

    #[tokio::test]
    async fn r30_a_flood_of_bad_tokens_is_refused_for_its_source_only_and_not_for_ever() {
        let ((gate, clock), verifier) = (gate(GateLimits::new(60, 60)), verifier());
        let token = Secret::new("opaque-token".to_owned());
        let mut passed = 0;
        while let Passage::Counted(key) =
            gate.judge(from("192.0.2.1"), Some(&token), &verifier).await
        {
            gate.failed(key);
            passed += 1;
            assert!(passed <= 6, "a bad token counts ten times");
        }
        let again = |address| gate.judge(from(address), Some(&token), &verifier);
        let Passage::Refused { wait, whose } = again("192.0.2.1").await else { panic!() };
        assert_eq!(whose, "source");
        assert!(matches!(again("192.0.2.2").await, Passage::Counted(_)));
        assert_eq!(gate.judge(from("192.0.2.1"), None, &verifier).await, Passage::Free);
        assert_eq!(gate.judge(Source::Host, Some(&token), &verifier).await, Passage::Free);
        clock.fetch_add(u64::try_from(wait.as_millis()).unwrap() + 1, Ordering::Relaxed);
        assert!(matches!(again("192.0.2.1").await, Passage::Counted(_)), "after Retry-After");
    }

    #[tokio::test]
    async fn r30_one_person_who_asks_too_much_waits_and_nobody_else_does() {
        let (gate, clock) = gate(GateLimits::new(10, 60));
        let ask = |who: &str, token: u32| {
            gate.pass_identity(identity(who), &Secret::new(format!("token-{who}-{token}")))
        };
        for i in 0..60 {
            assert_eq!(ask("a", i), Passage::Known(identity("a")));
            gate.granted(&identity("a"));
        }
        assert!(matches!(ask("a", 60), Passage::Refused { whose: "identity", .. }));
        assert_eq!(ask("b", 0), Passage::Known(identity("b")));
        clock.fetch_add(2000, Ordering::Relaxed);
        assert_eq!(ask("a", 60), Passage::Known(identity("a")));
    }

    #[test]
    fn r30_a_token_to_which_nothing_is_granted_uses_up_itself_and_nothing_of_its_person() {
        let (gate, _) = gate(GateLimits::new(10, 60));
        let token = |text: &str| Secret::new(text.to_owned());
        let (stray, good) = (token("stray"), token("good"));
        for _ in 0..60 {
            assert_eq!(gate.pass_identity(identity("a"), &stray), Passage::Known(identity("a")));
        }
        let again = gate.pass_identity(identity("a"), &stray);
        assert!(matches!(again, Passage::Refused { whose: "token", .. }), "{again:?}");
        assert_eq!(gate.pass_identity(identity("a"), &good), Passage::Known(identity("a")));
        assert_eq!(gate.sizes().1, 0, "the person owes nothing");
        for i in 0..60 {
            gate.pass_token(&token(&format!("opaque-{i}")), Passage::Free);
            gate.pass_token(&token("ended"), Passage::Free);
        }
        let ended = gate.pass_token(&token("ended"), Passage::Free);
        assert!(matches!(ended, Passage::Refused { whose: "token", .. }), "{ended:?}");
    }

    #[tokio::test]
    async fn r30_floods_from_ever_new_addresses_fill_no_memory() {
        let limits = GateLimits { remembered: 100, ..GateLimits::new(60, 60) };
        let ((gate, clock), verifier) = (gate(limits), verifier());
        let token = Secret::new("opaque-token".to_owned());
        let mut flood = from("192.0.2.1");
        while let Passage::Counted(key) = gate.judge(flood, Some(&token), &verifier).await {
            gate.failed(key);
        }
        for i in 0..20_000_u32 {
            let other = Source::Peer(IpAddr::from(i.to_be_bytes()));
            gate.judge(other, Some(&token), &verifier).await;
            assert!(gate.sizes().0 <= 100);
        }
        let still = gate.judge(flood, Some(&token), &verifier).await;
        assert!(matches!(still, Passage::Refused { .. }), "its debt was washed out");
        flood = from("2001:db8::1");
        gate.judge(flood, Some(&token), &verifier).await;
        clock.fetch_add(3_600_000, Ordering::Relaxed);
        gate.sweep();
        assert_eq!(gate.sizes(), (0, 0));
    }
}
