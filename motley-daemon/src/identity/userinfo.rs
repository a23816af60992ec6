//! Asks a provider about the holder of a token and checks that the answer is about the same person.

use super::claims;
use super::fetch::FetchError;
use super::provider::{ClientCredentials, Metadata};
use super::refusal::{NoIdentity, TokenRefusal};
use super::upstream::{Standing, Upstream};
use crate::clock::Timestamp;
use crate::verified::ClaimMap;
use motley_proto::{Secret, Subject};
use serde_json::Value;
use std::time::Duration;

/// Claims of the userinfo answer, and whether asking again soon may bring more.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) claims: Option<ClaimMap>,
    pub(crate) incomplete: bool,
}

/// Asks userinfo about a token whose signature holds.
///
/// Userinfo that can't be reached or refuses for want of a scope only means fewer claims. The answer
/// that the token is not valid means that it was revoked.
///
/// # Errors
/// When the provider says that the token is not valid, or its answer is about somebody else
/// (OpenID Connect Core 1.0 §5.3.2).
pub(crate) async fn ask_about_signed(
    upstream: &Upstream,
    metadata: &Metadata,
    token: &Secret,
    subject: &Subject,
    limit: Duration,
) -> Result<Told, TokenRefusal> {
    let standing = Standing::Vouched;
    let claims = match ask_userinfo(upstream, metadata, token, standing, limit).await {
        None => return Ok(Told::default()),
        Some(Ok(claims)) => claims,
        Some(Err(FetchError::InvalidToken)) => {
            return Err(TokenRefusal::Revoked { issuer: upstream.name() });
        }
        Some(Err(why)) => {
            let incomplete = !is_final(&why);
            tracing::info!(issuer = %upstream.config.issuer, reason = %why, "no userinfo; the token's own claims are used");
            return Ok(Told { claims: None, incomplete });
        }
    };
    check_issuer(upstream, metadata, &claims)?;
    match claims.get("sub") {
        Some(Value::String(named)) if named == subject.as_str() => {
            Ok(Told { claims: Some(claims), incomplete: false })
        }
        // Without `sub` nothing binds the answer to the token, so it must not be used.
        None | Some(Value::Null) => {
            tracing::warn!(issuer = %upstream.config.issuer, "userinfo without `sub` is not used");
            Ok(Told::default())
        }
        Some(_) => Err(disagreement(upstream, "sub")),
    }
}

/// What a provider tells about an opaque token: its holder, its claims and its end.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) subject: Subject,
    pub(crate) userinfo: Option<ClaimMap>,
    pub(crate) introspection: Option<ClaimMap>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) incomplete: bool,
}

/// Asks the provider of an opaque token about it: introspection where there are credentials for it,
/// and userinfo.
///
/// # Errors
/// When the provider does not accept the token, can't be reached, or contradicts itself.
pub(crate) async fn open_opaque(
    upstream: &Upstream,
    metadata: &Metadata,
    token: &Secret,
    now: Timestamp,
    limit: Duration,
) -> Result<Opened, TokenRefusal> {
    let introspection = match (&upstream.config.introspection, &metadata.introspection) {
        (Some(credentials), Some(_)) => {
            Some(introspect(upstream, metadata, credentials, token, limit).await?)
        }
        _ => None,
    };
    let expires = match &introspection {
        Some(claims) => claims::date(claims, "exp")
            .map_err(|fault| not_accepted(upstream, fault.to_string()))?,
        None => None,
    };
    if let Some(expires) = expires {
        claims::check_not_expired(expires, now)?;
    }
    let introspected = match &introspection {
        Some(claims) if claims.contains_key("sub") => Some(holder(upstream, claims)?),
        _ => None,
    };
    if let Some(subject) = introspected {
        let told = ask_about_signed(upstream, metadata, token, &subject, limit).await?;
        let Told { claims: userinfo, incomplete } = told;
        return Ok(Opened { subject, userinfo, introspection, expires, incomplete });
    }
    // Introspection that found it active has vouched for it.
    let standing = if introspection.is_some() { Standing::Vouched } else { Standing::Unknown };
    let claims = match ask_userinfo(upstream, metadata, token, standing, limit).await {
        Some(answer) => answer.map_err(|why| not_opened(upstream, why))?,
        None => return Err(NoIdentity::NoEndpoint { issuer: upstream.name() }.into()),
    };
    check_issuer(upstream, metadata, &claims)?;
    let subject = holder(upstream, &claims)?;
    Ok(Opened { subject, userinfo: Some(claims), introspection, expires, incomplete: false })
}

async fn introspect(
    upstream: &Upstream,
    metadata: &Metadata,
    credentials: &ClientCredentials,
    token: &Secret,
    limit: Duration,
) -> Result<ClaimMap, TokenRefusal> {
    let Some(place) = &metadata.introspection else {
        return Err(NoIdentity::NoEndpoint { issuer: upstream.name() }.into());
    };
    let (id, secret) = (&credentials.id, &credentials.secret);
    let question = upstream.fetcher.introspection(place, id, secret, token, limit);
    let claims =
        upstream.ask(Standing::Unknown, limit, question).await.map_err(|why| match why {
            // Our own credentials are refused: nothing is known about the token.
            FetchError::Status(_) | FetchError::InvalidToken => {
                NoIdentity::Unreachable { issuer: upstream.name(), why }.into()
            }
            why => not_opened(upstream, why),
        })?;
    // RFC 7662 §2.2: `active` is the one member that is always there.
    if claims.get("active") != Some(&Value::Bool(true)) {
        return Err(not_accepted(upstream, "introspection says that it is not active".to_owned()));
    }
    check_issuer(upstream, metadata, &claims)?;
    Ok(claims)
}

/// Nothing when there is no userinfo endpoint.
async fn ask_userinfo(
    upstream: &Upstream,
    metadata: &Metadata,
    token: &Secret,
    standing: Standing,
    limit: Duration,
) -> Option<Result<ClaimMap, FetchError>> {
    let place = metadata.userinfo.as_ref()?;
    Some(upstream.ask(standing, limit, upstream.fetcher.userinfo(place, token, limit)).await)
}

/// An answer may leave the issuer out; one that names another is about somebody else.
fn check_issuer(
    upstream: &Upstream,
    metadata: &Metadata,
    claims: &ClaimMap,
) -> Result<(), TokenRefusal> {
    let own = [metadata.issuer.as_str(), upstream.config.issuer.as_str()];
    match claims.get("iss") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(named)) if own.contains(&named.as_str()) => Ok(()),
        Some(_) => Err(disagreement(upstream, "iss")),
    }
}

/// Whom the answer about an opaque token is about.
fn holder(upstream: &Upstream, claims: &ClaimMap) -> Result<Subject, TokenRefusal> {
    claims::subject(claims).map_err(|fault| not_accepted(upstream, fault.to_string()))
}

fn not_accepted(upstream: &Upstream, why: String) -> TokenRefusal {
    NoIdentity::NotAccepted { issuer: upstream.name(), why }.into()
}

fn disagreement(upstream: &Upstream, claim: &'static str) -> TokenRefusal {
    TokenRefusal::Disagreement { issuer: upstream.name(), claim }
}

/// True when the provider has decided (4xx); false when it could not answer.
fn is_final(why: &FetchError) -> bool {
    matches!(why, FetchError::InvalidToken | FetchError::Status(400..=428 | 430..=499))
}

fn not_opened(upstream: &Upstream, why: FetchError) -> TokenRefusal {
    if is_final(&why) {
        return not_accepted(upstream, why.to_string());
    }
    NoIdentity::Unreachable { issuer: upstream.name(), why }.into()
}
