//! What is in the directory after a recorded case: whose entries there are, how they are locked, their
//! shells, and who is in which group.

use motley_tests::slapd::{Attributes, Slapd};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Locks, shells, owners and memberships.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entries {
    /// By the name of the entry.
    pub(crate) people: BTreeMap<String, Entry>,
    /// The members of each group that has any.
    pub(crate) members: BTreeMap<String, BTreeSet<String>>,
}

/// One person's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) owner: Option<String>,
    pub(crate) shell: Option<String>,
    /// Attributes that lock it or tell of a lock.
    pub(crate) lock: BTreeMap<&'static str, Vec<String>>,
}

const LOCKS: [&str; 3] = ["shadowExpire", "pwdAccountLockedTime", "description"];

impl Entries {
    /// As a case says it.
    pub(crate) fn told(directory: &Value) -> Self {
        let mut told = BTreeMap::new();
        for (dn, attributes) in directory.as_object().into_iter().flatten() {
            let attributes = attributes.as_object().into_iter().flatten().map(|(name, values)| {
                let values = values.as_array().into_iter().flatten();
                (name.clone(), values.filter_map(|it| it.as_str().map(str::to_owned)).collect())
            });
            told.insert(dn.clone(), attributes.collect());
        }
        Self::read(told)
    }

    /// As it is in the server.
    pub(crate) fn found(slapd: &Slapd, base: &str) -> Self {
        let filter = "(|(objectClass=posixAccount)(objectClass=posixGroup))";
        let names = slapd.find(base, filter).unwrap().into_iter();
        let entry = |dn: &String| slapd.entry(dn).unwrap();
        Self::read(names.filter_map(|dn| entry(&dn).map(|it| (dn, it))).collect())
    }

    fn read(all: BTreeMap<String, Attributes>) -> Self {
        let (mut people, mut members) = (BTreeMap::new(), BTreeMap::new());
        for (dn, attributes) in &all {
            let one = |name: &str| attributes.get(name).and_then(|it| it.first()).cloned();
            let gid = attributes.get("gidNumber");
            let mut listed = attributes.get("memberUid").cloned().unwrap_or_default();
            // Whose primary group it is is a member, listed or not.
            let is_in =
                |it: &&Attributes| it.contains_key("uidNumber") && it.get("gidNumber") == gid;
            listed.extend(
                all.values().filter(is_in).filter_map(|it| it.get("uid")?.first().cloned()),
            );
            if dn.starts_with("uid=") {
                let lock = LOCKS.into_iter().filter_map(|it| {
                    let mut values = attributes.get(it)?.clone();
                    // That the primary group is ours to take away is noted beside the locks.
                    values.retain(|value| !value.starts_with("motley:primary:"));
                    (!values.is_empty()).then_some((it, values))
                });
                let (owner, shell) = (one("gecos"), one("loginShell"));
                people.insert(dn.clone(), Entry { owner, shell, lock: lock.collect() });
            } else if !listed.is_empty() {
                members.insert(dn.clone(), listed.into_iter().collect());
            }
        }
        Self { people, members }
    }

    /// The same without what locks show.
    pub(crate) fn unlocked(&self) -> Self {
        let mut same = self.clone();
        same.people.values_mut().for_each(|entry| entry.lock.clear());
        same
    }

    /// The same without whose the entries are.
    pub(crate) fn without_owners(&self) -> Self {
        let mut same = self.clone();
        same.people.values_mut().for_each(|entry| entry.owner = None);
        same
    }

    /// The same without shells.
    pub(crate) fn without_shells(&self) -> Self {
        let mut same = self.clone();
        same.people.values_mut().for_each(|entry| entry.shell = None);
        same
    }
}
