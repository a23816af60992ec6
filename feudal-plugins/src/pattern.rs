//! Regular expressions from the configuration, in Python's syntax, with a bound on their work.

use fancy_regex::{Regex, RegexBuilder};

/// Steps that one match may take back before it is given up. A hostile claim can make a careless
/// pattern try exponentially many ways; this bounds them to milliseconds.
const BACKTRACK_LIMIT: usize = 100_000;

/// Why a text of the configuration is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no regular expression: {detail}")]
pub struct PatternError {
    /// The text.
    pub pattern: String,
    /// What is wrong with it.
    pub detail: String,
}

/// A match took too many steps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pattern `{0}` needs too many steps on this value; make it simpler")]
pub struct TooManySteps(pub String);

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern in Python's syntax (look-around, back references, named groups).
    ///
    /// # Errors
    /// When it is no regular expression.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let wrong = |detail: String| PatternError { pattern: text.to_owned(), detail };
        RegexBuilder::new(text)
            .backtrack_limit(BACKTRACK_LIMIT)
            .build()
            .map(Self)
            .map_err(|error| wrong(error.to_string()))
    }

    /// The text it was compiled from.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// True when the pattern is found anywhere in the text.
    ///
    /// # Errors
    /// When that takes too many steps.
    pub fn is_found(&self, text: &str) -> Result<bool, TooManySteps> {
        self.0.is_match(text).map_err(|_| TooManySteps(self.as_str().to_owned()))
    }

    pub(crate) fn regex(&self) -> &Regex {
        &self.0
    }
}
