//! What browsers are shown, over the same service that programs ask.

use crate::serve::{
    rest::{Rest, RestService},
    tests::{admission, config_of},
};
use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use std::time::Duration;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

struct Site {
    service: RestService,
    _bench: crate::account::tests::Bench,
}

async fn site(motley_cue: &str, adapter: &str) -> Site {
    let (admission, bench) = admission().await;
    let config = config_of(motley_cue, adapter);
    let rest = Rest { admission, config, time_limit: Duration::from_secs(9) };
    Site { service: RestService::new(rest), _bench: bench }
}

impl Site {
    async fn ask(&self, method: &str, path: &str, accept: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("host", "ssh.example").header("accept", accept);
        let answer = self.service.answer(request.body(Body::empty()).unwrap()).await;
        let (parts, body) = answer.into_parts();
        let bytes = axum::body::to_bytes(body, 10_000_000).await.unwrap();
        (parts.status, parts.headers, String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn page(&self) -> String {
        self.ask("GET", "/", BROWSER).await.2
    }
}

fn value(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(&name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_root_is_a_page_for_browsers_and_an_index_for_programs() {
    let site = site("", "").await;
    for (path, accept, kind) in [
        ("/", BROWSER, "text/html; charset=utf-8"),
        ("/", "*/*", "application/json"),
        ("/", "application/json", "application/json"),
        ("/api/", BROWSER, "application/json"),
        ("/api/v1/", BROWSER, "application/json"),
    ] {
        let (status, headers, _) = site.ask("GET", path, accept).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(value(&headers, header::CONTENT_TYPE), kind, "{path} {accept}");
        assert_eq!(value(&headers, header::VARY), "Accept", "{path} {accept}");
    }
    let (status, headers, body) = site.ask("HEAD", "/", BROWSER).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
    assert_eq!(value(&headers, header::CONTENT_TYPE), "text/html; charset=utf-8");
}

#[tokio::test]
async fn every_page_forbids_what_it_does_not_need() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("statement.md");
    std::fs::write(&file, "# Privacy\n").unwrap();
    let text =
        format!("[mapper]\nenable_docs = yes\n[privacy]\nprivacy_file = {}\n", file.display());
    let site = site(&text, "").await;
    let missing = self::site("[privacy]\nprivacy_file = /missing\n", "").await;
    let (status, not_there, body) = missing.ask("GET", "/privacy", BROWSER).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, "Privacy policy not found"));
    let mut all = vec![("/privacy, missing", not_there)];
    for path in ["/", "/privacy", "/docs", "/redoc", "/docs/oauth2-redirect"] {
        let (status, headers, _) = site.ask("GET", path, BROWSER).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        all.push((path, headers));
    }
    for (path, headers) in all {
        assert_eq!(value(&headers, header::CONTENT_TYPE), "text/html; charset=utf-8", "{path}");
        assert_eq!(value(&headers, header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(value(&headers, header::REFERRER_POLICY), "no-referrer", "{path}");
        let policy = value(&headers, header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        for wide in ["http:", "https:", "*", "unsafe-eval", "script-src 'unsafe-inline'"] {
            assert!(!policy.contains(wide), "{path}: {policy}");
        }
        if !path.contains("doc") {
            assert!(!policy.contains("script") && !policy.contains("unsafe"), "{path}: {policy}");
        }
    }
}

#[tokio::test]
async fn documentation_is_there_when_wanted_at_the_root_and_under_one_name() {
    let off = site("", "").await;
    for path in ["/docs", "/redoc", "/docs/oauth2-redirect", "/docs/swagger-ui.css", "/api/docs"] {
        assert_eq!(off.ask("GET", path, BROWSER).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let text = "[mapper]\nenable_docs = yes\ndocs_url = /help/me\nredoc_url = /read\n";
    let on = site(text, "").await;
    for (path, status) in [
        ("/help/me", 200),
        ("/read", 200),
        ("/docs/redoc.standalone.js", 200),
        ("/docs", 404),
        ("/api/help/me", 404),
        ("/api/v1/docs/swagger-ui.css", 404),
        ("/help/me/", 307),
        ("/openapi.json/", 307),
        ("/api/openapi.json", 404),
    ] {
        assert_eq!(on.ask("GET", path, BROWSER).await.0, status, "{path}");
    }
    let (status, headers, _) = on.ask("POST", "/read", BROWSER).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(value(&headers, header::ALLOW), "GET, HEAD, OPTIONS");
    let (status, headers, _) = on.ask("OPTIONS", "/read", BROWSER).await;
    assert_eq!((status.as_u16(), value(&headers, header::ALLOW)), (204, "GET, HEAD, OPTIONS"));
    let odd = "[mapper]\nenable_docs = yes\ndocs_url = /api/docs/\nredoc_url = /info\n";
    let odd = self::site(odd, "").await;
    assert_eq!(odd.ask("GET", "/api/docs", BROWSER).await.0, 200, "where the site wants it");
    assert_eq!(odd.ask("GET", "/api/docs/", BROWSER).await.0, 307);
    let (_, headers, _) = odd.ask("GET", "/info", BROWSER).await;
    assert_eq!(value(&headers, header::CONTENT_TYPE), "application/json", "nothing is covered up");
    for site in [&on, &off] {
        let (status, headers, body) = site.ask("GET", "/openapi.json", "*/*").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(value(&headers, header::CONTENT_TYPE), "application/json");
        assert!(body.starts_with("{\"openapi\":\"3.1.0\""), "{body}");
    }
}

#[tokio::test]
async fn the_page_tells_how_to_log_in_here() {
    let text = "[mapper.otp]\nuse_otp = yes\n[server]\nssh_host_keys =\n[authorisation.a]\n\
        op_url = https://login.example/realm\nauthorised_vos = [urn:x:y:group:a]\naudience = ssh\n\
        scopes = [openid, profile]\n[authorisation.b]\nop_url = https://other.example\n\
        authorise_all = yes\n";
    let adapter = "[login_info]\nssh_host = ssh.example\ndescription = The cluster\n\
        login_help = See `mccli ssh {ssh_host}`\ncontact = help@ssh.example\n";
    let html = site(text, adapter).await.page().await;
    for part in [
        "<html lang=\"en\">",
        "<h1>Log in to ssh.example</h1>",
        "The cluster",
        "<h3>login.example/realm</h3>",
        "Members of this group are let in.",
        "<code>urn:x:y:group:a</code>",
        "Everybody of this organisation is let in.",
        "oidc-token --aud ssh --scope &#39;openid profile&#39; https://login.example/realm",
        "oidc-token https://other.example<",
        "mccli ssh ssh.example",
        "ssh NAME@ssh.example",
        "See <code>mccli ssh ssh.example</code>",
        "<a href=\"mailto:help@ssh.example\">",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("id=\"keys\""), "there are no keys to show");
}

#[tokio::test]
async fn r31_whatever_the_configuration_says_the_page_stays_what_it_is() {
    let hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";
    let text = format!(
        "[authorisation.a]\nop_url = https://op.example\nscopes = [{0}]\naudience = {0}\n\
         authorised_vos = [{0}]\n",
        hostile.replace(' ', "")
    );
    let adapter = format!(
        "[login_info]\nssh_host = {hostile}\ndescription = {hostile}\nlogin_help = `{hostile}`\n\
         contact = javascript:alert(1)\n"
    );
    let html = site(&text, &adapter).await.page().await;
    assert!(html.contains("&lt;script&gt;"), "{html}");
    let own: Vec<&str> =
        html.split('<').skip(1).filter(|tag| tag.starts_with(['s', 'i'])).collect();
    for tag in own {
        let harmless = ["style>", "section aria"].iter().any(|own| tag.starts_with(own));
        assert!(harmless, "<{tag}");
    }
    assert!(!html.contains("href=\"javascript"), "{html}");
}
