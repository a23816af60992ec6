//! One request to the registration service, one answer: bounded, without redirects, never guessed.

use super::BwIdmConfig;
use crate::backend::BackendError;
use motley_proto::{identity::quote_plus, text::escape};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

/// Longest answer, in bytes.
const MAX_BODY: usize = 4 << 20;
/// How much of an answer is told in an error.
const SHOWN: usize = 200;
/// How the service says that something is not there, with whatever status.
const ABSENT: &str = "no such";

/// What the service answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// There is no such thing.
    Absent,
    /// It is there, or was done. `Null` where the answer is no JSON.
    Present(Value),
}

/// The client.
pub(super) struct Rest {
    client: Client,
    config: BwIdmConfig,
}

impl Rest {
    /// Prepares it. Nothing is sent yet.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] when this host has no usable TLS.
    pub(super) fn new(config: BwIdmConfig) -> Result<Self, BackendError> {
        let client = Client::builder()
            .user_agent(concat!("motley/", env!("CARGO_PKG_VERSION")))
            .https_only(config.url.is_https())
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .timeout(config.timeout)
            .connect_timeout(config.timeout)
            .build()
            .map_err(|error| BackendError::Unavailable {
                what: format!("no client for the registration service can be made: {error}"),
                cure: "check that the certificate authorities of this host can be read".to_owned(),
            })?;
        Ok(Self { client, config })
    }

    /// Asks for something, or has something done: the service changes things by GET.
    pub(super) async fn get(&self, path: &[&str]) -> Result<Answer, BackendError> {
        self.send(Method::GET, path, None).await
    }

    /// As [`Rest::get`], with an error that was the answer told from no answer at all.
    pub(super) async fn answer_to(
        &self,
        path: &[&str],
    ) -> Result<Result<Answer, BackendError>, BackendError> {
        let (status, bytes) = self.exchange(Method::GET, path, None).await?;
        Ok(self.read(status, &bytes))
    }

    /// Hands over a record.
    pub(super) async fn post(&self, path: &[&str], body: &Value) -> Result<Answer, BackendError> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Answer, BackendError> {
        let (status, bytes) = self.exchange(method, path, body).await?;
        self.read(status, &bytes)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<(StatusCode, Vec<u8>), BackendError> {
        let mut url = self.config.url.text().to_owned();
        for element in path {
            url.push('/');
            // No element has a blank, which alone is written otherwise in a path than in a form.
            url.push_str(&quote_plus(element));
        }
        let mut request = self
            .client
            .request(method, url)
            .basic_auth(&self.config.user, Some(self.config.password.expose()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response =
            request.send().await.map_err(|error| self.unavailable(&causes(&error)))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.unavailable(&causes(&error)))?
        {
            if bytes.len().saturating_add(chunk.len()) > MAX_BODY {
                return Err(self.unavailable(&format!("answers more than {MAX_BODY} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((status, bytes))
    }

    fn read(&self, status: StatusCode, bytes: &[u8]) -> Result<Answer, BackendError> {
        let text = String::from_utf8_lossy(bytes);
        if status == StatusCode::UNAUTHORIZED {
            return Err(BackendError::Unavailable {
                what: "the registration service does not know us".to_owned(),
                cure: "check http_user and http_pass in [backend.bwidm]".to_owned(),
            });
        }
        let parsed = serde_json::from_slice::<Value>(bytes);
        // A record may well hold these words; a message that holds them is no record.
        let is_record = parsed.as_ref().is_ok_and(|value| value.is_array() || is_user(value));
        if !is_record && text.to_lowercase().contains(ABSENT) {
            return Ok(Answer::Absent);
        }
        if !status.is_success() {
            let shown = escape(text.trim(), SHOWN);
            return Err(self.unavailable(&format!("answers {}: {shown}", status.as_u16())));
        }
        Ok(Answer::Present(parsed.unwrap_or(Value::Null)))
    }

    /// The service could not do what was asked, or said what nobody understands.
    pub(super) fn unavailable(&self, what: &str) -> BackendError {
        BackendError::Unavailable {
            what: format!("the registration service at {} {what}", self.config.url.text()),
            cure: "check url in [backend.bwidm], the network, and the service itself".to_owned(),
        }
    }
}

fn is_user(value: &Value) -> bool {
    value.get("externalId").is_some() || value.get("id").is_some()
}

/// The innermost cause says what happened; the outer ones only repeat the address.
fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "gives no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    format!("can't be asked: {}", escape(&cause.to_string(), SHOWN))
}
