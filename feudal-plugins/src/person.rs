//! What an account may carry of its person beside name and groups.

use crate::{
    claims::{AnyOf, Claims},
    names::friendly::Called,
};
use motley_proto::SshKey;
use serde_json::Value;
use std::collections::HashSet;

/// Claims that hold public keys of ssh, as providers call them.
const KEY_CLAIMS: [&str; 5] =
    ["ssh_key", "ssh_keys", "ssh_public_key", "ssh_public_keys", "sshPublicKey"];
/// Most keys of one person, and most bytes of them all: they must fit into one task.
const MAX_KEYS: usize = 32;
const MAX_KEY_BYTES: usize = 12 * 1024;

/// Claims of which one is enough to know a person's keys.
pub fn key_claims_read() -> AnyOf {
    AnyOf::new(KEY_CLAIMS)
}

/// What a provider says about a person, as far as directories keep it. Remote text: whoever writes it
/// anywhere must escape it there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Given name.
    pub given_name: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// Whole name, as the provider writes it.
    pub full_name: Option<String>,
    /// Name that the person asks for (OpenID Connect Core 1.0 §5.1).
    pub preferred_username: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// True when the provider says that the address was verified.
    pub email_verified: bool,
    /// Public keys of ssh, each once; `None` when the provider says nothing about keys.
    pub ssh_keys: Option<Vec<SshKey>>,
}

impl Person {
    /// Reads what the claims say.
    pub fn from_claims(claims: &Claims) -> Self {
        let called = Called::from_claims(claims);
        Self {
            full_name: claims.text("name").map(str::to_owned),
            email_verified: claims.get("email_verified").and_then(serde_json::Value::as_bool)
                == Some(true),
            given_name: called.given,
            family_name: called.family,
            preferred_username: called.preferred,
            email: called.email,
            ssh_keys: ssh_keys(claims),
        }
    }
}

/// All keys of all claims that hold some: lines, or members `value` of objects. What is no key that is
/// taken is left out.
fn ssh_keys(claims: &Claims) -> Option<Vec<SshKey>> {
    let told: Vec<&Value> = KEY_CLAIMS.iter().filter_map(|claim| claims.get(claim)).collect();
    if told.iter().all(|value| value.is_null()) {
        return None;
    }
    let mut texts = Vec::new();
    for value in told {
        match value {
            Value::Array(items) => texts.extend(items.iter().filter_map(text)),
            one => texts.extend(text(one)),
        }
    }
    let (mut seen, mut bytes) = (HashSet::new(), 0);
    let keys = texts.into_iter().flat_map(str::lines).filter_map(|line| SshKey::new(line).ok());
    let fits = |key: &SshKey| {
        bytes += key.as_str().len() + 4;
        bytes <= MAX_KEY_BYTES
    };
    let once = keys.filter(|key| seen.insert(key.key().to_owned()));
    Some(once.take_while(fits).take(MAX_KEYS).collect())
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Object(members) => members.get("value").and_then(Value::as_str),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_whole_name_supplies_its_parts_and_an_unverified_address_is_told_as_such() {
        let claims = json!({ "name": "Ada King Lovelace", "email": "ada@example.org" });
        let person = Person::from_claims(&Claims::new(claims.as_object().unwrap().clone()));
        assert_eq!(person.given_name.as_deref(), Some("Ada King"));
        assert_eq!(person.family_name.as_deref(), Some("Lovelace"));
        assert!(!person.email_verified);
    }

    fn keys(claims: serde_json::Value) -> Option<usize> {
        let claims = Claims::new(claims.as_object().unwrap().clone());
        Person::from_claims(&claims).ssh_keys.map(|keys| keys.len())
    }

    #[test]
    fn keys_are_read_from_every_usual_form_and_what_is_none_is_left_out() {
        let line = |last: char| {
            format!(
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGHyZ7T3gXm8T6wYyTqKwXkq0d2YcEoFJk1lJ0m3o0a{last} kim"
            )
        };
        let (a, b) = (line('B'), line('C'));
        assert_eq!(keys(json!({ "sub": "1" })), None);
        assert_eq!(keys(json!({ "ssh_key": null })), None);
        assert_eq!(keys(json!({ "ssh_keys": [] })), Some(0));
        assert_eq!(keys(json!({ "ssh_key": [{ "name": "laptop", "value": a }] })), Some(1));
        assert_eq!(keys(json!({ "ssh_public_keys": [a, b], "sshPublicKey": b })), Some(2));
        assert_eq!(keys(json!({ "ssh_public_key": format!("{a}\n{b}\r\n") })), Some(2));
        let options = format!("command=\"id\" {a}");
        assert_eq!(keys(json!({ "ssh_keys": [options, 7, "x", { "key": a }] })), Some(0), "r25");
    }
}
