//! Asks a provider over HTTPS: no redirects, bounded size, bounded time, JSON only.

use super::json::parse_object;
use crate::verified::ClaimMap;
use aws_lc_rs::digest;
use motley_proto::{Issuer, Secret};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Certificate, Client, Proxy, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// Longest public document that is read, in bytes.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
/// Longest answer about one token that is read, in bytes. There may be many of them at a time, and
/// they are remembered.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// How long the body of a refusal is waited for: its status alone says enough.
const REFUSAL_TIME: Duration = Duration::from_millis(500);
/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// URL of an HTTP proxy. It may hold a password, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// Reads `http://` or `https://`, host and port; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(Self(url))
    }
}

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProxyUrl({})", self.0.host_str().unwrap_or_default())
    }
}

/// How providers are reached.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// PEM file with certificate authorities to trust beside those of the system. The system's are
    /// those of `SSL_CERT_FILE` and `SSL_CERT_DIR` where these are set.
    pub ca_file: Option<PathBuf>,
    /// HTTP proxy through which https providers are asked (RFC 9110 §9.3.6, CONNECT). Without one,
    /// `HTTPS_PROXY` and `NO_PROXY` of the environment count.
    pub proxy: Option<ProxyUrl>,
}

/// Why the HTTP client can't be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The CA file can't be read.
    #[error("CA file {path}: {why}; is it readable by the daemon's user?")]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// The CA file holds no certificate.
    #[error("CA file {path} holds no PEM certificate")]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// The proxy can't be used.
    #[error("[tokens] proxy can't be used: {0}")]
    Proxy(String),
    /// The TLS client can't be set up.
    #[error(
        "no HTTPS client: {0}; is the package ca-certificates installed, or does SSL_CERT_FILE name a bundle?"
    )]
    Client(String),
}

/// Why a provider gave no usable answer. Holds nothing of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The connection did not come up, or broke.
    #[error("no connection ({0})")]
    Connection(String),
    /// Its TLS certificate is not trusted.
    #[error(
        "its certificate is not trusted ({0}); name the authority that signed it in `ca_file` or add it to the system's"
    )]
    Certificate(String),
    /// No whole answer in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// Too many requests to this provider are under way.
    #[error("too many requests to it are under way")]
    Busy,
    /// It failed repeatedly and is left alone for a moment.
    #[error("it failed repeatedly and is asked again in a moment")]
    Resting,
    /// It points elsewhere, which is never followed.
    #[error("it answers with a redirect (status {0}), which is not followed")]
    Redirect(u16),
    /// It refuses.
    #[error("it answers with status {0}")]
    Status(u16),
    /// It says that the bearer token is not valid (RFC 6750 §3.1).
    #[error("it says that the token is not valid")]
    InvalidToken,
    /// The answer is longer than one that is read.
    #[error("its answer is longer than {0} bytes")]
    TooLarge(usize),
    /// The answer is not what the standard says.
    #[error("its answer at {place} {why}")]
    Unusable {
        /// Which document.
        place: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl FetchError {
    /// A word for the kind of failure, for metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Connection(_) => "connection",
            Self::Certificate(_) => "certificate",
            Self::Timeout(_) => "timeout",
            Self::Busy => "busy",
            Self::Resting => "resting",
            Self::Redirect(_) => "redirect",
            Self::Status(_) if self.is_final() => "refused",
            Self::Status(_) => "status",
            Self::InvalidToken => "refused",
            Self::TooLarge(_) => "too_large",
            Self::Unusable { .. } => "unusable",
        }
    }

    /// True when it does not look as if anybody got an answer just now, whatever the question.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Connection(_)
                | Self::Certificate(_)
                | Self::Timeout(_)
                | Self::Status(429 | 502..=504)
        )
    }

    /// True when the provider has decided (4xx); false when it could not answer.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::InvalidToken | Self::Status(400..=428 | 430..=499))
    }
}

/// A URL of a provider that may be asked: https, or the origin of an issuer on the loopback interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    /// Takes a URL from the issuer's metadata.
    ///
    /// # Errors
    /// When it is neither https nor of the same origin as an issuer that is itself http on loopback.
    pub(crate) fn of(issuer: &Issuer, text: &str) -> Result<Self, FetchError> {
        let unusable = |why: &str| FetchError::Unusable { place: "discovery", why: why.to_owned() };
        let url = Url::parse(text).map_err(|_| unusable("has an endpoint that is no URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(unusable("has an endpoint with user info"));
        }
        let own =
            Url::parse(issuer.as_str()).map_err(|_| unusable("is for an issuer without URL"))?;
        let allowed =
            url.scheme() == "https" || (!issuer.is_https() && url.origin() == own.origin());
        if allowed { Ok(Self(url)) } else { Err(unusable("has an endpoint that is not https")) }
    }

    /// The URL.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Where the issuer publishes its metadata (OpenID Connect Discovery 1.0 §4.1).
    pub(crate) fn of_discovery(issuer: &Issuer) -> Result<Self, FetchError> {
        let base = issuer.as_str().strip_suffix('/').unwrap_or(issuer.as_str());
        Self::of(issuer, &format!("{base}/.well-known/openid-configuration"))
    }
}

/// By whose word and through whose hands answers come: a digest of the further authorities, the proxy
/// and the reach. What was fetched on one way says nothing about what comes on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way([u8; 32]);

impl Way {
    fn of(authorities: &[u8], proxy: Option<&ProxyUrl>, reach: Reach) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        let reach: &[u8] = match reach {
            Reach::Internet => b"internet",
            Reach::Loopback => b"loopback",
        };
        let proxy = proxy.map_or("", |proxy| proxy.0.as_str());
        for part in [reach, proxy.as_bytes(), authorities] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut way = [0; 32];
        for (to, from) in way.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(way)
    }
}

/// The client that all providers share: one pool, one trust store.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    client: Client,
    way: Way,
}

impl Fetcher {
    /// Sets up the client.
    ///
    /// # Errors
    /// When the CA file is no good, or the system has no certificate authorities and some are needed.
    pub(crate) fn new(settings: &HttpSettings, reach: Reach) -> Result<Self, HttpError> {
        let (extra, authorities) = read_ca_file(settings)?;
        let way = Way::of(&authorities, settings.proxy.as_ref(), reach);
        let builder = Client::builder()
            .user_agent(concat!("motley-daemon/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(8);
        let builder = match &settings.proxy {
            Some(proxy) => builder.proxy(
                Proxy::https(proxy.0.clone())
                    .map_err(|why| HttpError::Proxy(causes(&why.without_url())))?,
            ),
            None => builder,
        };
        let builder = match reach {
            Reach::Internet => builder.tls_certs_merge(extra),
            Reach::Loopback => builder.tls_certs_only(extra).no_proxy(),
        };
        let client = builder.build().map_err(|why| HttpError::Client(causes(&why)))?;
        Ok(Self { client, way })
    }

    /// The way on which it asks.
    pub(crate) fn way(&self) -> Way {
        self.way
    }

    /// Fetches a public document.
    pub(crate) async fn document(
        &self,
        place: &'static str,
        from: &Endpoint,
        limit: Duration,
    ) -> Result<ClaimMap, FetchError> {
        exchange((place, MAX_DOCUMENT_BYTES), self.client.get(from.0.clone()), limit).await
    }

    /// Asks userinfo with the token as bearer (OpenID Connect Core 1.0 §5.3.1).
    pub(crate) async fn userinfo(
        &self,
        from: &Endpoint,
        token: &Secret,
        limit: Duration,
    ) -> Result<ClaimMap, FetchError> {
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
        let mut header = HeaderValue::from_str(&bearer)
            .map_err(|_| FetchError::Connection("the token fits no header".to_owned()))?;
        header.set_sensitive(true);
        let request = self.client.get(from.0.clone()).header(AUTHORIZATION, header);
        exchange(("userinfo", MAX_ANSWER_BYTES), request, limit).await
    }

    /// Asks introspection with our own credentials (RFC 7662 §2.1, RFC 6749 §2.3.1).
    pub(crate) async fn introspection(
        &self,
        at: &Endpoint,
        client_id: &str,
        client_secret: &Secret,
        token: &Secret,
        limit: Duration,
    ) -> Result<ClaimMap, FetchError> {
        let quote = motley_proto::identity::quote_plus;
        let password = Zeroizing::new(quote(client_secret.expose()));
        let request = self
            .client
            .post(at.0.clone())
            .basic_auth(quote(client_id), Some(password.as_str()))
            .form(&[("token", token.expose()), ("token_type_hint", "access_token")]);
        exchange(("introspection", MAX_ANSWER_BYTES), request, limit).await
    }
}

/// Where the providers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Anywhere, over https: the system's certificate authorities vouch for them, and the proxies
    /// of the environment (`HTTPS_PROXY`, `NO_PROXY`) are used.
    Internet,
    /// All on the loopback interface, over http.
    Loopback,
}

/// Makes aws-lc-rs the one TLS provider of this process. May be called more than once.
pub fn install_crypto() {
    // An error says that one is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The further authorities, and the text that names them.
fn read_ca_file(settings: &HttpSettings) -> Result<(Vec<Certificate>, Vec<u8>), HttpError> {
    let Some(path) = &settings.ca_file else { return Ok((Vec::new(), Vec::new())) };
    let pem = std::fs::read(path).map_err(|why| HttpError::CaFile { path: path.clone(), why })?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok((found, pem)),
        _ => Err(HttpError::NoCertificate { path: path.clone() }),
    }
}

async fn exchange(
    (place, most): (&'static str, usize),
    request: RequestBuilder,
    limit: Duration,
) -> Result<ClaimMap, FetchError> {
    let whole = async {
        let response =
            request.header(ACCEPT, "application/json").send().await.map_err(connection_error)?;
        if response.status() != StatusCode::OK {
            return Err(read_refusal(place, response).await);
        }
        check_is_json(place, &response)?;
        let body = read_body(response, most).await?;
        parse_object(&body).map_err(|why| FetchError::Unusable { place, why: why.to_string() })
    };
    tokio::time::timeout(limit, whole).await.unwrap_or(Err(FetchError::Timeout(limit)))
}

async fn read_refusal(place: &'static str, response: Response) -> FetchError {
    let status = response.status();
    if status.is_redirection() {
        return FetchError::Redirect(status.as_u16());
    }
    // At other places a 401 is about ourselves.
    let is_about_token = place == "userinfo" && status == StatusCode::UNAUTHORIZED;
    if is_about_token && !lacks_only_a_scope(response).await {
        return FetchError::InvalidToken;
    }
    FetchError::Status(status.as_u16())
}

/// True when a 401 says that the token is good but may not do this, for which there is 403
/// (RFC 6750 §3.1). Without that word a 401 means that the token is not valid: many providers give no
/// reason, or one of their own. The reason belongs into the challenge; some put it into the body.
async fn lacks_only_a_scope(response: Response) -> bool {
    let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
    let challenges: String =
        challenges.filter_map(|it| it.to_str().ok()).collect::<String>().to_ascii_lowercase();
    if challenges.contains("invalid_token") {
        return false;
    }
    if challenges.contains("insufficient_scope") {
        return true;
    }
    let body = tokio::time::timeout(REFUSAL_TIME, read_body(response, MAX_ANSWER_BYTES)).await;
    body.is_ok_and(|body| {
        let said = body.ok().and_then(|body| parse_object(&body).ok());
        said.is_some_and(|said| said.get("error") == Some(&Value::from("insufficient_scope")))
    })
}

/// Signed userinfo (`application/jwt`) is not asked for and not read.
fn check_is_json(place: &'static str, response: &Response) -> Result<(), FetchError> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.unwrap_or("application/json").split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    // RFC 7517 §8.5 gives key sets a type of their own; some servers know no better than text.
    let fits =
        essence == "application/json" || essence.ends_with("+json") || essence == "text/plain";
    if fits {
        return Ok(());
    }
    Err(FetchError::Unusable { place, why: "is not JSON by its content type".to_owned() })
}

/// The whole body, unless it is longer than `most` bytes.
async fn read_body(mut response: Response, most: usize) -> Result<Zeroizing<Vec<u8>>, FetchError> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |length| length > most) {
        return Err(FetchError::TooLarge(most));
    }
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(connection_error)? {
        if body.len() + chunk.len() > most {
            return Err(FetchError::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The URL is left out: it is the provider's text, and the issuer is named beside it anyway.
fn connection_error(error: reqwest::Error) -> FetchError {
    let text = causes(&error.without_url());
    if text.contains("certificate") {
        FetchError::Certificate(text)
    } else {
        FetchError::Connection(text)
    }
}

/// An error with its causes, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    motley_proto::text::escape(&text, 400)
}
