//! Discovery documents: one names the configured issuer, and endpoints that may be asked (R11, R15).
#![no_main]

use libfuzzer_sys::fuzz_target;
use motley_daemon::identity::fuzzing::{discover, parse_object};
use motley_fuzz::bounded;
use motley_proto::Issuer;
use url::Url;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (first, rest) = text.split_once('\n').unwrap_or((&text, &text));
    let chosen = Issuer::new(first).ok();
    let configured = chosen.unwrap_or_else(|| Issuer::new("https://op.example/x").expect("valid"));
    let read = bounded(data.len(), || discover(&configured, &parse_object(rest.as_bytes())?));
    let Some(read) = read else { return };
    let bare = |issuer: &Issuer| {
        let text = issuer.as_str();
        text.strip_suffix('/').unwrap_or(text).to_owned()
    };
    assert_eq!(bare(&read.issuer), bare(&configured), "another issuer");
    for endpoint in read.endpoints.iter().flatten() {
        let url = Url::parse(endpoint).expect("a URL");
        assert!(url.username().is_empty() && url.password().is_none());
        let own = Url::parse(configured.as_str()).expect("an issuer with endpoints is a URL");
        let on_loopback = !configured.is_https() && url.origin() == own.origin();
        assert!(url.scheme() == "https" || on_loopback, "{endpoint} may be asked");
    }
});
