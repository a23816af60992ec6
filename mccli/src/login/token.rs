//! The token endpoint: grants redeemed, tokens refreshed and revoked.

use super::LoginError;
use crate::{
    claims::Claims,
    error::{Error, Result},
    http::{Answer, Http},
    logins::{Client, Login},
    service::query,
    source::now_s,
};
use motley_proto::Secret;
use serde::Deserialize;

/// Members of an answer (RFC 6749 §5.1).
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Secret,
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<Number>,
    refresh_token: Option<Secret>,
    scope: Option<String>,
    id_token: Option<Secret>,
}

/// Some providers write numbers as texts.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Number(f64),
    Text(String),
}

impl Number {
    pub(super) fn value(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
        .filter(|number| number.is_finite() && *number >= 0.0)
    }
}

/// Members of a refusal (RFC 6749 §5.2).
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_description: String,
}

impl Refusal {
    /// As an error of this request.
    pub(super) fn of(self, what: &'static str) -> Error {
        LoginError::Refused { what, code: self.error, description: self.error_description }.into()
    }
}

/// What a provider granted.
pub(super) struct Granted {
    pub(super) access_token: Secret,
    pub(super) refresh_token: Option<Secret>,
    pub(super) expires_at_s: f64,
    /// `None`: as asked.
    pub(super) scopes: Option<Vec<String>>,
    pub(super) id_token: Option<Secret>,
    /// `sub` of the id token, once it is checked.
    pub(super) subject: Option<String>,
    /// `preferred_username` of the same.
    pub(super) name: Option<String>,
}

/// Asks the token endpoint; the inner error is the provider's refusal.
///
/// # Errors
/// When there is no answer, or none that can be understood.
pub(super) fn ask(
    http: &Http,
    endpoint: &str,
    client: &Client,
    fields: &[(&str, &str)],
) -> Result<std::result::Result<Granted, Refusal>> {
    let answer = post(http, endpoint, client, fields)?;
    if answer.status != 200 {
        return refusal(endpoint, &answer).map(Err);
    }
    let unusable = |reason: String| -> Error {
        LoginError::Provider { issuer: endpoint.to_owned(), reason }.into()
    };
    // What serde says may quote the answer, and with it a token: only the place is told.
    let answer: TokenAnswer = answer.json().map_err(|error| {
        unusable(format!("its answer holds no token (JSON, column {})", error.column()))
    })?;
    if answer.token_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(unusable("it gives out no bearer tokens".to_owned()));
    }
    Ok(Ok(granted(answer)))
}

fn granted(answer: TokenAnswer) -> Granted {
    let now_s = now_s();
    let stated = answer.expires_in.and_then(|number| number.value());
    let claimed = || Claims::of(&answer.access_token)?.seconds_left(now_s);
    Granted {
        // A token that does not say how long it lasts is used once and not kept.
        expires_at_s: now_s + stated.or_else(claimed).unwrap_or(0.0),
        scopes: answer
            .scope
            .filter(|scope| !scope.trim().is_empty())
            .map(|scope| scope.split_whitespace().map(str::to_owned).collect()),
        access_token: answer.access_token,
        refresh_token: answer.refresh_token,
        id_token: answer.id_token,
        subject: None,
        name: None,
    }
}

/// Sends a form in the client's name (RFC 6749 §2.3.1, §3.2.1).
pub(super) fn post(
    http: &Http,
    endpoint: &str,
    client: &Client,
    fields: &[(&str, &str)],
) -> Result<Answer> {
    let secret = client.secret.as_ref().map(|secret| secret.0.expose());
    let mut fields = fields.to_vec();
    match secret {
        Some(secret) if !client.secret_in_form => {
            // Both are form-encoded before they become user and password.
            let (id, secret) = (query(&client.id), zeroize::Zeroizing::new(query(secret)));
            http.post_form(endpoint, &fields, Some((&id, &secret)))
        }
        _ => {
            fields.push(("client_id", &client.id));
            fields.extend(secret.map(|secret| ("client_secret", secret)));
            http.post_form(endpoint, &fields, None)
        }
    }
}

/// Reads a refusal; trouble of the provider's own is none, and may pass.
pub(super) fn refusal(endpoint: &str, answer: &Answer) -> Result<Refusal> {
    let passing = answer.status >= 500 || answer.status == 429;
    let refusal = answer.json().ok().filter(|_| !passing);
    let reason = || format!("HTTP {}, and no OAuth error", answer.status);
    refusal.ok_or_else(|| Error::Network { url: endpoint.to_owned(), reason: reason() })
}

/// `audience` as many providers call it, and `resource` of RFC 8707, which must be a URI.
pub(super) fn audience_fields(audience: Option<&str>) -> Vec<(&'static str, &str)> {
    let uri = |text: &str| reqwest::Url::parse(text).is_ok_and(|url| url.has_host());
    audience
        .into_iter()
        .flat_map(|text| [Some(("audience", text)), uri(text).then_some(("resource", text))])
        .flatten()
        .collect()
}

/// Gives the tokens back (RFC 7009); false where the provider has no endpoint for it.
///
/// # Errors
/// When the provider can't be asked or refuses.
pub(crate) fn revoke(http: &Http, login: &Login) -> Result<bool> {
    let Some(endpoint) = &login.endpoints.revocation else { return Ok(false) };
    let access = login.access.iter().map(|access| (&access.token, "access_token"));
    let refresh = login.refresh_token.iter().map(|token| (token, "refresh_token"));
    for (token, hint) in refresh.chain(access) {
        let fields = [("token", token.expose()), ("token_type_hint", hint)];
        let answer = post(http, endpoint, &login.client, &fields)?;
        if answer.status != 200 {
            return Err(refusal(endpoint, &answer)?.of("the revocation"));
        }
    }
    Ok(true)
}
