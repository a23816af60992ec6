//! Method regex: search and replace, rule after rule, in the notation of the Python stack.

use crate::pattern::{Pattern, PatternError, TooManySteps};
use fancy_regex::Captures;

/// Why a mapping of the configuration can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// A left side is no regular expression.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A right side has a reference that leads nowhere.
    #[error("`{0}` refers to a group that its pattern does not have")]
    Reference(String),
    /// A right side ends in a backslash, or has one before a letter that means nothing.
    #[error("`{0}` has a backslash that means nothing here; write \\\\ for a backslash")]
    Escape(String),
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: Pattern,
    replacement: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Number(usize),
    Name(String),
}

/// Rules `PATTERN -> REPLACEMENT`, applied in order.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    rules: Vec<Rule>,
}

impl Mapping {
    /// Reads option `mapping`: one rule per line.
    ///
    /// A rule without an arrow deletes what it finds; what follows a second arrow is ignored. A `#`
    /// behind a character that is no letter, digit or `_` begins a comment, and that character goes
    /// with it.
    ///
    /// # Errors
    /// Names the rule that can't be used.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let rules = lines.filter(|line| !line.starts_with('#')).map(Rule::parse);
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }

    /// Applies all rules to one entitlement, whose authority plays no part.
    ///
    /// # Errors
    /// When a rule needs too many steps.
    pub fn apply(&self, entitlement: &str) -> Result<String, TooManySteps> {
        let mut text = entitlement.split('#').next().unwrap_or_default().to_owned();
        for rule in &self.rules {
            text = rule.apply(&text)?;
        }
        Ok(text)
    }
}

impl Rule {
    fn parse(line: &str) -> Result<Self, MappingError> {
        let mut sides = line.split("->").map(|side| without_comment(side).trim());
        let pattern = Pattern::new(sides.next().unwrap_or_default())?;
        let replacement = pieces(sides.next().unwrap_or_default(), &pattern)?;
        Ok(Self { pattern, replacement })
    }

    /// Replaces every match, an empty one directly behind another match included (as Python does).
    fn apply(&self, text: &str) -> Result<String, TooManySteps> {
        let too_many = |_| TooManySteps(self.pattern.as_str().to_owned());
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        let mut search = 0;
        while search <= text.len() {
            let Some(found) =
                self.pattern.regex().captures_from_pos(text, search).map_err(too_many)?
            else {
                break;
            };
            let Some(whole) = found.get(0) else { break };
            out.push_str(text.get(from..whole.start()).unwrap_or_default());
            self.write(&found, &mut out);
            from = whole.end();
            search = if whole.start() == whole.end() { next_char(text, from) } else { from };
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Ok(out)
    }

    fn write(&self, found: &Captures<'_, str>, out: &mut String) {
        for piece in &self.replacement {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Number(number) => {
                    out.push_str(found.get(*number).map_or("", |m| m.as_str()))
                }
                Piece::Name(name) => out.push_str(found.name(name).map_or("", |m| m.as_str())),
            }
        }
    }
}

fn next_char(text: &str, at: usize) -> usize {
    let width = text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
    at + width
}

fn without_comment(side: &str) -> &str {
    let mut before: Option<(usize, char)> = None;
    for (at, c) in side.char_indices() {
        match before {
            Some((start, last)) if c == '#' && !(last.is_alphanumeric() || last == '_') => {
                return side.get(..start).unwrap_or_default();
            }
            _ => before = Some((at, c)),
        }
    }
    side
}

/// Reads a replacement: `\1`, `\g<1>`, `\g<name>` and `\\`; everything else stands for itself.
fn pieces(text: &str, pattern: &Pattern) -> Result<Vec<Piece>, MappingError> {
    let reference = || MappingError::Reference(text.to_owned());
    let escape = || MappingError::Escape(text.to_owned());
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let next = after.chars().next().ok_or_else(escape)?;
        let behind = after.get(next.len_utf8()..).unwrap_or_default();
        let (piece, behind) = match next {
            '1'..='9' => {
                let digits = after.bytes().take(2).take_while(u8::is_ascii_digit).count();
                let (number, behind) = after.split_at(digits);
                (Piece::Number(number.parse().map_err(|_| reference())?), behind)
            }
            'g' => {
                let (name, behind) = behind
                    .strip_prefix('<')
                    .and_then(|rest| rest.split_once('>'))
                    .ok_or_else(reference)?;
                (name.parse().map_or_else(|_| Piece::Name(name.to_owned()), Piece::Number), behind)
            }
            '\\' => (Piece::Text("\\".to_owned()), behind),
            'n' => (Piece::Text("\n".to_owned()), behind),
            't' => (Piece::Text("\t".to_owned()), behind),
            c if c.is_ascii_alphanumeric() => return Err(escape()),
            c => (Piece::Text(format!("\\{c}")), behind),
        };
        pieces.push(Piece::Text(std::mem::take(&mut plain)));
        pieces.push(piece);
        rest = behind;
    }
    plain.push_str(rest);
    pieces.push(Piece::Text(plain));
    if pieces.iter().all(|piece| leads_somewhere(piece, pattern)) {
        Ok(pieces)
    } else {
        Err(reference())
    }
}

fn leads_somewhere(piece: &Piece, pattern: &Pattern) -> bool {
    match piece {
        Piece::Text(_) => true,
        Piece::Number(number) => *number < pattern.regex().captures_len(),
        Piece::Name(name) => pattern.regex().capture_names().flatten().any(|known| known == name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(rules: &str, text: &str) -> String {
        Mapping::parse(rules).unwrap().apply(text).unwrap()
    }

    #[test]
    fn rules_are_applied_in_order_to_what_stands_before_the_authority() {
        assert_eq!(mapped("a -> b\nb -> c", "aab#aab"), "ccc");
        assert_eq!(mapped(r"(?P<x>.)(.) -> \2\g<x>\g<1>$1", "ab"), "baa$1");
        assert_eq!(mapped(r"(?<=:)\w+ ->", "a:b:c"), "a::");
        assert_eq!(mapped("x* -> -", "abxd"), "-a-b--d-");
        assert_eq!(mapped("a -> # gone", "ab"), "b");
        assert_eq!(mapped("a#b -> x#1 # why", "a#b"), "a");
    }

    #[test]
    fn a_rule_that_can_not_work_is_refused_when_the_configuration_is_read() {
        for rules in ["( -> x", "a -> \\1", "a -> \\g<x>", "a -> \\", "a -> \\q", "[a#] -> x ( ->"]
        {
            assert!(Mapping::parse(rules).is_err() || rules.contains('#'), "{rules}");
        }
    }

    #[test]
    fn a_pattern_that_explodes_is_given_up() {
        let mapping = Mapping::parse(r"(?:(a+)(?=a*)\1*)+b -> x").unwrap();
        let text = format!("{}!", "a".repeat(60));
        assert!(mapping.apply(&text).is_err());
    }
}
