//! Doors to the readers of tokens and providers' documents, for the fuzz targets only (R35).
//!
//! Only a build with `--cfg fuzzing` has this module. It hands out what the readers found, so that
//! the targets can hold it against the text.

use super::{claims, json, keys, provider, token};
use crate::clock::Timestamp;
use crate::verified::{ClaimMap, ClaimSources, Verified};
use motley_proto::{Identity, Issuer, Subject};

/// What a text from a client was taken for.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented {
    /// A signed token, with what its header and issuer say.
    Signed(Header),
    /// A token that only its provider can read.
    Opaque,
}

/// What is known about a signed token before its signature is verified.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: &'static str,
    /// `kid`.
    pub key_id: Option<String>,
    /// `iss`, as it claims.
    pub issuer: String,
    /// How many bytes the signature covers.
    pub signed_bytes: usize,
    /// How many bytes the signature has.
    pub signature_bytes: usize,
}

/// Reads a text as the verifier does; `None` when it is refused.
pub fn read_token(text: &str) -> Option<Presented> {
    Some(match token::read(text).ok()? {
        token::Presented::Opaque => Presented::Opaque,
        token::Presented::Signed(it) => Presented::Signed(Header {
            algorithm: it.algorithm().name(),
            key_id: it.key_id().map(str::to_owned),
            issuer: it.issuer().to_owned(),
            signed_bytes: it.signed_octets().len(),
            signature_bytes: it.signature().len(),
        }),
    })
}

/// Reads a JSON object strictly.
pub fn parse_object(text: &[u8]) -> Option<ClaimMap> {
    json::parse_object(text).ok()
}

/// The subject that claims name.
pub fn subject(claims: &ClaimMap) -> Option<Subject> {
    claims::subject(claims).ok()
}

/// When claims end, if they hold at `now`; all in seconds since 1970.
pub fn end(claims: &ClaimMap, now: i64, skew: i64) -> Option<i64> {
    let rules = claims::TimeRules { skew, max_age: None };
    claims::check_times(claims, Timestamp(now), rules).ok()?.expires.map(|end| end.0)
}

/// Claims of a token as if its signature had been verified: what the policy is asked about.
pub fn vouch(identity: Identity, token: ClaimMap) -> Verified {
    let sources = ClaimSources { token: Some(token), ..ClaimSources::default() };
    Verified::attest(identity, sources, None)
}

/// A key set that was read.
pub struct Keys(keys::KeySet);

impl Keys {
    /// Reads a key set document.
    pub fn read(document: &ClaimMap) -> Option<Self> {
        keys::KeySet::parse(document).ok().map(Self)
    }

    /// How many keys can verify.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// True when a key verifies this signature by the algorithm of that name.
    pub fn verify(&self, id: Option<&str>, algorithm: &str, text: &[u8], signature: &[u8]) -> bool {
        keys::Algorithm::named(algorithm).is_some_and(|algorithm| {
            self.0.verify(id, algorithm, text, signature) == keys::Finding::Verified
        })
    }
}

/// What a discovery document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// The issuer in its own words.
    pub issuer: Issuer,
    /// Where keys, userinfo and introspection are.
    pub endpoints: [Option<String>; 3],
}

/// Reads the discovery document of a configured issuer.
pub fn discover(configured: &Issuer, document: &ClaimMap) -> Option<Discovered> {
    let read = provider::Metadata::parse(configured, document).ok()?;
    let endpoints = [read.jwks, read.userinfo, read.introspection]
        .map(|endpoint| endpoint.map(|endpoint| endpoint.as_str().to_owned()));
    Some(Discovered { issuer: read.issuer, endpoints })
}
