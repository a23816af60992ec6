//! Splits a command line into words; what another shell would do more with is refused.

/// Longest line, in bytes.
pub const MAX_LINE_BYTES: usize = 16 * 1024;
/// Most words of a line.
pub const MAX_WORDS: usize = 512;

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineError {
    /// It has too many bytes or words.
    TooLong,
    /// It holds a character that would mean something to another shell, outside of quotes.
    Meaning(char),
    /// It holds a control character.
    Control,
    /// A quote is not closed.
    Quote,
}

impl std::fmt::Display for LineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => f.write_str("the line is too long"),
            Self::Meaning(c) => {
                write!(f, "`{c}` has no meaning here; put it into quotes if it belongs to a name")
            }
            Self::Control => f.write_str("the line holds a control character"),
            Self::Quote => f.write_str("a quote is not closed"),
        }
    }
}

/// Characters that make other shells start programs, read variables, or look into directories.
const WITH_MEANING: &str = ";&|<>()$`\\*?[]{}~#!^";

/// The words of a line. Single and double quotes keep blanks and every printable character as it is;
/// nothing is ever replaced by anything else.
///
/// # Errors
/// When it is no plain list of words.
pub fn words(line: &str) -> Result<Vec<String>, LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError::TooLong);
    }
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in line.chars() {
        match (quote, c) {
            (_, c) if c.is_control() && c != '\t' => return Err(LineError::Control),
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, c) if WITH_MEANING.contains(c) => return Err(LineError::Meaning(c)),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(LineError::Quote);
    }
    words.extend(word);
    if words.len() > MAX_WORDS { Err(LineError::TooLong) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_split_at_blanks_and_quotes_keep_what_is_in_them() {
        for (line, expected) in [
            ("", &[][..]),
            ("  ls\t -l ", &["ls", "-l"]),
            ("ls 'a b' \"c;d\" e'f'g", &["ls", "a b", "c;d", "efg"]),
            ("echo '' \"\"", &["echo", "", ""]),
            ("echo '$HOME' \"`id`\"", &["echo", "$HOME", "`id`"]),
            ("scp -t -- /tmp/x=1,2:3@4%5+6", &["scp", "-t", "--", "/tmp/x=1,2:3@4%5+6"]),
            ("ls ü", &["ls", "ü"]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn what_would_mean_something_to_another_shell_is_refused() {
        for (line, why) in [
            ("ls; id", LineError::Meaning(';')),
            ("ls && id", LineError::Meaning('&')),
            ("ls | sh", LineError::Meaning('|')),
            ("ls > x", LineError::Meaning('>')),
            ("cat < /etc/passwd", LineError::Meaning('<')),
            ("ls $(id)", LineError::Meaning('$')),
            ("ls `id`", LineError::Meaning('`')),
            ("ls \\; id", LineError::Meaning('\\')),
            ("ls *", LineError::Meaning('*')),
            ("ls ~root", LineError::Meaning('~')),
            ("(id)", LineError::Meaning('(')),
            ("ls {a,b}", LineError::Meaning('{')),
            ("!id", LineError::Meaning('!')),
            ("ls # id", LineError::Meaning('#')),
            ("ls\nid", LineError::Control),
            ("ls\rid", LineError::Control),
            ("ls\u{1b}[A", LineError::Control),
            ("ls\u{0}", LineError::Control),
            ("ls 'a", LineError::Quote),
            ("ls \"a'", LineError::Quote),
            ("ls 'a\nid'", LineError::Control),
        ] {
            assert_eq!(words(line), Err(why), "{line:?}");
        }
        assert_eq!(words(&"x".repeat(MAX_LINE_BYTES + 1)), Err(LineError::TooLong));
        assert_eq!(words(&"x ".repeat(MAX_WORDS + 1)), Err(LineError::TooLong));
    }

    proptest! {
        #[test]
        fn any_line_is_refused_or_split_into_parts_of_itself(line in "(\\PC|'|\"| ){0,60}") {
            for word in words(&line).into_iter().flatten() {
                prop_assert!(word.chars().all(|c| line.contains(c) && !c.is_control()));
            }
        }
    }
}
