//! Tokens of stored logins: kept ones while they last, then refreshed ones.

use super::{Requirements, TokenSource};
use crate::cli::Options;

/// One source per stored login at an issuer that the service supports, in the service's order.
pub(crate) fn for_issuers(
    _options: &Options,
    _needs: &dyn Requirements,
) -> Vec<Box<dyn TokenSource>> {
    Vec::new()
}

/// The stored logins at one issuer.
pub(crate) fn for_issuer(_options: &Options, _issuer: &str) -> Vec<Box<dyn TokenSource>> {
    Vec::new()
}
