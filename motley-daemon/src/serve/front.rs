//! What every REST request passes before and after the interface: whence it comes, whether it may pass
//! now, and what is written about it.

use super::{
    crowd::Guest,
    gate::{self, Gate, Passage},
    http::{Arrival, Service},
    live::Live,
    rest::RestService,
    source::{Peer, Scheme, Source},
    strict,
};
use crate::request;
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header},
};
use motley_proto::rest::Detail;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::Instrument;

/// Header by which people can quote a request, and admins find it in log and audit trail.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The REST interface as the listeners call it.
#[derive(Clone)]
pub struct Front {
    /// What answers now.
    pub rest: Live<RestService>,
    /// Counts sources and people.
    pub gate: Arc<Gate>,
}

impl Service for Front {
    async fn answer(&self, mut request: Request<Body>, arrival: Arrival) -> Response<Body> {
        let (begin, id, rest) = (Instant::now(), request::new_id(), self.rest.get());
        let proxies = rest.proxies();
        let source = Source::of(arrival.peer, request.headers(), proxies);
        let scheme = Scheme::of(arrival.scheme, arrival.peer, request.headers(), proxies);
        request.extensions_mut().insert(source);
        request.extensions_mut().insert(scheme);
        let (method, route) = (method_word(request.method()), rest.route(request.uri()));
        // At the level of errors, so that it names the request in lines of any level.
        let span = tracing::error_span!("request", id);
        let work = async {
            let mut response = self.pass(&rest, request, source).await;
            tell(&Line { method, route, source, status: response.status(), took: begin.elapsed() });
            if let Ok(id) = HeaderValue::from_str(&id) {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            response
        };
        request::work(id.clone(), source.to_string(), work.instrument(span)).await
    }

    fn guest(&self, peer: Peer) -> Guest {
        peer.key(self.rest.get().proxies()).map_or(Guest::Uncounted, Guest::Counted)
    }
}

impl Front {
    async fn pass(
        &self,
        rest: &RestService,
        request: Request<Body>,
        source: Source,
    ) -> Response<Body> {
        if let Some(why) = strict::ambiguity(&request) {
            return strict::refuse(why);
        }
        let has_body = strict::has_body(request.headers());
        let token = rest.token(request.headers());
        let passage = self.gate.judge(source, token.as_ref(), rest.verifier()).await;
        let mut response = match passage {
            Passage::Refused { wait, whose } => {
                tracing::info!(whose, "too many requests");
                metrics::counter!("motley_http_refused_total", "whose" => whose).increment(1);
                too_many(wait)
            }
            Passage::Free => rest.answer(request).await,
            Passage::Known(identity) => {
                let response = rest.answer(request).await;
                if request::is_granted() {
                    self.gate.granted(&identity);
                }
                response
            }
            Passage::Counted(key) => {
                let response = rest.answer(request).await;
                if gate::is_failure(response.status()) {
                    self.gate.failed(key);
                }
                response
            }
        };
        if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
            response = detail(response.status(), "The body is too long".to_owned());
        }
        if has_body {
            strict::close_after(&mut response);
        }
        response
    }
}

/// RFC 6585 §4, with the time after which to come again (RFC 9110 §10.2.3).
fn too_many(wait: Duration) -> Response<Body> {
    let seconds = wait.as_secs().saturating_add(1);
    let text = format!("Too many requests; try again in {seconds} s");
    let mut response = detail(StatusCode::TOO_MANY_REQUESTS, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn detail(status: StatusCode, text: String) -> Response<Body> {
    let body = serde_json::to_vec(&Detail { detail: text }).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// What is told about one request. Never its query or its headers: they hold tokens and names.
struct Line {
    method: &'static str,
    route: &'static str,
    source: Source,
    status: StatusCode,
    took: Duration,
}

fn tell(line: &Line) {
    let Line { method, route, source, status, took } = line;
    let (status, ms) = (status.as_u16(), took.as_millis());
    tracing::info!(method, route, status, ms, %source, "answered");
    metrics::counter!("motley_http_requests_total", "route" => *route, "method" => *method,
        "status" => status.to_string())
    .increment(1);
    metrics::histogram!("motley_http_request_seconds", "route" => *route)
        .record(took.as_secs_f64());
}

/// Methods that exist here; a client may invent any others, and a metric must not grow with them.
fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
