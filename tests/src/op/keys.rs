//! Signing keys of every family, their public halves as JWK (RFC 7517, RFC 8037), and signatures.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Alg {
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

impl Alg {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// The value of the header member `alg`.
    #[must_use]
    pub fn name(self) -> &'static str {
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

    pub(crate) fn family(self) -> Family {
        match self {
            Self::Es256 => Family::P256,
            Self::Es384 => Family::P384,
            Self::Es512 => Family::P521,
            Self::EdDsa => Family::Ed25519,
            _ => Family::Rsa,
        }
    }

    fn rsa(self) -> Option<&'static dyn RsaEncoding> {
        match self {
            Self::Rs256 => Some(&signature::RSA_PKCS1_SHA256),
            Self::Rs384 => Some(&signature::RSA_PKCS1_SHA384),
            Self::Rs512 => Some(&signature::RSA_PKCS1_SHA512),
            Self::Ps256 => Some(&signature::RSA_PSS_SHA256),
            Self::Ps384 => Some(&signature::RSA_PSS_SHA384),
            Self::Ps512 => Some(&signature::RSA_PSS_SHA512),
            _ => None,
        }
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Alg {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|alg| alg.name().eq_ignore_ascii_case(name))
            .with_context(|| format!("no signature algorithm {name:?}"))
    }
}

/// What kind of key an algorithm needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

enum Material {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// One key pair with its name in the key set.
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pub(crate) family: Family,
    material: Material,
}

impl SigningKey {
    /// Makes a key; RSA keys have 2048 bits.
    pub(crate) fn generate(family: Family, kid: String) -> Result<Self> {
        let material = match family {
            Family::Rsa => Material::Rsa(RsaKeyPair::generate(KeySize::Rsa2048)?),
            Family::P256 => ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)?,
            Family::P384 => ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING)?,
            Family::P521 => ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING)?,
            Family::Ed25519 => Material::Ed(Ed25519KeyPair::generate()?),
        };
        Ok(Self { kid, family, material })
    }

    /// The signature of RFC 7515 §5.1 over `input`.
    pub(crate) fn sign(&self, alg: Alg, input: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match (&self.material, alg.rsa()) {
            (Material::Rsa(key), Some(encoding)) => {
                let mut bytes = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, input, &mut bytes)?;
                Ok(bytes)
            }
            (Material::Ec(key), None) => Ok(key.sign(&random, input)?.as_ref().to_vec()),
            (Material::Ed(key), None) => Ok(key.sign(input).as_ref().to_vec()),
            _ => bail!("{alg} does not go with key {}", self.kid),
        }
    }

    /// The public key, without `kid`.
    pub(crate) fn jwk(&self) -> Value {
        match &self.material {
            Material::Rsa(key) => {
                let (modulus, exponent) = rsa_numbers(key.public_key().as_ref());
                json!({"kty": "RSA", "use": "sig", "n": encode(modulus), "e": encode(exponent)})
            }
            Material::Ec(key) => {
                let crv = match self.family {
                    Family::P384 => "P-384",
                    Family::P521 => "P-521",
                    _ => "P-256",
                };
                // SEC 1 §2.3.3: 04, x, y.
                let point = key.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "use": "sig", "crv": crv, "x": encode(x), "y": encode(y)})
            }
            Material::Ed(key) => {
                let x = encode(key.public_key().as_ref());
                json!({"kty": "OKP", "use": "sig", "crv": "Ed25519", "x": x})
            }
        }
    }

    /// The public key as PEM (`SubjectPublicKeyInfo`), RSA only: what an attacker would use as a
    /// shared secret.
    pub(crate) fn public_pem(&self) -> Result<String> {
        let Material::Rsa(key) = &self.material else { bail!("only for RSA keys") };
        let der: PublicKeyX509Der<'_> = key.public_key().as_der()?;
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {:?})", self.kid, self.family)
    }
}

/// The keys of one provider, newest first.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Published>,
    made: usize,
}

#[derive(Debug)]
struct Published {
    key: std::sync::Arc<SigningKey>,
    /// Whether the key set names the key (RFC 7517 §4.5: `kid` is optional).
    named: bool,
}

impl KeySet {
    /// The newest key for an algorithm; made and published when there is none.
    pub(crate) fn key_for(&mut self, alg: Alg) -> Result<std::sync::Arc<SigningKey>> {
        let family = alg.family();
        match self.keys.iter().find(|published| published.key.family == family) {
            Some(published) => Ok(published.key.clone()),
            None => self.publish(family, true),
        }
    }

    /// Makes a new key and publishes it, with or without its name.
    pub(crate) fn publish(
        &mut self,
        family: Family,
        named: bool,
    ) -> Result<std::sync::Arc<SigningKey>> {
        self.made += 1;
        let kid = format!("key-{}-{family:?}", self.made).to_lowercase();
        let key = std::sync::Arc::new(SigningKey::generate(family, kid)?);
        self.keys.insert(0, Published { key: key.clone(), named });
        Ok(key)
    }

    /// Withdraws all keys and publishes one new key of each family that was there.
    pub(crate) fn replace(&mut self) -> Result<()> {
        let mut families: Vec<Family> = Vec::new();
        for published in self.keys.drain(..) {
            if !families.contains(&published.key.family) {
                families.push(published.key.family);
            }
        }
        families.into_iter().rev().try_for_each(|family| self.publish(family, true).map(drop))
    }

    /// The document of the `jwks_uri`.
    pub(crate) fn document(&self) -> Value {
        let keys: Vec<Value> = self
            .keys
            .iter()
            .map(|published| {
                let mut jwk = published.key.jwk();
                if let (true, Some(members)) = (published.named, jwk.as_object_mut()) {
                    members.insert("kid".into(), published.key.kid.clone().into());
                }
                jwk
            })
            .collect();
        json!({ "keys": keys })
    }
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> Result<Material> {
    Ok(Material::Ec(EcdsaKeyPair::generate(algorithm)?))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Modulus and exponent from the DER of RFC 8017 §A.1.1 (`SEQUENCE { INTEGER, INTEGER }`).
fn rsa_numbers(der: &[u8]) -> (&[u8], &[u8]) {
    let (sequence, _) = der_element(der);
    let (modulus, rest) = der_element(sequence);
    let (exponent, _) = der_element(rest);
    (without_zero(modulus), without_zero(exponent))
}

/// Contents of the first element, and what follows it.
fn der_element(der: &[u8]) -> (&[u8], &[u8]) {
    let short = usize::from(der.get(1).copied().unwrap_or_default());
    let (start, length) = if short < 0x80 {
        (2, short)
    } else {
        let count = short & 0x7f;
        let digits = der.get(2..2 + count).unwrap_or_default();
        (2 + count, digits.iter().fold(0, |sum, &byte| (sum << 8) | usize::from(byte)))
    };
    let contents = der.get(start..start + length).unwrap_or_default();
    (contents, der.get(start + length..).unwrap_or_default())
}

fn without_zero(integer: &[u8]) -> &[u8] {
    integer.strip_prefix(&[0]).unwrap_or(integer)
}
