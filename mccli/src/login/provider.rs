//! A provider's metadata (OpenID Connect Discovery 1.0).

use super::LoginError;
use crate::{
    error::{Error, Result},
    http::{Http, check_scheme},
};
use serde::Deserialize;

/// What a provider says of itself.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Provider {
    /// Its exact name.
    pub(crate) issuer: String,
    /// Where people log in.
    pub(crate) authorization_endpoint: Option<String>,
    /// Where tokens are given out.
    pub(crate) token_endpoint: String,
    /// RFC 8628 §4.
    pub(crate) device_authorization_endpoint: Option<String>,
    /// RFC 7009.
    pub(crate) revocation_endpoint: Option<String>,
    /// OpenID Connect Core 1.0 §5.3.
    pub(crate) userinfo_endpoint: Option<String>,
    /// RFC 7591.
    pub(crate) registration_endpoint: Option<String>,
    /// Empty when it does not say.
    #[serde(default)]
    pub(crate) scopes_supported: Vec<String>,
    /// Empty when it does not say: Basic then.
    #[serde(default)]
    pub(crate) token_endpoint_auth_methods_supported: Vec<String>,
    /// Its answers always say whose they are (RFC 9207 §3).
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

impl Provider {
    /// Asks an issuer for its metadata.
    ///
    /// # Errors
    /// When there are none, or they are another issuer's.
    pub(crate) fn discover(http: &Http, text: &str) -> Result<Self> {
        let issuer = with_scheme(text);
        check_scheme(&issuer, http.trust())?;
        let base = issuer.trim_end_matches('/');
        let wrong = |reason: String| LoginError::Provider { issuer: issuer.clone(), reason };
        let answer = http.get(&format!("{base}/.well-known/openid-configuration"), None)?;
        if answer.status != 200 {
            let reason = format!(
                "no OpenID provider answers there (HTTP {}); check the spelling of the issuer",
                answer.status
            );
            return Err(wrong(reason).into());
        }
        let provider: Self = answer
            .json()
            .map_err(|error| wrong(format!("its metadata can't be understood: {error}")))?;
        // OpenID Connect Discovery 1.0 §4.3; services list issuers without the last slash.
        if provider.issuer.trim_end_matches('/') != base {
            let reason = format!(
                "its metadata are those of another issuer, {:?}; use that one if you trust it",
                provider.issuer
            );
            return Err(wrong(reason).into());
        }
        provider.check_endpoints(http)?;
        Ok(provider)
    }

    pub(super) fn check_endpoints(&self, http: &Http) -> Result<()> {
        let several = [
            &self.authorization_endpoint,
            &self.device_authorization_endpoint,
            &self.revocation_endpoint,
            &self.userinfo_endpoint,
            &self.registration_endpoint,
        ];
        let all = several.into_iter().flatten().chain([&self.token_endpoint]);
        for endpoint in all {
            let wrong =
                |reason| Error::from(LoginError::Provider { issuer: self.issuer.clone(), reason });
            let url = check_scheme(endpoint, http.trust()).map_err(|error| match error {
                Error::Network { reason, .. } => {
                    wrong(format!("its metadata hold no URL: {endpoint:?} ({reason})"))
                }
                other => other,
            })?;
            if url.scheme() == "http" && !is_plain(&self.issuer) {
                return Err(wrong(format!(
                    "its metadata name {endpoint:?}, which is not encrypted; tell its administrators"
                )));
            }
        }
        Ok(())
    }

    /// True if a client's secret must go into the form (RFC 6749 §2.3.1).
    pub(super) fn takes_secret_in_form_only(&self) -> bool {
        let methods = &self.token_endpoint_auth_methods_supported;
        let has = |wanted: &str| methods.iter().any(|method| method == wanted);
        has("client_secret_post") && !has("client_secret_basic")
    }
}

/// True for an issuer that is itself asked by plain http, as only tests are.
pub(crate) fn is_plain(issuer: &str) -> bool {
    reqwest::Url::parse(issuer).is_ok_and(|url| url.scheme() == "http")
}

/// An issuer as users write it: https is added when it has no scheme.
pub(crate) fn with_scheme(text: &str) -> String {
    let text = text.trim();
    if text.contains("://") { text.to_owned() } else { format!("https://{text}") }
}
