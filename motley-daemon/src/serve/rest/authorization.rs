//! The `Authorization` header, read with the established leniency and no more.

use super::answer;
use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode, header},
};
use motley_proto::{Issuer, Secret};

/// A header that names a bearer token, whose scheme may still be spelt wrongly.
pub(super) struct Bearer {
    token: Option<Secret>,
}

impl Bearer {
    /// Finds the first `Authorization` header with the scheme `bearer` in any case and something
    /// behind it; else the 401 that asks for one.
    #[allow(clippy::result_large_err)]
    pub(super) fn find(headers: &HeaderMap) -> Result<Self, Response<Body>> {
        let missing = || answer::detail(StatusCode::UNAUTHORIZED, "Not authenticated");
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, rest) = value.and_then(|value| value.split_once(' ')).ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") || rest.trim().is_empty() {
            return Err(missing());
        }
        // RFC 6750 §2.1 spells the scheme this way, and old servers take no other.
        let token = (scheme == "Bearer").then(|| Secret::new(rest.trim().to_owned()));
        Ok(Self { token })
    }

    /// The token; else the 401 for a scheme in other letters.
    #[allow(clippy::result_large_err)]
    pub(super) fn token(self) -> Result<Secret, Response<Body>> {
        self.token.ok_or_else(|| answer::unauthenticated("No bearer token in authorization header"))
    }
}

/// Issuer that the client names for a token that does not name one itself.
pub(super) fn issuer_hint(headers: &HeaderMap) -> Option<Issuer> {
    headers.get("oidc-issuer")?.to_str().ok().and_then(|text| Issuer::new(text).ok())
}
