//! As much of a web browser as a sign-in needs: cookies and redirects.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use tokio::runtime::Runtime;

/// Redirects of one sign-in, and some more.
const MOST_REDIRECTS: usize = 10;

/// A browser of one person on one site.
#[derive(Debug)]
pub(crate) struct Browser {
    client: reqwest::Client,
    cookies: BTreeMap<String, String>,
    runtime: Runtime,
}

impl Browser {
    /// A browser that trusts this authority (PEM text) alone.
    ///
    /// # Errors
    /// When the text holds no certificate.
    pub(crate) fn new(ca: &str) -> Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes())?])
            .build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client, cookies: BTreeMap::new(), runtime })
    }

    /// Opens `url` and goes where it is sent, up to an address that starts with `end`, which is
    /// returned and not opened.
    ///
    /// # Errors
    /// When a page is shown instead; the text carries the page.
    pub(crate) fn follow(&mut self, url: &str, end: &str) -> Result<String> {
        let mut at = reqwest::Url::parse(url)?;
        for _ in 0..MOST_REDIRECTS {
            at = self.open(at)?;
            if at.as_str().starts_with(end) {
                return Ok(at.into());
            }
        }
        bail!("still redirected after {MOST_REDIRECTS} times, now to {at}")
    }

    /// Where this address sends the browser.
    fn open(&mut self, at: reqwest::Url) -> Result<reqwest::Url> {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.client.get(at.clone()).header(COOKIE, cookies.join("; "));
        let response = self.runtime.block_on(async { request.send().await })?;
        for cookie in response.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').context("a cookie without a value")?;
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        match response.headers().get(LOCATION) {
            Some(location) => Ok(at.join(location.to_str()?)?),
            None => bail!("{at} shows a page: {}", self.runtime.block_on(response.text())?),
        }
    }
}
