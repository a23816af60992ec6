//! What the service shows to people: the page at the root, the privacy statement and the
//! documentation of the interface.

mod accept;
mod docs;
mod files;
mod host_keys;
mod html;
mod page;
mod privacy;
mod welcome;

pub(super) use docs::Docs;
pub(super) use host_keys::HostKeys;

use super::openapi;
use crate::config::Config;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Response, StatusCode},
};
use html::Html;
use privacy::Privacy;
use std::sync::Arc;
use welcome::Welcome;

/// Everything that is shown, and what it is made of.
pub(super) struct Pages {
    config: Arc<Config>,
    /// Keys of sshd.
    pub(super) host_keys: HostKeys,
    /// Swagger UI and ReDoc, if they are wanted.
    pub(super) docs: Option<Docs>,
    privacy: Privacy,
    document: Bytes,
}

impl Pages {
    /// Pages about what is configured.
    pub(super) fn new(config: Arc<Config>) -> Self {
        let privacy = &config.privacy;
        Self {
            host_keys: HostKeys::in_folder(config.server.ssh_host_keys.clone()),
            docs: Docs::new(&config.mapper),
            privacy: Privacy::new(privacy.file.clone(), privacy.contact.clone()),
            document: openapi::document(config.server.get_mutations).into(),
            config,
        }
    }

    /// The page at the root, for those who would rather read HTML than JSON.
    pub(super) fn welcome(&self, headers: &HeaderMap) -> Option<Response<Body>> {
        if !accept::prefers_html(headers) {
            return None;
        }
        let keys = self.host_keys.current();
        let welcome = Welcome {
            config: &self.config,
            host_keys: &keys,
            contact: contact(&self.config),
            has_privacy: self.privacy.current().is_some(),
        };
        Some(page::page(&welcome.title(), &welcome.main(), &welcome.footer()))
    }

    /// The privacy statement, or the 404 where there is none.
    pub(super) fn privacy(&self) -> Response<Body> {
        match self.privacy.current() {
            Some(statement) => {
                page::page("motley-cue privacy policy", &statement, &Html::default())
            }
            None => page::html_answer(
                StatusCode::NOT_FOUND,
                "Privacy policy not found",
                HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
            ),
        }
    }

    /// The OpenAPI document.
    pub(super) fn openapi(&self) -> Bytes {
        self.document.clone()
    }
}

/// Whom people turn to: option `contact` of `[login_info]`.
pub(super) fn contact(config: &Config) -> Option<&str> {
    let text = config.adapter.login_info.texts().get("contact")?.as_str()?;
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
