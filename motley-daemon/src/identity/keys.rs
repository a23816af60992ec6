//! Public keys of a provider: which algorithms each may verify, decided once when they are loaded.

use crate::verified::ClaimMap;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use motley_proto::facts::KeyFact;
use motley_proto::text::escape;
use serde_json::Value;

/// Most keys that are taken from one key set.
const MAX_KEYS: usize = 64;
/// Most keys that are tried for a token that names none.
const MAX_TRIES: usize = 8;
/// Lengths of an RSA modulus in bytes: 2048 to 8192 bits (RFC 7518 §3.3).
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// An algorithm that a public key can verify (RFC 7518 §3.1, RFC 8037 §3.1).
///
/// There is no `none` and no HS*: a value that exists needs a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

/// The points of Ed25519 of order 1, 2, 4 and 8 in every spelling, without the sign bit. Under such a
/// key one signature that anybody can write is good for every few texts, and the library takes it.
const SMALL_ORDER: [[u8; 32]; 7] = [
    small_order(0x00, 0x00, 0x00),
    small_order(0x01, 0x00, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    small_order(0xec, 0xff, 0x7f),
    small_order(0xed, 0xff, 0x7f),
    small_order(0xee, 0xff, 0x7f),
];

const fn small_order(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut point = [middle; 32];
    point[0] = first;
    point[31] = last;
    point
}

const RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
];

impl Algorithm {
    /// The algorithm of this `alg`, compared exactly.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            // RFC 9864 §2.2 gives EdDSA with Ed25519 a name of its own.
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    /// Its name in a header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// One public key and what it may verify.
#[derive(Debug)]
struct Key {
    id: Option<String>,
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

impl Key {
    fn fact(&self) -> KeyFact {
        KeyFact {
            kid: self.id.as_deref().map(|id| escape(id, 80)),
            algorithms: self.verifiers.iter().map(|(of, _)| of.name().to_owned()).collect(),
        }
    }
}

/// What the keys of a provider say about a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// One of them made it.
    Verified,
    /// The key that the token names did not make it.
    Wrong,
    /// The token names no key, and none of those that fit made it.
    NoneFits,
    /// There is no key of that id for that algorithm.
    Unknown,
}

/// The keys that a provider publishes (RFC 7517 §5).
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

/// The document at `jwks_uri` is no key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a JSON Web Key Set")]
pub(crate) struct NotAKeySet;

impl KeySet {
    /// Reads a key set. Keys that can't verify here (other types and curves, for encryption,
    /// symmetric, private, too short) are left out, as RFC 7517 §5 asks.
    pub(crate) fn parse(document: &ClaimMap) -> Result<Self, NotAKeySet> {
        let Some(Value::Array(entries)) = document.get("keys") else { return Err(NotAKeySet) };
        let keys = entries.iter().filter_map(Value::as_object).filter_map(read_key);
        Ok(Self { keys: keys.take(MAX_KEYS).collect() })
    }

    /// How many keys can verify.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The first so many keys, for the operator.
    pub(crate) fn facts(&self, most: usize) -> Vec<KeyFact> {
        self.keys.iter().take(most).map(Key::fact).collect()
    }

    /// The key that a header means, for the operator.
    pub(crate) fn fact(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<KeyFact> {
        let means = |key: &&Key| match key_id {
            Some(id) => key.id.as_deref() == Some(id),
            None => key.verifiers.iter().any(|(fit, _)| *fit == algorithm),
        };
        self.keys.iter().find(means).map(Key::fact)
    }

    /// Verifies a signature over `octets` with the key of that id, or, where the token or the
    /// keys have no id, with those that fit the algorithm.
    pub(crate) fn verify(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
        octets: &[u8],
        signature: &[u8],
    ) -> Finding {
        let fits = |key: &&Key| key.verifiers.iter().any(|(fit, _)| *fit == algorithm);
        let named: Vec<&Key> = match key_id {
            Some(id) => self.keys.iter().filter(|key| key.id.as_deref() == Some(id)).collect(),
            None => Vec::new(),
        };
        if !named.is_empty() {
            return match named.into_iter().filter(fits).take(MAX_TRIES).collect::<Vec<_>>() {
                keys if keys.is_empty() => Finding::Unknown,
                keys if made_by_one_of(&keys, algorithm, octets, signature) => Finding::Verified,
                _ => Finding::Wrong,
            };
        }
        let unnamed = |key: &&Key| key_id.is_none() || key.id.is_none();
        match self.keys.iter().filter(unnamed).filter(fits).take(MAX_TRIES).collect::<Vec<_>>() {
            keys if keys.is_empty() => Finding::Unknown,
            keys if made_by_one_of(&keys, algorithm, octets, signature) => Finding::Verified,
            _ => Finding::NoneFits,
        }
    }
}

fn made_by_one_of(keys: &[&Key], algorithm: Algorithm, octets: &[u8], signature: &[u8]) -> bool {
    keys.iter()
        .flat_map(|key| &key.verifiers)
        .filter(|(fit, _)| *fit == algorithm)
        .any(|(_, verifier)| verifier.verify_sig(octets, signature).is_ok())
}

fn read_key(entry: &ClaimMap) -> Option<Key> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    // A published private key is everybody's key.
    if entry.contains_key("d") || !is_for_verification(entry) {
        return None;
    }
    let pinned = match entry.get("alg") {
        None => None,
        Some(name) => Some(Algorithm::named(name.as_str()?)?),
    };
    let id = match entry.get("kid") {
        None => None,
        Some(id) => Some(id.as_str()?.to_owned()),
    };
    let number = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok();
    let mut verifiers = match (text("kty")?, text("crv")) {
        ("RSA", _) => read_rsa(&number("n")?, &number("e")?),
        ("EC", Some("P-256")) => {
            read_curve(Algorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32, &number("x")?, &number("y")?)
        }
        ("EC", Some("P-384")) => {
            read_curve(Algorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48, &number("x")?, &number("y")?)
        }
        ("EC", Some("P-521")) => {
            read_curve(Algorithm::Es512, &ECDSA_P521_SHA512_FIXED, 66, &number("x")?, &number("y")?)
        }
        ("OKP", Some("Ed25519")) => read_edwards(number("x")?),
        _ => Vec::new(),
    };
    verifiers.retain(|(algorithm, _)| pinned.is_none_or(|pinned| pinned == *algorithm));
    (!verifiers.is_empty()).then_some(Key { id, verifiers })
}

/// `use` and `key_ops` (RFC 7517 §4.2, §4.3): when they are there, they must say signatures.
fn is_for_verification(entry: &ClaimMap) -> bool {
    let use_fits = entry.get("use").is_none_or(|usage| usage == "sig");
    let operations_fit = entry.get("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"))
    });
    use_fits && operations_fit
}

fn read_rsa(modulus: &[u8], exponent: &[u8]) -> Vec<(Algorithm, ParsedPublicKey)> {
    // Some providers write a sign byte before the modulus, which RFC 7518 §6.3.1.1 tells not to.
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    // Only the exponents in real use: others have made proofs forgeable elsewhere.
    if !MODULUS_BYTES.contains(&modulus.len()) || !matches!(exponent, [3] | [17] | [1, 0, 1]) {
        return Vec::new();
    }
    let components = RsaPublicKeyComponents { n: modulus, e: exponent };
    RSA.iter()
        .filter_map(|(algorithm, parameters)| {
            Some((*algorithm, components.to_parsed_public_key(parameters).ok()?))
        })
        .collect()
}

fn read_curve(
    algorithm: Algorithm,
    verification: &'static dyn VerificationAlgorithm,
    coordinate_bytes: usize,
    x: &[u8],
    y: &[u8],
) -> Vec<(Algorithm, ParsedPublicKey)> {
    if x.len() != coordinate_bytes || y.len() != coordinate_bytes {
        return Vec::new();
    }
    // SEC 1 §2.3.4: 04 and both coordinates; the library checks that the point is on the curve.
    let point = [&[4], x, y].concat();
    ParsedPublicKey::new(verification, point).map(|key| vec![(algorithm, key)]).unwrap_or_default()
}

fn read_edwards(point: Vec<u8>) -> Vec<(Algorithm, ParsedPublicKey)> {
    let is_small = SMALL_ORDER.iter().any(|small| {
        let (Some((last, rest)), [others @ .., top]) = (point.split_last(), small) else {
            return true;
        };
        rest == others && last & 0x7f == *top
    });
    if is_small {
        return Vec::new();
    }
    ParsedPublicKey::new(&ED25519, point)
        .map(|key| vec![(Algorithm::EdDsa, key)])
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
