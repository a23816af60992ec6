//! HTTPS requests with a bearer token: verified, bounded in time and size, one runtime thread.

use crate::{
    authorities,
    cache::{Cache, Key},
    error::{Error, Result},
};
use motley_proto::Secret;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Url, header, redirect};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use std::{path::PathBuf, time::Duration};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// Longest time to connect; the one that the endpoint probes always had.
const CONNECT_LIMIT: Duration = Duration::from_millis(3050);
/// Variables that name a file of more certificate authorities.
const CA_VARIABLE: &str = "REQUESTS_CA_BUNDLE";

/// How servers are trusted and how long they may take.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Trust {
    /// PEM file of authorities that are trusted beside the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Accept any certificate: `--insecure`.
    pub(crate) any_certificate: bool,
    /// Plain http to hosts beyond the loopback interface: `--allow-http`.
    pub(crate) allow_http: bool,
    /// Limit for one request, in seconds.
    pub(crate) timeout_s: u64,
}

/// Status and body of an answer.
pub(crate) struct Answer {
    /// HTTP status code.
    pub(crate) status: u16,
    /// The body; a provider's may hold tokens.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body as JSON of that type, or what serde says.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> std::result::Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// Sends requests, one after another or several at once, on the thread that calls.
pub(crate) struct Http {
    trust: Trust,
    runtime: Runtime,
    clients: Clients,
    cache: Option<Cache>,
}

/// Clients for hosts near and far: what goes to this machine by its very name passes no proxy, whose
/// machine is another one.
#[derive(Clone)]
pub(crate) struct Clients {
    near: Client,
    far: Client,
}

impl Clients {
    fn new(trust: &Trust) -> Result<Self> {
        // Fails only if it is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tls = if trust.any_certificate { None } else { Some(verifying(trust)?) };
        let near = build(Client::builder().no_proxy(), tls.clone())?;
        Ok(Self { near, far: build(Client::builder(), tls)? })
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        match url.host_str().is_some_and(is_loopback) {
            true => self.near.request(method, url),
            false => self.far.request(method, url),
        }
    }
}

impl Http {
    /// Prepares to ask; nothing is opened yet.
    ///
    /// # Errors
    /// When the file of certificate authorities can't be used.
    pub(crate) fn new(trust: Trust) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Resolver threads take no signals: the thread that calls decides when to be interrupted.
            .on_thread_start(block_signals)
            .build()?;
        let clients = Clients::new(&trust)?;
        Ok(Self { trust, runtime, clients, cache: None })
    }

    /// The same, remembering what anybody may know.
    pub(crate) fn remembering(self, cache: Cache) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// What is remembered, if anything may be.
    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// Asks once without a token, or remembers what was answered a moment ago.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub(crate) fn get_public(&self, url: &str) -> Result<Answer> {
        if let Some(text) = self.cache().and_then(|cache| cache.recall(Key::Answer(url))) {
            return Ok(Answer { status: 200, body: text.into_bytes().into() });
        }
        let answer = self.get(url, None)?;
        if let (Some(cache), 200, Ok(text)) =
            (self.cache(), answer.status, std::str::from_utf8(&answer.body))
        {
            cache.keep(Key::Answer(url), text);
        }
        Ok(answer)
    }

    /// How servers are trusted.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Asks once, with the token if there is one.
    ///
    /// # Errors
    /// [`Error::PlainHttp`], [`Error::Tls`] or [`Error::Network`]; any status is an answer.
    pub(crate) fn get(&self, url: &str, token: Option<&Secret>) -> Result<Answer> {
        self.ask(Method::GET, url, token, self.trust.timeout_s)
    }

    /// Asks for a change: by POST, or by GET where only that is known.
    ///
    /// The server gets six times the usual limit: it may create an account meanwhile.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub(crate) fn change(&self, url: &str, token: &Secret) -> Result<Answer> {
        let limit_s = self.trust.timeout_s.saturating_mul(6);
        let answer = self.ask(Method::POST, url, Some(token), limit_s)?;
        // RFC 9110 §15.5.6 and §15.6.2: nothing was done.
        if matches!(answer.status, 405 | 501) {
            return self.ask(Method::GET, url, Some(token), limit_s);
        }
        Ok(answer)
    }

    /// Posts a form (RFC 6749 §4.1.3), with the client's name and secret where it has one.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub(crate) fn post_form(
        &self,
        url: &str,
        fields: &[(&str, &str)],
        client: Option<(&str, &str)>,
    ) -> Result<Answer> {
        self.post(url, |request| {
            let request = request.header(header::ACCEPT, "application/json").form(fields);
            match client {
                Some((name, secret)) => request.basic_auth(name, Some(secret)),
                None => request,
            }
        })
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub(crate) fn post_json(&self, url: &str, body: &serde_json::Value) -> Result<Answer> {
        self.post(url, |request| request.json(body))
    }

    fn post(
        &self,
        url: &str,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer> {
        let parsed = check_scheme(url, &self.trust)?;
        let limit = Duration::from_secs(self.trust.timeout_s);
        self.run(|clients| {
            let request = fill(clients.request(Method::POST, parsed).timeout(limit));
            async move { read(url, request).await }
        })
    }

    /// The certificate that the server shows, in DER.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub(crate) fn peer_certificate(&self, url: &str) -> Result<Option<Vec<u8>>> {
        let parsed = check_scheme(url, &self.trust)?;
        let limit = Duration::from_secs(self.trust.timeout_s);
        self.run(|clients| async move {
            let answer = clients.request(Method::GET, parsed).timeout(limit).send().await;
            let answer = answer.map_err(|error| classify(url, &error))?;
            let shown = answer.extensions().get::<reqwest::tls::TlsInfo>();
            Ok(shown.and_then(|info| info.peer_certificate().map(<[u8]>::to_vec)))
        })
    }

    fn ask(
        &self,
        method: Method,
        url: &str,
        token: Option<&Secret>,
        limit_s: u64,
    ) -> Result<Answer> {
        let limit = Duration::from_secs(limit_s);
        self.run(|clients| {
            send(clients, &self.trust, method, url.to_owned(), token.cloned(), limit)
        })
    }

    /// Runs a future that uses the clients to its end.
    pub(crate) fn run<F: Future>(&self, future: impl FnOnce(Clients) -> F) -> F::Output {
        self.runtime.block_on(future(self.clients.clone()))
    }
}

fn block_signals() {
    let _ = nix::sys::signal::SigSet::all().thread_block();
}

/// A client that verifies by this, or accepts any certificate.
fn build(builder: ClientBuilder, tls: Option<ClientConfig>) -> Result<Client> {
    let builder = builder
        .user_agent(concat!("mccli/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT)
        .tls_info(true)
        .redirect(redirect::Policy::custom(stay_on_the_host));
    let builder = match tls {
        None => builder.tls_danger_accept_invalid_certs(true),
        Some(tls) => builder.tls_backend_preconfigured(tls),
    };
    builder.build().map_err(|error| Error::Http(chain(&error)))
}

/// TLS that believes the system's authorities and those that the user named.
fn verifying(trust: &Trust) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities::of_the_system());
    if let Some(path) = ca_file(trust) {
        let failed = |source| Error::File { path: path.clone(), source };
        for certificate in authorities::in_file(&path).map_err(failed)? {
            roots.add(certificate).map_err(|error| failed(std::io::Error::other(error)))?;
        }
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn ca_file(trust: &Trust) -> Option<PathBuf> {
    let from_variable = || std::env::var_os(CA_VARIABLE).filter(|v| !v.is_empty());
    trust
        .ca_file
        .clone()
        .or_else(|| from_variable().map(PathBuf::from).filter(|path| path.is_file()))
}

/// Follows redirects within one host and never from https to http: a token must not travel on.
fn stay_on_the_host(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let next = attempt.url();
    let fits = attempt.previous().first().is_some_and(|first| {
        first.host_str() == next.host_str()
            && first.port_or_known_default() == next.port_or_known_default()
            && first.scheme() == next.scheme()
    });
    if !fits || attempt.previous().len() > 3 { attempt.stop() } else { attempt.follow() }
}

/// True for hosts that are this machine by their very text.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Refuses plain http, except to this machine or when the user allows it.
///
/// # Errors
/// [`Error::PlainHttp`], or [`Error::Network`] for what is no URL.
pub(crate) fn check_scheme(url: &str, trust: &Trust) -> Result<Url> {
    let parsed = Url::parse(url)
        .map_err(|error| Error::Network { url: url.to_owned(), reason: error.to_string() })?;
    let near = parsed.host_str().is_some_and(is_loopback);
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if near || trust.allow_http => Ok(parsed),
        _ => Err(Error::PlainHttp(url.to_owned())),
    }
}

/// One request without token, for callers that run several at once.
///
/// # Errors
/// As [`Http::get`].
pub(crate) async fn get(
    clients: Clients,
    trust: &Trust,
    url: String,
    limit: Duration,
) -> Result<Answer> {
    send(clients, trust, Method::GET, url, None, limit).await
}

async fn send(
    clients: Clients,
    trust: &Trust,
    method: Method,
    url: String,
    token: Option<Secret>,
    limit: Duration,
) -> Result<Answer> {
    let parsed = check_scheme(&url, trust)?;
    let mut request = clients.request(method, parsed).timeout(limit);
    if let Some(token) = &token {
        request = request.header(header::AUTHORIZATION, authorization(token)?);
    }
    read(&url, request).await
}

async fn read(url: &str, request: RequestBuilder) -> Result<Answer> {
    let mut answer = request.send().await.map_err(|error| classify(url, &error))?;
    let status = answer.status().as_u16();
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = answer.chunk().await.map_err(|error| classify(url, &error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            let reason = format!("the answer is larger than {MAX_ANSWER_BYTES} bytes");
            return Err(Error::Network { url: url.to_owned(), reason });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}

fn authorization(token: &Secret) -> Result<header::HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = header::HeaderValue::from_str(&text).map_err(|_| {
        Error::NoToken("the token has characters that no token can have (RFC 6750)".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn classify(url: &str, error: &reqwest::Error) -> Error {
    let reason = chain(error);
    let url = url.to_owned();
    // The words of the TLS library and of the resolver; both types are out of reach in here.
    if reason.contains("invalid peer certificate") {
        Error::Tls { url, reason }
    } else if reason.contains("dns error") {
        Error::Network { url, reason: format!("Could not resolve hostname. ({reason})") }
    } else if error.is_timeout() {
        Error::Network { url, reason: "no answer within the time limit".to_owned() }
    } else {
        Error::Network { url, reason }
    }
}

/// Layers of the libraries that say only that there is a cause below them.
const EMPTY_WORDS: [&str; 2] = ["client error (Connect)", "tcp connect error"];

/// The error and its causes, without the URL that each of them would repeat.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        parts.push(cause.to_string());
        next = cause.source();
    }
    if parts.is_empty() {
        parts.push(error.to_string());
    }
    parts.dedup();
    if parts.iter().any(|part| !EMPTY_WORDS.contains(&part.as_str())) {
        parts.retain(|part| !EMPTY_WORDS.contains(&part.as_str()));
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(allow_http: bool) -> Trust {
        Trust { ca_file: None, any_certificate: false, allow_http, timeout_s: 5 }
    }

    #[test]
    fn r38_plain_http_is_refused_except_to_this_machine_or_when_allowed() {
        for (url, strict, allowed) in [
            ("https://cue.example.org/x", true, true),
            ("http://cue.example.org/x", false, true),
            ("http://127.0.0.1:8080/x", true, true),
            ("http://127.8.9.1/", true, true),
            ("http://[::1]:8080/", true, true),
            ("http://localhost/", true, true),
            ("http://localhost.example.org/", false, true),
            ("http://127.0.0.1.example.org/", false, true),
            ("http://localhost@example.org/", false, true),
            ("ftp://127.0.0.1/", false, false),
            ("file:///etc/passwd", false, false),
        ] {
            assert_eq!(check_scheme(url, &trust(false)).is_ok(), strict, "{url}");
            assert_eq!(check_scheme(url, &trust(true)).is_ok(), allowed, "{url}");
        }
    }

    #[test]
    fn a_tls_client_can_be_built() {
        assert!(Clients::new(&trust(false)).is_ok());
        let insecure = Trust { any_certificate: true, ..trust(false) };
        assert!(Clients::new(&insecure).is_ok());
    }
}
