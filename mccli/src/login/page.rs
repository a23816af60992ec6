//! The page that the user will log in at: whose it is, before it is shown.

use super::Provider;
use crate::{error::Result, report, tty};
use reqwest::Url;
use std::collections::BTreeSet;

/// Asks the user about a page that is not on the issuer's host; without a terminal it is a warning.
/// A provider that leads to another one's page would get the login that was meant for that one.
///
/// # Errors
/// [`crate::error::Error::NotConfirmed`] or [`crate::error::Error::Interrupted`].
pub(super) fn check<'a>(
    provider: &Provider,
    links: impl IntoIterator<Item = &'a String>,
) -> Result<()> {
    let issuer = &provider.issuer;
    let hosts: BTreeSet<String> =
        links.into_iter().filter_map(|link| elsewhere(issuer, link)).collect();
    if hosts.is_empty() {
        return Ok(());
    }
    let hosts: Vec<String> = hosts.into_iter().collect();
    let text = format!("{issuer} has its login page on another host, {}", hosts.join(" and "));
    report::warning(&format!("{text}\nGo on only if you know that this host is your provider's."));
    if tty::is_there() { tty::confirm("Log in there?", "") } else { Ok(()) }
}

/// The host of a link, if it is not the issuer's.
fn elsewhere(issuer: &str, link: &str) -> Option<String> {
    let host = |text: &str| Url::parse(text).ok()?.host_str().map(str::to_owned);
    match host(link) {
        Some(page) if host(issuer).as_deref() == Some(page.as_str()) => None,
        page => Some(page.unwrap_or_else(|| link.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_on_another_host_than_the_issuers_is_told_by_name() {
        for (link, expected) in [
            ("https://op.example/auth?x=1", None),
            ("https://OP.example:443/device", None),
            ("https://login.op.example/auth", Some("login.op.example")),
            ("https://op.example.evil.example/", Some("op.example.evil.example")),
            ("https://op.example@evil.example/", Some("evil.example")),
            ("no link", Some("no link")),
        ] {
            assert_eq!(elsewhere("https://op.example/realm", link).as_deref(), expected, "{link}");
        }
    }
}
