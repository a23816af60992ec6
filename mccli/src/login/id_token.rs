//! The id token: that the login is this one, at this provider, for this client.

use super::{LoginError, Request, token::Granted};
use crate::claims::Claims;
use motley_proto::Secret;
use serde_json::Value;

/// Difference of clocks that is allowed, in seconds.
const SKEW_S: f64 = 120.0;

/// Checks the id token, and notes whose login it is. One that answers a nonce must be there where
/// `openid` was granted (OpenID Connect Core 1.0 §3.1.3.3).
///
/// Its signature is not verified: it comes over verified TLS from the token endpoint itself, which
/// is enough (OpenID Connect Core 1.0 §3.1.3.7, point 6), and nobody is let in by it here.
///
/// # Errors
/// [`LoginError::Mismatch`].
pub(super) fn check(
    granted: &mut Granted,
    request: &Request<'_>,
    nonce: Option<&Secret>,
    now_s: f64,
) -> Result<(), LoginError> {
    let wrong = |what: &str| Err(LoginError::Mismatch(format!("the id token {what}")));
    let is_due = || {
        let has = |scopes: &[String]| scopes.iter().any(|scope| scope == "openid");
        nonce.is_some() && granted.scopes.as_deref().map_or_else(|| has(request.scopes), has)
    };
    let Some(token) = granted.id_token.take() else {
        return if is_due() { wrong("is missing, though openid was granted") } else { Ok(()) };
    };
    let Some(claims) = Claims::of(&token) else { return wrong("is none") };
    if claims.issuer() != Some(request.provider.issuer.as_str()) {
        return wrong("is another issuer's");
    }
    let text = |name: &str| claims.payload.get(name).and_then(Value::as_str);
    let client = request.client.id.as_str();
    let (fits, others) = match claims.payload.get("aud") {
        Some(Value::String(one)) => (one == client, false),
        Some(Value::Array(list)) => {
            (list.iter().any(|one| one.as_str() == Some(client)), list.len() > 1)
        }
        _ => (false, false),
    };
    if !fits {
        return wrong("is for another client");
    }
    let party = text("azp");
    if party.is_some_and(|party| party != client) || (others && party.is_none()) {
        return wrong("was made for another client");
    }
    if claims.seconds_left(now_s).is_none_or(|left| left < -SKEW_S) {
        return wrong("is expired; is this machine's clock right?");
    }
    if let Some(nonce) = nonce
        && text("nonce") != Some(nonce.expose())
    {
        return wrong("answers another login (nonce)");
    }
    granted.subject = text("sub").map(str::to_owned);
    granted.name = text("preferred_username").map(str::to_owned);
    Ok(())
}
