//! Holds every answer against the OpenAPI document that the daemon itself serves.

use anyhow::{Context, Result, ensure};
use motley_tests::sandbox::Reply;
use serde_json::Value;

/// The document, as it was served.
pub(crate) struct Contract(Value);

impl Contract {
    /// Takes the answer to `/openapi.json`.
    ///
    /// # Errors
    /// When it is no OpenAPI 3.1.
    pub(crate) fn new(reply: &Reply) -> Result<Self> {
        let document: Value = serde_json::from_str(&reply.text)?;
        ensure!(document["openapi"] == "3.1.0", "no OpenAPI 3.1: {}", reply.text);
        Ok(Self(document))
    }

    /// Checks an answer: its status must be described, and its body what is described. What is not
    /// in the document, such as HEAD, is not checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, method: &str, route: &str, reply: &Reply) -> Result<()> {
        let operation = &self.0["paths"][format!("/api{route}")][method.to_lowercase()];
        // `/v1` alone is no mount, though `/api/v1` is one.
        if operation.is_null() || route.starts_with("/v1/") {
            return Ok(());
        }
        let described = &operation["responses"][reply.status.to_string()];
        ensure!(described.is_object(), "the document has no {} for {method} {route}", reply.status);
        let kind = reply.headers.get("content-type").map_or("", String::as_str);
        let kind = kind.split(';').next().unwrap_or_default();
        let content = &described["content"];
        ensure!(content[kind].is_object(), "the document has no {kind:?}: {content}");
        if kind != "application/json" {
            return Ok(());
        }
        let body: Value = serde_json::from_str(&reply.text)?;
        self.fits(&content[kind]["schema"], &body).with_context(|| format!("{route}: {body}"))
    }

    /// Stricter than JSON Schema: members that are not described are wrong.
    fn fits(&self, schema: &Value, value: &Value) -> Result<()> {
        if let Some(target) = schema["$ref"].as_str() {
            let found = self.0.pointer(target.trim_start_matches('#')).context("no such schema")?;
            return self.fits(found, value).with_context(|| target.to_owned());
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let fitting = choices.iter().filter(|choice| self.fits(choice, value).is_ok()).count();
            ensure!(fitting == 1, "{value} fits {fitting} of {schema}");
            return Ok(());
        }
        ensure!(has_type(schema, value), "{value} is not {}", schema["type"]);
        if let Some(words) = schema["enum"].as_array() {
            ensure!(words.contains(value), "{value} is none of {words:?}");
        }
        for item in value.as_array().into_iter().flatten() {
            self.fits(&schema["items"], item)?;
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            ensure!(!value[name.as_str().unwrap_or_default()].is_null(), "{name} is missing");
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            let known = &schema["properties"][name];
            let other = &schema["additionalProperties"];
            let is_free = schema["properties"].is_null() && other.is_null();
            ensure!(is_free || known.is_object() || other.is_object(), "{name} is not described");
            let wanted = if known.is_object() { known } else { other };
            self.fits(wanted, member).with_context(|| name.clone())?;
        }
        Ok(())
    }
}

fn has_type(schema: &Value, value: &Value) -> bool {
    let own = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match &schema["type"] {
        Value::String(kind) => kind == own,
        Value::Array(kinds) => kinds.iter().any(|kind| kind == own),
        _ => true,
    }
}
