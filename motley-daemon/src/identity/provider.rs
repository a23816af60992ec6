//! An OpenID provider as configured, and what it says about itself (OpenID Connect Discovery 1.0).

use super::fetch::{Endpoint, FetchError};
use crate::verified::ClaimMap;
use feudal_plugins::AnyOf;
use motley_proto::facts::ProviderFeatures;
use motley_proto::text::escape;
use motley_proto::{Issuer, Secret};
use serde_json::Value;
use std::time::Duration;

/// Longest time for all questions to a provider about one token, where nothing else is configured.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// When userinfo is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserinfoMode {
    /// For every token: claims that are not in the token are found, and a revoked token is noticed.
    #[default]
    Always,
    /// For opaque tokens, and for signed ones that lack a claim which is needed. For providers that
    /// put all claims into their tokens, and for those whose signed tokens are meant for this
    /// service alone and therefore not accepted at userinfo (RFC 8707 §2): an empty list in the
    /// token is a claim too. A revoked token that has all claims is not noticed.
    WhenNeeded,
}

/// Our credentials at a provider, for introspection (RFC 6749 §2.3.1).
#[derive(Clone)]
pub struct ClientCredentials {
    /// Client id.
    pub id: String,
    /// Client secret.
    pub secret: Secret,
}

/// One configured provider: the only kind of issuer that is ever asked anything.
#[derive(Clone)]
pub struct Provider {
    /// Its issuer URL as configured; the discovered one may differ by one slash at the end.
    pub issuer: Issuer,
    /// True when it issues opaque tokens, so that one without any other hint goes to it.
    pub opaque_tokens: bool,
    /// When userinfo is asked.
    pub userinfo: UserinfoMode,
    /// Claims that policy, names and groups read, of each choice one. They matter for
    /// [`UserinfoMode::WhenNeeded`] only.
    pub needs: Vec<AnyOf>,
    /// Whether policy checks for whom its tokens are, for the operator.
    pub audience_configured: bool,
    /// Credentials for introspection; without them opaque tokens are tried at userinfo.
    pub introspection: Option<ClientCredentials>,
    /// Longest time for all questions to it about one token.
    pub timeout: Duration,
    /// Whether its issuer may be http on the loopback interface.
    pub allow_http: bool,
}

impl Provider {
    /// A provider with nothing but its issuer: userinfo always, no introspection, https.
    pub fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            opaque_tokens: false,
            userinfo: UserinfoMode::default(),
            needs: Vec::new(),
            audience_configured: false,
            introspection: None,
            timeout: DEFAULT_TIMEOUT,
            allow_http: false,
        }
    }

    /// The needed choices of which a token has no claim.
    pub(crate) fn lacking<'a>(&'a self, claims: &'a ClaimMap) -> impl Iterator<Item = &'a AnyOf> {
        self.needs.iter().filter(|choice| choice.is_lacking_in(claims))
    }
}

/// The text without one slash at its end: the form in which providers are looked up.
pub(crate) fn without_slash(issuer: &str) -> &str {
    issuer.strip_suffix('/').unwrap_or(issuer)
}

/// What discovery says, as far as it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// The issuer in its own words. Identities are filed under it.
    pub(crate) issuer: Issuer,
    /// Where its keys are.
    pub(crate) jwks: Option<Endpoint>,
    /// Where it tells about the holder of a token.
    pub(crate) userinfo: Option<Endpoint>,
    /// Where it tells about a token.
    pub(crate) introspection: Option<Endpoint>,
    /// What else it says, for the operator.
    pub(crate) features: ProviderFeatures,
}

/// Most scopes, claims or methods of a provider that are shown, and the characters of each.
const SHOWN: usize = 64;
const SHOWN_CHARACTERS: usize = 80;

impl Metadata {
    /// Reads the discovery document of a configured issuer.
    ///
    /// # Errors
    /// When it names another issuer (R11; one slash at the end is forgiven) or none.
    pub(crate) fn parse(configured: &Issuer, document: &ClaimMap) -> Result<Self, FetchError> {
        let unusable = |why: String| FetchError::Unusable { place: "discovery", why };
        let issuer = document
            .get("issuer")
            .and_then(Value::as_str)
            .ok_or_else(|| unusable("names no issuer".to_owned()))?;
        if without_slash(issuer) != without_slash(configured.as_str()) {
            let named = escape(issuer, 256);
            return Err(unusable(format!("names another issuer: {named}")));
        }
        let issuer =
            Issuer::new(issuer).map_err(|why| unusable(format!("names an issuer that {why}")))?;
        let endpoint = |member: &str| {
            let text = document.get(member)?.as_str()?;
            Endpoint::of(configured, text)
                .inspect_err(|why| {
                    tracing::warn!(issuer = %configured, member, reason = %why, "endpoint ignored");
                })
                .ok()
        };
        let (jwks, userinfo) = (endpoint("jwks_uri"), endpoint("userinfo_endpoint"));
        let introspection = endpoint("introspection_endpoint");
        let features = ProviderFeatures {
            userinfo: userinfo.is_some(),
            introspection: introspection.is_some(),
            device_flow: endpoint("device_authorization_endpoint")
                .map(|place| escape(place.as_str(), 256)),
            scopes: texts(document, "scopes_supported"),
            claims: texts(document, "claims_supported"),
            pkce: texts(document, "code_challenge_methods_supported"),
        };
        Ok(Self { issuer, jwks, userinfo, introspection, features })
    }
}

/// The texts of a list, fit to be shown.
fn texts(document: &ClaimMap, member: &str) -> Vec<String> {
    let items = document.get(member).and_then(Value::as_array);
    let texts = items.into_iter().flatten().filter_map(Value::as_str);
    texts.take(SHOWN).map(|text| escape(text, SHOWN_CHARACTERS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(configured: &str, document: Value) -> Result<Metadata, FetchError> {
        let Value::Object(document) = document else { panic!("an object") };
        Metadata::parse(&Issuer::new(configured).unwrap(), &document)
    }

    #[test]
    fn r11_discovery_must_name_the_configured_issuer() {
        for named in [
            "https://evil.example",
            "http://op.example/x",
            "https://OP.example/x",
            "https://op.example:443/x",
            "https://op.example/X",
            "https://op.example/x//",
            "https://www.op.example/x",
            "https://op.example/x/oauth2",
            "https://user@op.example/x",
            "https://op.example",
            "",
        ] {
            let refused = parse("https://op.example/x", json!({ "issuer": named }));
            assert!(refused.is_err(), "{named}");
        }
        assert!(parse("https://op.example", json!({})).is_err());
        assert!(parse("https://op.example", json!({"issuer": 1})).is_err());
    }

    #[test]
    fn one_slash_at_the_end_may_differ_and_discovery_has_the_last_word() {
        for (configured, named) in [
            ("https://op.example/x/", "https://op.example/x"),
            ("https://op.example/x", "https://op.example/x/"),
            ("https://op.example/x", "https://op.example/x"),
        ] {
            let read = parse(configured, json!({ "issuer": named })).unwrap();
            assert_eq!(read.issuer.as_str(), named);
        }
    }

    #[test]
    fn r15_endpoints_are_https_or_the_loopback_issuers_own_origin() {
        let keys_of = |issuer: &str, jwks: &str| {
            parse(issuer, json!({"issuer": issuer, "jwks_uri": jwks})).unwrap().jwks
        };
        assert!(keys_of("https://op.example", "https://keys.example/jwks").is_some());
        assert!(keys_of("http://127.0.0.1:81", "http://127.0.0.1:81/jwks").is_some());
        for (issuer, jwks) in [
            ("https://op.example", "http://op.example/jwks"),
            ("https://op.example", "http://127.0.0.1/jwks"),
            ("https://op.example", "file:///etc/passwd"),
            ("https://op.example", "https://user:pass@op.example/jwks"),
            ("https://op.example", "/jwks"),
            ("http://127.0.0.1:81", "http://127.0.0.1:82/jwks"),
            ("http://127.0.0.1:81", "http://169.254.169.254/jwks"),
        ] {
            assert!(keys_of(issuer, jwks).is_none(), "{jwks}");
        }
    }

    proptest! {
        #[test]
        fn r45_a_document_is_about_the_configured_issuer_or_refused(
            named in "(https?://)?(op\\.example|127\\.0\\.0\\.1|evil\\.example)(:[0-9]{1,3})?(/x)?(/|@|\\?)?|\\PC{0,20}",
            jwks in "(https?|file|HTTPS)?:?//?[a-z.@:/\\\\]{0,12}(op\\.example|127\\.0\\.0\\.1)?/?",
        ) {
            for configured in ["https://op.example/x", "http://127.0.0.1"] {
                let document = json!({"issuer": named, "jwks_uri": jwks, "userinfo_endpoint": jwks});
                let Ok(read) = parse(configured, document) else { continue };
                prop_assert_eq!(without_slash(read.issuer.as_str()), configured);
                let url = jwks.parse::<reqwest::Url>().ok();
                let own = url.is_some_and(|url| {
                    url.scheme() == "https" || (url.scheme() == "http" && url.host_str() == Some("127.0.0.1"))
                });
                prop_assert!(read.jwks.is_none() || own, "{}", jwks);
            }
        }
    }
}
