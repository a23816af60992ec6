//! Accounts in an LDAP directory.

mod config;

pub use config::{
    Attributes, ClaimKey, ClaimRule, Depth, GroupLimits, LdapConfig, Login, Mode, Protection,
};
