//! The record of a person in the registration service: what we read of it, and what we write into it.

use super::{Organisation, ServiceName};
use crate::{backend::BackendError, groups::Groups, person::Person};
use motley_proto::{GroupName, Identity, UniqueId, UserName};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Attribute of the login name (RFC 4519 §2.39).
pub(super) const LOGIN: &str = "urn:oid:0.9.2342.19200300.100.1.1";
/// Attribute of the organisation.
const ORGANISATION: &str = "http://bwidm.de/bwidmOrgId";
/// Status of a person who may be registered.
const ACTIVE: &str = "ACTIVE";
/// What people without an address have in its place: the service demands one.
const NO_ADDRESS: &str = "no@email.provided";

/// Note about a group in the place of its id, while it is made; the time follows, in seconds since 1970.
const MAKING: &str = "making ";
/// How long such a note holds, in seconds: whoever makes a group of that name later is somebody else.
const MAKING_HOLDS: u64 = 300;

/// A group of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RegGroup {
    pub(super) id: i64,
    pub(super) name: String,
}

impl RegGroup {
    pub(super) fn read(value: &Value) -> Option<Self> {
        let name = value.get("name")?.as_str()?.to_owned();
        Some(Self { id: value.get("id")?.as_i64()?, name })
    }
}

/// A record, with everything in it that is not ours.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    whole: Map<String, Value>,
    pub(super) id: i64,
    pub(super) external_id: String,
}

impl Record {
    pub(super) fn read(value: Value) -> Option<Self> {
        let Value::Object(whole) = value else { return None };
        let id = whole.get("id")?.as_i64()?;
        let external_id = whole.get("externalId")?.as_str()?.to_owned();
        Some(Self { whole, id, external_id })
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        UniqueId::parse(&self.external_id).ok()
    }

    pub(super) fn is_active(&self) -> bool {
        self.whole.get("userStatus").and_then(Value::as_str) == Some(ACTIVE)
    }

    pub(super) fn uid(&self) -> Option<u32> {
        self.whole.get("uidNumber")?.as_u64().and_then(|uid| u32::try_from(uid).ok())
    }

    fn attribute(&self, store: &str, key: &str) -> Option<&str> {
        self.whole.get(store)?.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn organisation(&self) -> Option<&str> {
        self.attribute("attributeStore", ORGANISATION)
    }

    /// The local name, if the record is one of this organisation.
    pub(super) fn name(&self, organisation: &Organisation) -> Option<UserName> {
        if self.organisation() != Some(organisation.as_str()) {
            return None;
        }
        let login = self.attribute("attributeStore", LOGIN)?;
        UserName::new(format!("{}{login}", organisation.prefix())).ok()
    }

    pub(super) fn primary_group(&self) -> Option<RegGroup> {
        self.whole.get("primaryGroup").and_then(RegGroup::read)
    }

    pub(super) fn secondary_groups(&self) -> Vec<RegGroup> {
        let groups = self.whole.get("secondaryGroups").and_then(Value::as_array);
        groups.into_iter().flatten().filter_map(RegGroup::read).collect()
    }

    /// Groups that we joined for the service, and so may leave.
    pub(super) fn managed(&self, service: &ServiceName) -> BTreeSet<GroupName> {
        let text = self.attribute("genericStore", &managed_key(service)).unwrap_or_default();
        text.split(' ').filter_map(|name| GroupName::new(name).ok()).collect()
    }

    pub(super) fn set_managed(&mut self, service: &ServiceName, groups: &BTreeSet<GroupName>) {
        let names: Vec<&str> = groups.iter().map(GroupName::as_str).collect();
        self.set("genericStore", &managed_key(service), &names.join(" "));
    }

    /// Notes that we are about to make a group that there is not.
    pub(super) fn note_making(&mut self, service: &ServiceName, group: &GroupName, now: u64) {
        let note = format!("{MAKING}{now}");
        self.set("attributeStore", &made_key(service, group.as_str()), &note);
    }

    /// Takes that note back: the group was not made.
    pub(super) fn forget_making(&mut self, service: &ServiceName, group: &GroupName) {
        self.set("attributeStore", &made_key(service, group.as_str()), "");
    }

    /// True if a crash can have come between the note and the group.
    pub(super) fn is_making(&self, service: &ServiceName, group: &GroupName, now: u64) -> bool {
        let note = self.attribute("attributeStore", &made_key(service, group.as_str()));
        let begun = note.and_then(|note| note.strip_prefix(MAKING)?.parse::<u64>().ok());
        begun.and_then(|begun| now.checked_sub(begun)).is_some_and(|age| age <= MAKING_HOLDS)
    }

    /// Notes that we made a group. It is kept with the person for whom we did, where it can be searched
    /// for: groups have no room for notes.
    pub(super) fn note_made(&mut self, service: &ServiceName, group: &RegGroup) {
        let id = group.id.to_string();
        self.set("attributeStore", &made_key(service, &group.name), &id);
    }

    pub(super) fn notes_made(&self, key: &str, id: &str) -> bool {
        self.attribute("attributeStore", key) == Some(id)
    }

    /// True when we took the registration for this service away as a lock.
    pub(super) fn is_suspended(&self, service: &ServiceName) -> bool {
        self.attribute("genericStore", &suspended_key(service)).is_some()
    }

    pub(super) fn set_suspended(&mut self, service: &ServiceName, suspended: bool) {
        let word = if suspended { "yes" } else { "" };
        self.set("genericStore", &suspended_key(service), word);
    }

    /// Writes what a deployment says about the person.
    pub(super) fn describe(
        &mut self,
        identity: &Identity,
        person: &Person,
        login: &str,
        organisation: &Organisation,
        primary: &RegGroup,
    ) {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let mut put = |key: &str, value: String| {
            self.whole.insert(key.to_owned(), Value::from(value));
        };
        put("eppn", eppn(identity));
        put("email", text(&person.email).unwrap_or_else(|| NO_ADDRESS.to_owned()));
        // The service demands both names.
        put("givenName", text(&person.given_name).unwrap_or_else(|| login.to_owned()));
        put("surName", text(&person.family_name).unwrap_or_else(|| login.to_owned()));
        if self.primary_group().is_none_or(|before| before.id != primary.id) {
            self.whole.insert("primaryGroup".to_owned(), json!({ "id": primary.id }));
        }
        self.set("attributeStore", LOGIN, login);
        self.set("attributeStore", ORGANISATION, organisation.as_str());
    }

    /// Takes the login name away, so that somebody else's record has it alone.
    pub(super) fn give_name_up(&mut self) {
        self.set("attributeStore", LOGIN, "");
    }

    /// Writes into one of the two stores; an empty text takes the key away.
    fn set(&mut self, store: &str, key: &str, text: &str) {
        let entry = self.whole.entry(store.to_owned()).or_insert_with(|| json!({}));
        if !entry.is_object() {
            *entry = json!({});
        }
        if let Value::Object(map) = entry {
            match text {
                "" => drop(map.remove(key)),
                text => drop(map.insert(key.to_owned(), Value::from(text))),
            }
        }
    }

    /// The whole record, as the service takes it back.
    pub(super) fn to_value(&self) -> Value {
        Value::Object(self.whole.clone())
    }
}

fn managed_key(service: &ServiceName) -> String {
    format!("motley_groups_{}", service.as_str())
}

pub(super) fn made_key(service: &ServiceName, group: &str) -> String {
    format!("motley_made_{}_{group}", service.as_str())
}

fn suspended_key(service: &ServiceName) -> String {
    format!("motley_suspended_{}", service.as_str())
}

/// The supplementary groups that a deployment asks for, without the primary one.
pub(super) fn wanted(groups: &Groups) -> BTreeSet<GroupName> {
    groups.supplementary.iter().filter(|group| **group != groups.primary).cloned().collect()
}

/// The part of a local name behind the organisation.
pub(super) fn login_of(
    name: &UserName,
    organisation: &Organisation,
) -> Result<String, BackendError> {
    let login = name.as_str().strip_prefix(&organisation.prefix()).filter(|rest| !rest.is_empty());
    login.map(str::to_owned).ok_or_else(|| {
        let prefix = organisation.prefix();
        BackendError::Refused(format!("the name {name} does not begin with {prefix}"))
    })
}

/// `sub@iss` in the form of an address (eduPersonPrincipalName): what can't stand in one is `-`.
pub(super) fn eppn(identity: &Identity) -> String {
    let issuer = identity.issuer.as_str();
    let issuer = issuer.strip_prefix("https://").or_else(|| issuer.strip_prefix("http://"));
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_{|}~.".contains(c);
    let domain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let with = |text: &str, fits: &dyn Fn(char) -> bool| -> String {
        text.chars().map(|c| if fits(c) { c } else { '-' }).collect()
    };
    let subject = with(identity.subject.as_str(), &atom);
    format!("{subject}@{}", with(issuer.unwrap_or_default(), &domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use motley_proto::{Issuer, Subject};

    #[test]
    fn the_principal_name_is_that_of_the_established_stack() {
        let cases = include_str!("../../../tests/vectors/unique_id.json");
        let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
        let mut compared = 0;
        for case in &cases {
            let text = |key: &str| case["input"][key].as_str().unwrap_or_default().to_owned();
            let (Ok(issuer), Ok(subject)) = (Issuer::new(text("iss")), Subject::new(text("sub")))
            else {
                continue;
            };
            let Some(expected) = case["expected"]["eppn"].as_str() else { continue };
            assert_eq!(eppn(&Identity::new(issuer, subject)), expected, "{case}");
            compared += 1;
        }
        assert!(compared > 30, "{compared}");
    }
}
