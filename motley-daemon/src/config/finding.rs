//! What is wrong or doubtful in the configuration: file, line, option, and what to do about it.

use motley_proto::text::escape;
use std::fmt;

/// What kind of thing was found, so that a caller can tell a typing error from a policy of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// The file can't be found or read.
    File,
    /// The file, or a directory above it, can be changed by people who must not.
    Permissions,
    /// The text is no INI text.
    Syntax,
    /// A `%(name)s` can't be replaced, or a `%` stands alone.
    Interpolation,
    /// A section that nothing reads.
    UnknownSection,
    /// An option that its section does not have.
    UnknownOption,
    /// An option that was taken for the continuation of the line above.
    SwallowedLine,
    /// An option of `[DEFAULT]` that would reach sections it was not meant for.
    Default,
    /// A value of the wrong type or out of range.
    Value,
    /// An issuer that is no issuer.
    Issuer,
    /// Two sections for the same provider.
    DuplicateOp,
    /// Something that this version can't do yet.
    NotAvailable,
    /// An option that does not act any more.
    Obsolete,
    /// Allowed, but probably not what was meant.
    Doubtful,
}

/// One thing found in the configuration.
///
/// Shown as `FILE:LINE: [SECTION] OPTION: WHAT; CURE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// File as it was named.
    pub file: Box<str>,
    /// Line, counted from 1, if one line is meant.
    pub line: Option<usize>,
    /// Section, if any.
    pub section: Option<Box<str>>,
    /// Option, if any.
    pub option: Option<Box<str>>,
    /// Its kind.
    pub kind: FindingKind,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub cure: String,
}

/// Something doubtful that does not keep the service from starting.
pub type Warning = Finding;

/// Longest part of a file that is shown in a message, in characters.
const SHOWN: usize = 120;
/// Longest message, in characters.
const MESSAGE: usize = 2000;

impl Finding {
    /// A finding about a file as a whole.
    pub fn new(
        kind: FindingKind,
        file: &str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            line: None,
            section: None,
            option: None,
            kind,
            what: what.into(),
            cure: cure.into(),
        }
    }

    /// The same, about one line.
    pub fn at(mut self, line: impl Into<Option<usize>>) -> Self {
        self.line = line.into();
        self
    }

    /// The same, about one section.
    pub fn section(mut self, section: &str) -> Self {
        self.section = Some(section.into());
        self
    }

    /// The same, about one option.
    pub fn option(mut self, option: &str) -> Self {
        self.option = Some(option.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.file, SHOWN * 4))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if let Some(section) = &self.section {
            write!(f, "[{}] ", escape(section, SHOWN))?;
        }
        if let Some(option) = &self.option {
            write!(f, "{}: ", escape(option, SHOWN))?;
        }
        // Both may repeat what stands in the file.
        f.write_str(&escape(&self.what, MESSAGE))?;
        if self.cure.is_empty() { Ok(()) } else { write!(f, "; {}", escape(&self.cure, MESSAGE)) }
    }
}

/// A text from a file, escaped and cut, between backticks.
pub fn quoted(text: &str) -> String {
    format!("`{}`", escape(text, SHOWN))
}

/// Everything that keeps the service from starting, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// All problems; never empty.
    pub problems: Vec<Finding>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Collects what is found while the files are read.
#[derive(Debug, Default)]
pub struct Findings {
    /// What keeps the service from starting.
    pub problems: Vec<Finding>,
    /// What does not.
    pub warnings: Vec<Warning>,
}

impl Findings {
    /// Notes something that keeps the service from starting.
    pub fn problem(&mut self, finding: Finding) {
        self.problems.push(finding);
    }

    /// Notes something that does not.
    pub fn warn(&mut self, finding: Finding) {
        self.warnings.push(finding);
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// When there is a problem.
    pub fn finish(mut self) -> Result<Vec<Warning>, ConfigError> {
        if self.problems.is_empty() {
            self.warnings.dedup();
            return Ok(self.warnings);
        }
        self.problems.sort();
        self.problems.dedup();
        Err(ConfigError { problems: self.problems })
    }
}

/// The known word that is most like a misspelt one, if any is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    // Comparing costs length times length, and no known word is that long.
    if length > SHOWN {
        return None;
    }
    let allowed = (length / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements that turn one word into the other.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (above, cb) in row.iter().skip(1).zip(&b) {
            let here = (diagonal + usize::from(ca != *cb)).min(left + 1).min(above + 1);
            diagonal = *above;
            left = here;
            next.push(here);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_file_line_option_and_cure() {
        let finding = Finding::new(
            FindingKind::UnknownOption,
            "/etc/motley_cue/motley_cue.conf",
            "unknown option",
            "did you mean authorise_all?",
        )
        .at(12)
        .section("authorisation.egi")
        .option("authorise_al");
        assert_eq!(
            finding.to_string(),
            "/etc/motley_cue/motley_cue.conf:12: [authorisation.egi] authorise_al: unknown option; \
             did you mean authorise_all?"
        );
    }

    #[test]
    fn a_misspelt_word_finds_the_one_that_was_meant_and_a_strange_one_finds_none() {
        let known = ["authorise_all", "authorised_users", "scopes", "op_url"];
        assert_eq!(nearest("authorise_al", known), Some("authorise_all"));
        assert_eq!(nearest("authorize_all", known), Some("authorise_all"));
        assert_eq!(nearest("scope", known), Some("scopes"));
        assert_eq!(nearest("website", known), None);
        assert_eq!(nearest(&"scopes".repeat(1_000_000), known), None);
    }

    #[test]
    fn r31_a_hostile_section_name_stays_on_one_line() {
        let finding = Finding::new(FindingKind::Syntax, "f", "x", "y").section("a\u{1b}[2J\nb");
        assert!(!finding.to_string().contains(['\n', '\u{1b}']));
    }
}
