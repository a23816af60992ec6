//! Replaces `%(name)s` and `%%` as Python's basic interpolation does.

use super::ini::{Entry, Section};

/// How deep values may refer to each other.
const MAX_DEPTH: usize = 10;

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
}

impl InterpolationError {
    /// What to do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Lonely => "write %% for a percent sign",
            Self::Missing(_) => "set that option, or write %% for a percent sign",
            Self::TooDeep => "write the value out",
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
    let mut out = String::new();
    replace(&entry.value(), section, defaults, 1, &mut out)?;
    Ok(out)
}

fn replace(
    text: &str,
    section: &Section,
    defaults: &Section,
    depth: usize,
    out: &mut String,
) -> Result<(), InterpolationError> {
    if depth > MAX_DEPTH {
        return Err(InterpolationError::TooDeep);
    }
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(next) = after.strip_prefix('%') {
            out.push('%');
            rest = next;
            continue;
        }
        let (name, next) = reference(after).ok_or(InterpolationError::Lonely)?;
        let name = name.to_lowercase();
        let entry = lookup(section, defaults, &name)
            .ok_or_else(|| InterpolationError::Missing(name.clone()))?;
        replace(&entry.value(), section, defaults, depth + 1, out)?;
        rest = next;
    }
    out.push_str(rest);
    Ok(())
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
    fn what_can_not_be_replaced_is_an_error() {
        assert_eq!(read("[s]\na = 100%\n"), Err(InterpolationError::Lonely));
        assert_eq!(read("[s]\na = %(b)\n"), Err(InterpolationError::Lonely));
        assert_eq!(read("[s]\na = %(b)s\n"), Err(InterpolationError::Missing("b".to_owned())));
        assert_eq!(read("[s]\na = %(a)s\n"), Err(InterpolationError::TooDeep));
    }
}
