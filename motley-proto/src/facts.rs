//! What the daemon tells an admin of the host about its providers and about one token.
//!
//! Plain values, fit for the admin socket. Every text from outside is escaped and cut already; no
//! value holds a token or a signature. Ages and times are in seconds unless the name says more.

use crate::identity::{Identity, Issuer};
use serde::{Deserialize, Serialize};

/// What a provider says about itself (OpenID Connect Discovery 1.0 §3, RFC 8414 §2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProviderFeatures {
    /// It tells about the holder of a token.
    pub userinfo: bool,
    /// It tells about a token (RFC 7662).
    pub introspection: bool,
    /// Where a login by device code begins, if it offers one (RFC 8628 §4).
    pub device_flow: Option<String>,
    /// Scopes that it names.
    pub scopes: Vec<String>,
    /// Claims that it names.
    pub claims: Vec<String>,
    /// Methods of proof keys that it takes (RFC 7636 §4.3); none: it may know none.
    pub pkce: Vec<String>,
}

/// A public key of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFact {
    /// Its `kid`, if it has one.
    pub kid: Option<String>,
    /// Algorithms that it may verify (RFC 7518 §3.1).
    pub algorithms: Vec<String>,
}

/// How long a provider took to answer, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// The last answer.
    pub last_ms: u64,
    /// Average of the recent answers.
    pub average_ms: u64,
    /// How many answers that is about.
    pub of: u32,
}

/// What went wrong last at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureFact {
    /// What was asked: `discovery`, `jwks`, `userinfo` or `introspection`.
    pub place: String,
    /// What went wrong.
    pub why: String,
    /// Seconds since then.
    pub ago: u64,
}

/// A provider that fails is left alone for a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackOff {
    /// What is not asked meanwhile: `discovery`, `jwks`, `questions about verified tokens` or
    /// `questions about unknown tokens`.
    pub place: String,
    /// Failures in a row.
    pub failures: u32,
    /// Milliseconds until it is asked again; 0: at the next occasion.
    pub next_ms: u64,
}

/// Facts about one configured provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderStatus {
    /// The issuer as configured.
    pub issuer: Issuer,
    /// The issuer in the provider's own words, once discovery answered.
    pub discovered: Option<Issuer>,
    /// What it says about itself, once discovery answered.
    pub features: Option<ProviderFeatures>,
    /// An audience is configured, so tokens for other services are refused.
    pub audience_configured: bool,
    /// Introspection can be used: the provider offers it and credentials are configured.
    pub introspection_usable: bool,
    /// A good token of the kind of RFC 9068 was seen since the start.
    pub rfc9068_seen: bool,
    /// Age of its metadata.
    pub metadata_age: Option<u64>,
    /// How many of its keys can verify tokens.
    pub key_count: u32,
    /// The first of them.
    pub keys: Vec<KeyFact>,
    /// Age of its keys.
    pub keys_age: Option<u64>,
    /// How long it took to answer, once it answered.
    pub latency: Option<Latency>,
    /// Requests sent to it since the start, those for metadata and keys included.
    pub requests: u64,
    /// Those of them that failed. A refused token is no failure.
    pub failures: u64,
    /// Questions about tokens that are under way.
    pub under_way: u32,
    /// What went wrong last, if nothing of that kind went well since.
    pub last_failure: Option<FailureFact>,
    /// What it is not asked for the moment.
    pub back_off: Vec<BackOff>,
}

/// Shortens the lists of the longest entries until all fit into so many bytes of JSON.
///
/// Only a provider with hundreds of scopes and claims is ever shortened; its counts stay.
pub fn fit_providers(mut all: Vec<ProviderStatus>, bytes: usize) -> Vec<ProviderStatus> {
    let length = |one: &ProviderStatus| serde_json::to_vec(one).map_or(0, |text| text.len() + 1);
    while all.iter().map(length).sum::<usize>() > bytes {
        let Some(longest) = all.iter_mut().max_by_key(|one| length(one)) else { break };
        let before = length(longest);
        if let Some(features) = &mut longest.features {
            features.scopes.truncate(features.scopes.len() / 2);
            features.claims.truncate(features.claims.len() / 2);
            features.pkce.truncate(features.pkce.len() / 2);
        }
        longest.keys.truncate(longest.keys.len() / 2);
        if length(longest) == before {
            break;
        }
    }
    all
}

/// What a text is, as far as its characters tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// A signed token (RFC 7515 §3.1).
    Signed,
    /// It means something to its provider only (RFC 6750 §2.1).
    Opaque,
    /// No token, or a signed one of broken form.
    NotReadable,
}

/// A member of a token's header or payload. **Nobody vouches for it** unless the outcome is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberFact {
    /// Its name.
    pub name: String,
    /// Its value as JSON.
    pub value: String,
}

/// Whether the token's issuer is one of the configured ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "match")]
pub enum IssuerFact {
    /// The token names none that can be read.
    None,
    /// It is not configured: nothing was sent anywhere.
    NotConfigured {
        /// As the token names it.
        named: String,
    },
    /// It is configured.
    Configured {
        /// As the token names it; for an opaque token, whom it was shown to.
        named: String,
        /// As configured; one slash at the end may be more or less.
        configured: Issuer,
    },
}

/// A date of the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeFact {
    /// `iat`, `nbf`, `exp` or `auth_time`.
    pub claim: String,
    /// Seconds since 1970-01-01 UTC.
    pub at: i64,
    /// Seconds from now on; negative: past.
    pub from_now: i64,
}

/// What userinfo had to do with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "userinfo")]
pub enum UserinfoFact {
    /// It was not asked.
    NotAsked {
        /// Why not.
        why: String,
    },
    /// It answered.
    Answered {
        /// Names of the claims that it added to those of the token.
        added: Vec<String>,
    },
    /// It was asked and had nothing usable to tell.
    Nothing {
        /// What went wrong.
        why: String,
    },
}

/// What the verification came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum OutcomeFact {
    /// The token proves this identity. Whether it is authorised is another question.
    Good {
        /// Whom.
        identity: Identity,
        /// When the token ends, in seconds since 1970, if that is known.
        expires: Option<i64>,
    },
    /// The token proves nothing.
    Refused {
        /// One word for the kind of refusal.
        kind: String,
        /// What the person is told.
        description: String,
        /// What happened and, where there is one, the cure.
        reason: String,
        /// The same token may be good in a moment.
        is_transient: bool,
    },
}

/// Facts about one token, for the admin who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFacts {
    /// What the text is.
    pub kind: TokenKind,
    /// Header, not vouched for.
    pub header: Vec<MemberFact>,
    /// Payload, not vouched for.
    pub claims: Vec<MemberFact>,
    /// Members that were left out for want of room.
    pub left_out: u32,
    /// Whether the issuer is configured.
    pub issuer: IssuerFact,
    /// The key that the header names, as its provider publishes it.
    pub key: Option<KeyFact>,
    /// Dates.
    pub times: Vec<TimeFact>,
    /// Claims that policy, names or groups need and the token lacks: one of each list.
    pub lacking: Vec<Vec<String>>,
    /// What userinfo had to do with it.
    pub userinfo: UserinfoFact,
    /// What the verification came to.
    pub outcome: OutcomeFact,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(scopes: usize) -> ProviderStatus {
        ProviderStatus {
            issuer: Issuer::new("https://op.example").unwrap(),
            discovered: None,
            features: Some(ProviderFeatures {
                scopes: vec!["x".repeat(60); scopes],
                ..ProviderFeatures::default()
            }),
            audience_configured: false,
            introspection_usable: false,
            rfc9068_seen: false,
            metadata_age: None,
            key_count: 0,
            keys: Vec::new(),
            keys_age: None,
            latency: None,
            requests: 0,
            failures: 0,
            under_way: 0,
            last_failure: None,
            back_off: Vec::new(),
        }
    }

    #[test]
    fn r03_the_facts_of_many_talkative_providers_fit_into_a_frame() {
        let all = fit_providers((0..40).map(|_| status(100)).collect(), 50_000);
        assert_eq!(all.len(), 40);
        assert!(serde_json::to_vec(&all).unwrap().len() <= 50_100);
        let few = vec![status(3)];
        assert_eq!(fit_providers(few.clone(), 50_000), few);
    }
}
