//! The requests to a mytoken server (API version 0).

use super::claims::MytokenClaims;
use crate::{
    http::{Answer, Http},
    login::is_plain,
};
use motley_proto::{Issuer, Secret, text::escape};
use serde::Deserialize;
use serde_json::json;

/// Longest text of the server that is shown, in characters.
const SHOWN: usize = 300;

/// A server, and where it takes requests.
pub(super) struct Server<'a> {
    http: &'a Http,
    url: String,
    configuration: Configuration,
}

/// `/.well-known/mytoken-configuration`.
#[derive(Deserialize)]
struct Configuration {
    issuer: Option<String>,
    access_token_endpoint: String,
    mytoken_endpoint: String,
}

/// What an access token shall be good for.
pub(super) struct Grant<'a> {
    pub(super) issuer: Option<&'a str>,
    pub(super) scope: &'a str,
    pub(super) audience: &'a str,
}

/// An access token, and the successor of the mytoken if there is one.
#[derive(Deserialize)]
pub(super) struct Granted {
    pub(super) access_token: Secret,
    pub(super) token_update: Option<Update>,
}

/// A mytoken that comes in place of another one, or of a transfer code.
#[derive(Deserialize)]
pub(super) struct Update {
    mytoken: Option<Secret>,
}

/// Why the server gave nothing.
pub(super) enum Refusal {
    /// It said so.
    Said {
        /// Where.
        server: String,
        /// HTTP status code.
        status: u16,
        /// One of the API's words.
        error: String,
        /// For people.
        description: String,
    },
    /// It could not be asked, or its answer is not understood.
    Broken(String),
}

#[derive(Deserialize)]
struct Said {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl<'a> Server<'a> {
    /// Asks the server where it takes requests.
    pub(super) fn discover(http: &'a Http, url: &str) -> Result<Self, String> {
        let url = url.trim_end_matches('/').to_owned();
        let place = format!("{url}/.well-known/mytoken-configuration");
        let answer = http.get(&place, None).map_err(|error| error.to_string())?;
        let configuration: Configuration = match answer.status {
            200 => answer.json().ok(),
            _ => None,
        }
        .ok_or_else(|| {
            format!(
                "{url} is no mytoken server ([HTTP {}] at {place}); check --mytoken-server",
                answer.status
            )
        })?;
        if let Some(named) = &configuration.issuer
            && Issuer::canonical(named) != Issuer::canonical(&url)
        {
            return Err(format!("{place} is about another server, {}", escape(named, SHOWN)));
        }
        for endpoint in [&configuration.access_token_endpoint, &configuration.mytoken_endpoint] {
            if is_plain(endpoint) && !is_plain(&url) {
                return Err(format!(
                    "{place} names {}, which is not encrypted; tell its administrators",
                    escape(endpoint, SHOWN)
                ));
            }
        }
        Ok(Self { http, url, configuration })
    }

    /// An access token.
    pub(super) fn access_token(
        &self,
        mytoken: &Secret,
        wanted: &Grant<'_>,
    ) -> Result<Granted, Refusal> {
        let mut body = json!({
            "grant_type": "mytoken",
            "mytoken": mytoken.expose(),
            "comment": "mccli ssh",
        });
        let texts = [
            ("oidc_issuer", wanted.issuer),
            ("scope", Some(wanted.scope)),
            ("audience", Some(wanted.audience)),
        ];
        for (name, text) in texts {
            if let (Some(text), Some(body)) =
                (text.filter(|text| !text.is_empty()), body.as_object_mut())
            {
                body.insert(name.to_owned(), text.into());
            }
        }
        let granted: Granted = self.post(&self.configuration.access_token_endpoint, &body)?;
        if granted.access_token.is_empty() && granted.token_update.is_none() {
            return Err(Refusal::Broken(format!("{} answered without a token", self.url)));
        }
        Ok(granted)
    }

    /// The mytoken behind a transfer code, which is used up by this.
    pub(super) fn redeem(&self, code: &Secret) -> Result<Secret, Refusal> {
        let body = json!({"grant_type": "transfer_code", "transfer_code": code.expose()});
        let update: Update = self.post(&self.configuration.mytoken_endpoint, &body)?;
        update.mytoken().map_err(Refusal::Broken)
    }

    fn post<T: serde::de::DeserializeOwned>(
        &self,
        endpoint: &str,
        body: &serde_json::Value,
    ) -> Result<T, Refusal> {
        let answer = self
            .http
            .post_json(endpoint, body)
            .map_err(|error| Refusal::Broken(error.to_string()))?;
        if answer.status != 200 {
            return Err(self.refusal(&answer));
        }
        answer.json().map_err(|_| {
            Refusal::Broken(format!("{} gave an answer that is not understood", self.url))
        })
    }

    fn refusal(&self, answer: &Answer) -> Refusal {
        let said = answer
            .json::<Said>()
            .unwrap_or(Said { error: "no reason".to_owned(), error_description: String::new() });
        Refusal::Said {
            server: self.url.clone(),
            status: answer.status,
            error: escape(&said.error, SHOWN),
            description: escape(&said.error_description, SHOWN),
        }
    }
}

impl Update {
    /// The mytoken itself.
    pub(super) fn mytoken(self) -> Result<Secret, String> {
        self.mytoken.filter(|text| !text.is_empty()).ok_or_else(|| {
            "the server replaced the mytoken and did not say by what; make a new one".to_owned()
        })
    }
}

impl Refusal {
    /// Cause and next step, for a mytoken with these claims.
    pub(super) fn explain(&self, claims: Option<&MytokenClaims>, now_s: f64) -> String {
        let (server, status, error, description) = match self {
            Self::Broken(why) => return why.clone(),
            Self::Said { server, status, error, description } => {
                (server, status, error, description)
            }
        };
        match error.as_str() {
            "invalid_token" => format!(
                "{server} does not know the mytoken: it was revoked, or replaced by a newer one; make a new one there"
            ),
            "expired_token" => format!("the mytoken is expired; make a new one at {server}"),
            "access_denied" => format!("the mytoken was not consented to; make a new one at {server} and accept it"),
            "insufficient_capabilities" => claims.map_or_else(
                || format!("the mytoken may not get access tokens; make one with the capability AT at {server}"),
                MytokenClaims::lacks_capability,
            ),
            "usage_restricted" => {
                let limits = claims.map_or_else(
                    || "its restrictions are shown there".to_owned(),
                    |claims| claims.limits(now_s),
                );
                format!("the mytoken may not be used for this, or not any more: {limits}; make a wider one at {server}")
            }
            "authorization_pending" => format!("the mytoken waits for your consent at {server}"),
            "oidc_error" => format!(
                "the provider behind {server} refuses: {description}; make a new mytoken, which logs you in again"
            ),
            _ => format!("{server} refuses: [HTTP {status}] {error} - {description}"),
        }
    }

    /// Cause and next step, for a transfer code.
    pub(super) fn explain_for_transfer_code(&self) -> String {
        match self {
            Self::Said { server, error, .. }
                if error == "invalid_token" || error == "expired_token" =>
            {
                format!(
                    "{server} does not take the transfer code: it works once and for a few minutes only; make a new one"
                )
            }
            other => other.explain(None, 0.0),
        }
    }
}
