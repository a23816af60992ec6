//! Requests of the REST interface: path, query and the headers that say who asks (R32).
#![no_main]

use http::{HeaderMap, HeaderValue, Uri, header};
use libfuzzer_sys::fuzz_target;
use motley_daemon::serve::paths::{Destination, destination};
use motley_daemon::serve::rest::fuzzing::{bearer, hint, parameter};
use motley_fuzz::{bounded, is_one_line};

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let (target, value) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    bounded(data.len(), || {
        if let Ok(uri) = Uri::try_from(target) {
            check_path(&uri);
            check_query(&uri);
        }
        if let Ok(value) = HeaderValue::from_bytes(value) {
            check_headers(value);
        }
    });
});

fn check_path(uri: &Uri) {
    match destination(uri) {
        Destination::Route { path, .. } => {
            assert!(!path.is_empty());
            assert!(path == "/" || !path.ends_with('/') || path.ends_with("//"), "{path}");
        }
        Destination::Redirect(path) => {
            // `//host` and `/\host` are other hosts to a browser, a line feed another header.
            assert!(path.starts_with('/') && is_one_line(&path), "{path}");
            assert!(!path.starts_with("//") && !path.starts_with("/\\"), "{path}");
        }
    }
}

fn check_query(uri: &Uri) {
    let Some(query) = uri.query() else {
        assert_eq!(parameter(uri, "sub"), None);
        return;
    };
    let last = |name: &str| {
        let pairs = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
        pairs.last().map(|(_, value)| value.into_owned())
    };
    for name in ["sub", "iss", "username", "url"] {
        assert_eq!(parameter(uri, name), last(name), "{query}");
    }
}

fn check_headers(value: HeaderValue) {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, value.clone());
    headers.insert("oidc-issuer", value.clone());
    if let Some(token) = bearer(&headers) {
        assert!(!token.is_empty() && token.trim() == token);
        assert!(value.as_bytes().starts_with(b"Bearer "));
    }
    if let Some(issuer) = hint(&headers) {
        assert_eq!(issuer.as_str().as_bytes(), value.as_bytes());
    }
}
