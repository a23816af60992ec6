//! Replaces `%(name)s` and `%%` as Python's basic interpolation does.

use super::ini::{Entry, Section};

/// How deep values may refer to each other.
const MAX_DEPTH: usize = 10;
/// Most references that one value may need. Ten values that name the next one ten times each would
/// otherwise fill any memory.
const MAX_REFERENCES: usize = 10_000;
/// Longest value, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Why a value can't be interpolated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterpolationError {
    /// A `%` that is neither doubled nor part of `%(name)s`.
    #[error("a single `%` stands in the value")]
    Lonely,
    /// The option that is referred to does not exist.
    #[error("%({0})s refers to an option that neither the section nor [DEFAULT] has")]
    Missing(String),
    /// Values refer to each other too deeply, or in a circle.
    #[error("values refer to each other more than {MAX_DEPTH} times")]
    TooDeep,
    /// Values multiply each other.
    #[error(
        "values refer to each other {MAX_REFERENCES} times, or make one longer than {MAX_BYTES} bytes"
    )]
    TooMuch,
}

impl InterpolationError {
    /// What to do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Lonely => "write %% for a percent sign",
            Self::Missing(_) => "set that option, or write %% for a percent sign",
            Self::TooDeep | Self::TooMuch => "write the value out",
        }
    }
}

/// Looks an option up as a section sees it: its own, then that of `[DEFAULT]`.
pub fn lookup<'a>(section: &'a Section, defaults: &'a Section, option: &str) -> Option<&'a Entry> {
    section.entry(option).or_else(|| defaults.entry(option))
}

/// The value of an entry with everything replaced, as a section sees it.
///
/// # Errors
/// When a `%` can't be understood.
pub fn interpolate(
    entry: &Entry,
    section: &Section,
    defaults: &Section,
) -> Result<String, InterpolationError> {
    let mut work = Replacing { section, defaults, left: MAX_REFERENCES, out: String::new() };
    work.replace(&entry.value(), 1)?;
    Ok(work.out)
}

/// One value in the making.
struct Replacing<'a> {
    section: &'a Section,
    defaults: &'a Section,
    left: usize,
    out: String,
}

impl Replacing<'_> {
    fn replace(&mut self, text: &str, depth: usize) -> Result<(), InterpolationError> {
        if depth > MAX_DEPTH {
            return Err(InterpolationError::TooDeep);
        }
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            self.push(before)?;
            if let Some(next) = after.strip_prefix('%') {
                self.push("%")?;
                rest = next;
                continue;
            }
            let (name, next) = reference(after).ok_or(InterpolationError::Lonely)?;
            let name = name.to_lowercase();
            let entry = lookup(self.section, self.defaults, &name)
                .ok_or_else(|| InterpolationError::Missing(name.clone()))?;
            self.left = self.left.checked_sub(1).ok_or(InterpolationError::TooMuch)?;
            self.replace(&entry.value(), depth + 1)?;
            rest = next;
        }
        self.push(rest)
    }

    fn push(&mut self, text: &str) -> Result<(), InterpolationError> {
        if self.out.len() + text.len() > MAX_BYTES {
            return Err(InterpolationError::TooMuch);
        }
        self.out.push_str(text);
        Ok(())
    }
}

/// Splits `(name)s...` into the name and what follows.
fn reference(after: &str) -> Option<(&str, &str)> {
    let (name, next) = after.strip_prefix('(')?.split_once(')')?;
    let next = next.strip_prefix('s')?;
    if name.is_empty() { None } else { Some((name, next)) }
}

/// Names that a value refers to.
pub fn references(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        rest = match (after.strip_prefix('%'), reference(after)) {
            (Some(next), _) => next,
            (None, Some((name, next))) => {
                names.push(name.to_lowercase());
                next
            }
            (None, None) => after,
        };
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::ini::parse;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<String, InterpolationError> {
        let ini = parse("f", text).unwrap();
        let section = &ini.sections[0];
        interpolate(section.entry("a").unwrap(), section, &ini.defaults)
    }

    #[test]
    fn references_are_replaced_from_the_section_then_from_default() {
        assert_eq!(read("[s]\na = x%(B)sy %%\nb = 1\n").unwrap(), "x1y %");
        assert_eq!(read("[DEFAULT]\nb = %(c)s\n[s]\na = %(b)s\nc = 2\n").unwrap(), "2");
    }

    #[test]
    fn r45_values_that_multiply_each_other_are_refused_at_once() {
        let mut text = "[s]\na = %(b)s\n".to_owned();
        for name in 'b'..='i' {
            let next = char::from(name as u8 + 1);
            text += &format!("{name} = {}\n", format!("%({next})s").repeat(20));
        }
        assert_eq!(read(&format!("{text}j =\n")), Err(InterpolationError::TooMuch));
        assert_eq!(
            read(&format!("{text}j = {}\n", "x".repeat(2000))),
            Err(InterpolationError::TooMuch)
        );
        let long = format!("[s]\na = %(b)s%(b)s\nb = {}\n", "x".repeat(MAX_BYTES / 2));
        assert_eq!(read(&long).unwrap().len(), MAX_BYTES);
        assert_eq!(read(&long.replace("= %", "= x%")), Err(InterpolationError::TooMuch));
    }

    #[test]
    fn what_can_not_be_replaced_is_an_error() {
        assert_eq!(read("[s]\na = 100%\n"), Err(InterpolationError::Lonely));
        assert_eq!(read("[s]\na = %(b)\n"), Err(InterpolationError::Lonely));
        assert_eq!(read("[s]\na = %(b)s\n"), Err(InterpolationError::Missing("b".to_owned())));
        assert_eq!(read("[s]\na = %(a)s\n"), Err(InterpolationError::TooDeep));
    }

    proptest! {
        #[test]
        fn r45_values_without_percent_signs_stay_and_doubled_ones_become_single(
            value in "[a-z ()%]{0,20}",
            other in "[a-z%()]{0,10}",
        ) {
            let text = format!("[s]\na = x{value}\nb = x{other}\n");
            let plain = format!("x{value}").trim_end().to_owned();
            match read(&text) {
                Ok(made) if !value.contains('%') => prop_assert_eq!(made, plain.clone()),
                Ok(made) => prop_assert!(made.len() <= (value.len() + 1) * (other.len() + 2) * 10),
                Err(_) => prop_assert!(value.contains('%')),
            }
            let doubled = format!("[s]\na = x{}\n", value.replace('%', "%%"));
            prop_assert_eq!(read(&doubled).unwrap(), plain);
        }
    }
}
