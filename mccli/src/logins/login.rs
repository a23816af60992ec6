//! The secret part of a stored login: what it takes to get tokens without the user.

use motley_proto::Secret;
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

/// Most access tokens that are kept of one login; older ones go first.
const MOST_TOKENS: usize = 8;

/// A login at a provider.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Login {
    /// Where.
    pub(crate) issuer: String,
    /// To whom the tokens are given.
    pub(crate) client: Client,
    /// Where that client came from.
    #[serde(default)]
    pub(crate) origin: Origin,
    /// Where the provider is asked.
    pub(crate) endpoints: Endpoints,
    /// Scopes that the provider granted.
    pub(crate) scopes: Vec<String>,
    /// Gets access tokens; a provider may give none.
    #[serde(serialize_with = "exposed_or_none")]
    pub(crate) refresh_token: Option<Secret>,
    /// Access tokens that are still good, the newest last.
    pub(crate) access: Vec<Access>,
    /// Who logged in: `sub` of the id token.
    pub(crate) subject: Option<String>,
    /// What people call that one there: `preferred_username`.
    #[serde(default)]
    pub(crate) name: Option<String>,
}

/// A client of a provider (RFC 6749 §2).
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Client {
    /// `client_id`.
    pub(crate) id: String,
    /// Its secret; public clients have none.
    pub(crate) secret: Option<ClientSecret>,
    /// The secret goes into the form, where the provider takes no Basic header.
    pub(crate) secret_in_form: bool,
}

/// Where a client comes from.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// The user or the service named it.
    #[default]
    Named,
    /// oidc-agent's list of public clients.
    OidcAgent,
    /// Registered by an earlier login, or just now.
    Registered,
}

/// The secret of a client.
#[derive(Serialize, Deserialize, Clone)]
#[serde(transparent)]
pub(crate) struct ClientSecret(#[serde(serialize_with = "exposed")] pub(crate) Secret);

/// What of a provider's metadata is needed after the login.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// RFC 6749 §3.2.
    pub(crate) token: String,
    /// RFC 7009.
    pub(crate) revocation: Option<String>,
    /// OpenID Connect Core 1.0 §5.3.
    pub(crate) userinfo: Option<String>,
}

/// An access token and what was asked for with it.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Access {
    /// The token.
    #[serde(serialize_with = "exposed")]
    pub(crate) token: Secret,
    /// Scopes as asked, sorted.
    pub(crate) scopes: Vec<String>,
    /// Audience as asked.
    pub(crate) audience: Option<String>,
    /// When it ends, in seconds since 1970.
    pub(crate) expires_at_s: f64,
}

impl Login {
    /// As it goes into a store.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // No map with keys other than text is in here, so nothing can fail.
        Zeroizing::new(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Keeps a token, and drops those that are over, that it replaces, or that are too many.
    pub(crate) fn keep(&mut self, access: Access, now_s: f64) {
        self.access.retain(|kept| {
            kept.expires_at_s > now_s
                && (kept.scopes != access.scopes || kept.audience != access.audience)
        });
        self.access.push(access);
        let surplus = self.access.len().saturating_sub(MOST_TOKENS);
        self.access.drain(..surplus);
    }
}

fn exposed<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose())
}

fn exposed_or_none<S: Serializer>(secret: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => to.serialize_some(secret.expose()),
        None => to.serialize_none(),
    }
}
