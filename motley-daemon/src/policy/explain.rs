//! Says in words whom a provider's section lets in.

use super::{OpPolicy, VoMatch, VoRule};
use serde::Serialize;

/// `/info/authorisation`: what a user of a provider is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorisationInfo {
    /// The issuer as configured.
    #[serde(rename = "OP")]
    pub op: String,
    /// Kind of authorisation in a few words.
    pub authorisation_type: &'static str,
    /// The same in a sentence.
    pub authorisation_info: String,
    /// Required memberships; empty when they do not decide.
    #[serde(rename = "supported_VOs")]
    pub supported_vos: Vec<String>,
    /// Audience as configured.
    pub audience: String,
}

/// Describes whom the section of the provider `op_url` lets in.
pub fn describe(op_url: &str, op: &OpPolicy) -> AuthorisationInfo {
    let (authorisation_type, authorisation_info, supported_vos) = match &op.vos {
        _ if op.authorise_all => {
            ("all users", "All users from this OP are authorised.".to_owned(), Vec::new())
        }
        Some(vos) => ("VO-based", describe_vos(vos), vos.required().map(str::to_owned).collect()),
        None if !op.users.is_empty() => (
            "individual users",
            "Users are authorised on an individual basis. Please contact a service administrator \
             to request access."
                .to_owned(),
            Vec::new(),
        ),
        None => (
            "not configured",
            "OP is supported but no authorisation is configured.".to_owned(),
            Vec::new(),
        ),
    };
    AuthorisationInfo {
        op: op_url.to_owned(),
        authorisation_type,
        authorisation_info,
        supported_vos,
        audience: op.audience.text.clone(),
    }
}

fn describe_vos(vos: &VoRule) -> String {
    let count = match vos.matching() {
        VoMatch::All => "all".to_owned(),
        VoMatch::ONE => "one".to_owned(),
        VoMatch::AtLeast(count) => count.to_string(),
    };
    format!("Users who are in {count} of the supported VOs are authorised")
}
