//! What an account may carry of its person beside name and groups.

use crate::{claims::Claims, names::friendly::Called};

/// What a provider says about a person, as far as directories keep it. Remote text: whoever writes it
/// anywhere must escape it there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Given name.
    pub given_name: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// Whole name, as the provider writes it.
    pub full_name: Option<String>,
    /// Name that the person asks for (OpenID Connect Core 1.0 §5.1).
    pub preferred_username: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// True when the provider says that the address was verified.
    pub email_verified: bool,
}

impl Person {
    /// Reads what the claims say.
    pub fn from_claims(claims: &Claims) -> Self {
        let called = Called::from_claims(claims);
        Self {
            full_name: claims.text("name").map(str::to_owned),
            email_verified: claims.get("email_verified").and_then(serde_json::Value::as_bool)
                == Some(true),
            given_name: called.given,
            family_name: called.family,
            preferred_username: called.preferred,
            email: called.email,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_whole_name_supplies_its_parts_and_an_unverified_address_is_told_as_such() {
        let claims = json!({ "name": "Ada King Lovelace", "email": "ada@example.org" });
        let person = Person::from_claims(&Claims::new(claims.as_object().unwrap().clone()));
        assert_eq!(person.given_name.as_deref(), Some("Ada King"));
        assert_eq!(person.family_name.as_deref(), Some("Lovelace"));
        assert!(!person.email_verified);
    }
}
