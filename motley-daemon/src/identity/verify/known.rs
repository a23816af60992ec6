//! What can be told about a token without asking anybody and without fetching anything.

use super::super::claims;
use super::super::kind;
use super::super::remembered::TokenHash;
use super::super::token::{self, Presented, Unverified};
use super::TokenVerifier;
use motley_proto::{Identity, Secret};

/// What is known about a token at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Whose it is: it was verified lately, or the signature holds.
    Identity(Identity),
    /// That a provider once vouched for it; it may have ended since.
    Provider,
    /// Nothing: anybody could have made it up.
    Nothing,
}

impl TokenVerifier {
    /// Whose a token is that was verified lately.
    pub async fn remembers(&self, token: &Secret) -> Known {
        let remembered = self.remembered.verified(&TokenHash::of(token), self.clock.now());
        remembered.map_or(Known::Nothing, |verified| Known::Identity(verified.identity().clone()))
    }

    /// The same, and whose a signed token is by the keys at hand. Grants nothing: whether the token
    /// is good is for [`TokenVerifier::verify`] to say.
    pub async fn recognises(&self, token: &Secret) -> Known {
        if let Known::Identity(identity) = self.remembers(token).await {
            return Known::Identity(identity);
        }
        match token::read(token.expose()) {
            Ok(Presented::Signed(unverified)) => {
                self.signer_and_subject(*unverified).map_or(Known::Nothing, Known::Identity)
            }
            Ok(Presented::Opaque) => match self.remembered.provider(&TokenHash::of(token)) {
                Some(_) => Known::Provider,
                None => Known::Nothing,
            },
            Err(_) => Known::Nothing,
        }
    }

    /// Whose an access token is whose signature holds by the keys at hand. An ID token is none: it
    /// is shown to others by design, so whoever holds it need not be the person it names.
    fn signer_and_subject(&self, unverified: Unverified<'_>) -> Option<Identity> {
        let (_, upstream) = self.responsible(unverified.issuer())?;
        if !upstream.has_signed(&unverified) {
            return None;
        }
        let declared = unverified.declared();
        let claims = unverified.into_claims();
        kind::check(declared, &claims).ok()?;
        claims::check_times(&claims, self.clock.now(), self.time_rules()).ok()?;
        let subject = claims::subject(&claims).ok()?;
        Some(Identity::new(upstream.config.issuer.clone(), subject))
    }

    /// True when tokens of some provider can be verified now, or none is configured.
    pub fn is_ready(&self) -> bool {
        self.upstreams.is_empty() || self.upstreams.iter().any(|one| one.is_ready())
    }
}
