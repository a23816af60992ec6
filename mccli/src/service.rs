//! The requests of the REST interface as typed calls.

use crate::{
    cache::Key,
    endpoint::Place,
    error::{Error, Result},
    http::{Answer, Http},
    report,
};
use motley_proto::{
    Issuer, Secret,
    rest::{
        AccountState, Detail, FullStatus, GenerateOtp, Info, OpInfo, OwnRequest, Refusal,
        StateAnswer, StateReceipt,
    },
    text::escape,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::cell::OnceCell;

/// Longest text of the service that is shown, in characters.
const SHOWN_CHARACTERS: usize = 500;

/// The service behind one endpoint.
pub(crate) struct Service<'a> {
    http: &'a Http,
    endpoint: String,
    /// What the endpoint was remembered for: it may be somewhere else by now.
    remembered_for: Option<Place>,
    moved_to: OnceCell<String>,
}

/// What `/info` tells, read by meaning.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// The answer as it came.
    pub(crate) raw: Value,
    /// Issuers, what their tokens need, and what the login prompt takes.
    pub(crate) info: Info,
}

/// An account as the service sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its state.
    pub(crate) state: AccountState,
    /// What the service says about it.
    pub(crate) message: String,
    /// Its local name, not yet checked.
    pub(crate) name: Option<String>,
    /// What admins were asked for, if the service tells.
    pub(crate) request: Option<OwnRequest>,
    /// What a suspension or its end did, if the service tells.
    pub(crate) receipt: Option<StateReceipt>,
}

impl<'a> Service<'a> {
    /// A service at an endpoint that was found or checked.
    pub(crate) fn new(http: &'a Http, endpoint: String) -> Self {
        Self { http, endpoint, remembered_for: None, moved_to: OnceCell::new() }
    }

    /// The service of a place: where it was lately, or where it is found now.
    ///
    /// # Errors
    /// As [`Place::find`].
    pub(crate) fn find(http: &'a Http, place: Place) -> Result<Self> {
        let recall = |cache: &crate::cache::Cache| cache.recall(Key::Endpoint(&place.label()));
        if let Some(endpoint) = http.cache().and_then(recall) {
            return Ok(Self { remembered_for: Some(place), ..Self::new(http, endpoint) });
        }
        Ok(Self::new(http, find_and_keep(http, &place)?))
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> &str {
        self.moved_to.get().unwrap_or(&self.endpoint)
    }

    /// `/info`.
    pub(crate) fn info(&self) -> Result<Facts> {
        let answer = self.ask(|| self.http.get_public(&self.url("/info")))?;
        Ok(Facts { raw: read("info", &answer)?, info: read("info", &answer)? })
    }

    /// `/info/op`: what a token of this issuer needs; `None` if the service does not support it.
    pub(crate) fn op(&self, issuer: &str) -> Result<Option<OpInfo>> {
        let path = format!("/info/op?url={}", query(issuer));
        let answer = self.ask(|| self.http.get_public(&self.url(&path)))?;
        if answer.status == 404 {
            return Ok(None);
        }
        read("info/op", &answer).map(Some)
    }

    /// `/info/authorisation`, as it comes.
    pub(crate) fn authorisation(&self, token: &Secret) -> Result<Value> {
        let answer = self.ask(|| self.http.get(&self.url("/info/authorisation"), Some(token)))?;
        read("info/authorisation", &answer)
    }

    /// `/user/status`, or `/user/get_status` of older services.
    pub(crate) fn status(&self, token: &Secret) -> Result<Standing> {
        let answer = self.ask(|| self.http.get(&self.url("/user/status"), Some(token)))?;
        if matches!(answer.status, 401 | 403) {
            return read("get_status", &answer).map(standing);
        }
        match answer.json::<FullStatus>() {
            Ok(full) if answer.status == 200 => Ok(Standing {
                state: full.state,
                name: usable_name(&full.username).or_else(|| named_in(&full.message)),
                message: full.message,
                request: full.request,
                receipt: None,
            }),
            _ => {
                let answer = self.http.get(&self.url("/user/get_status"), Some(token))?;
                read("get_status", &answer).map(standing)
            }
        }
    }

    /// `/user/deploy`.
    pub(crate) fn deploy(&self, token: &Secret) -> Result<Standing> {
        let answer = self.http.change(&self.url("/user/deploy"), token)?;
        read("deploy", &answer).map(standing)
    }

    /// `/user/suspend`.
    pub(crate) fn suspend(&self, token: &Secret) -> Result<Standing> {
        let answer = self.http.change(&self.url("/user/suspend"), token)?;
        read("suspend", &answer).map(standing)
    }

    /// `/admin/suspend` and `/admin/resume`: `verb` is the last word.
    pub(crate) fn administer(
        &self,
        verb: &str,
        subject: &str,
        issuer: &Issuer,
        token: &Secret,
    ) -> Result<Standing> {
        let query = format!("sub={}&iss={}", query(subject), query(issuer.as_str()));
        let url = self.url(&format!("/admin/{verb}?{query}"));
        let answer = self.http.change(&url, token)?;
        read("admin", &answer).map(standing)
    }

    /// `/user/generate_otp`.
    pub(crate) fn generate_otp(&self, token: &Secret) -> Result<GenerateOtp> {
        let answer = self.http.change(&self.url("/user/generate_otp"), token)?;
        read("generate_otp", &answer)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint())
    }

    /// Asks, and once more where the service is now if it is not where it was remembered.
    fn ask(&self, request: impl Fn() -> Result<Answer>) -> Result<Answer> {
        let outcome = request();
        let is_there = match &outcome {
            Ok(answer) => answer.json::<serde_json::Map<String, Value>>().is_ok(),
            Err(Error::Network { .. } | Error::Tls { .. }) => false,
            Err(_) => true,
        };
        if is_there || !self.has_moved() { outcome } else { request() }
    }

    fn has_moved(&self) -> bool {
        let Some(place) = &self.remembered_for else { return false };
        if self.moved_to.get().is_some() {
            return false;
        }
        if let Some(cache) = self.http.cache() {
            cache.forget(Key::Endpoint(&place.label()));
        }
        match find_and_keep(self.http, place) {
            Ok(endpoint) if endpoint != self.endpoint => {
                report::info(&format!("the service has moved to {endpoint}"));
                self.moved_to.set(endpoint).is_ok()
            }
            Ok(_) => false,
            Err(error) => {
                report::debug(&error.to_string());
                false
            }
        }
    }
}

fn find_and_keep(http: &Http, place: &Place) -> Result<String> {
    let endpoint = place.find(http)?;
    if let Some(cache) = http.cache() {
        cache.keep(Key::Endpoint(&place.label()), &endpoint);
    }
    Ok(endpoint)
}

fn standing(answer: StateAnswer) -> Standing {
    let given = answer.credentials.get("ssh_user").and_then(Value::as_str).and_then(usable_name);
    let name = given.or_else(|| named_in(&answer.message));
    let StateAnswer { state, message, receipt, .. } = answer;
    Standing { state, message, name, request: None, receipt }
}

fn usable_name(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The name in `username NAME`; no other sentence is taken apart.
fn named_in(message: &str) -> Option<String> {
    message.strip_prefix("username ").and_then(usable_name)
}

fn read<T: DeserializeOwned>(call: &'static str, answer: &Answer) -> Result<T> {
    match answer.status {
        200 => answer
            .json()
            .map_err(|error| Error::BadAnswer { call, reason: format!("not its JSON: {error}") }),
        401 => Err(Error::TokenRefused { call, reason: reason(answer) }),
        403 => Err(Error::NotAuthorised { call, reason: reason(answer) }),
        status => Err(Error::Refused { call, status, reason: reason(answer) }),
    }
}

fn reason(answer: &Answer) -> String {
    let text = if let Ok(it) = answer.json::<Refusal>() {
        format!("{} - {}", it.error, it.error_description)
    } else if let Ok(it) = answer.json::<StateAnswer>() {
        format!("[state={}] {}", it.state, it.message)
    } else if let Ok(it) = answer.json::<Detail>() {
        it.detail
    } else {
        String::from_utf8_lossy(&answer.body).into_owned()
    };
    escape(&text, SHOWN_CHARACTERS)
}

/// Percent-encodes a query value (RFC 3986 §2.1).
pub(crate) fn query(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_are_encoded() {
        assert_eq!(query("https://op.example/a b&c"), "https%3A%2F%2Fop.example%2Fa%20b%26c");
    }

    #[test]
    fn only_the_one_known_sentence_names_an_account() {
        assert_eq!(named_in("username alice").as_deref(), Some("alice"));
        assert_eq!(named_in("User deployment is pending approval."), None);
        assert_eq!(named_in("username "), None);
    }

    #[test]
    fn refusals_are_shown_in_one_line() {
        let answer = |body: &str| Answer { status: 401, body: body.as_bytes().to_vec().into() };
        assert_eq!(
            reason(&answer(r#"{"error":"Unauthenticated","error_description":"no\n\u001b[31m"}"#)),
            "Unauthenticated - no\\u{a}\\u{1b}[31m"
        );
        assert_eq!(reason(&answer(r#"{"detail":"Not authenticated"}"#)), "Not authenticated");
        assert_eq!(reason(&answer("<html>")), "<html>");
    }
}
