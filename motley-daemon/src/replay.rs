//! Lets each access token open the login prompt once, so that one which others saw is of no use to them.

use crate::{
    clock::{Clock, Timestamp},
    verified::Verified,
};
use aws_lc_rs::digest::{SHA256, digest};
use motley_proto::{Identity, Secret};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

/// Most tokens that are remembered, about 20 MB of them.
const MAX_TOKENS: usize = 100_000;
/// Most of one identity: a flood of one person's tokens must not use up the place of others.
const MAX_OF_ONE: usize = 2_000;
/// For how long a token is remembered whose end its provider does not tell, in seconds.
const UNKNOWN_END: i64 = 24 * 3600;

/// Why a token does not open the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Replayed {
    /// It did before.
    #[error("the token has been used for a login already ([tokens] replay_guard)")]
    Used,
    /// Too many tokens of this identity are remembered to take another one.
    #[error("the identity has used {MAX_OF_ONE} tokens for logins that have not ended yet")]
    TooMany,
    /// Too many tokens are remembered to take another one: what can't be checked is refused.
    #[error("{MAX_TOKENS} tokens are remembered that have not ended yet")]
    Full,
}

/// What a token is remembered by.
///
/// For a signed one that is what its signature covers: some algorithms let anybody turn a signature
/// into another that is as good (ECDSA, with `n - s`), and the token into another text with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark([u8; 32]);

/// The tokens that opened the login prompt and have not ended yet. They are lost at a restart.
pub struct ReplayGuard {
    clock: Arc<dyn Clock>,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    owners: HashMap<Mark, Identity>,
    by_end: BTreeSet<(Timestamp, Mark)>,
    counts: HashMap<Identity, usize>,
}

impl ReplayGuard {
    /// No token was used yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, used: Mutex::default() }
    }

    /// Uses a token up. Of two that try at the same time one succeeds.
    ///
    /// # Errors
    /// When it was used before, or can't be remembered.
    pub fn use_up(&self, mark: Mark, verified: &Verified) -> Result<(), Replayed> {
        let now = self.clock.now();
        let end = verified.expires().unwrap_or_else(|| now.plus(UNKNOWN_END));
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.drop_ended(now);
        if used.owners.contains_key(&mark) {
            return Err(Replayed::Used);
        }
        let identity = verified.identity();
        let own = used.counts.get(identity).copied().unwrap_or(0);
        if own >= MAX_OF_ONE {
            return Err(Replayed::TooMany);
        }
        if used.owners.len() >= MAX_TOKENS {
            return Err(Replayed::Full);
        }
        used.owners.insert(mark, identity.clone());
        used.by_end.insert((end, mark));
        used.counts.insert(identity.clone(), own + 1);
        Ok(())
    }

    /// True for a token that was used up before.
    pub fn knows(&self, mark: Mark) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.drop_ended(self.clock.now());
        used.owners.contains_key(&mark)
    }

    /// How many tokens are remembered.
    pub fn len(&self) -> usize {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).owners.len()
    }

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Used {
    /// An ended token is refused by its end and need not be remembered.
    fn drop_ended(&mut self, now: Timestamp) {
        while let Some((end, mark)) = self.by_end.first().copied()
            && end <= now
        {
            self.by_end.remove(&(end, mark));
            let Some(identity) = self.owners.remove(&mark) else { continue };
            let left = self.counts.get(&identity).map_or(0, |count| count.saturating_sub(1));
            if left == 0 {
                self.counts.remove(&identity);
            } else {
                self.counts.insert(identity, left);
            }
        }
    }
}

impl Mark {
    /// The mark of a verified token.
    pub fn of(token: &Secret, verified: &Verified) -> Self {
        let text = token.expose();
        let is_signed = verified.sources().token.is_some();
        let signed = text.rsplit_once('.').filter(|_| is_signed).map_or(text, |(signed, _)| signed);
        let mut mark = [0; 32];
        mark.copy_from_slice(digest(&SHA256, signed.as_bytes()).as_ref());
        Self(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verified::ClaimSources;
    use motley_proto::{Issuer, Subject};
    use serde_json::Map;
    use std::sync::atomic::{AtomicI64, Ordering};

    struct SetClock(AtomicI64);
    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::Relaxed))
        }
    }

    fn guard() -> (ReplayGuard, Arc<SetClock>) {
        let clock = Arc::new(SetClock(AtomicI64::new(1000)));
        (ReplayGuard::new(clock.clone()), clock)
    }

    fn verified(subject: &str, expires: Option<i64>) -> Verified {
        let issuer = Issuer::new("https://op.example").unwrap();
        let identity = Identity::new(issuer, Subject::new(subject).unwrap());
        Verified::attest(identity, ClaimSources::default(), expires.map(Timestamp))
    }

    fn signed(subject: &str, expires: i64) -> Verified {
        let sources = ClaimSources { token: Some(Map::new()), ..ClaimSources::default() };
        let identity = verified(subject, None).identity().clone();
        Verified::attest(identity, sources, Some(Timestamp(expires)))
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn use_up(guard: &ReplayGuard, token: &Secret, verified: &Verified) -> Result<(), Replayed> {
        guard.use_up(Mark::of(token, verified), verified)
    }

    #[test]
    fn r19_a_token_opens_the_prompt_once_until_it_ends() {
        let (guard, clock) = guard();
        let (alice, token) = (signed("alice", 1100), secret("eyJhIjoxfQ.e30.c2ln"));
        assert_eq!(use_up(&guard, &token, &alice), Ok(()));
        assert_eq!(use_up(&guard, &token, &alice), Err(Replayed::Used));
        assert_eq!(use_up(&guard, &secret("eyJhIjoxfQ.e30x.c2ln"), &alice), Ok(()));
        clock.0.store(1099, Ordering::Relaxed);
        assert_eq!(use_up(&guard, &token, &alice), Err(Replayed::Used));
        clock.0.store(1100, Ordering::Relaxed);
        assert!(use_up(&guard, &secret("opaque"), &verified("bob", None)).is_ok());
        assert_eq!(guard.len(), 1);
        clock.0.store(1100 + UNKNOWN_END - 1, Ordering::Relaxed);
        assert_eq!(use_up(&guard, &secret("opaque"), &verified("bob", None)), Err(Replayed::Used));
    }

    #[test]
    fn r19_another_signature_over_the_same_octets_is_the_same_token() {
        let (guard, _) = guard();
        let alice = signed("alice", 1100);
        assert_eq!(use_up(&guard, &secret("eyJhIjoxfQ.e30.c2ln"), &alice), Ok(()));
        assert_eq!(use_up(&guard, &secret("eyJhIjoxfQ.e30.b3RoZXI"), &alice), Err(Replayed::Used));
        // An opaque token has no signature that could be exchanged.
        let alice = verified("alice", Some(1100));
        assert_eq!(use_up(&guard, &secret("a.b.c"), &alice), Ok(()));
        assert_eq!(use_up(&guard, &secret("a.b.d"), &alice), Ok(()));
    }

    #[test]
    fn r19_of_many_logins_with_one_token_at_the_same_time_one_gets_in() {
        let (guard, _) = guard();
        let (alice, token) = (signed("alice", 1100), secret("eyJhIjoxfQ.e30.c2ln"));
        let granted: usize = std::thread::scope(|scope| {
            let racers: Vec<_> =
                (0..16).map(|_| scope.spawn(|| use_up(&guard, &token, &alice).is_ok())).collect();
            racers.into_iter().map(|racer| usize::from(racer.join().unwrap())).sum()
        });
        assert_eq!(granted, 1);
    }

    #[test]
    fn r30_the_memory_of_used_tokens_is_bounded_for_each_identity_and_in_all() {
        let (guard, clock) = guard();
        let from = |subject: &str, number: usize| {
            let token = secret(&format!("opaque-{subject}-{number}"));
            use_up(&guard, &token, &verified(subject, Some(2000)))
        };
        for number in 0..MAX_OF_ONE {
            assert_eq!(from("flood", number), Ok(()));
        }
        assert_eq!(from("flood", MAX_OF_ONE), Err(Replayed::TooMany));
        assert_eq!(from("alice", 0), Ok(()));
        for person in 0..MAX_TOKENS / 1000 {
            for number in 0..1000 {
                let _ = from(&format!("p{person}"), number);
            }
        }
        assert_eq!((guard.len(), from("bob", 0)), (MAX_TOKENS, Err(Replayed::Full)));
        clock.0.store(2000, Ordering::Relaxed);
        assert!(use_up(&guard, &secret("new"), &verified("bob", Some(3000))).is_ok());
        assert_eq!(guard.len(), 1);
    }
}
