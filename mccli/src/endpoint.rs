//! Finds the REST interface that belongs to an ssh host: all candidates at once, best one wins.

use crate::{
    error::{Error, Result},
    http::{self, Answer, Clients, Http, Trust},
    report,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use motley_proto::rest;
use serde::Serialize;
use std::{
    net::{IpAddr, ToSocketAddrs},
    time::Duration,
};

/// Limit for one probe; long enough for one lost packet.
const PROBE_LIMIT: Duration = Duration::from_millis(3050);
/// How long a better candidate is waited for once another one has answered.
const GRACE: Duration = Duration::from_secs(1);

/// What an endpoint is looked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A host of ssh.
    Host(String),
    /// This machine, where another port than sshd's leads on to somewhere else: who serves plain http
    /// here is anybody who has an account here.
    Tunnel(String),
    /// What the user gave, with or without a scheme.
    Given(String),
}

impl Place {
    /// Its name among the remembered ones.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Host(host) => format!("host {host}"),
            Self::Tunnel(host) => format!("tunnel {host}"),
            Self::Given(url) => format!("given {url}"),
        }
    }

    /// The endpoint, by asking.
    ///
    /// # Errors
    /// As [`find`] and [`check`].
    pub(crate) fn find(&self, http: &Http) -> Result<String> {
        match self {
            Self::Host(host) => find(http, host),
            Self::Tunnel(host) => {
                best_of(host, probe(http, beyond_this_machine(host, http.trust())))
            }
            Self::Given(url) => check(http, url),
        }
    }
}

/// What came of one candidate.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Probe {
    /// The candidate.
    pub(crate) url: String,
    /// True if the service answered there.
    pub(crate) found: bool,
    /// What came instead, for people.
    pub(crate) remark: String,
    #[serde(skip)]
    tls: bool,
}

/// Candidates for a host, best first; none for what is not the host of a URL as it stands. Plain http
/// only to this machine or where it is allowed.
pub(crate) fn candidates(host: &str, trust: &Trust) -> Vec<String> {
    let name = host;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if !is_host_of(&format!("https://{host}/"), name) {
        return Vec::new();
    }
    let mut urls = vec![
        format!("https://{host}/motley_cue"),
        format!("https://{host}:8443/motley_cue"),
        format!("https://{host}"),
        format!("https://{host}:8443"),
    ];
    if trust.allow_http || http::is_loopback(&host) {
        urls.push(format!("http://{host}:8080/motley_cue"));
        urls.push(format!("http://{host}:8080"));
    }
    urls
}

/// The same without the plain http that is for this machine only.
fn beyond_this_machine(host: &str, trust: &Trust) -> Vec<String> {
    let mut urls = candidates(host, trust);
    urls.retain(|url| trust.allow_http || url.starts_with("https:"));
    urls
}

/// True if a URL leads to this very host, however the host is written.
fn is_host_of(url: &str, host: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let Some(found) = url.host_str() else { return false };
    let bare = found.trim_start_matches('[').trim_end_matches(']');
    match (host.parse::<IpAddr>(), bare.parse::<IpAddr>()) {
        (Ok(wanted), Ok(address)) => wanted == address,
        _ => bare.eq_ignore_ascii_case(host),
    }
}

/// The endpoint of a host.
///
/// # Errors
/// [`Error::NoService`] with what each candidate answered, [`Error::Tls`] when certificates are
/// the only obstacle.
pub(crate) fn find(http: &Http, host: &str) -> Result<String> {
    best_of(host, probe(http, candidates(host, http.trust())))
}

/// The endpoint of a host whose candidates were asked.
///
/// # Errors
/// As [`find`].
pub(crate) fn best_of(host: &str, probes: Vec<Probe>) -> Result<String> {
    if let Some(best) = probes.iter().find(|probe| probe.found) {
        return Ok(best.url.clone());
    }
    if (host, 443).to_socket_addrs().is_err() {
        return Err(Error::NoService(format!(
            "Could not resolve hostname. ('{host}')\nCheck the spelling, or give the service's URL with --mc-endpoint."
        )));
    }
    Err(failure(
        probes,
        format!(
            "No motley_cue service found on host '{host}' on port 443, 8443 or 8080. Please specify motley_cue endpoint via --mc-endpoint."
        ),
    ))
}

/// The endpoint that the user named; without a scheme https comes first.
///
/// # Errors
/// [`Error::NoService`], [`Error::Tls`], or [`Error::PlainHttp`].
pub(crate) fn check(http: &Http, given: &str) -> Result<String> {
    let given = given.trim_end_matches('/');
    let urls = if given.contains("://") {
        http::check_scheme(given, http.trust())?;
        vec![given.to_owned()]
    } else {
        let secure = format!("https://{given}");
        let plain = format!("http://{given}");
        let allowed = http::check_scheme(&plain, http.trust()).is_ok();
        if allowed { vec![secure, plain] } else { vec![secure] }
    };
    let probes = probe(http, urls);
    match probes.iter().find(|probe| probe.found) {
        Some(best) => Ok(best.url.clone()),
        None => Err(failure(
            probes,
            format!(
                "No motley_cue service found at '{given}'. Please specify a valid motley_cue endpoint."
            ),
        )),
    }
}

/// Asks all candidates at once; the answers come in the order of the candidates.
///
/// Candidates that were not waited for are left out.
pub(crate) fn probe(http: &Http, urls: Vec<String>) -> Vec<Probe> {
    http.run(|clients| race(clients, http.trust(), urls))
}

async fn race(clients: Clients, trust: &Trust, urls: Vec<String>) -> Vec<Probe> {
    let mut done: Vec<(usize, Probe)> = Vec::new();
    let count = urls.len();
    let mut running: FuturesUnordered<_> = urls
        .into_iter()
        .enumerate()
        .map(|(rank, url)| {
            let clients = clients.clone();
            async move { (rank, ask(clients, trust, url).await) }
        })
        .collect();
    let mut grace = None;
    while let Some(next) = next_before(&mut running, grace).await {
        done.push(next);
        if let Some(best) = done.iter().filter(|(_, p)| p.found).map(|(rank, _)| *rank).min() {
            let better_left = (0..best).any(|rank| done.iter().all(|(seen, _)| *seen != rank));
            if !better_left {
                break;
            }
            grace = grace.or(Some(tokio::time::Instant::now() + GRACE));
        }
    }
    report::debug(&format!("{} of {count} candidates answered in time", done.len()));
    done.sort_by_key(|(rank, _)| *rank);
    done.into_iter().map(|(_, probe)| probe).collect()
}

async fn next_before<F: Future<Output = (usize, Probe)>>(
    running: &mut FuturesUnordered<F>,
    limit: Option<tokio::time::Instant>,
) -> Option<(usize, Probe)> {
    match limit {
        Some(limit) => tokio::time::timeout_at(limit, running.next()).await.ok().flatten(),
        None => running.next().await,
    }
}

async fn ask(clients: Clients, trust: &Trust, url: String) -> Probe {
    let limit = PROBE_LIMIT.min(Duration::from_secs(trust.timeout_s.max(1)));
    let mut outcome = http::get(clients.clone(), trust, url.clone(), limit).await;
    if matches!(&outcome, Ok(answer) if (300..400).contains(&answer.status)) {
        // A proxy that adds the last slash often names a scheme or host that is not followed.
        outcome = http::get(clients, trust, format!("{url}/"), limit).await;
    }
    let (found, tls, remark) = match outcome {
        Ok(answer) if is_the_service(&answer) => (true, false, "found".to_owned()),
        Ok(answer) => (false, false, format!("HTTP {}, but not this service", answer.status)),
        Err(Error::Tls { reason, .. }) => (false, true, format!("TLS: {reason}")),
        Err(Error::Network { reason, .. }) => (false, false, reason),
        Err(other) => (false, false, other.to_string()),
    };
    Probe { url, found, remark, tls }
}

fn is_the_service(answer: &Answer) -> bool {
    answer.status == 200
        && answer.json::<serde_json::Value>().is_ok_and(|body| {
            body.get("description").and_then(|text| text.as_str()) == Some(rest::DESCRIPTION)
        })
}

/// One certificate problem among silent candidates is the cause; otherwise each is reported.
fn failure(probes: Vec<Probe>, text: String) -> Error {
    if let Some(tls) = probes.iter().find(|probe| probe.tls) {
        return Error::Tls {
            url: tls.url.clone(),
            reason: tls.remark.trim_start_matches("TLS: ").to_owned(),
        };
    }
    let lines: Vec<String> =
        probes.iter().map(|probe| format!("  {}: {}", probe.url, probe.remark)).collect();
    Error::NoService(format!("{text}\n{}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(allow_http: bool) -> Trust {
        Trust { ca_file: None, any_certificate: false, allow_http, timeout_s: 5 }
    }

    #[test]
    fn r38_candidates_are_https_unless_http_is_allowed() {
        let urls = candidates("cue.example.org", &trust(false));
        assert_eq!(
            urls,
            [
                "https://cue.example.org/motley_cue",
                "https://cue.example.org:8443/motley_cue",
                "https://cue.example.org",
                "https://cue.example.org:8443",
            ]
        );
        assert_eq!(candidates("cue.example.org", &trust(true)).len(), 6);
        for near in ["127.0.0.7", "::1", "localhost"] {
            assert_eq!(candidates(near, &trust(false)).len(), 6, "{near}");
        }
        assert_eq!(beyond_this_machine("localhost", &trust(false)).len(), 4);
        assert_eq!(beyond_this_machine("localhost", &trust(true)).len(), 6);
        assert_eq!(candidates("::1", &trust(false))[0], "https://[::1]/motley_cue");
    }

    #[test]
    fn r38_candidates_lead_to_the_host_and_to_no_other() {
        for host in [
            "evil.com#.trusted.org",
            "evil.com?.trusted.org",
            "evil.com/.trusted.org",
            "trusted.org:x@evil.com",
            "x@evil.com",
            "evil.com:443",
            "evil%2ecom",
            "0x7f.1",
            "\u{ff45}vil.com",
            "",
        ] {
            assert!(candidates(host, &trust(true)).is_empty(), "{host}");
        }
        for host in ["Cue.example.org", "cue_1", "0:0:0:0:0:0:0:1", "192.0.2.1"] {
            assert!(!candidates(host, &trust(false)).is_empty(), "{host}");
        }
    }
}
