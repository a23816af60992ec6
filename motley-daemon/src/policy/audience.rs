//! Whether a token is meant for this service (RFC 7519 §4.1.3, RFC 9068 §4).

use super::missing::{Missing, NamedAudience};
use super::rules::Shortfall;
use crate::verified::Verified;
use motley_proto::Audience;
use serde_json::Value;

/// Audiences of which a token must name one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudienceRule {
    /// The audiences; none: every token is taken.
    pub accepted: Vec<Audience>,
    /// The option's text, as clients are shown it.
    pub text: String,
}

impl AudienceRule {
    /// Checks the claim `aud`, a text or a list, compared byte for byte.
    ///
    /// The signed token has the first word, then introspection, then userinfo, so that an answer
    /// which the provider made for somebody else can't widen what the token is good for.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn check(&self, who: &Verified) -> Result<(), Shortfall> {
        if self.accepted.is_empty() {
            return Ok(());
        }
        let sources = who.sources();
        let claim = [&sources.token, &sources.introspection, &sources.userinfo]
            .into_iter()
            .flatten()
            .find_map(|source| source.get("aud"));
        match claim {
            None | Some(Value::Null) => {
                Err(self.shortfall("Claim 'aud' is not available".into(), NamedAudience::Nobody))
            }
            Some(named) if self.accepts(named) => Ok(()),
            Some(_) => {
                let details = format!("User has no claim 'aud' with value: '{}'", self.text);
                Err(self.shortfall(details.into(), NamedAudience::Others))
            }
        }
    }

    fn shortfall(&self, details: Value, named: NamedAudience) -> Shortfall {
        let accepted = self.accepted.iter().map(ToString::to_string).collect();
        Shortfall { details, missing: Missing::Audience { accepted, named } }
    }

    /// True when one of the named audiences is accepted.
    pub(super) fn accepts(&self, named: &Value) -> bool {
        let fits = |value: &Value| {
            value.as_str().is_some_and(|text| self.accepted.iter().any(|a| a.as_str() == text))
        };
        match named {
            Value::Array(values) => values.iter().any(fits),
            value => fits(value),
        }
    }
}
