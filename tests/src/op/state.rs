//! What a provider remembers: users, issued tokens, clients and grants under way.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::device::DeviceGrant;
use super::fault::{Counters, Faults};
use super::keys::{Alg, KeySet};

/// Claims that say something about a token, not about its user: userinfo leaves them out.
const ABOUT_THE_TOKEN: [&str; 10] =
    ["iss", "aud", "exp", "iat", "nbf", "jti", "scope", "client_id", "azp", "pad"];

/// A person known to the provider.
#[derive(Debug, Clone)]
pub struct User {
    /// The name tests call the person by; not a claim.
    pub name: String,
    /// Everything that tokens and userinfo say about the person, `sub` included.
    pub claims: Map<String, Value>,
}

impl User {
    /// A person with `sub` (`sub-NAME`), `preferred_username`, `name` and `email`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let user = Self { name: name.to_owned(), claims: Map::new() };
        user.claim("sub", format!("sub-{name}"))
            .claim("preferred_username", name)
            .claim("name", format!("Test {name}"))
            .claim("email", format!("{name}@example.org"))
    }

    /// Sets a claim; `null` removes it.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        match value.into() {
            Value::Null => self.claims.remove(name),
            value => self.claims.insert(name.to_owned(), value),
        };
        self
    }

    /// Sets the subject.
    #[must_use]
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }
}

/// What userinfo answers to one token.
#[derive(Debug, Clone, PartialEq)]
pub enum UserinfoAnswer {
    /// These claims.
    Claims(Map<String, Value>),
    /// This HTTP status.
    Status(u16),
}

/// How access tokens look that the token endpoint gives out.
#[derive(Debug, Clone, PartialEq)]
pub enum GrantedToken {
    /// JWT, padded to at least this many characters (0: as it comes).
    Jwt {
        /// Signature algorithm.
        alg: Alg,
        /// Least length in characters.
        size: usize,
        /// Seconds until it expires.
        lifetime: i64,
    },
    /// A random string that only the provider understands.
    Opaque {
        /// Least length in characters.
        size: usize,
        /// Seconds until it expires.
        lifetime: i64,
    },
}

impl Default for GrantedToken {
    fn default() -> Self {
        Self::Jwt { alg: Alg::Rs256, size: 0, lifetime: 3600 }
    }
}

/// An access token given out.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) claims: Map<String, Value>,
    pub(crate) userinfo: UserinfoAnswer,
    /// Unix seconds.
    pub(crate) expires: i64,
}

/// A refresh token or authorization code given out: for whom, to whom.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) user: String,
    pub(crate) client: String,
    pub(crate) scope: String,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) nonce: Option<String>,
}

impl Grant {
    pub(crate) fn new(user: &str, client: &str, scope: &str) -> Self {
        Self {
            user: user.to_owned(),
            client: client.to_owned(),
            scope: scope.to_owned(),
            redirect_uri: None,
            challenge: None,
            nonce: None,
        }
    }
}

/// Everything that changes while a provider runs.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) keys: KeySet,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) issued: BTreeMap<String, Issued>,
    /// Client id to secret; `None` for public clients.
    pub(crate) clients: BTreeMap<String, Option<String>>,
    pub(crate) refresh: BTreeMap<String, Grant>,
    /// A refresh token is replaced whenever it is used.
    pub(crate) rotates: bool,
    pub(crate) codes: BTreeMap<String, Grant>,
    pub(crate) devices: BTreeMap<String, DeviceGrant>,
    /// Who signs in at the authorization endpoint and approves device codes without being asked.
    pub(crate) signed_in: Option<String>,
    pub(crate) granted: GrantedToken,
    pub(crate) faults: Faults,
    pub(crate) counters: Counters,
}

impl State {
    /// An issued token that has not expired.
    pub(crate) fn live(&self, token: &str) -> Option<&Issued> {
        self.issued.get(token).filter(|issued| issued.expires > now())
    }
}

/// Userinfo's answer to a token with these claims, unless a test wants another.
pub(crate) fn userinfo_of(claims: &Map<String, Value>) -> Map<String, Value> {
    claims
        .iter()
        .filter(|(name, _)| !ABOUT_THE_TOKEN.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The answer of RFC 7662 §2.2.
pub(crate) fn introspection_of(issued: Option<&Issued>) -> Value {
    let Some(issued) = issued else { return json!({"active": false}) };
    let mut answer = issued.claims.clone();
    answer.remove("pad");
    answer.insert("active".into(), true.into());
    answer.insert("token_type".into(), "Bearer".into());
    Value::Object(answer)
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A fresh name that nobody can guess.
pub(crate) fn fresh(prefix: &str) -> String {
    format!("{prefix}{:032x}", rand::random::<u128>())
}
