//! Doors to the readers of requests, for the fuzz targets only (R35).
//!
//! Only a build with `--cfg fuzzing` has this module.

use super::authorization::{Bearer, issuer_hint};
use super::query::Parameters;
use axum::http::{HeaderMap, Uri};
use motley_proto::Issuer;

/// The value of a parameter, as a handler sees it.
pub fn parameter(uri: &Uri, name: &str) -> Option<String> {
    Parameters::read(uri).get(name).map(str::to_owned)
}

/// The token of the `Authorization` header, as a handler sees it.
pub fn bearer(headers: &HeaderMap) -> Option<String> {
    Some(Bearer::find(headers).ok()?.token().ok()?.expose().to_owned())
}

/// The issuer that a client names beside the token.
pub fn hint(headers: &HeaderMap) -> Option<Issuer> {
    issuer_hint(headers)
}
