//! A test OpenID provider: real TLS, real signatures, and every fault a real one could have.
//!
//! One [`TestOp`] is one issuer on its own port. It follows OpenID Connect Discovery 1.0, RFC 7517
//! (keys), RFC 7662 (introspection), RFC 6749 with RFC 7636 (code with PKCE, refresh), RFC 8628
//! (device grant), RFC 7009 (revocation) and RFC 7591 (registration). Besides, tests mint tokens
//! of any content ([`TestOp::token`], [`TestOp::mint`]), switch faults on ([`TestOp::fault`]) and
//! read how often each endpoint was asked ([`TestOp::count`]).

mod ca;
mod control;
mod device;
mod endpoints;
mod fault;
mod federation;
mod form;
mod grants;
mod keys;
mod kind;
mod provider;
mod server;
mod state;
mod token;

pub use ca::TestCa;
pub use control::Control;
pub use fault::{Endpoint, Fault};
pub use federation::Federation;
pub use keys::Alg;
pub use kind::{Minted, TokenKind, UnknownTokenKind, one_time_password};
pub use provider::{TestOp, TestOpBuilder};
pub use state::{GrantedToken, User, UserinfoAnswer};
pub use token::TokenBuilder;
