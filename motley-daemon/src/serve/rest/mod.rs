//! The REST interface: what clients ask with a token, and what anybody may know.

mod answer;
mod authorization;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handlers;
mod openapi;
mod pages;
mod query;
mod routes;

use crate::{admission::Admission, config::Config};
use axum::{
    Router,
    body::Body,
    extract::FromRef,
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header},
    routing::{get, post},
};
use std::{sync::Arc, time::Duration};
use tower::ServiceExt;

use super::{
    paths::{Destination, Mount, destination},
    source::{Proxies, Scheme},
};
use crate::identity::TokenVerifier;
use handlers::{admin, approvals, code, person, public};
use motley_proto::Secret;
use pages::Pages;

/// Everything that a request needs.
pub struct Rest {
    /// Decides about credentials.
    pub admission: Arc<Admission>,
    /// What `/info` tells, and which doors are open.
    pub config: Arc<Config>,
    /// Time for one whole request.
    pub time_limit: Duration,
}

type Shared = Arc<Rest>;

/// What handlers may take.
#[derive(Clone)]
struct Parts {
    rest: Shared,
    pages: Arc<Pages>,
}

impl FromRef<Parts> for Shared {
    fn from_ref(parts: &Parts) -> Self {
        parts.rest.clone()
    }
}

impl FromRef<Parts> for Arc<Pages> {
    fn from_ref(parts: &Parts) -> Self {
        parts.pages.clone()
    }
}

/// The interface as a service, with the three mounts and all refusals in place.
#[derive(Clone)]
pub struct RestService {
    router: Router,
    pages: Arc<Pages>,
    get_mutations: bool,
    rest: Shared,
    proxies: Arc<Proxies>,
}

impl RestService {
    /// Builds the routes.
    pub fn new(rest: Rest) -> Self {
        let get_mutations = rest.config.server.get_mutations;
        let (limit, body_limit) = (rest.time_limit, rest.config.limits.body);
        let server = &rest.config.server;
        let proxies = Arc::new(Proxies::new(&server.trusted_proxies, &server.proxy_users));
        let rest: Shared = Arc::new(rest);
        let pages = Arc::new(Pages::new(rest.config.clone()));
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
            .route("/user/otp", post(code::otp))
            .route("/verify_user", get(person::verify_user))
            .route("/admin/suspend", get(admin::suspend).post(admin::suspend))
            .route("/admin/resume", get(admin::resume).post(admin::resume))
            .route("/admin/approvals", get(approvals::list))
            .route("/admin/approvals/accept", post(approvals::accept))
            .route("/admin/approvals/reject", post(approvals::reject))
            .route("/privacy", get(public::privacy))
            .route("/openapi.json", get(public::openapi))
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(answer::panicked))
            .layer(tower_http::timeout::TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                limit,
            ))
            .layer(tower_http::limit::RequestBodyLimitLayer::new(body_limit))
            .with_state(Parts { rest: rest.clone(), pages: pages.clone() });
        Self { router, pages, get_mutations, rest, proxies }
    }

    /// Proxies whose word about the client counts.
    pub(super) fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// Verifies the tokens of this service.
    pub(super) fn verifier(&self) -> &TokenVerifier {
        self.rest.admission.verifier()
    }

    /// The bearer token of a request, if it has one.
    pub(super) fn token(&self, headers: &HeaderMap) -> Option<Secret> {
        authorization::Bearer::find(headers).ok()?.token().ok()
    }

    /// The route of a request by its one name, `other` for all that there are not.
    pub(super) fn route(&self, uri: &Uri) -> &'static str {
        match destination(uri) {
            Destination::Route { path, .. } => {
                routes::find(&path).map_or("other", routes::Route::path)
            }
            Destination::Redirect(_) => "other",
        }
    }

    /// Answers one request.
    pub async fn answer(&self, mut request: Request<Body>) -> Response<Body> {
        let (path, mount, has_slash) = match destination(request.uri()) {
            Destination::Route { path, mount, has_slash } => (path, mount, has_slash),
            Destination::Redirect(path) => return redirect(&request, &path),
        };
        let Some(route) = routes::find(&path) else {
            return self.documentation(&request).unwrap_or_else(answer::not_found);
        };
        if route.at_root_only && mount != Mount::Root {
            return answer::not_found();
        }
        if route.at_root_only && has_slash {
            return redirect(&request, &path);
        }
        if !route.takes(request.method(), self.get_mutations) {
            return answer::method_not_allowed(route.allow(self.get_mutations), request.method());
        }
        if request.method() == Method::OPTIONS {
            return answer::options(route.allow(self.get_mutations));
        }
        request.extensions_mut().insert(mount);
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let Ok(uri) = format!("{path}{query}").parse::<Uri>() else { return answer::not_found() };
        *request.uri_mut() = uri;
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

impl RestService {
    /// The answer to a request for a page of the documentation. Those are at their configured paths
    /// only, not under the mounts.
    fn documentation(&self, request: &Request<Body>) -> Option<Response<Body>> {
        let path = request.uri().path();
        let bare = path.strip_suffix('/').unwrap_or(path);
        let page = self.pages.docs.as_ref()?.answer(bare)?;
        let (route, method) = (routes::DOCUMENTATION, request.method());
        Some(match *method {
            _ if bare != path => redirect(request, bare),
            Method::OPTIONS => answer::options(route.allow(self.get_mutations)),
            _ if !route.takes(method, self.get_mutations) => {
                answer::method_not_allowed(route.allow(self.get_mutations), method)
            }
            _ => page,
        })
    }
}

/// Redirects to the same place under its one name; absolute, as clients of the interface expect.
fn redirect(request: &Request<Body>, path: &str) -> Response<Body> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let scheme = request.extensions().get::<Scheme>().map_or("http", |scheme| scheme.as_str());
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
