//! Swagger UI and ReDoc over the OpenAPI document: all of it comes from here, nothing from elsewhere.

use super::html::Html;
use super::page::{hash_of, html_answer};
use crate::config::MapperConfig;
use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use std::{borrow::Cow, sync::Arc};

/// `redoc.standalone.js`, compressed; see `motley-daemon/assets/README.md`.
const REDOC: &[u8] = include_bytes!("../../../../assets/redoc.standalone.js.gz");
/// Folder of all scripts and styles, wherever the pages themselves are.
const ASSETS: &str = "/docs/";
/// Where an authorization server would send people back to Swagger UI.
const REDIRECT: &str = "/docs/oauth2-redirect";
/// Files of Swagger UI that the pages load.
const SWAGGER_FILES: [&str; 4] =
    ["swagger-ui.css", "swagger-ui-bundle.js", "oauth2-redirect.js", "favicon-32x32.png"];
/// Starts Swagger UI. The document is not sent to a validator elsewhere.
const START: &str = include_str!("swagger-start.js");
/// The style of ReDoc's scroll bars, by the hash that browsers name when it is forbidden.
const REDOC_SCROLL: &str = "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='";
/// ReDoc's advertisement would load a picture from elsewhere.
const REDOC_STYLE: &str = "body{margin:0}a[href*=\"redocly.com\"]{display:none!important}";

/// The pages, where the configuration wants them.
pub(in crate::serve::rest) struct Docs {
    swagger: String,
    redoc: String,
}

impl Docs {
    /// `None` unless option `enable_docs` is on.
    pub(super) fn new(config: &MapperConfig) -> Option<Self> {
        let bare = |url: &Option<String>| Some(url.as_deref()?.trim_end_matches('/').to_owned());
        Some(Self { swagger: bare(&config.docs_url)?, redoc: bare(&config.redoc_url)? })
    }

    /// The answer for a path, if it is one of these.
    pub(in crate::serve::rest) fn answer(&self, path: &str) -> Option<Response<Body>> {
        match path {
            path if path == self.swagger => Some(swagger_page(path)),
            path if path == self.redoc => Some(redoc_page(path)),
            REDIRECT => Some(redirect_page()),
            path => asset(path.strip_prefix(ASSETS)?),
        }
    }
}

/// The way from a page to the root, so that a prefix which a web server puts in front stays.
fn to_root(path: &str) -> String {
    "../".repeat(path.matches('/').count().saturating_sub(1))
}

fn swagger_page(path: &str) -> Response<Body> {
    let root = to_root(path);
    let mut html = head("motley_cue - Swagger UI");
    html.tag("<link rel=\"stylesheet\" href=\"")
        .text(&root)
        .tag("docs/swagger-ui.css\">\n")
        .tag("<link rel=\"icon\" type=\"image/png\" href=\"")
        .text(&root)
        .tag("docs/favicon-32x32.png\">\n</head>\n<body>\n<main id=\"swagger-ui\" data-root=\"")
        .text(&root)
        .tag("\"></main>\n<script src=\"")
        .text(&root)
        .tag("docs/swagger-ui-bundle.js\"></script>\n")
        .tag("<script src=\"")
        .text(&root)
        .tag("docs/start.js\"></script>\n</body>\n</html>\n");
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; \
                  img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    html_answer(StatusCode::OK, html.into_string(), HeaderValue::from_static(policy))
}

fn redoc_page(path: &str) -> Response<Body> {
    let root = to_root(path);
    let mut html = head("motley_cue - ReDoc");
    html.tag("<style>")
        .tag(REDOC_STYLE)
        .tag("</style>\n</head>\n<body>\n<redoc spec-url=\"")
        .text(&root)
        .tag("openapi.json\"></redoc>\n<script src=\"")
        .text(&root)
        .tag("docs/redoc.standalone.js\"></script>\n</body>\n</html>\n");
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src '{}' '{}' {REDOC_SCROLL}; img-src data:; \
         connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash_of(REDOC_STYLE),
        // ReDoc fills empty style elements by rule, which no policy forbids.
        hash_of("")
    );
    let policy =
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    html_answer(StatusCode::OK, html.into_string(), policy)
}

fn redirect_page() -> Response<Body> {
    let mut html = head("motley_cue - Swagger UI");
    html.tag("</head>\n<body>\n<script src=\"oauth2-redirect.js\"></script>\n</body>\n</html>\n");
    let policy = "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    html_answer(StatusCode::OK, html.into_string(), HeaderValue::from_static(policy))
}

fn head(title: &str) -> Html {
    let mut html = Html::default();
    html.tag("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .tag("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .element("title", title)
        .tag("\n");
    html
}

fn asset(name: &str) -> Option<Response<Body>> {
    const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
    let mut response = match name {
        "start.js" => file(START, SCRIPT),
        "redoc.standalone.js" => {
            let mut response = file(REDOC, SCRIPT);
            let gzip = HeaderValue::from_static("gzip");
            response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
            response
        }
        name => {
            let name = SWAGGER_FILES.iter().find(|known| **known == name)?;
            let config = Arc::new(utoipa_swagger_ui::Config::default());
            let found = utoipa_swagger_ui::serve(name, config).ok()??;
            let kind = HeaderValue::from_str(&found.content_type).ok()?;
            match found.bytes {
                Cow::Borrowed(bytes) => file(bytes, kind),
                Cow::Owned(bytes) => file(bytes, kind),
            }
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Some(response)
}

fn file(bytes: impl Into<Body>, kind: HeaderValue) -> Response<Body> {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn docs(swagger: &str, redoc: &str) -> Docs {
        Docs { swagger: swagger.to_owned(), redoc: redoc.to_owned() }
    }

    async fn text(response: Response<Body>) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 10_000_000).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn everything_that_the_pages_load_is_served_here_wherever_they_are() {
        for (swagger, redoc) in [("/docs", "/redoc"), ("/a/b/docs", "/a/c"), ("/x", "/docs/r")] {
            let docs = docs(swagger, redoc);
            for page in [swagger, redoc, REDIRECT] {
                let html = text(docs.answer(page).unwrap()).await;
                let base = page.rsplit_once('/').unwrap().0;
                let sources = html.split(['"', '\'']).skip(1).step_by(2);
                let mut loaded = 0;
                for source in
                    sources.filter(|source| source.ends_with(".js") || source.ends_with(".css"))
                {
                    let ups = source.matches("../").count();
                    let kept: Vec<&str> = base.split('/').collect();
                    let kept = kept[..kept.len() - ups].join("/");
                    let path = format!("{kept}/{}", source.trim_start_matches("../"));
                    assert!(docs.answer(&path).is_some(), "{page}: {source} is {path}");
                    loaded += 1;
                }
                assert!(loaded > 0, "{html}");
                assert!(!html.contains("://"), "{html}");
            }
        }
    }

    #[test]
    fn nothing_else_of_swagger_ui_is_served() {
        let docs = docs("/docs", "/redoc");
        for path in
            ["/docs/index.html", "/docs/swagger-initializer.js", "/docs/", "/docs/../x", "/"]
        {
            assert!(docs.answer(path).is_none(), "{path}");
        }
    }
}
