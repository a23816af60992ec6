//! Answers: bodies of the interface, with the headers that belong to them.

use crate::{
    account::{AccountError, DeployError},
    admission,
    identity::TokenRefusal,
};
use axum::{
    body::Body,
    http::{HeaderValue, Method, Response, StatusCode, header},
};
use motley_proto::{
    rest::{Detail, Refusal, StateAnswer},
    text::escape,
};
use serde::Serialize;
use std::any::Any;

/// A JSON body.
pub(super) fn json<B: Serialize>(status: StatusCode, body: &B) -> Response<Body> {
    let bytes = serde_json::to_vec(body).unwrap_or_else(|_| b"{}".to_vec());
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 §11.6.1: every 401 names the scheme.
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A `detail` body.
pub(super) fn detail(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    json(status, &Detail { detail: text.into() })
}

pub(super) fn not_found() -> Response<Body> {
    detail(StatusCode::NOT_FOUND, "Not Found")
}

pub(super) fn method_not_allowed(allow: &'static str, method: &Method) -> Response<Body> {
    let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

pub(super) fn options(allow: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

/// What a caught panic becomes: the connection lives, the message stays in the log.
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

pub(super) fn unauthenticated(description: &str) -> Response<Body> {
    let body = Refusal {
        error: "Unauthenticated".to_owned(),
        error_description: escape(description, 1000),
        error_details: None,
        explanation: Vec::new(),
    };
    json(StatusCode::UNAUTHORIZED, &body)
}

pub(super) fn token_refused(refusal: &TokenRefusal) -> Response<Body> {
    unauthenticated(&refusal.description())
}

pub(super) fn refused(refusal: &admission::Refusal) -> Response<Body> {
    match refusal {
        admission::Refusal::Token(token) => token_refused(token),
        admission::Refusal::OneTimePassword | admission::Refusal::OtherIdentity => {
            unauthenticated("User identity could not be determined")
        }
        _ => failed(),
    }
}

/// Marks an answer that no cache may keep (RFC 9111 §5.2.2.5): it holds a credential.
pub(super) fn no_store(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn forbidden(
    description: String,
    details: serde_json::Value,
    explanation: Vec<String>,
) -> Response<Body> {
    let body = Refusal {
        error: "Forbidden".to_owned(),
        error_description: description,
        error_details: Some(details),
        explanation,
    };
    json(StatusCode::FORBIDDEN, &body)
}

/// Something inside failed. The cause is for the log, which the caller writes; the client learns
/// that it may try again.
fn failed() -> Response<Body> {
    let text = "Reached state 'failed': this can't be done now; try again in a moment";
    detail(StatusCode::INTERNAL_SERVER_ERROR, text)
}

pub(super) fn account_failed(error: &AccountError) -> Response<Body> {
    tracing::error!(%error, "account work failed");
    failed()
}

pub(super) fn not_deployed(error: &DeployError) -> Response<Body> {
    match error {
        DeployError::Rejected(why) => detail(
            StatusCode::UNAUTHORIZED,
            format!("Reached state 'rejected': {}", escape(why, 2000)),
        ),
        DeployError::Waits { state, message } => {
            let credentials = serde_json::Map::new();
            let (state, message) = (*state, message.clone());
            let body = StateAnswer { state, message, credentials, receipt: None };
            json(StatusCode::OK, &body)
        }
        DeployError::GroupTaken(_) => failed(),
        DeployError::Account(error) => account_failed(error),
    }
}
