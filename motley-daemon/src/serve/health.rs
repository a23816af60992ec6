//! Health and metrics, for the machines that watch this one: its own listener, nothing but GET.

use super::{
    crowd::Guest,
    gate::Gate,
    http::{Arrival, Service},
    live::Live,
    source::{Peer, SourceKey},
    strict,
};
use crate::{admission::Admission, measure::Measures};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header},
};
use serde_json::json;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{task::AbortHandle, time::Instant};

/// Longest time for all questions of `/readyz` together.
const READY_LIMIT: Duration = Duration::from_secs(2);
/// How long an answer of `/readyz` is used again: asking often must not keep the root helper busy.
const READY_HOLD: Duration = Duration::from_secs(1);

/// What has to work for this host to be of use, and what was measured.
pub struct Health {
    /// Leads to store, back end and providers.
    pub admission: Arc<Admission>,
    /// What survives a reload.
    pub lasting: Arc<Lasting>,
}

/// What health is told of that no reload replaces.
pub struct Lasting {
    /// The listeners.
    pub listening: Listening,
    /// The measurements.
    pub measures: Measures,
    /// Who is being counted.
    pub gate: Arc<Gate>,
    last: tokio::sync::Mutex<Option<(Instant, Arc<Readiness>)>>,
}

impl Lasting {
    /// Nothing was asked yet.
    pub fn new(listening: Listening, measures: Measures, gate: Arc<Gate>) -> Self {
        Self { listening, measures, gate, last: tokio::sync::Mutex::default() }
    }
}

/// The tasks behind the listeners.
#[derive(Clone, Default)]
pub struct Listening(Arc<Mutex<Vec<(String, AbortHandle)>>>);

impl Listening {
    /// Notes a listener's task.
    pub fn add(&self, name: String, task: AbortHandle) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, task));
    }

    fn ended(&self) -> Vec<String> {
        let tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = tasks.iter().filter(|(_, task)| task.is_finished());
        ended.map(|(name, _)| name.clone()).collect()
    }
}

/// What fails, by part.
struct Readiness(Vec<(&'static str, Option<String>)>);

impl Readiness {
    fn is_ready(&self) -> bool {
        self.0.iter().all(|(_, failure)| failure.is_none())
    }
}

impl Health {
    async fn readiness(&self) -> Arc<Readiness> {
        let mut last = self.lasting.last.lock().await;
        if let Some((_, kept)) = last.as_ref().filter(|(at, _)| at.elapsed() < READY_HOLD) {
            return kept.clone();
        }
        let fresh = Arc::new(self.ask().await);
        *last = Some((Instant::now(), fresh.clone()));
        fresh
    }

    async fn ask(&self) -> Readiness {
        let accounts = self.admission.accounts();
        let deadline = Instant::now() + READY_LIMIT;
        let store = async {
            match tokio::time::timeout_at(deadline, accounts.store().is_ready()).await {
                Ok(true) => None,
                _ => Some("the database does not answer".to_owned()),
            }
        };
        let helper = async {
            match tokio::time::timeout_at(deadline, accounts.backend().check()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the account back end is too slow".to_owned()),
            }
        };
        let (store, helper) = futures_util::future::join(store, helper).await;
        let providers = (!self.admission.verifier().is_ready())
            .then(|| "no provider's keys could be fetched".to_owned());
        let ended = self.lasting.listening.ended();
        let listeners = (!ended.is_empty()).then(|| format!("closed: {}", ended.join(", ")));
        Readiness(vec![
            ("store", store),
            ("root_helper", helper),
            ("providers", providers),
            ("listeners", listeners),
        ])
    }

    async fn readyz(&self, headers: &HeaderMap) -> Response<Body> {
        let readiness = self.readiness().await;
        let status = match readiness.is_ready() {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        let accept = headers.get(header::ACCEPT).map(HeaderValue::as_bytes).unwrap_or_default();
        if accept.windows(16).any(|part| part == b"application/json") {
            let parts: serde_json::Map<_, _> = readiness
                .0
                .iter()
                .map(|(part, failure)| {
                    ((*part).to_owned(), json!(failure.as_deref().unwrap_or("ok")))
                })
                .collect();
            let body = json!({"ready": readiness.is_ready(), "parts": parts});
            return answer(status, "application/json", body.to_string());
        }
        let failing = readiness.0.iter().filter_map(|(part, failure)| {
            failure
                .as_ref()
                .map(|failure| format!("{part}: {}\n", motley_proto::text::escape(failure, 500)))
        });
        let text: String = failing.collect();
        answer(status, TEXT, if text.is_empty() { "ready\n".to_owned() } else { text })
    }

    fn metrics(&self) -> Response<Body> {
        let (sources, identities) = self.lasting.gate.sizes();
        for (name, size) in
            [("motley_limited_sources", sources), ("motley_limited_identities", identities)]
        {
            metrics::gauge!(name).set(f64::from(u32::try_from(size).unwrap_or(u32::MAX)));
        }
        let text = self.lasting.measures.render();
        answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Service for Live<Health> {
    async fn answer(&self, request: Request<Body>, _: Arrival) -> Response<Body> {
        if let Some(why) = strict::ambiguity(&request) {
            return strict::refuse(why);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned());
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            strict::close_after(&mut refused);
            return refused;
        }
        let health = self.get();
        let mut response = match request.uri().path() {
            "/healthz" => answer(StatusCode::OK, TEXT, "ok\n".to_owned()),
            "/readyz" => health.readyz(request.headers()).await,
            "/metrics" => health.metrics(),
            _ => answer(StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned()),
        };
        if request.method() == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        if strict::has_body(request.headers()) {
            strict::close_after(&mut response);
        }
        response
    }

    fn guest(&self, peer: Peer) -> Guest {
        match peer {
            Peer::Internet(address) => Guest::Counted(SourceKey::of(address)),
            Peer::User(uid) => Guest::Counted(SourceKey::User(uid)),
        }
    }
}
