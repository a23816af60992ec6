//! The kinds of credentials that the recorded REST cases send, by their names in the data.

use std::str::FromStr;

use anyhow::{Context, Result};
use aws_lc_rs::digest;
use serde_json::Value;

use super::keys::Alg;
use super::provider::TestOp;
use super::token::{TokenBuilder, break_signature, swap_payload};

/// A name that is no [`TokenKind`].
#[derive(Debug, thiserror::Error)]
#[error("no token kind {0:?}")]
pub struct UnknownTokenKind(String);

/// Declares the kinds with their names in the data.
macro_rules! token_kinds {
    ($($variant:ident = $name:literal,)*) => {
        /// What stands in the `Authorization` header of a recorded case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum TokenKind { $($variant,)* }

        impl TokenKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in the data.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

token_kinds! {
    None = "none",
    EmptyHeader = "empty-header",
    Basic = "basic",
    BearerWithoutToken = "bearer-without-token",
    BearerEmptyToken = "bearer-empty-token",
    BearerLowercase = "bearer-lowercase",
    BearerUppercase = "bearer-uppercase",
    BearerTwoSpaces = "bearer-two-spaces",
    TokenWithoutScheme = "token-without-scheme",
    Garbage = "garbage",
    GarbageThreeParts = "garbage-three-parts",
    GarbageWithSpace = "garbage-with-space",
    Jwt = "jwt",
    JwtRs256 = "jwt-rs256",
    JwtEs256 = "jwt-es256",
    JwtRs512 = "jwt-rs512",
    JwtNoKid = "jwt-no-kid",
    JwtEs256NoKid = "jwt-es256-no-kid",
    JwtUnknownKid = "jwt-unknown-kid",
    JwtExpired = "jwt-expired",
    JwtNotYetValid = "jwt-not-yet-valid",
    JwtIatInFuture = "jwt-iat-in-future",
    JwtBadSignature = "jwt-bad-signature",
    JwtForeignKey = "jwt-foreign-key",
    JwtSignatureStripped = "jwt-signature-stripped",
    JwtAlgNone = "jwt-alg-none",
    JwtAlgNoneNoKid = "jwt-alg-none-no-kid",
    JwtHs256PublicKey = "jwt-hs256-public-key",
    JwtPayloadSwapped = "jwt-payload-swapped",
    JwtNoExp = "jwt-no-exp",
    JwtNoIss = "jwt-no-iss",
    JwtIssNumber = "jwt-iss-number",
    JwtIssNotUrl = "jwt-iss-not-url",
    JwtIssTrailingSlash = "jwt-iss-trailing-slash",
    JwtIssUppercaseHost = "jwt-iss-uppercase-host",
    JwtIssOfOtherOp = "jwt-iss-of-other-op",
    JwtUntrustedOp = "jwt-untrusted-op",
    JwtNoSub = "jwt-no-sub",
    JwtSubOnlyInUserinfo = "jwt-sub-only-in-userinfo",
    JwtSubNumber = "jwt-sub-number",
    JwtUserinfoSaysOtherSub = "jwt-userinfo-says-other-sub",
    JwtUserinfoSaysOtherIss = "jwt-userinfo-says-other-iss",
    JwtUserinfoRefused = "jwt-userinfo-refused",
    JwtUserinfo500 = "jwt-userinfo-500",
    Jwt1k = "jwt-1k",
    Jwt4k = "jwt-4k",
    Jwt16k = "jwt-16k",
    Jwt60k = "jwt-60k",
    Jwt70k = "jwt-70k",
    Opaque = "opaque",
    Opaque4k = "opaque-4k",
    OpaqueExpired = "opaque-expired",
    OpaqueUntrustedOp = "opaque-untrusted-op",
    OtpUnused = "otp-unused",
    OtpUsed = "otp-used",
    OtpUnknown = "otp-unknown",
}

impl FromStr for TokenKind {
    type Err = UnknownTokenKind;

    fn from_str(name: &str) -> Result<Self, UnknownTokenKind> {
        let found = Self::ALL.iter().copied().find(|kind| kind.name() == name);
        found.ok_or_else(|| UnknownTokenKind(name.to_owned()))
    }
}

/// A credential ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// The access token behind it, if there is one. For `otp-*` it is the token that
    /// `/user/generate_otp` must be called with first (and, for `otp-used`, the password used).
    pub token: Option<String>,
    /// What follows `Bearer `: the token itself, a one-time password, or garbage.
    pub credential: String,
    /// The whole `Authorization` header; `None` sends none.
    pub authorization: Option<String>,
}

impl TestOp {
    /// Mints a credential of a kind for a user of this provider. `other_issuer` is the issuer of
    /// another configured provider, for the kinds that claim to come from there.
    ///
    /// # Errors
    /// When a token cannot be made.
    pub fn mint(&self, kind: TokenKind, user: &str, other_issuer: &str) -> Result<Minted> {
        let fixed = match kind {
            TokenKind::None => Some((None, "")),
            TokenKind::EmptyHeader => Some((Some(""), "")),
            TokenKind::Basic => Some((Some("Basic dXNlcjpwYXNz"), "dXNlcjpwYXNz")),
            TokenKind::BearerWithoutToken => Some((Some("Bearer"), "")),
            TokenKind::BearerEmptyToken => Some((Some("Bearer "), "")),
            TokenKind::Garbage => Some((Some("Bearer not-a-token"), "not-a-token")),
            TokenKind::GarbageThreeParts => Some((Some("Bearer aaaa.bbbb.cccc"), "aaaa.bbbb.cccc")),
            TokenKind::GarbageWithSpace => Some((Some("Bearer not a token"), "not a token")),
            _ => None,
        };
        if let Some((authorization, credential)) = fixed {
            let authorization = authorization.map(str::to_owned);
            return Ok(Minted { token: None, credential: credential.to_owned(), authorization });
        }
        let token = self.mint_token(kind, user, other_issuer)?;
        let credential = match kind {
            TokenKind::OtpUnused | TokenKind::OtpUsed => one_time_password(&token),
            TokenKind::OtpUnknown => one_time_password(&super::state::fresh("nothing known ")),
            _ => token.clone(),
        };
        let authorization = match kind {
            TokenKind::BearerLowercase => format!("bearer {credential}"),
            TokenKind::BearerUppercase => format!("BEARER {credential}"),
            TokenKind::BearerTwoSpaces => format!("Bearer  {credential}"),
            TokenKind::TokenWithoutScheme => credential.clone(),
            _ => format!("Bearer {credential}"),
        };
        Ok(Minted { token: Some(token), credential, authorization: Some(authorization) })
    }

    fn mint_token(&self, kind: TokenKind, user: &str, other_issuer: &str) -> Result<String> {
        use TokenKind as Kind;
        let good = self.token(user);
        Ok(match kind {
            Kind::JwtBadSignature => break_signature(&good.sign())?,
            Kind::JwtForeignKey => good.sign_with_foreign_key(),
            Kind::JwtSignatureStripped => {
                let signed = good.sign();
                let (input, _) = signed.rsplit_once('.').context("not a JWT")?;
                format!("{input}.")
            }
            Kind::JwtAlgNone => good.unsigned(),
            Kind::JwtAlgNoneNoKid => good.without_kid().unsigned(),
            Kind::JwtHs256PublicKey => good.sign_with_public_key()?,
            Kind::JwtPayloadSwapped => swap_payload(&good.sign(), "sub", "h1swapped".into())?,
            Kind::Opaque | Kind::OpaqueUntrustedOp => good.opaque(),
            Kind::Opaque4k => good.size(4097).opaque(),
            Kind::OpaqueExpired => good.lifetime(-30).opaque(),
            _ => self.shape(kind, good, other_issuer).sign(),
        })
    }

    /// The kinds that differ from a good token in what they say only.
    fn shape<'a>(&self, kind: TokenKind, good: TokenBuilder<'a>, other: &str) -> TokenBuilder<'a> {
        use TokenKind as Kind;
        match kind {
            Kind::JwtEs256 => good.alg(Alg::Es256),
            Kind::JwtRs512 => good.alg(Alg::Rs512),
            Kind::JwtNoKid => good.without_kid(),
            Kind::JwtEs256NoKid => good.alg(Alg::Es256).without_kid(),
            Kind::JwtUnknownKid => good.header("kid", "unknown-key"),
            Kind::JwtExpired => good.lifetime(-30),
            Kind::JwtNotYetValid => good.not_before(3600),
            Kind::JwtIatInFuture => {
                let later = super::state::now() + 3600;
                good.claim("iat", later).lifetime(7200)
            }
            Kind::JwtNoExp => good.without("exp"),
            Kind::JwtNoIss => good.without("iss"),
            Kind::JwtIssNumber => good.claim("iss", 4711),
            Kind::JwtIssNotUrl => good.claim("iss", "not a url"),
            Kind::JwtIssTrailingSlash => {
                good.claim("iss", format!("{}/", self.issuer().trim_end_matches('/')))
            }
            Kind::JwtIssUppercaseHost => good.claim("iss", uppercase_host(self.issuer())),
            Kind::JwtIssOfOtherOp => good.claim("iss", other),
            Kind::JwtNoSub => good.without("sub").userinfo_claim("sub", Value::Null),
            Kind::JwtSubOnlyInUserinfo => {
                let subject = good.claims().get("sub").cloned().unwrap_or_default();
                good.without("sub").userinfo_claim("sub", subject)
            }
            Kind::JwtSubNumber => good.claim("sub", 4711),
            Kind::JwtUserinfoSaysOtherSub => good.userinfo_claim("sub", "h1other"),
            Kind::JwtUserinfoSaysOtherIss => good.userinfo_claim("iss", other),
            Kind::JwtUserinfoRefused => good.userinfo_status(403),
            Kind::JwtUserinfo500 => good.userinfo_status(500),
            Kind::Jwt1k => good.size(1025),
            Kind::Jwt4k => good.size(4097),
            Kind::Jwt16k => good.size(16385),
            Kind::Jwt60k => good.size(60_000),
            Kind::Jwt70k => good.size(70_000),
            _ => good,
        }
    }
}

/// SHA-512 in hexadecimal digits: the one-time password that clients derive from a token.
#[must_use]
pub fn one_time_password(token: &str) -> String {
    let hash = digest::digest(&digest::SHA512, token.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uppercase_host(issuer: &str) -> String {
    let (scheme, rest) = issuer.split_once("://").unwrap_or(("https", issuer));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let slash = if path.is_empty() { "" } else { "/" };
    format!("{scheme}://{}{slash}{path}", host.to_uppercase())
}
