//! Entitlements in the reading that names groups: stricter than AARC-G069, with the authority required.

pub mod g069;

use std::fmt;

/// An entitlement that names a local group: `urn:NID:NAMESPACE[:SUBNS...]:group:GROUP[:SUBGROUP...][:role=ROLE]#AUTHORITY`.
///
/// Follows AARC-G002 and the reading of the Python stack, which sites have built their group names
/// on: `urn` in lower case only, the authority required. For authorisation see [`g069`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entitlement {
    /// Namespace identifier of the URN (RFC 8141 §2).
    pub namespace_id: String,
    /// Namespace that the provider was given, as a host name.
    pub delegated_namespace: String,
    /// Sub-namespaces below it.
    pub subnamespaces: Vec<String>,
    /// Group.
    pub group: String,
    /// Groups inside the group.
    pub subgroups: Vec<String>,
    /// Role in the innermost group.
    pub role: Option<String>,
    /// Who vouches for the membership.
    pub authority: String,
}

impl Entitlement {
    /// Reads an entitlement; `None` when the text is none that names a group.
    ///
    /// The first part `group` divides namespaces from groups. The role is everything behind the
    /// first `:role=`, and the authority everything behind the last `#`.
    pub fn parse(text: &str) -> Option<Self> {
        let (body, authority) = text.rsplit_once('#')?;
        let rest = body.strip_prefix("urn:")?;
        let (namespaces, groups) = split_at_group(rest)?;
        let (groups, role) = g069::split_role(groups);
        let namespaces: Vec<&str> = namespaces.split(':').collect();
        let groups: Vec<&str> = groups.split(':').collect();
        if authority.is_empty() || namespaces.contains(&"") || groups.contains(&"") {
            return None;
        }
        let [namespace_id, delegated_namespace, subnamespaces @ ..] = namespaces.as_slice() else {
            return None;
        };
        let (group, subgroups) = groups.split_first()?;
        let owned = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
        Some(Self {
            namespace_id: (*namespace_id).to_owned(),
            delegated_namespace: (*delegated_namespace).to_owned(),
            subnamespaces: owned(subnamespaces),
            group: (*group).to_owned(),
            subgroups: owned(subgroups),
            role: role.map(str::to_owned),
            authority: authority.to_owned(),
        })
    }
}

/// Splits at the first part `group` that has two parts before it.
fn split_at_group(text: &str) -> Option<(&str, &str)> {
    let namespace = text.split(':').take(2).map(|part| part.len() + 1).sum::<usize>();
    let from = namespace.checked_sub(1)?;
    let at = text.get(from..)?.find(g069::GROUP)? + from;
    Some((text.get(..at)?, text.get(at + g069::GROUP.len()..)?))
}

/// Writes the entitlement as it was read.
impl fmt::Display for Entitlement {
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
        write!(f, "#{}", self.authority)
    }
}
