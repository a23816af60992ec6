//! The frame of all pages for people: head, style, landmarks, and the headers that keep them harmless.

use super::html::Html;
use aws_lc_rs::digest;
use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::sync::OnceLock;

/// The style of all pages. Pairs of colours have a contrast of at least 4.5 : 1 (WCAG 2.2 §1.4.3).
const STYLE: &str = include_str!("style.css");

/// A page with the usual frame. `footer` holds what belongs at the end of it.
pub(super) fn page(title: &str, main: &Html, footer: &Html) -> Response<Body> {
    let mut html = Html::default();
    html.tag("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .tag("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .tag("<meta name=\"color-scheme\" content=\"light dark\">\n")
        .element("title", title)
        .tag("\n<style>")
        .tag(STYLE)
        .tag("</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to content</a>\n")
        .tag("<main id=\"main\" tabindex=\"-1\">\n")
        .piece(main)
        .tag("</main>\n<footer>\n")
        .piece(footer)
        .tag("</footer>\n</body>\n</html>\n");
    let mut response = html_answer(StatusCode::OK, html.into_string(), style_only());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// An answer in HTML under a policy of what it may load and do (CSP level 3).
pub(super) fn html_answer(
    status: StatusCode,
    body: impl Into<Body>,
    policy: HeaderValue,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Nothing is loaded, nothing runs; of styles the one above is taken.
pub(super) fn style_only() -> HeaderValue {
    static POLICY: OnceLock<HeaderValue> = OnceLock::new();
    let made = POLICY.get_or_init(|| {
        let policy = format!(
            "default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
            hash_of(STYLE)
        );
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    });
    made.clone()
}

/// The hash by which a policy names an inline style (CSP level 3 §2.3.1).
pub(super) fn hash_of(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    format!("sha256-{}", BASE64_STANDARD.encode(digest))
}
