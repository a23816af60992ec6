//! Texts to typed values, by the rules of the two files' dialects.

use super::options::{BoolWords, Kind};
use crate::store::{StoreUrl, StoreUrlError};
use motley_proto::Secret;

/// A typed value.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Not set, and that has a meaning of its own.
    Unset,
    /// A text.
    Text(String),
    /// A text that must not be shown.
    Secret(Secret),
    /// The URL of the database; it is shown without its password.
    Database(StoreUrl),
    /// True or false.
    Bool(bool),
    /// A number.
    Number(i64),
    /// Several texts.
    List(Vec<String>),
}

impl Value {
    /// The value for people. Secrets are not shown.
    pub fn shown(&self) -> String {
        match self {
            Self::Unset => "(not set)".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Secret(_) => "(secret)".to_owned(),
            Self::Database(url) => url.to_string(),
            Self::Bool(true) => "yes".to_owned(),
            Self::Bool(false) => "no".to_owned(),
            Self::Number(number) => number.to_string(),
            Self::List(items) => format!("[{}]", items.join(", ")),
        }
    }
}

/// Why a text is no value of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// No word for true or false.
    #[error("is neither yes nor no")]
    NotBool,
    /// No number.
    #[error("is no whole number")]
    NotNumber,
    /// No number above zero.
    #[error("is no number of seconds above 0")]
    NotSeconds,
    /// No list in brackets.
    #[error("is no list")]
    NotList,
    /// No URL of a database.
    #[error("the url {0}")]
    NotDatabase(StoreUrlError),
}

impl ValueError {
    /// What to write.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::NotBool => "write yes or no, and remarks on a line of their own",
            Self::NotNumber => "write digits only, and remarks on a line of their own",
            Self::NotSeconds => "write a number of seconds, as 600",
            Self::NotDatabase(why) => why.cure(),
            Self::NotList => "write it in square brackets, as [a, b], the closing one indented",
        }
    }
}

impl Kind {
    /// Reads a text as a value of this kind.
    ///
    /// # Errors
    /// Says what the text is not.
    pub fn read(self, text: &str, words: BoolWords) -> Result<Value, ValueError> {
        match self {
            Self::Text | Self::OptionalText => Ok(Value::Text(text.to_owned())),
            Self::Secret => Ok(Value::Secret(Secret::new(text.to_owned()))),
            Self::Database => {
                StoreUrl::new(text).map(Value::Database).map_err(ValueError::NotDatabase)
            }
            Self::Bool => read_bool(text, words).map(Value::Bool),
            Self::Number => read_number(text).map(Value::Number),
            Self::Seconds => match read_number(text) {
                Ok(number) if number > 0 => Ok(Value::Number(number)),
                _ => Err(ValueError::NotSeconds),
            },
            Self::List => read_list(text).map(Value::List),
            Self::Words => Ok(Value::List(read_words(text))),
            Self::Items => Ok(Value::List(read_items(text))),
        }
    }
}

fn read_bool(text: &str, words: BoolWords) -> Result<bool, ValueError> {
    let word = text.to_lowercase();
    match word.as_str() {
        "true" | "yes" => Ok(true),
        "false" | "no" => Ok(false),
        word if word == words.yes => Ok(true),
        word if word == words.no => Ok(false),
        _ => Err(ValueError::NotBool),
    }
}

/// Digits with an optional sign; single underscores between digits do not count.
fn read_number(text: &str) -> Result<i64, ValueError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let wrong_underscore =
        digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if wrong_underscore || digits.starts_with(['+', '-']) {
        return Err(ValueError::NotNumber);
    }
    text.replace('_', "").parse().map_err(|_| ValueError::NotNumber)
}

/// `[a, b]`: blanks and line feeds are taken away first, also inside quotes, as the Python stack
/// does; so an item holds neither blanks nor commas.
fn read_list(text: &str) -> Result<Vec<String>, ValueError> {
    let dense: String = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')).collect();
    let inside = dense
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or(ValueError::NotList)?
        .trim_matches(',');
    if inside.is_empty() {
        return Ok(Vec::new());
    }
    Ok(inside.split(',').map(|item| unquote(item).to_owned()).collect())
}

/// Takes quotes away, double ones first.
pub(super) fn unquote(item: &str) -> &str {
    item.trim_matches('"').trim_matches('\'')
}

/// Words between blanks, sorted, none twice.
fn read_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    words.sort();
    words.dedup();
    words
}

/// Items between blanks, commas or line feeds; brackets and quotes around them are allowed.
fn read_items(text: &str) -> Vec<String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.split([',', ' ', '\t', '\n'])
        .map(unquote)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_the_python_stack_reads_them() {
        let read = |text| read_list(text).unwrap();
        assert_eq!(read("[a, b]"), ["a", "b"]);
        assert_eq!(read("['a', \"b\",]"), ["a", "b"]);
        assert_eq!(read("[\n\"al ice\",\nb\n]"), ["alice", "b"]);
        assert_eq!(read("[['a']]"), ["['a']"]);
        assert_eq!(read("[,,]"), Vec::<String>::new());
        assert_eq!(read("[a,,b]"), ["a", "", "b"]);
        for text in ["", "a", "a, b", "[a", "[a] # b", "["] {
            assert_eq!(read_list(text), Err(ValueError::NotList), "{text}");
        }
    }

    #[test]
    fn numbers_are_decimal() {
        for (text, number) in [("3", 3), ("+3", 3), ("03", 3), ("1_000", 1000), ("-1", -1)] {
            assert_eq!(read_number(text), Ok(number), "{text}");
        }
        for text in ["", "abc", "3.0", "0x10", "_1", "1__0", "+-1", "1 0", "99999999999999999999"] {
            assert!(read_number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn items_may_be_written_with_and_without_brackets() {
        let expected = ["127.0.0.1:8080", "unix:/run/x.sock"];
        for text in [
            "127.0.0.1:8080, unix:/run/x.sock",
            "127.0.0.1:8080\nunix:/run/x.sock",
            "[\"127.0.0.1:8080\", 'unix:/run/x.sock']",
        ] {
            assert_eq!(read_items(text), expected, "{text}");
        }
    }
}
