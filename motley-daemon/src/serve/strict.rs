//! Requests that two programs could read differently, refused before anything acts on them.
//!
//! A proxy in front and this daemon must agree where each request ends and which host it is for;
//! where they do not, one client can put a request into another's connection (request smuggling).
//! What the HTTP library takes leniently is refused here.

use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, Version, header};
use axum::{body::Body, http::Request};

/// Why a request is not read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ambiguity {
    /// A body without a length. No request here needs a body, and of a request with both kinds of
    /// length a proxy may have taken the other one (RFC 9112 §6.3). The library hides that there
    /// were two.
    Chunked,
    /// More than one `Host`, or none in HTTP/1.1 (RFC 9112 §3.2).
    Host,
    /// The target names another host than `Host` (RFC 9112 §3.2.2).
    OtherHost,
}

/// Finds what two programs could read differently.
pub(super) fn ambiguity<B>(request: &Request<B>) -> Option<Ambiguity> {
    let headers = request.headers();
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Some(Ambiguity::Chunked);
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Some(Ambiguity::Host),
        (None, None) if request.version() == Version::HTTP_11 => Some(Ambiguity::Host),
        (host, None) => names_other(request.uri(), host).then_some(Ambiguity::OtherHost),
    }
}

/// The answer; the connection ends with it, because where the next request begins is unclear.
pub(super) fn refuse(why: Ambiguity) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = match why {
        Ambiguity::Chunked => StatusCode::LENGTH_REQUIRED,
        Ambiguity::Host | Ambiguity::OtherHost => StatusCode::BAD_REQUEST,
    };
    close_after(&mut response);
    response
}

/// True when the request has a body. The connection then ends with the answer: should a proxy have
/// seen no body, what it takes for the next request would stand in it.
pub(super) fn has_body(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

/// Ends the connection after this answer.
pub(super) fn close_after(response: &mut Response<Body>) {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

fn names_other(uri: &Uri, host: Option<&HeaderValue>) -> bool {
    let Some(authority) = uri.authority() else { return false };
    !host.is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()))
}
