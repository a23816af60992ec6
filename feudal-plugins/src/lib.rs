//! Account back ends behind one trait, and the rules that turn claims into user and group names.
//!
//! Data flows one way: [`claims::Claims`] → [`groups`] → [`names`] → [`backend::Intent`] →
//! [`backend::Backend`]. Everything before the back end is a pure function.

pub mod backend;
pub mod bwidm;
pub mod claims;
pub mod clock;
pub mod entitlement;
pub mod external;
pub mod groups;
pub mod host;
pub mod ldap;
pub mod local_unix;
pub mod login_info;
pub mod map;
pub mod memory;
pub mod message;
pub mod names;
pub mod pattern;
pub mod person;
pub mod root;
pub mod shells;

pub use backend::{Account, Backend, BackendError, Deployed, Intent, Naming, Tier};
pub use claims::{AnyOf, Claims};
pub use clock::Clock;
pub use host::Host;
pub use login_info::LoginInfo;
pub use person::Person;
pub use shells::Shells;
