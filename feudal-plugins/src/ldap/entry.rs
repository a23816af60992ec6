//! Entries of a directory: attributes by name in any case, and the texts that filters and names are made of.

use ldap3::{SearchEntry, dn_escape, ldap_escape};
use std::collections::HashMap;

/// An entry with those of its attributes that were asked for.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Distinguished name.
    pub(super) dn: String,
    attributes: HashMap<String, Vec<String>>,
}

impl Entry {
    pub(super) fn new(found: SearchEntry) -> Self {
        let mut attributes = found.attrs;
        // Attribute names have no case, and the server may write them otherwise than we do.
        attributes = attributes.into_iter().map(|(name, it)| (name.to_lowercase(), it)).collect();
        Self { dn: found.dn, attributes }
    }

    /// All values of an attribute.
    pub(super) fn all(&self, attribute: &str) -> &[String] {
        self.attributes.get(&attribute.to_lowercase()).map(Vec::as_slice).unwrap_or_default()
    }

    /// The first value of an attribute.
    pub(super) fn one(&self, attribute: &str) -> Option<&str> {
        self.all(attribute).first().map(String::as_str)
    }

    /// The first value of an attribute as a number.
    pub(super) fn number<T: std::str::FromStr>(&self, attribute: &str) -> Option<T> {
        self.one(attribute).and_then(|text| text.parse().ok())
    }

    /// True when the attribute has exactly this value, whatever case its syntax ignores.
    pub(super) fn has(&self, attribute: &str, value: &str) -> bool {
        self.all(attribute).iter().any(|it| it == value)
    }

    /// True for entries of this object class.
    pub(super) fn is_a(&self, class: &str) -> bool {
        self.all("objectClass").iter().any(|it| it.eq_ignore_ascii_case(class))
    }
}

/// `(attribute=value)` with the value escaped (RFC 4515 §3).
pub(super) fn equals(attribute: &str, value: &str) -> String {
    format!("({attribute}={})", ldap_escape(value))
}

/// `(&...)` of whole filters.
pub(super) fn all_of<S: AsRef<str>>(filters: &[S]) -> String {
    format!("(&{})", filters.iter().map(AsRef::as_ref).collect::<String>())
}

/// `(|...)` of whole filters.
pub(super) fn any_of<S: AsRef<str>>(filters: &[S]) -> String {
    format!("(|{})", filters.iter().map(AsRef::as_ref).collect::<String>())
}

/// `attribute=value,base` with the value escaped (RFC 4514 §2.4).
pub(super) fn dn_below(base: &str, attribute: &str, value: &str) -> String {
    format!("{attribute}={},{base}", dn_escape(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_text_can_neither_leave_a_filter_nor_a_distinguished_name() {
        assert_eq!(equals("gecos", "*)(uid=*"), "(gecos=\\2a\\29\\28uid=\\2a)");
        assert_eq!(equals("gecos", "a\\b\0"), "(gecos=a\\5cb\\00)");
        assert_eq!(dn_below("dc=x", "uid", "a,cn=admin+b"), "uid=a\\2ccn\\3dadmin\\2bb,dc=x");
        let both = all_of(&["(a=b)".to_owned(), any_of(&["(c=d)", "(e=f)"])]);
        assert_eq!(both, "(&(a=b)(|(c=d)(e=f)))");
    }

    #[test]
    fn attributes_are_found_in_any_case_and_values_in_theirs_only() {
        let attrs = HashMap::from([
            ("uidNumber".to_owned(), vec!["7".to_owned()]),
            ("gecos".to_owned(), vec!["A%2F".to_owned()]),
        ]);
        let entry =
            Entry::new(SearchEntry { dn: "uid=a".to_owned(), attrs, bin_attrs: HashMap::new() });
        assert_eq!(entry.number::<u32>("UIDNUMBER"), Some(7));
        assert!(entry.has("Gecos", "A%2F") && !entry.has("gecos", "a%2f"));
        assert_eq!(entry.one("sn"), None);
    }
}
