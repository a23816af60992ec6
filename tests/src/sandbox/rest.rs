//! A small REST client for tests that are not asynchronous.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::RequestBuilder;
use serde_json::Value;
use tokio::runtime::Runtime;

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status code.
    pub status: u16,
    /// Headers by lower-case name; the last of several wins.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub text: String,
}

impl Reply {
    /// The body as JSON, `null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

/// Sends requests to one base URL; never follows a redirect.
#[derive(Debug)]
pub struct Rest {
    base: String,
    client: reqwest::Client,
    runtime: Runtime,
}

impl Rest {
    /// A client for `base`, e.g. `http://127.0.0.1:8080`; `ca` is a PEM text to trust besides.
    ///
    /// # Errors
    /// When the PEM text holds no certificate.
    pub fn new(base: &str, ca: Option<&str>) -> Result<Self> {
        Self::with_timeout(base, ca, Duration::from_secs(60))
    }

    /// The same, but no answer may take longer than `limit`.
    ///
    /// # Errors
    /// When the PEM text holds no certificate.
    pub fn with_timeout(base: &str, ca: Option<&str>, limit: Duration) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(limit);
        if let Some(pem) = ca {
            builder = builder.tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes())?]);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { base, client: builder.build()?, runtime })
    }

    /// `GET path`, with a bearer token where one is given.
    ///
    /// # Errors
    /// When no answer came.
    pub fn get(&self, path: &str, token: Option<&str>) -> Result<Reply> {
        let authorization = token.map(|token| format!("Bearer {token}"));
        self.send("GET", path, authorization.as_deref(), None)
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// When no answer came.
    pub fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Result<Reply> {
        let authorization = token.map(|token| format!("Bearer {token}"));
        self.send("POST", path, authorization.as_deref(), Some(body))
    }

    /// `POST path` with a form-encoded body and the `Authorization` header as given.
    ///
    /// # Errors
    /// When no answer came.
    pub fn post_form(&self, path: &str, authorization: Option<&str>, form: &str) -> Result<Reply> {
        let request = self.request("POST", path, authorization)?;
        let form_type = "application/x-www-form-urlencoded";
        self.execute(request.header("content-type", form_type).body(form.to_owned()))
    }

    /// Any method, with the `Authorization` header exactly as given.
    ///
    /// # Errors
    /// When the request is malformed or no answer came.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Reply> {
        let request = self.request(method, path, authorization)?;
        self.execute(match body {
            Some(body) => request.json(body),
            None => request,
        })
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
    ) -> Result<RequestBuilder> {
        let request = self.client.request(method.parse()?, format!("{}{path}", self.base));
        Ok(match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        })
    }

    fn execute(&self, request: RequestBuilder) -> Result<Reply> {
        self.runtime.block_on(async {
            let response = request.send().await.context("no answer")?;
            let status = response.status().as_u16();
            let headers = response
                .headers()
                .iter()
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect();
            Ok(Reply { status, headers, text: response.text().await? })
        })
    }
}
