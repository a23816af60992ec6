//! What verification vouches for: an identity and the claims about it. Nothing downstream takes less.

use crate::clock::Timestamp;
use motley_proto::Identity;
use serde_json::{Map, Value};

/// A JSON object of claims.
pub type ClaimMap = Map<String, Value>;

/// The three places where claims come from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClaimSources {
    /// Answer of the userinfo endpoint (OpenID Connect Core 1.0 §5.3.2).
    pub userinfo: Option<ClaimMap>,
    /// Answer of the introspection endpoint (RFC 7662 §2.2).
    pub introspection: Option<ClaimMap>,
    /// Payload of the signed token.
    pub token: Option<ClaimMap>,
}

/// An identity whose token was verified, with its claims.
///
/// Only `identity` makes one; policy and account work accept nothing else, so claims that nobody
/// verified can't reach them.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    identity: Identity,
    sources: ClaimSources,
    expires: Option<Timestamp>,
    /// False when a source of claims was asked and gave none.
    whole: bool,
}

impl Verified {
    /// Vouches for the claims. Called after verification, and by tests of what follows it.
    pub(crate) fn attest(
        identity: Identity,
        sources: ClaimSources,
        expires: Option<Timestamp>,
    ) -> Self {
        Self { identity, sources, expires, whole: true }
    }

    /// The same, where a source of claims was asked and gave none.
    pub(crate) fn with_gap(self) -> Self {
        Self { whole: false, ..self }
    }

    /// True when every source of claims that was to be asked has answered, so that what is not there
    /// is not claimed.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Issuer and subject, from the verified token.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The claims by source.
    pub fn sources(&self) -> &ClaimSources {
        &self.sources
    }

    /// When the token ends, if that is known.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    fn in_order(&self) -> impl Iterator<Item = &ClaimMap> {
        [&self.sources.userinfo, &self.sources.introspection, &self.sources.token]
            .into_iter()
            .flatten()
    }

    /// A claim from the first source that has it: userinfo, introspection, token. An empty or null
    /// value counts as having it.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.in_order().find_map(|source| source.get(name))
    }

    /// All claims, each from the first source that has it.
    pub fn merged(&self) -> ClaimMap {
        let mut all = ClaimMap::new();
        for source in self.in_order() {
            for (name, value) in source {
                all.entry(name.as_str()).or_insert_with(|| value.clone());
            }
        }
        all
    }
}
