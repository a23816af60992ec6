//! The REST interface: what clients ask with a token, and what anybody may know.

mod answer;
mod authorization;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handlers;
mod query;
mod routes;

use crate::{admission::Admission, config::Config};
use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header},
    routing::get,
};
use std::{sync::Arc, time::Duration};
use tower::ServiceExt;

use super::paths::{Destination, destination};
use handlers::{admin, person, public};

/// Everything that a request needs.
pub struct Rest {
    /// Decides about credentials.
    pub admission: Arc<Admission>,
    /// What `/info` tells, and which doors are open.
    pub config: Arc<Config>,
    /// Time for one whole request.
    pub time_limit: Duration,
}

impl Rest {
    /// Whom people turn to: option `contact` of `[login_info]`.
    fn contact(&self) -> Option<&str> {
        let text = self.config.adapter.login_info.texts().get("contact")?.as_str()?;
        (!text.is_empty()).then_some(text)
    }
}

type Shared = Arc<Rest>;

/// The interface as a service, with the three mounts and all refusals in place.
#[derive(Clone)]
pub struct RestService {
    router: Router,
    get_mutations: bool,
}

impl RestService {
    /// Builds the routes.
    pub fn new(rest: Rest) -> Self {
        let get_mutations = rest.config.server.get_mutations;
        let shared: Shared = Arc::new(rest);
        let (limit, body_limit) = (shared.time_limit, shared.config.limits.body);
        let router = Router::new()
            .route("/", get(public::root))
            .route("/user", get(public::user))
            .route("/admin", get(public::admin))
            .route("/info", get(public::info))
            .route("/info/op", get(public::info_op))
            .route("/info/authorisation", get(person::info_authorisation))
            .route("/user/get_status", get(person::get_status))
            .route("/user/status", get(person::status))
            .route("/user/deploy", get(person::deploy).post(person::deploy))
            .route("/user/suspend", get(person::suspend).post(person::suspend))
            .route("/user/generate_otp", get(person::generate_otp).post(person::generate_otp))
            .route("/verify_user", get(person::verify_user))
            .route("/admin/suspend", get(admin::suspend).post(admin::suspend))
            .route("/admin/resume", get(admin::resume).post(admin::resume))
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(answer::panicked))
            .layer(tower_http::timeout::TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                limit,
            ))
            .layer(tower_http::limit::RequestBodyLimitLayer::new(body_limit))
            .with_state(shared);
        Self { router, get_mutations }
    }

    /// Answers one request.
    pub async fn answer(&self, mut request: Request<Body>) -> Response<Body> {
        let path = match destination(request.uri()) {
            Destination::Route(path) => path,
            Destination::Redirect(path) => return redirect(&request, &path),
        };
        let Some(route) = routes::find(&path) else { return answer::not_found() };
        if !route.takes(request.method(), self.get_mutations) {
            return answer::method_not_allowed(route.allow(self.get_mutations), request.method());
        }
        if request.method() == Method::OPTIONS {
            return answer::options(route.allow(self.get_mutations));
        }
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let Ok(uri) = format!("{path}{query}").parse::<Uri>() else { return answer::not_found() };
        *request.uri_mut() = uri;
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Redirects to the same place under its one name; absolute, as clients of the interface expect.
fn redirect(request: &Request<Body>, path: &str) -> Response<Body> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let scheme = match request.headers().get("x-forwarded-proto").map(HeaderValue::as_bytes) {
        Some(b"https") => "https",
        _ => "http",
    };
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = match host {
        Some(host) => format!("{scheme}://{host}{path}{query}"),
        None => format!("{path}{query}"),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests;
