//! Which client of a provider mccli is: named, known to oidc-agent, or registered for it.

use super::{LoginError, Order, Provider, pubclients};
pub(super) use crate::logins::Origin;
use crate::{
    config::OpRule,
    error::{Error, Result},
    http::Http,
    logins::{Client, ClientSecret, Login, Logins},
    report,
};
use motley_proto::Secret;
use serde::Deserialize;

/// Address to come back to that a native client registers; any port fits (RFC 8252 §7.3).
pub(super) const REDIRECT: &str = "http://127.0.0.1/";

/// The client: of the command line, else of the configuration, else the service's, else of
/// oidc-agent's list, else the one that an earlier login registered, else a new one.
///
/// # Errors
/// [`LoginError::NoClient`], or the file with the secret can't be read.
pub(super) fn choose(
    http: &Http,
    provider: &Provider,
    logins: &Logins,
    rule: &OpRule,
    order: &Order,
) -> Result<(Client, Origin)> {
    let made = |id: &str, secret: Option<Secret>| Client {
        id: id.to_owned(),
        secret: secret.map(ClientSecret),
        secret_in_form: provider.takes_secret_in_form_only(),
    };
    if let Some(id) = &order.client_id {
        return Ok((made(id, order.client_secret.clone()), Origin::Named));
    }
    if let Some(id) = &rule.client_id {
        let secret = match (&order.client_secret, &rule.client_secret_file) {
            (Some(secret), _) => Some(secret.clone()),
            (None, Some(path)) => Some(secret_in(path)?),
            (None, None) => None,
        };
        return Ok((made(id, secret), Origin::Named));
    }
    if let Some(id) = &order.suggested_client {
        return Ok((made(id, None), Origin::Named));
    }
    if let Some((id, secret)) = pubclients::find(&provider.issuer) {
        return Ok((made(&id, secret), Origin::OidcAgent));
    }
    let labels = logins.list().into_iter().filter(|label| label.issuer == provider.issuer);
    let earlier = labels.filter_map(|label| logins.open(&label).ok().flatten());
    if let Some(client) = registered(earlier) {
        return Ok((client, Origin::Registered));
    }
    register(http, provider).map(|client| (client, Origin::Registered))
}

/// The client that one of these logins registered. One that somebody named then may have been right
/// for one service only, and one of oidc-agent may have left its list.
fn registered(logins: impl Iterator<Item = Login>) -> Option<Client> {
    logins.into_iter().find(|login| login.origin == Origin::Registered).map(|login| login.client)
}

/// The first line of a file with a client's secret.
///
/// # Errors
/// When the file can't be read.
pub(crate) fn secret_in(path: &std::path::Path) -> Result<Secret> {
    let text = std::fs::read_to_string(path)
        .map(zeroize::Zeroizing::new)
        .map_err(|source| Error::File { path: path.to_owned(), source })?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().trim().to_owned()))
}

/// RFC 7591 §3.2.1.
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<Secret>,
}

/// Registers a native public client (RFC 7591, RFC 8252 §8.4).
fn register(http: &Http, provider: &Provider) -> Result<Client> {
    let none = |reason: String| LoginError::NoClient { issuer: provider.issuer.clone(), reason };
    let endpoint = provider.registration_endpoint.as_deref().ok_or_else(|| {
        none("none is configured, and the provider registers none by itself".to_owned())
    })?;
    let mut grants = vec!["authorization_code", "refresh_token"];
    if provider.device_authorization_endpoint.is_some() {
        grants.push("urn:ietf:params:oauth:grant-type:device_code");
    }
    let body = serde_json::json!({
        "client_name": "mccli",
        "application_type": "native",
        "redirect_uris": [REDIRECT],
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    let answer = http.post_json(endpoint, &body)?;
    if !matches!(answer.status, 200 | 201) {
        let words = super::token::refusal(endpoint, &answer).map_or_else(
            |_| format!("HTTP {}", answer.status),
            |refusal| format!("{}{}", refusal.error, super::described(&refusal.error_description)),
        );
        return Err(none(format!("the provider refused to register one: {words}")).into());
    }
    let client: Registered = answer.json().map_err(|_| {
        none("the provider's answer to the registration holds no client_id".to_owned())
    })?;
    report::info(&format!("registered as the client {} at {}", client.client_id, provider.issuer));
    Ok(Client {
        id: client.client_id,
        secret: client.client_secret.map(ClientSecret),
        secret_in_form: provider.takes_secret_in_form_only(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn login(id: &str, origin: &serde_json::Value) -> Login {
        let mut text = json!({
            "issuer": "https://op.example",
            "client": {"id": id, "secret": null, "secret_in_form": false},
            "endpoints": {"token": "https://op.example/token", "revocation": null, "userinfo": null},
            "scopes": [], "refresh_token": null, "access": [], "subject": null,
        });
        if !origin.is_null() {
            text["origin"] = origin.clone();
        }
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn only_a_client_that_mccli_registered_is_used_for_another_login() {
        let others = [json!(null), json!("named"), json!("oidc-agent")]
            .map(|origin| login("other", &origin));
        assert!(registered(others.clone().into_iter()).is_none());
        let ours = login("ours", &json!("registered"));
        let client = registered(others.into_iter().chain([ours])).unwrap();
        assert_eq!(client.id, "ours");
    }
}
