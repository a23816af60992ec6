//! Tokens of stored logins: kept ones while they last, then refreshed ones.

use super::{Needs, Requirements, Token, TokenSource};
use crate::{
    claims::audiences_of,
    cli::Options,
    http::Trust,
    login::{self, Wanted},
    logins::{Label, Logins},
};

/// Seconds that a token must still be valid.
pub(crate) const MIN_VALID_S: u64 = 60;

/// One source per stored login at an issuer that the service supports, in the service's order.
pub(crate) fn for_issuers(
    options: &Options,
    needs: &dyn Requirements,
) -> Vec<Box<dyn TokenSource>> {
    needs.issuers().iter().flat_map(|issuer| for_issuer(options, issuer)).collect()
}

/// The stored logins at one issuer, the newest first.
pub(crate) fn for_issuer(options: &Options, issuer: &str) -> Vec<Box<dyn TokenSource>> {
    let labels = Logins::of_user().at(issuer);
    labels
        .into_iter()
        .map(|label| Box::new(StoredLogin { label, trust: login::trust(options) }))
        .map(|source| source as Box<dyn TokenSource>)
        .collect()
}

/// A stored login as a source.
struct StoredLogin {
    label: Label,
    trust: Trust,
}

impl TokenSource for StoredLogin {
    fn name(&self) -> String {
        format!("the stored login at {}", self.label.issuer)
    }

    fn fetch(&self, needs: &dyn Requirements) -> Result<Token, String> {
        let (scopes, audience) = match needs.of(&self.label.issuer) {
            Needs::Op(op) => (op.scopes.clone(), audiences_of(&op).into_iter().next()),
            Needs::Unknown => (Vec::new(), None),
            Needs::Unsupported => return Err("the service does not support this issuer".to_owned()),
        };
        let wanted = Wanted { scopes, audience, min_valid_s: MIN_VALID_S };
        let access = login::access_token(&self.trust, &Logins::of_user(), &self.label, &wanted);
        let access = access.map_err(|error| error.to_string())?;
        Ok(Token { secret: access.token, recipe: None })
    }
}
