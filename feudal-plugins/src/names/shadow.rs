//! Makes any text into a name that shadow-utils take, in the variants that sites have in use.

use super::transliterate::to_ascii;
use motley_proto::names::MAX_NAME_BYTES;

/// Which rules clean and shorten a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShadowVariant {
    /// Cuts the second `_` fragment from the left.
    #[default]
    Default,
    /// Cuts all long fragments from the right, first to last.
    V044,
    /// Groups of PUNCH4NFDI under their own short name; nothing else is shortened.
    Punch,
    /// For directories: as default, but dots stay.
    Ldap,
}

/// Why a text can't be made into a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoName {
    /// Nothing of it is left. All such texts would become the one name `_`.
    #[error("has nothing that can stand in a name")]
    Empty,
    /// It can't be cut to the length that the system allows.
    #[error("can't be shortened to {MAX_NAME_BYTES} characters")]
    TooLong,
    /// It mentions PUNCH4NFDI, and not as `NAMESPACE_punch4nfdi[...]`.
    #[error("must have the form NAMESPACE_punch4nfdi[_GROUP]")]
    NotPunch,
}

/// What a name became, and whether anything was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The name.
    pub name: String,
    /// True when characters were cut, so that other texts can have the same name.
    pub shortened: bool,
}

/// Name that stands for a long one of the eduTEAMS service.
const EDUTEAMS: (&str, &str) = ("eduteams-org-service-eduteams_", "eduteams_");
const PUNCH: &str = "punch4nfdi";
/// Marks the place of a cut.
const CUT: &str = "..";

/// Makes a text into a name by the rules of a variant.
///
/// # Errors
/// When nothing is left, or the name can't be shortened.
pub fn make_compatible(text: &str, variant: ShadowVariant) -> Result<String, NoName> {
    make(text, variant).map(|made| made.name)
}

/// As [`make_compatible`], and tells whether the name was shortened.
///
/// # Errors
/// As [`make_compatible`].
pub fn make(text: &str, variant: ShadowVariant) -> Result<Made, NoName> {
    let clean = with_valid_start(clean(text, variant), variant);
    if clean.trim_matches('_').is_empty() && clean.len() < 2 {
        return Err(NoName::Empty);
    }
    let whole = clean.len();
    let name = match variant {
        ShadowVariant::Default => shorten_second(without_long_prefix(clean))?,
        ShadowVariant::Ldap => shorten_second(clean)?,
        ShadowVariant::V044 => shorten_all(clean)?,
        ShadowVariant::Punch => punch(clean)?,
    };
    if name.len() > MAX_NAME_BYTES {
        return Err(NoName::TooLong);
    }
    Ok(Made { shortened: name.len() < whole, name })
}

/// ASCII, lower case, and `_` for everything that can't stand in a name.
fn clean(text: &str, variant: ShadowVariant) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'ä' => plain.push_str("ae"),
            'ö' => plain.push_str("oe"),
            'ü' => plain.push_str("ue"),
            'Ä' => plain.push_str("Ae"),
            'Ö' => plain.push_str("Oe"),
            'Ü' => plain.push_str("Ue"),
            'ß' | 'ẞ' => plain.push_str("ss"),
            '!' => plain.push('i'),
            '$' => plain.push('s'),
            '*' => plain.push('x'),
            '@' => plain.push_str("_at_"),
            other => plain.push(other),
        }
    }
    let keeps = |c: char| match c {
        'a'..='z' | '0'..='9' | '_' | '-' => true,
        '.' => variant == ShadowVariant::Ldap,
        _ => false,
    };
    let lower = to_ascii(&plain).to_ascii_lowercase();
    lower.chars().map(|c| if keeps(c) { c } else { '_' }).collect()
}

fn with_valid_start(name: String, variant: ShadowVariant) -> String {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let mut name = match name.get(1..) {
        _ if starts_well => name,
        // At full length there is no room for a character in front: it takes the place of the bad one.
        Some(rest) if variant == ShadowVariant::Default && name.len() >= MAX_NAME_BYTES => {
            format!("_{rest}")
        }
        _ => format!("_{name}"),
    };
    if variant != ShadowVariant::Default && name.starts_with("_-") {
        name.remove(1);
    }
    name
}

fn without_long_prefix(name: String) -> String {
    let (long, short) = EDUTEAMS;
    match name.strip_prefix(long) {
        Some(rest) => format!("{short}{rest}"),
        None => name,
    }
}

fn tail(text: &str, from: usize) -> &str {
    text.get(from..).unwrap_or_default()
}

fn head(text: &str, to: usize) -> &str {
    text.get(..to).unwrap_or(text)
}

fn shorten_second(name: String) -> Result<String, NoName> {
    let Some(excess) = name.len().checked_sub(MAX_NAME_BYTES).filter(|excess| *excess > 0) else {
        return Ok(name);
    };
    let Some((first, rest)) = name.split_once('_') else {
        return Ok(format!("__{}", tail(&name, excess + 2)));
    };
    let (second, behind) = match rest.split_once('_') {
        Some((second, _)) => (second, tail(rest, second.len())),
        None => (rest, ""),
    };
    // The mark of the cut needs room as well.
    if second.len() < excess + CUT.len() {
        return Err(NoName::TooLong);
    }
    Ok(format!("{first}_{CUT}{}{behind}", tail(second, excess + CUT.len())))
}

fn shorten_all(name: String) -> Result<String, NoName> {
    let mut excess = name.len().saturating_sub(MAX_NAME_BYTES);
    if excess == 0 {
        return Ok(name);
    }
    let mut fragments = Vec::new();
    for fragment in name.split('_') {
        let spare = fragment.len().saturating_sub(CUT.len() + 1).min(excess);
        if spare == 0 {
            fragments.push(fragment.to_owned());
        } else {
            excess -= spare;
            fragments.push(format!("{}{CUT}", head(fragment, fragment.len() - spare - CUT.len())));
        }
    }
    if excess > 0 { Err(NoName::TooLong) } else { Ok(fragments.join("_")) }
}

fn punch(name: String) -> Result<String, NoName> {
    if !name.contains(PUNCH) {
        return Ok(name);
    }
    let (namespace, rest) = name.rsplit_once("_punch4nfdi").ok_or(NoName::NotPunch)?;
    if namespace.is_empty() {
        return Err(NoName::NotPunch);
    }
    // A rest that does not fit is refused, never dropped: the bare name would be a parent group
    // that nobody asserted.
    Ok(format!("{PUNCH}{rest}"))
}
