//! Friendly names: seventeen ways to make a user name of what a person is called.

use crate::claims::Claims;

/// Claims that [`Called::from_claims`] reads.
pub const CLAIMS: [&str; 6] =
    ["preferred_username", "given_name", "family_name", "sn", "name", "email"];

/// What a person is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Called {
    /// Name that the person asks for (OpenID Connect Core 1.0 §5.1).
    pub preferred: Option<String>,
    /// Given name.
    pub given: Option<String>,
    /// Family name.
    pub family: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
}

impl Called {
    /// Reads what the claims say; `name` supplies given and family name when they are missing: the
    /// last word is the family name.
    ///
    /// An empty claim counts as missing: nobody is called nothing.
    pub fn from_claims(claims: &Claims) -> Self {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        let (given, family) = match claims.text("name") {
            Some(name) => {
                name.rsplit_once(' ').map_or((None, Some(name)), |(a, b)| (Some(a), Some(b)))
            }
            None => (None, None),
        };
        let part = |part: Option<&str>| part.filter(|part| !part.is_empty()).map(str::to_owned);
        Self {
            preferred: text("preferred_username"),
            given: text("given_name").or_else(|| part(given)),
            family: text("family_name").or_else(|| text("sn")).or_else(|| part(family)),
            email: text("email"),
        }
    }
}

/// First letters of given and family name, in the order tried after the family name.
const PIECES: &[(usize, usize)] = &[
    (4, 3),
    (5, 3),
    (2, 3),
    (4, 4),
    (5, 4),
    (2, 4),
    (4, 5),
    (5, 5),
    (2, 5),
    (4, 2),
    (5, 2),
    (2, 2),
];

/// The texts to try, in order, none twice: lower case, `@` as `-`.
pub fn texts(claims: &Claims) -> Vec<String> {
    let called = Called::from_claims(claims);
    let (given, family) = (called.given.as_deref(), called.family.as_deref());
    let both = |from_given: usize, from_family: usize| {
        Some(format!("{}{}", first(given?, from_given), first(family?, from_family)))
    };
    let mut tries = vec![called.preferred.clone(), called.given.clone(), both(3, 3)];
    tries.push(called.family.clone());
    tries.extend(PIECES.iter().map(|(from_given, from_family)| both(*from_given, *from_family)));
    tries.push(called.email.clone());
    let mut out: Vec<String> = Vec::with_capacity(tries.len());
    for text in tries.into_iter().flatten() {
        let text = text.to_lowercase().replace('@', "-");
        if !out.contains(&text) {
            out.push(text);
        }
    }
    out
}

fn first(text: &str, count: usize) -> String {
    text.chars().take(count).collect()
}
