//! Turns a token into verified claims.
//!
//! A text goes through these doors in this order, and through no other: its shape and header
//! (`token`), its issuer among the configured ones (`verify`), the keys of that provider (`keys`,
//! kept fresh by `kept`), its claims (`claims`), and what the provider tells about its holder
//! (`userinfo`). Nothing is sent anywhere before the second.
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

mod claims;
mod fetch;
#[cfg(fuzzing)]
pub mod fuzzing;
mod json;
mod kept;
mod keys;
mod provider;
mod refusal;
mod remembered;
mod token;
mod upstream;
mod userinfo;
mod verify;

pub use fetch::{FetchError, HttpError, HttpSettings, install_crypto};
pub use kept::Freshness;
pub use provider::{ClientCredentials, DEFAULT_TIMEOUT, Provider, UserinfoMode};
pub use refusal::{NoIdentity, NoKey, TokenFault, TokenRefusal};
pub use token::MAX_TOKEN_BYTES;
pub use upstream::ProviderStatus;
pub use verify::{Known, TokenVerifier, VerifierError, VerifierSettings};
