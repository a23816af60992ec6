//! Bodies of the REST interface, shared by the daemon that writes them and the client that reads.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// State of an account, in the established words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// There is an account, and it works.
    Deployed,
    /// There is no account.
    NotDeployed,
    /// Waits for an admin's approval.
    Pending,
    /// Locked by an admin or by the user.
    Suspended,
    /// Exists with a shell that lets nobody work.
    Limited,
    /// An admin refused it.
    Rejected,
    /// Could not be found out.
    Unknown,
}

impl AccountState {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::NotDeployed => "not_deployed",
            Self::Pending => "pending",
            Self::Suspended => "suspended",
            Self::Limited => "limited",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for AccountState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The sentence in `/` by which clients know that they found the service.
pub const DESCRIPTION: &str =
    "This is the user API for mapping remote identities to local identities.";

/// `/`, `/user` and `/admin`: what is to be found there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// What it is.
    pub description: String,
    /// How to use it.
    pub usage: String,
    /// Path to meaning.
    pub endpoints: BTreeMap<String, String>,
}

/// What a client must ask the provider for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OpInfo {
    /// Scopes that the token needs.
    pub scopes: Vec<String>,
    /// Audience that the token needs; empty if none. Several are written as a JSON list in one text.
    pub audience: String,
}

/// `/info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Section `[login_info]` of the adapter's configuration.
    pub login_info: serde_json::Map<String, serde_json::Value>,
    /// Issuers without slash at the end, in the order of the configuration.
    #[serde(rename = "supported_OPs", alias = "supported OPs")]
    pub supported_ops: Vec<String>,
    /// By issuer.
    #[serde(default)]
    pub ops_info: BTreeMap<String, OpInfo>,
    /// The login prompt takes a long token in chunks (`motley_proto::login::CHUNK_MARKER`).
    #[serde(default)]
    pub chunked_prompt: bool,
}

/// `/user/get_status`, `/user/deploy`, `/user/suspend`, `/admin/suspend` and `/admin/resume`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateAnswer {
    /// State of the account after the request.
    pub state: AccountState,
    /// A sentence for people.
    pub message: String,
    /// After a deployment: `ssh_user`, `ssh_host`, `commandline` and the texts of `[login_info]`.
    #[serde(default)]
    pub credentials: serde_json::Map<String, serde_json::Value>,
}

/// `/user/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullStatus {
    /// State of the account.
    pub state: AccountState,
    /// A sentence for people.
    pub message: String,
    /// Always empty; kept for old clients.
    #[serde(default)]
    pub credentials: serde_json::Map<String, serde_json::Value>,
    /// Local name, or empty.
    pub username: String,
    /// Subject.
    pub sub: String,
    /// Issuer, as in the token.
    pub iss: String,
}

/// `/user/generate_otp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerateOtp {
    /// One-time passwords are switched on.
    pub supported: bool,
    /// One was stored; it is the SHA-512 of the token in hex.
    pub successful: bool,
}

/// `/verify_user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyUser {
    /// State of the account.
    pub state: AccountState,
    /// The token's account has the name that was asked for, and may log in.
    pub verified: bool,
}

/// Body of a refusal before or in authentication and for unknown paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// What is wrong.
    pub detail: String,
}

/// Body of a refusal by token verification or authorisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// `Unauthenticated`, `Forbidden` or `Error`.
    pub error: String,
    /// A sentence for people.
    pub error_description: String,
    /// Which requirement was not met (403 only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_details: Option<serde_json::Value>,
}
