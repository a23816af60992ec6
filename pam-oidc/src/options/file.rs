//! The file of options: lines `name = value`, and the older INI file, which only earns a warning.

use super::{DEFAULT_SOCKET, OptionProblem, Setting};

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Options.
    Settings(Vec<Setting>),
    /// Options of the module that came before; what to write instead.
    Old(String),
}

/// Sections of the older file.
const OLD_SECTIONS: &[&str] = &["user_verification", "config"];

/// Reads the text of a file.
///
/// # Errors
/// A line that is neither option, comment nor blank.
pub(super) fn parse(path: &str, text: &str) -> Result<Content, OptionProblem> {
    let lines = || text.lines().map(str::trim);
    let old = lines().filter_map(section).any(|name| OLD_SECTIONS.contains(&name));
    if old {
        return Ok(Content::Old(describe_old(path, lines())));
    }
    let mut settings = Vec::new();
    for (line, number) in lines().zip(1u32..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("{path} line {number}");
        match split_line(line) {
            Ok((name, value)) => settings.push(Setting { place, name: name.to_owned(), value }),
            Err(cure) => return Err(OptionProblem::Line { place, cure }),
        }
    }
    Ok(Content::Settings(settings))
}

fn section(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']').map(str::trim)
}

fn split_line(line: &str) -> Result<(&str, String), &'static str> {
    if line.starts_with('[') {
        return Err("this file has no sections; remove the line");
    }
    let (name, value) = line.split_once('=').ok_or("write: name = value")?;
    Ok((name.trim_end(), read_value(value.trim_start())?))
}

/// A quoted text, or everything up to a comment.
fn read_value(text: &str) -> Result<String, &'static str> {
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            let (inside, behind) = rest.split_once(quote).ok_or("the closing quote is missing")?;
            if inside.contains('\\') && quote == '"' {
                return Err("no backslash inside double quotes; use single quotes");
            }
            let behind = behind.trim_start();
            let ends = behind.is_empty() || behind.starts_with('#');
            return if ends { Ok(inside.to_owned()) } else { Err("text behind the closing quote") };
        }
    }
    let bare = text.split_once(" #").map_or(text, |(value, _)| value);
    Ok(bare.trim_end().to_owned())
}

fn describe_old<'a>(path: &str, lines: impl Iterator<Item = &'a str>) -> String {
    let endpoint = lines
        .filter(|line| line.starts_with("verify_endpoint"))
        .find_map(|line| line.split_once(['=', ':']))
        .map(|(_, value)| format!(" verify_endpoint = {}", value.trim()))
        .unwrap_or_default();
    format!(
        "{path}: options of an earlier module have no effect:{endpoint} is replaced by the option \
         socket= (now {DEFAULT_SOCKET}); write options as name = value without sections, or drop \
         config= from the PAM line"
    )
}
