//! Turns a token into verified claims.
//!
//! A text goes through these doors in this order, and through no other: its shape and header
//! (`token`), its issuer among the configured ones (`verify`), the keys of that provider (`keys`,
//! kept fresh by `kept`), what it is for (`kind`), its claims (`claims`), and what the provider tells
//! about its holder (`userinfo`); `examine` leads through all but the first. Nothing is sent anywhere
//! before the second. What was found out is remembered for a short while (`remembered`).
//!
//! Nobody else can vouch for claims: other crates can't even name the constructor (R14).
//!
//! ```
//! let _unvouched = motley_daemon::verified::ClaimSources::default();
//! ```
//! ```compile_fail
//! let identity = motley_proto::UniqueId::parse("a@https%3A%2F%2Fop.example").unwrap();
//! let claims = motley_daemon::verified::ClaimSources::default();
//! motley_daemon::verified::Verified::attest(identity, claims, None);
//! ```

mod backoff;
mod claims;
mod examine;
mod fetch;
mod flights;
mod forgotten;
#[cfg(fuzzing)]
pub mod fuzzing;
mod inspect;
mod json;
mod kept;
mod keys;
mod kind;
mod provider;
mod refusal;
mod remembered;
mod tally;
mod token;
mod upstream;
mod userinfo;
mod verify;

pub use fetch::{FetchError, HttpError, HttpSettings, ProxyUrl, install_crypto};
pub use inspect::Inspection;
pub use kept::Freshness;
pub use motley_proto::facts::ProviderStatus;
pub use provider::{ClientCredentials, DEFAULT_TIMEOUT, Provider, UserinfoMode};
pub use refusal::{Cure, NoIdentity, NoKey, TokenFault, TokenRefusal};
pub(crate) use remembered::TokenHash;
pub use token::MAX_TOKEN_BYTES;
pub use verify::{Known, OpaqueOffer, TokenVerifier, VerifierError, VerifierSettings};
