//! Values that several sections hold alike: one of a few words, a path of an account, the shells of the tiers.

use super::finding::{FindingKind, Findings, quoted};
use super::raw::Settings;
use feudal_plugins::Shells;
use motley_proto::task::AccountPath;

/// One of several words; notes a problem for any other.
pub(super) fn choose<T: Copy>(
    settings: &Settings,
    option: &str,
    words: &[(&str, T)],
    found: &mut Findings,
) -> Option<T> {
    let word = settings.text(option);
    let chosen = words.iter().find(|(known, _)| *known == word).map(|(_, value)| *value);
    if chosen.is_none() {
        let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
        let what = format!("{} is none of the words it can be", quoted(word));
        let cure = format!("write {}", known.join(" or "));
        found.problem(settings.finding(FindingKind::Value, option, what, cure));
    }
    chosen
}

/// A path that account files and commands take.
pub(super) fn path(settings: &Settings, option: &str, found: &mut Findings) -> Option<AccountPath> {
    let text = settings.text(option);
    let made = AccountPath::new(text.trim_end_matches('/'));
    if let Err(error) = &made {
        let what = format!("{} {error}", quoted(text));
        let cure = "write an absolute path of plain letters and digits";
        found.problem(settings.finding(FindingKind::Value, option, what, cure));
    }
    made.ok()
}

/// Shells of the tiers.
pub(super) fn shells(settings: &Settings, found: &mut Findings) -> Option<Shells> {
    let full = path(settings, "shell", found);
    let limited = path(settings, "shell_limited", found);
    let restricted = path(settings, "shell_restricted", found);
    Some(Shells { full: full?, limited: limited?, restricted: restricted? })
}
