//! Access tokens of any content: signed, broken on purpose, or opaque.

use anyhow::{Context, Result};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::keys::{Alg, SigningKey};
use super::provider::TestOp;
use super::state::{Issued, UserinfoAnswer, fresh, now, userinfo_of};

/// Builds one access token; by default a good one (RS256, 1 h) that userinfo knows.
#[derive(Debug, Clone)]
pub struct TokenBuilder<'a> {
    op: &'a TestOp,
    alg: Alg,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    userinfo: Option<UserinfoAnswer>,
    userinfo_claims: Map<String, Value>,
    size: usize,
}

impl<'a> TokenBuilder<'a> {
    pub(crate) fn new(op: &'a TestOp, user_claims: &Map<String, Value>) -> Self {
        let mut claims = Map::new();
        claims.insert("iss".into(), op.issuer().into());
        claims.insert("iat".into(), now().into());
        claims.insert("nbf".into(), now().into());
        claims.insert("exp".into(), (now() + 3600).into());
        claims.insert("jti".into(), fresh("").into());
        claims.insert("scope".into(), "openid profile email".into());
        claims.insert("client_id".into(), "test-client".into());
        claims.extend(user_claims.clone());
        Self {
            op,
            alg: Alg::Rs256,
            header: Map::from_iter([("typ".into(), "at+jwt".into())]),
            claims,
            userinfo: None,
            userinfo_claims: Map::new(),
            size: 0,
        }
    }

    /// Sets a claim of the token (and so of userinfo); `null` removes it.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// Removes a claim.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        self.claim(name, Value::Null)
    }

    /// Sets a claim to JSON `null`, which [`Self::claim`] cannot.
    #[must_use]
    pub fn null_claim(mut self, name: &str) -> Self {
        self.claims.insert(name.to_owned(), Value::Null);
        self
    }

    /// Sets a member of the header; `null` removes it (`kid` too).
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves `kid` out of the header.
    #[must_use]
    pub fn without_kid(self) -> Self {
        self.header("kid", Value::Null)
    }

    /// Signs with another algorithm, and the provider's key for it.
    #[must_use]
    pub fn alg(mut self, alg: Alg) -> Self {
        self.alg = alg;
        self
    }

    /// Expires this many seconds from now; negative for a token that has expired.
    #[must_use]
    pub fn lifetime(self, seconds: i64) -> Self {
        self.claim("exp", now() + seconds)
    }

    /// Is valid from this many seconds from now.
    #[must_use]
    pub fn not_before(self, seconds: i64) -> Self {
        self.claim("nbf", now() + seconds)
    }

    /// Pads the token to this many characters; one that is within 40 of it may become longer.
    #[must_use]
    pub fn size(mut self, characters: usize) -> Self {
        self.size = characters;
        self
    }

    /// Userinfo answers this claim to this token, whatever the token says; `null` leaves it out.
    #[must_use]
    pub fn userinfo_claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.userinfo_claims.insert(name.to_owned(), value.into());
        self
    }

    /// Userinfo answers this token with an HTTP status.
    #[must_use]
    pub fn userinfo_status(mut self, status: u16) -> Self {
        self.userinfo = Some(UserinfoAnswer::Status(status));
        self
    }

    /// A signed JWT (RFC 9068) that the provider's own endpoints know.
    #[must_use]
    pub fn sign(self) -> String {
        let key = self.op.key_for(self.alg);
        let token = self.sized(|builder| builder.sign_with(&key));
        self.remember(&token);
        token
    }

    /// A random string of at least [`Self::size`] characters that the provider's endpoints know.
    #[must_use]
    pub fn opaque(self) -> String {
        let mut token = fresh("opaque_");
        while token.len() < self.size {
            token += &fresh("");
        }
        self.remember(&token);
        token
    }

    /// Signed by a key that the provider never had, under the name of its own key.
    #[must_use]
    pub fn sign_with_foreign_key(self) -> String {
        let own = self.op.key_for(self.alg);
        let key = foreign_key(self.alg, &own.kid);
        self.sized(|builder| builder.sign_with(&key))
    }

    /// `alg: none` and no signature (RFC 7519 §6).
    #[must_use]
    pub fn unsigned(self) -> String {
        let key = self.op.key_for(self.alg);
        format!("{}.", self.signing_input("none", &key.kid))
    }

    /// HS256, keyed with the public RSA key's PEM text.
    ///
    /// # Errors
    /// When the provider's key cannot be written as PEM.
    pub fn sign_with_public_key(self) -> Result<String> {
        let key = self.op.key_for(Alg::Rs256);
        let input = self.signing_input("HS256", &key.kid);
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key.public_pem()?.as_bytes());
        let tag = hmac::sign(&secret, input.as_bytes());
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag)))
    }

    /// The claims as they stand.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    fn sign_with(&self, key: &SigningKey) -> String {
        let input = self.signing_input(self.alg.name(), &key.kid);
        let signature = key.sign(self.alg, input.as_bytes()).unwrap_or_default();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signing_input(&self, alg: &str, kid: &str) -> String {
        let mut header = Map::new();
        header.insert("alg".into(), alg.into());
        header.insert("kid".into(), kid.into());
        for (name, value) in &self.header {
            set(&mut header, name, value.clone());
        }
        format!("{}.{}", encode(&Value::Object(header)), encode(&json!(self.claims)))
    }

    fn sized(&self, sign: impl Fn(&Self) -> String) -> String {
        let token = sign(self);
        if token.len() >= self.size {
            return token;
        }
        let signature = token.rsplit('.').next().map_or(0, str::len);
        sign(&self.padded(signature + 1))
    }

    /// Pads header and payload so that they and `rest` more characters have the wanted length.
    fn padded(&self, rest: usize) -> Self {
        let length = |builder: &Self| builder.signing_input(builder.alg.name(), "").len() + rest;
        let kid = self.op.key_for(self.alg).kid.clone();
        let mut fallback = self.clone();
        // Base64 skips every fourth length, so the header must be able to give way.
        for header_padding in 0..3 {
            let mut padded = self.clone().header("pad", "x".repeat(header_padding));
            padded.header.entry("kid").or_insert_with(|| kid.clone().into());
            padded.claims.insert("pad".into(), "".into());
            let missing = self.size.saturating_sub(length(&padded));
            for padding in (missing * 3 / 4).saturating_sub(3)..=missing * 3 / 4 + 3 {
                padded.claims.insert("pad".into(), "x".repeat(padding).into());
                if length(&padded) == self.size {
                    return padded;
                }
            }
            fallback = padded;
        }
        fallback
    }

    fn remember(&self, token: &str) {
        let mut userinfo = userinfo_of(&self.claims);
        for (name, value) in &self.userinfo_claims {
            set(&mut userinfo, name, value.clone());
        }
        let userinfo = self.userinfo.clone().unwrap_or(UserinfoAnswer::Claims(userinfo));
        let expires = self.claims.get("exp").and_then(Value::as_i64).unwrap_or(i64::MAX);
        let issued = Issued { claims: self.claims.clone(), userinfo, expires };
        self.op.state().issued.insert(token.to_owned(), issued);
    }
}

/// Changes one bit in the middle of the signature.
pub(crate) fn break_signature(token: &str) -> Result<String> {
    let (input, signature) = token.rsplit_once('.').context("not a JWT")?;
    let mut bytes = URL_SAFE_NO_PAD.decode(signature)?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Puts another claim into the payload and keeps the signature.
pub(crate) fn swap_payload(token: &str, name: &str, value: Value) -> Result<String> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next())
    else {
        anyhow::bail!("not a JWT");
    };
    let mut claims: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    claims.insert(name.to_owned(), value);
    Ok(format!("{header}.{}.{signature}", encode(&Value::Object(claims))))
}

fn foreign_key(alg: Alg, kid: &str) -> SigningKey {
    // Making a key fails only when the system has no randomness; nothing works then.
    SigningKey::generate(alg.family(), kid.to_owned()).unwrap_or_else(|error| panic!("{error}"))
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn set(members: &mut Map<String, Value>, name: &str, value: Value) {
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
}
