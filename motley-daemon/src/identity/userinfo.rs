//! Asks a provider about the holder of a token and checks that the answer is about the same person.

use super::claims::{self, Ends, TimeRules};
use super::fetch::{Endpoint, FetchError};
use super::kind;
use super::provider::{ClientCredentials, Metadata};
use super::refusal::{Cure, NoIdentity, TokenRefusal};
use super::tally::Place;
use super::upstream::{Standing, Upstream};
use crate::clock::Timestamp;
use crate::verified::ClaimMap;
use motley_proto::{Secret, Subject};
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// What userinfo had to tell.
#[derive(Debug)]
pub(crate) enum Told {
    /// Nothing was asked, for this reason.
    NotAsked(&'static str),
    /// These claims, about the right person.
    Claims(ClaimMap),
    /// Nothing usable, and asking again soon brings no more.
    Nothing(String),
    /// It could not answer; asking again soon may bring more.
    NotNow(FetchError),
}

/// A question about one token.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) upstream: &'a Upstream,
    pub(crate) metadata: &'a Metadata,
    pub(crate) token: &'a Secret,
    /// What is known about the token.
    pub(crate) standing: Standing,
    /// The time for each single question.
    pub(crate) limit: Duration,
}

/// Asks userinfo about a token whose signature holds.
///
/// Userinfo that can't be reached or refuses for want of a scope (403, or 401 with that word) only
/// means fewer claims. Any other 401 means that the token was revoked.
///
/// # Errors
/// When the provider says that the token is not valid, or its answer is about somebody else
/// (OpenID Connect Core 1.0 §5.3.2).
pub(crate) async fn ask_about_signed(
    question: Question<'_>,
    subject: &Subject,
    cure: impl FnOnce() -> Cure,
) -> Result<Told, TokenRefusal> {
    let Question { upstream, metadata, .. } = question;
    let question = Question { standing: Standing::Vouched, ..question };
    let claims = match ask_userinfo(question, subject.as_str()).await {
        None => return Ok(Told::NotAsked("the provider has no userinfo")),
        Some(Ok(claims)) => claims,
        Some(Err(FetchError::InvalidToken)) => {
            return Err(TokenRefusal::Revoked { issuer: upstream.name(), cure: cure() });
        }
        Some(Err(why)) => {
            tracing::info!(issuer = %upstream.config.issuer, reason = %why, "no userinfo; the token's own claims are used");
            let told =
                if why.is_final() { Told::Nothing(why.to_string()) } else { Told::NotNow(why) };
            return Ok(told);
        }
    };
    check_issuer(upstream, metadata, &claims)?;
    match claims.get("sub") {
        Some(Value::String(named)) if named == subject.as_str() => Ok(Told::Claims(claims)),
        // Without `sub` nothing binds the answer to the token, so it must not be used.
        None | Some(Value::Null) => {
            tracing::warn!(issuer = %upstream.config.issuer, "userinfo without `sub` is not used");
            Ok(Told::Nothing("its answer names nobody (claim `sub`)".to_owned()))
        }
        Some(_) => Err(disagreement(upstream, "sub")),
    }
}

/// What a provider tells about an opaque token: its holder, its claims and its end.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) subject: Subject,
    pub(crate) told: Told,
    pub(crate) introspection: Option<ClaimMap>,
    pub(crate) ends: Ends,
}

/// Asks the provider of an opaque token about it: introspection where there are credentials for it,
/// and userinfo.
///
/// # Errors
/// When the provider does not accept the token, can't be reached, or contradicts itself; when the
/// token is not of this time.
pub(crate) async fn open_opaque(
    question: Question<'_>,
    now: Timestamp,
    rules: TimeRules,
) -> Result<Opened, TokenRefusal> {
    let Question { upstream, metadata, .. } = question;
    let introspection = match (&upstream.config.introspection, &metadata.introspection) {
        (Some(credentials), Some(place)) => Some(introspect(question, place, credentials).await?),
        _ => None,
    };
    let none = ClaimMap::new();
    let introspected = introspection.as_ref().unwrap_or(&none);
    let ends = claims::check_dates(introspected, now, rules).map_err(|refusal| match refusal {
        TokenRefusal::Malformed(fault) => not_accepted(upstream, fault.to_string()),
        other => other,
    })?;
    if introspected.contains_key("sub") {
        let subject = holder(upstream, introspected)?;
        let told = ask_about_signed(question, &subject, || Cure::AskLess).await?;
        return Ok(Opened { subject, told, introspection, ends });
    }
    // Introspection that found it active has vouched for it.
    let standing = if introspection.is_some() { Standing::Vouched } else { question.standing };
    let question = Question { standing, ..question };
    let claims = match ask_userinfo(question, question.token.expose()).await {
        Some(answer) => answer.map_err(|why| not_opened(upstream, why))?,
        None => return Err(NoIdentity::NoEndpoint { issuer: upstream.name() }.into()),
    };
    check_issuer(upstream, metadata, &claims)?;
    let subject = holder(upstream, &claims)?;
    Ok(Opened { subject, told: Told::Claims(claims), introspection, ends })
}

async fn introspect(
    question: Question<'_>,
    place: &Endpoint,
    credentials: &ClientCredentials,
) -> Result<ClaimMap, TokenRefusal> {
    let Question { upstream, metadata, token, standing, limit } = question;
    let ClientCredentials { id, secret } = credentials;
    let fetcher = &upstream.fetcher;
    let about = (standing, mark(token.expose()));
    let answer = upstream.ask(Place::Introspection, about, limit, |left| {
        fetcher.introspection(place, id, secret, token, left)
    });
    let claims = answer.await.map_err(|why| match why {
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
    kind::check_introspected(&claims).map_err(|fault| not_accepted(upstream, fault.to_string()))?;
    Ok(claims)
}

/// Nothing when there is no userinfo endpoint.
async fn ask_userinfo(question: Question<'_>, about: &str) -> Option<Result<ClaimMap, FetchError>> {
    let Question { upstream, metadata, token, standing, limit } = question;
    let place = metadata.userinfo.as_ref()?;
    let fetcher = &upstream.fetcher;
    let ask = upstream.ask(Place::Userinfo, (standing, mark(about)), limit, |left| {
        fetcher.userinfo(place, token, left)
    });
    Some(ask.await)
}

/// Tells people and tokens apart, well enough for counting.
fn mark(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
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

fn not_opened(upstream: &Upstream, why: FetchError) -> TokenRefusal {
    if why.is_final() {
        return not_accepted(upstream, why.to_string());
    }
    NoIdentity::Unreachable { issuer: upstream.name(), why }.into()
}
