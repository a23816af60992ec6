//! Section `[backend.ldap]` or `[backend.bonsai_ldap]`: the server, the tree and what may be done in it.

use crate::{groups::GroupLimits, shells::Shells};
use motley_proto::{Issuer, Secret, task::AccountPath};
use std::{fmt, net::IpAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

/// What may be written into the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    ReadOnly,
    /// Whose an entry is, memberships, shells and locks; entries are made by the site.
    PreCreated,
    /// All of an account, from its making to its removal.
    FullAccess,
}

impl Mode {
    /// The word that configuration files use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::PreCreated => "pre_created",
            Self::FullAccess => "full_access",
        }
    }
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// TLS from the first byte (`ldaps`).
    Tls,
    /// TLS after the StartTLS operation (RFC 4511 §4.14).
    StartTls,
    /// None: for a server on the loopback interface, or where the operator says so.
    Plain,
}

/// As whom to bind.
#[derive(Clone)]
pub struct Login {
    /// Distinguished name.
    pub dn: String,
    /// Its password.
    pub password: Secret,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password.
        f.debug_struct("Login").field("dn", &self.dn).finish_non_exhaustive()
    }
}

/// How far below the bases entries are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// In the whole tree below.
    Subtree,
    /// Directly below.
    OneLevel,
}

/// Names of the attributes that sites choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Holds the identity: the text of [`motley_proto::UniqueId`].
    pub identity: String,
    /// Holds the local name, and names new entries.
    pub name: String,
    /// Holds what motley notes about its own doing. Takes several values.
    pub notes: String,
}

/// Claim of a provider that both sides agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimKey {
    /// `preferred_username`, byte for byte.
    PreferredUsername,
    /// `email`, if the provider says that it was verified; upper and lower case are the same.
    Email,
}

/// How an entry that nobody has yet is recognised as somebody's (`pre_created`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    /// The one provider whose claim counts.
    pub issuer: Issuer,
    /// The claim.
    pub key: ClaimKey,
    /// Attribute of the entry that holds the same value.
    pub attribute: String,
}

/// Everything that the back end works by.
#[derive(Debug, Clone)]
pub struct LdapConfig {
    /// Word of the configuration: `ldap` or `bonsai_ldap`.
    pub backend: &'static str,
    /// What may be written.
    pub mode: Mode,
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub protection: Protection,
    /// Authorities in PEM that the server's certificate must come from; `None`: those of the host.
    pub ca_file: Option<PathBuf>,
    /// As whom to bind; `None`: anonymously.
    pub login: Option<Login>,
    /// Where users are.
    pub user_base: String,
    /// Where groups are.
    pub group_base: String,
    /// How far below.
    pub depth: Depth,
    /// Attributes that sites choose.
    pub attributes: Attributes,
    /// Shells of the tiers.
    pub shells: Shells,
    /// Directory of new homes.
    pub home_base: AccountPath,
    /// Uids of new accounts.
    pub uids: RangeInclusive<u32>,
    /// Gids of new groups.
    pub gids: RangeInclusive<u32>,
    /// Which groups may have members of ours.
    pub groups: GroupLimits,
    /// How entries of mode `pre_created` are recognised, beside their identity attribute.
    pub claim: Option<ClaimRule>,
    /// True when the server has the overlay ppolicy, whose lock a suspension then sets as well.
    pub ppolicy: bool,
    /// Longest time for one operation, with connecting where that is needed.
    pub limit: Duration,
    /// Connections kept open.
    pub connections: usize,
}

impl LdapConfig {
    /// True when the server is on this host, so that nobody is on the wire.
    pub fn is_loopback(host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        host.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The server's address, for connections and messages.
    pub fn url(&self) -> String {
        let scheme = if self.protection == Protection::Tls { "ldaps" } else { "ldap" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}
