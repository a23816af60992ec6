//! Section `[backend.bwidm]`: where the registration service is and as whom it is asked.

use crate::groups::GroupLimits;
use motley_proto::Secret;
use reqwest::Url;
use std::{net::IpAddr, time::Duration};

/// Why an option of the section can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BwIdmError {
    /// The address is no URL of a service.
    #[error("must be an https URL without user, query and fragment (http only for loopback)")]
    Url,
    /// The word has characters that are not allowed, or none.
    #[error("must be letters, digits and `-`, 1 to 16 of them, in lower case")]
    Organisation,
    /// The word has characters that are not allowed, or none.
    #[error("must be letters, digits, `_`, `.` and `-`, 1 to 64 of them")]
    Service,
}

/// Address of the service's REST interface: https, or http on the loopback interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`BwIdmError::Url`].
    pub fn parse(text: &str) -> Result<Self, BwIdmError> {
        let url = Url::parse(text).map_err(|_| BwIdmError::Url)?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let fits = match url.scheme() {
            "https" => true,
            "http" => is_loopback(&url),
            _ => false,
        };
        if plain && fits && url.has_host() { Ok(Self(url)) } else { Err(BwIdmError::Url) }
    }

    /// The text without slash at its end.
    pub(super) fn text(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// True for https.
    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Organisation by whose name every account begins: `fdl` in `fdl_jdoe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation(String);

impl Organisation {
    /// Reads the word.
    ///
    /// # Errors
    /// [`BwIdmError::Organisation`].
    pub fn parse(text: &str) -> Result<Self, BwIdmError> {
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match begins && text.len() <= 16 && text.chars().all(fits) {
            true => Ok(Self(text.to_owned())),
            false => Err(BwIdmError::Organisation),
        }
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What every local name begins with.
    pub fn prefix(&self) -> String {
        format!("{}_", self.0)
    }
}

/// Short name of the service that people are registered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName(String);

impl ServiceName {
    /// Reads the word.
    ///
    /// # Errors
    /// [`BwIdmError::Service`].
    pub fn parse(text: &str) -> Result<Self, BwIdmError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let only_dots = text.chars().all(|c| c == '.');
        match !only_dots && text.len() <= 64 && text.chars().all(fits) {
            true => Ok(Self(text.to_owned())),
            false => Err(BwIdmError::Service),
        }
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Options of `[backend.bwidm]`.
#[derive(Clone)]
pub struct BwIdmConfig {
    /// Address of the REST interface.
    pub url: BaseUrl,
    /// Organisation of the accounts.
    pub organisation: Organisation,
    /// Service that people are registered for.
    pub service: ServiceName,
    /// User for basic authentication (RFC 7617).
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Longest time for one request.
    pub timeout: Duration,
    /// Longest time for which a registration may be on its way.
    pub patience: Duration,
    /// Which groups may be joined.
    pub groups: GroupLimits,
}

impl std::fmt::Debug for BwIdmConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BwIdmConfig")
            .field("url", &self.url.text())
            .field("organisation", &self.organisation)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_asked_over_https_or_on_this_host() {
        for good in ["https://reg.example/rest", "http://127.0.0.1:80/rest/", "http://[::1]/x"] {
            assert!(BaseUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://reg.example/rest",
            "https://u:p@reg.example/",
            "https://reg.example/?x",
            "ftp://localhost",
            "http://127.0.0.1.evil.example",
            "",
        ] {
            assert_eq!(BaseUrl::parse(bad), Err(BwIdmError::Url), "{bad}");
        }
        assert!(Organisation::parse("fdl").is_ok());
        for bad in ["", "F", "a_b", "1a", "a/b", "aaaaaaaaaaaaaaaaa"] {
            assert!(Organisation::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", ".", "..", "a/b", "a b"] {
            assert!(ServiceName::parse(bad).is_err(), "{bad}");
        }
    }
}
