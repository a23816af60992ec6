//! Entitlements of AARC-G069, and when one that somebody has satisfies one that is required.

use std::fmt;

/// A group entitlement (AARC-G069 §2), normalised for comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Aarc {
    /// Namespace identifier of the URN, in lower case.
    pub namespace_id: String,
    /// Namespace that the provider was given, in lower case.
    pub delegated_namespace: String,
    /// Sub-namespaces below it, in lower case.
    pub subnamespaces: Vec<String>,
    /// Group; case matters.
    pub group: String,
    /// Groups inside the group; case matters.
    pub subgroups: Vec<String>,
    /// Role in the innermost group.
    pub role: Option<String>,
    /// Who vouches for the membership. Plays no part in comparison.
    pub authority: Option<String>,
}

/// Divides namespaces from groups.
pub(super) const GROUP: &str = ":group:";
const ROLE: &str = ":role=";
/// Most dividers that are tried in one text. Each try reads the text, and whoever fills a claim of
/// megabytes with dividers would otherwise keep a core busy for minutes.
const MAX_TRIES: usize = 32;

/// Reads a group entitlement of AARC-G069; `None` when the text is none.
///
/// Namespaces are folded to lower case and percent-encodings to upper case, as URN equivalence
/// asks for (RFC 8141 §3.1). Components behind `?+`, `?=` and `#` before the group carry no
/// meaning and are dropped. Where `group` occurs several times, the last one that reads divides; of
/// very many, only the last 32 are looked at.
pub fn parse_g069(text: &str) -> Option<Aarc> {
    let scheme = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("urn:"))?;
    let rest = text.get(scheme.len()..)?;
    let mut end = rest.len();
    for _ in 0..MAX_TRIES {
        let at = rest.get(..end)?.rfind(GROUP)?;
        let (namespaces, groups) = (rest.get(..at)?, rest.get(at + GROUP.len()..)?);
        if let (Some(namespaces), Some(groups)) =
            (Namespaces::read(namespaces), Groups::read(groups))
        {
            return Some(assemble(&namespaces, &groups));
        }
        // `:group:group:` holds the divider twice.
        end = at + GROUP.len() - 1;
    }
    None
}

struct Namespaces<'a> {
    id: &'a str,
    delegated: &'a str,
    sub: Vec<&'a str>,
}

impl<'a> Namespaces<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (id, rest) = text.split_once(':')?;
        let rest = without_components(rest)?;
        let mut parts = rest.split(':');
        let delegated = parts.next()?;
        let sub: Vec<&str> = parts.collect();
        let is_whole = |part: &str| !part.is_empty() && !part.contains(['?', '#']);
        let fits = !id.is_empty() && is_whole(delegated) && sub.iter().all(|part| is_whole(part));
        fits.then_some(Self { id, delegated, sub })
    }
}

/// Drops the r-, q- and f-components of a URN (RFC 8141 §2.3); they hold no colon here.
fn without_components(text: &str) -> Option<&str> {
    let text = cut(text, "#", &[':'])?;
    match (text.find("?+"), text.find("?=")) {
        (Some(resolution), Some(query)) if resolution < query => {
            cut(cut(text, "?=", &[':'])?, "?+", &[':', '?'])
        }
        (_, Some(_)) => cut(text, "?=", &[':']),
        (_, None) => cut(text, "?+", &[':', '?']),
    }
}

/// What stands before the mark; `None` when the component behind it is empty or holds what it must not.
fn cut<'a>(text: &'a str, mark: &str, forbidden: &[char]) -> Option<&'a str> {
    let Some((before, component)) = text.split_once(mark) else { return Some(text) };
    (!component.is_empty() && !component.contains(forbidden)).then_some(before)
}

struct Groups<'a> {
    group: &'a str,
    sub: Vec<&'a str>,
    role: Option<&'a str>,
    authority: Option<&'a str>,
}

impl<'a> Groups<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (body, authority) = match text.split_once('#') {
            Some((_, "")) => return None,
            Some((body, authority)) => (body, Some(authority)),
            None => (text, None),
        };
        let (groups, role) = split_role(body);
        let mut parts = groups.split(':');
        let group = parts.next()?;
        let sub: Vec<&str> = parts.collect();
        let fits = !group.is_empty() && sub.iter().all(|part| !part.is_empty());
        fits.then_some(Self { group, sub, role, authority })
    }
}

/// Splits groups from the role, which is everything behind the first `:role=`, colons included.
/// Without anything behind it, it is a group of that name.
pub(super) fn split_role(text: &str) -> (&str, Option<&str>) {
    match text.split_once(ROLE) {
        Some((groups, role)) if !role.is_empty() => (groups, Some(role)),
        _ => (text, None),
    }
}

fn assemble(namespaces: &Namespaces<'_>, groups: &Groups<'_>) -> Aarc {
    Aarc {
        namespace_id: namespaces.id.to_lowercase(),
        delegated_namespace: namespaces.delegated.to_lowercase(),
        subnamespaces: namespaces.sub.iter().map(|part| part.to_lowercase()).collect(),
        group: upper_percent(groups.group),
        subgroups: groups.sub.iter().map(|part| upper_percent(part)).collect(),
        role: groups.role.map(upper_percent),
        authority: groups.authority.map(upper_percent),
    }
}

/// Writes percent-encodings in upper case (RFC 8141 §3.1).
fn upper_percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        out.push('%');
        rest = after;
        if let Some(code) =
            after.get(..2).filter(|code| code.bytes().all(|b| b.is_ascii_alphanumeric()))
        {
            out.push_str(&code.to_ascii_uppercase());
            rest = after.get(2..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

/// True when the entitlement `actual` that a person has grants what `required` asks for.
///
/// Required sub-namespaces and sub-groups are a prefix of the person's: members of a sub-group are
/// members of the group, and a namespace includes those below it. With a required role the sub-groups must be exactly the required ones,
/// as a role counts for the group that it is given in.
pub fn satisfies(required: &Aarc, actual: &Aarc) -> bool {
    let same_root = required.namespace_id == actual.namespace_id
        && required.delegated_namespace == actual.delegated_namespace
        && required.group == actual.group
        && actual.subnamespaces.starts_with(&required.subnamespaces);
    same_root
        && match &required.role {
            Some(role) => {
                actual.subgroups == required.subgroups && actual.role.as_ref() == Some(role)
            }
            None => actual.subgroups.starts_with(&required.subgroups),
        }
}

impl fmt::Display for Aarc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "urn:{}:{}", self.namespace_id, self.delegated_namespace)?;
        for part in &self.subnamespaces {
            write!(f, ":{part}")?;
        }
        write!(f, ":group:{}", self.group)?;
        for part in &self.subgroups {
            write!(f, ":{part}")?;
        }
        if let Some(role) = &self.role {
            write!(f, ":role={role}")?;
        }
        match &self.authority {
            Some(authority) => write!(f, "#{authority}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn granted(required: &str, actual: &str) -> bool {
        satisfies(&parse_g069(required).unwrap(), &parse_g069(actual).unwrap())
    }

    #[test]
    fn members_of_a_sub_group_are_members_of_the_group_and_not_the_other_way_round() {
        assert!(granted("urn:geant:x:group:a", "urn:geant:x:group:a:b#auth"));
        assert!(granted("urn:geant:x:group:a", "urn:geant:x:group:a:b:role=r"));
        assert!(granted("URN:GEANT:X:group:a#one", "urn:geant:x:sub:group:a#other"));
        assert!(!granted("urn:geant:x:group:a:b", "urn:geant:x:group:a"));
        assert!(!granted("urn:geant:x:group:a", "urn:geant:x:group:A"));
        assert!(!granted("urn:geant:x:group:a", "urn:geant:x:group:ab"));
        assert!(!granted("urn:geant:x:sub:group:a", "urn:geant:x:group:a"));
    }

    #[test]
    fn a_role_counts_for_the_group_that_it_is_given_in() {
        assert!(granted("urn:geant:x:group:a:role=r", "urn:geant:x:group:a:role=r"));
        assert!(!granted("urn:geant:x:group:a:role=r", "urn:geant:x:group:a:b:role=r"));
        assert!(!granted("urn:geant:x:group:a:role=r", "urn:geant:x:group:a:role=R"));
        assert!(!granted("urn:geant:x:group:a:role=r", "urn:geant:x:group:a"));
    }

    #[test]
    fn r45_a_text_full_of_dividers_is_none_and_costs_no_time() {
        let begun = std::time::Instant::now();
        assert_eq!(parse_g069(&format!("urn:geant:x:{}", ":group:".repeat(150_000))), None);
        let many = format!("urn:geant:x{}", ":group".repeat(20));
        assert!(parse_g069(&format!("{many}:a")).is_some());
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "it took hours before");
    }

    proptest! {
        #[test]
        fn r45_any_text_is_read_or_refused_and_what_was_read_satisfies_itself(
            text in "(?i:urn)(:[a-z.%#?+=]{0,4}|:group|:role=[a-z:#]{0,3}){1,8}|\\PC{0,40}"
        ) {
            if let Some(read) = parse_g069(&text) {
                prop_assert!(satisfies(&read, &read));
                // A component that was dropped can have kept two readings apart.
                if !text.contains(['#', '?']) {
                    prop_assert_eq!(parse_g069(&read.to_string()), Some(read));
                }
            }
            if let Some(read) = super::super::Entitlement::parse(&text) {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}
