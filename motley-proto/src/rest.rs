//! Bodies of the REST interface, shared by the daemon that writes them and the client that reads.

mod receipt;

pub use receipt::{Ended, NodeReceipt, StateReceipt};

use crate::code::Code;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// State of an account, in the established words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = InfoOp))]
pub struct OpInfo {
    /// Scopes that the token needs.
    pub scopes: Vec<String>,
    /// Audience that the token needs; empty if none. Several are written as a JSON list in one text.
    pub audience: String,
    /// Public client at the provider with which a client may log in by itself (RFC 8628).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// A public key of sshd, as in a `known_hosts` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SshHostKey {
    /// Kind of the key, as `ssh-ed25519`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The key in base64 (RFC 4253 §6.6).
    pub key: String,
    /// `SHA256:` and the digest of the key in base64 without padding, as ssh shows it.
    pub fingerprint: String,
}

/// `/info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Info {
    /// Section `[login_info]` of the adapter's configuration.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
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
    /// Public keys of sshd, so that a client knows the host before it connects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_host_keys: Vec<SshHostKey>,
}

/// `/info/authorisation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = InfoAuthorisation))]
pub struct AuthorisationInfo {
    /// The issuer as configured.
    #[serde(rename = "OP")]
    pub op: String,
    /// Kind of authorisation in a few words.
    pub authorisation_type: String,
    /// The same in a sentence.
    pub authorisation_info: String,
    /// Required memberships; empty when they do not decide.
    #[serde(rename = "supported_VOs", default)]
    pub supported_vos: Vec<String>,
    /// Audience as configured; empty if none.
    #[serde(default)]
    pub audience: String,
    /// The person whose token it is may log in.
    #[serde(default)]
    pub authorised: bool,
    /// Why, or what is missing, in sentences for the person.
    #[serde(default)]
    pub explanation: Vec<String>,
    /// The shell that the person has earned; `None` for those who are not authorised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierInfo>,
}

/// How much of a shell somebody has earned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TierInfo {
    /// `full`, `limited` or `restricted`.
    pub name: String,
    /// Why, in a sentence for the person.
    pub reason: String,
}

/// `/user/get_status`, `/user/deploy`, `/user/suspend`, `/admin/suspend` and `/admin/resume`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FeudalResponse))]
pub struct StateAnswer {
    /// State of the account after the request.
    pub state: AccountState,
    /// A sentence for people.
    pub message: String,
    /// After a deployment: `ssh_user`, `ssh_host`, `commandline` and the texts of `[login_info]`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub credentials: serde_json::Map<String, serde_json::Value>,
    /// What was done, if a suspension or its end was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<StateReceipt>,
}

/// `/user/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UserStatusResponse))]
pub struct FullStatus {
    /// State of the account.
    pub state: AccountState,
    /// A sentence for people.
    pub message: String,
    /// Always empty; kept for old clients.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub credentials: serde_json::Map<String, serde_json::Value>,
    /// Local name, or empty.
    pub username: String,
    /// Subject.
    pub sub: String,
    /// Issuer, as in the token.
    pub iss: String,
    /// Why the person is let in, in sentences for him.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explanation: Vec<String>,
    /// The shell that the person has earned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierInfo>,
    /// What admins were asked for and have not decided yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<OwnRequest>,
}

/// A request for approval, as its own person sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OwnRequest {
    /// `account` or `groups`.
    pub kind: String,
    /// Groups that are asked for.
    #[serde(default)]
    pub groups: Vec<String>,
    /// When it was first asked, in seconds since 1970.
    pub requested_at: i64,
    /// When the request ends by itself, in seconds since 1970.
    pub expires_at: i64,
}

/// `/user/generate_otp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = OTPResponse))]
pub struct GenerateOtp {
    /// One-time passwords are switched on.
    pub supported: bool,
    /// One was stored; it is the SHA-512 of the token in hex.
    pub successful: bool,
    /// When it ends, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otp_expires_at: Option<i64>,
    /// Seconds until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otp_lifetime: Option<i64>,
}

/// `POST /user/otp`: a code to type, told once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UserOTPResponse))]
pub struct UserOtp {
    /// The code.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub otp: Code,
    /// When it ends, in seconds since 1970.
    pub otp_expires_at: i64,
    /// For how many seconds it is good.
    pub otp_lifetime: i64,
}

/// `/verify_user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyUser {
    /// State of the account.
    pub state: AccountState,
    /// The token's account has the name that was asked for, and may log in.
    pub verified: bool,
}

/// One request in `/admin/approvals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalRequest {
    /// Names the request in the form that is shown here; to be given with a decision.
    pub id: String,
    /// Subject.
    pub sub: String,
    /// Issuer.
    pub iss: String,
    /// `account` or `groups`.
    pub kind: String,
    /// `pending`, `accepting` or `rejected`.
    pub status: String,
    /// Local name, if there is an account or was one; or empty.
    pub username: String,
    /// Claim `name`, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// Claim `email`, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The provider says that the address was verified.
    #[serde(default)]
    pub email_verified: bool,
    /// Groups that are asked for.
    pub groups: Vec<String>,
    /// Assurance shell tier.
    pub tier: String,
    /// When it was first asked, in seconds since 1970.
    pub requested_at: i64,
    /// When the request, or its rejection, ends by itself, in seconds since 1970.
    pub expires_at: i64,
}

/// `/admin/approvals`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalList {
    /// Requests about which the admin may decide, in the order of issuer and subject.
    pub requests: Vec<ApprovalRequest>,
    /// Subject and issuer to go on behind, if there may be more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<ApprovalNext>,
}

/// Where the next page of `/admin/approvals` begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalNext {
    /// Parameter `sub`.
    pub sub: String,
    /// Parameter `iss`.
    pub iss: String,
}

/// Body of a refusal before or in authentication and for unknown paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ClientError))]
pub struct Detail {
    /// What is wrong.
    pub detail: String,
}

/// Body of a refusal by token verification or authorisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FlaatError))]
pub struct Refusal {
    /// `Unauthenticated`, `Forbidden` or `Error`.
    pub error: String,
    /// A sentence for people.
    pub error_description: String,
    /// Which requirement was not met (403 only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_details: Option<serde_json::Value>,
    /// What the person lacks, in sentences for him (403 only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explanation: Vec<String>,
}
