//! What the provider says about one person: the merged claims, read through typed getters.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Claims of one person, merged from userinfo, introspection and token, where the first source
/// that has a claim wins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Takes claims that were merged already.
    pub fn new(merged: Map<String, Value>) -> Self {
        Self(merged)
    }

    /// Merges the three sources, each claim from the first that has it: userinfo, introspection,
    /// token.
    ///
    /// Groups of the WLCG profile in the token are added to those of userinfo.
    pub fn merge(
        userinfo: Option<&Map<String, Value>>,
        introspection: Option<&Map<String, Value>>,
        token: Option<&Map<String, Value>>,
    ) -> Self {
        let mut all = Map::new();
        for source in [userinfo, introspection, token].into_iter().flatten() {
            for (name, value) in source {
                all.entry(name.as_str()).or_insert_with(|| value.clone());
            }
        }
        if let Some(wlcg) = token.and_then(|claims| claims.get("wlcg.groups")) {
            let mut groups =
                userinfo.and_then(|claims| claims.get("groups")).map_or_else(Vec::new, items);
            groups.extend(items(wlcg));
            all.insert("groups".to_owned(), Value::Array(groups));
        }
        Self(all)
    }

    /// One claim as it came.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is a text and not empty.
    ///
    /// Other JSON types count as absent: a name that came as a list or number names nobody.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The texts of a claim that is a list; a plain text counts as a list of one.
    ///
    /// Elements of other types are left out.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        match self.get(name) {
            Some(Value::String(text)) if !text.is_empty() => vec![text],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// True when the claim is present and neither null, false, zero nor empty.
    pub fn has(&self, name: &str) -> bool {
        match self.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(members)) => !members.is_empty(),
        }
    }
}

/// Claims of which one is enough for the rule that reads them.
///
/// Rules say so beside their code, so that whoever verifies a token can tell whether it is worth
/// asking its provider for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyOf(Vec<String>);

impl AnyOf {
    /// One of these. An empty list is never lacking.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// True when none of them is there. An empty value is there: it says that there is nothing.
    pub fn is_lacking_in(&self, claims: &Map<String, Value>) -> bool {
        let is_there = |name: &String| claims.get(name).is_some_and(|value| !value.is_null());
        !self.0.is_empty() && !self.0.iter().any(is_there)
    }
}

fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(merged: Map<String, Value>) -> Self {
        Self(merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(value: Value) -> Claims {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_claim_of_another_type_is_no_text() {
        let claims = claims(json!({"a": "x", "b": ["x"], "c": 1, "d": null, "e": ""}));
        assert_eq!(claims.text("a"), Some("x"));
        for name in ["b", "c", "d", "e", "f"] {
            assert_eq!(claims.text(name), None, "{name}");
        }
    }

    #[test]
    fn a_choice_is_lacking_when_none_of_its_claims_is_there() {
        let lacks = |claims: Value| match claims {
            Value::Object(claims) => AnyOf::new(["a", "b"]).is_lacking_in(&claims),
            _ => panic!("an object"),
        };
        assert!(lacks(json!({})) && lacks(json!({"c": 1})) && lacks(json!({"a": null})));
        assert!(!lacks(json!({"b": []})) && !lacks(json!({"a": "x", "b": null})));
        assert!(!AnyOf::new([]).is_lacking_in(&Map::new()));
    }

    #[test]
    fn one_text_is_a_list_of_one_and_strange_elements_are_left_out() {
        let claims = claims(json!({"a": "x", "b": ["x", 1, null, "y"], "c": {"x": 1}, "d": ""}));
        assert_eq!(claims.texts("a"), ["x"]);
        assert_eq!(claims.texts("b"), ["x", "y"]);
        assert!(claims.texts("c").is_empty());
        assert!(claims.texts("d").is_empty());
    }
}
