//! What an admin is told about a token that he holds, and about a person who can't come in.

use super::AccountDetails;
use crate::{facts::TokenFacts, identity::Identity, rest::AccountState, secret::Secret};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// An access token on its way to the daemon. Wiped when dropped; prints as dots.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct HeldToken(pub Secret);

impl fmt::Debug for HeldToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldToken(…)")
    }
}

/// Writes the token into the frame: the one place on the admin's side that exposes it.
impl Serialize for HeldToken {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.expose())
    }
}

/// What one rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFact {
    /// Option of the configuration.
    pub rule: String,
    /// Whether it is met; `None` when that depends on claims that nobody has shown.
    pub met: Option<bool>,
    /// Why, or what is missing.
    pub because: String,
}

/// One entitlement of the claims, as it was understood (AARC-G069 §2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitlementFact {
    /// The whole text.
    pub text: String,
    /// Its parts, `None` when it is no entitlement of that form.
    pub parts: Option<EntitlementParts>,
}

/// Parts of an entitlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitlementParts {
    /// Registered namespace, and what was delegated below it.
    pub namespace: String,
    /// Group, then its sub-groups.
    pub group: Vec<String>,
    /// Role in it.
    pub role: Option<String>,
    /// Who says so.
    pub authority: Option<String>,
}

/// What verified claims come to under the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonFact {
    /// Who.
    pub identity: Identity,
    /// Scopes that the token says it was given.
    pub scopes: Vec<String>,
    /// Entitlements.
    pub entitlements: Vec<EntitlementFact>,
    /// What is said about how well the person is known (REFEDS Assurance Framework).
    pub assurance: Vec<String>,
    /// Tier of the shell.
    pub tier: String,
    /// Which option decided that.
    pub tier_because: String,
    /// Rules of the provider's section, in the order in which they count.
    pub rules: Vec<RuleFact>,
    /// The person is authorised.
    pub authorised: bool,
    /// Entries that found no room in this answer.
    pub left_out: u32,
}

/// What a deployment would give now. Nothing is reserved by asking.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PreviewFact {
    /// The name that the person has, or would get.
    pub name: Option<String>,
    /// Names that would be tried, best first.
    pub candidates: Vec<String>,
    /// Groups, the primary one first.
    pub groups: Vec<String>,
    /// Groups that would be left out, with the reason.
    pub dropped: Vec<String>,
    /// What stands in the way of names and groups.
    pub problem: Option<String>,
}

/// Answer about a token alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenReport {
    /// The token.
    pub token: TokenFacts,
    /// What its verified claims come to; `None` when it proves nothing.
    pub person: Option<PersonFact>,
}

/// What is known about a provider without asking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionFact {
    /// Whether it is configured.
    pub configured: bool,
    /// Whom its section lets in, in a sentence.
    pub lets_in: Option<String>,
    /// Its rules.
    pub rules: Vec<RuleFact>,
}

/// Why somebody would, or would not, be let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// True or false where it is certain; `None` where it depends on a token that nobody has shown.
    pub let_in: Option<bool>,
    /// In a sentence, with the next step.
    pub because: String,
}

/// Answer to "why can't this person come in?".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyReport {
    /// The person, if it is known who.
    pub identity: Option<Identity>,
    /// The provider's section.
    pub section: SectionFact,
    /// The person is one of authorised_admins.
    pub is_admin: bool,
    /// The token that was shown, and what it comes to.
    pub token: Option<TokenReport>,
    /// The account, as far as it is known.
    pub account: Option<AccountDetails>,
    /// State of the account.
    pub state: AccountState,
    /// What a deployment would give now; `None` without claims.
    pub preview: Option<PreviewFact>,
    /// The end of it.
    pub verdict: Verdict,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::AdminRequest,
        frame::{Cap, encode},
    };

    #[test]
    fn r06_a_request_that_holds_a_token_shows_it_in_its_frame_only() {
        let token = HeldToken(Secret::new("canary".to_owned()));
        let request = AdminRequest::Token { token };
        assert!(!format!("{request:?}").contains("canary"));
        let frame = encode(&request, Cap::ADMIN).unwrap();
        let body = std::str::from_utf8(frame.get(5..).unwrap()).unwrap();
        assert_eq!(body, r#"{"token":{"token":"canary"}}"#);
        assert_eq!(serde_json::from_str::<AdminRequest>(body).unwrap(), request);
    }
}
