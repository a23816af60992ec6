//! User names: candidates made from the claims of a person, in the order in which they are tried.

pub mod friendly;
pub mod pooled;
pub mod shadow;
mod transliterate;

pub use shadow::{Made, NoName, ShadowVariant, make, make_compatible};

use crate::claims::Claims;
use motley_proto::{UserName, names::NameError};

/// Where user names come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// From the person's name and e-mail address.
    Friendly,
    /// From a pool of numbered names.
    Pooled {
        /// Text before the number; `None` takes the person's primary group.
        prefix: Option<String>,
        /// Digits of the number, 1 to 9.
        digits: u8,
    },
}

/// How user names are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRules {
    /// Where they come from.
    pub strategy: Strategy,
    /// How a text is made into a name that shadow-utils take.
    pub shadow: ShadowVariant,
}

/// A name that may be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The text it was made from.
    pub wanted: String,
    /// The name.
    pub name: UserName,
}

/// Why a text was left out of the candidates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// Nothing that shadow-utils take can be made of it.
    #[error(transparent)]
    NoName(#[from] NoName),
    /// What was made of it can't be a user name here.
    #[error("`{0}` {1}")]
    Invalid(String, NameError),
}

/// Makes one text into a user name.
///
/// # Errors
/// Says why the text names nobody.
pub fn user_name(text: &str, variant: ShadowVariant) -> Result<UserName, SkipReason> {
    let made = make_compatible(text, variant)?;
    UserName::new(made.as_str()).map_err(|error| SkipReason::Invalid(made, error))
}

/// The names to try for a person, best first. Texts that make no valid name are passed over.
///
/// `unix_primary_group` is the local name of the person's primary group; pools without a prefix of
/// their own are named after it. Whether a name is taken is for the caller to find out.
pub fn candidates<'a>(
    rules: &'a NameRules,
    claims: &Claims,
    unix_primary_group: &str,
) -> impl Iterator<Item = Candidate> + 'a {
    let texts: Box<dyn Iterator<Item = String> + Send> = match &rules.strategy {
        Strategy::Friendly => Box::new(friendly::texts(claims).into_iter()),
        Strategy::Pooled { prefix, digits } => {
            Box::new(pooled::texts(prefix.as_deref().unwrap_or(unix_primary_group), *digits))
        }
    };
    let shadow = rules.shadow;
    texts.filter_map(move |wanted| match user_name(&wanted, shadow) {
        Ok(name) => Some(Candidate { wanted, name }),
        Err(reason) => {
            tracing::debug!(%reason, "a text makes no user name; trying the next");
            None
        }
    })
}

/// The first candidate that is not taken.
pub fn choose(
    candidates: impl IntoIterator<Item = Candidate>,
    taken: impl Fn(&str) -> bool,
) -> Option<Candidate> {
    candidates.into_iter().find(|candidate| !taken(candidate.name.as_str()))
}
