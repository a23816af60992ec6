//! Compares an answer with what is expected: prose is free, the order of group names too.
//!
//! A member whose name begins with `?` may be missing.

use motley_tests::sandbox::Reply;
use serde_json::{Value, json};

use super::case::Recorded;

/// Stands for any prose in an expected body.
pub(crate) const ANY_TEXT: &str = "<text>";
/// Stands for a list of one or more texts.
pub(crate) const ANY_TEXTS: &str = "<texts>";
/// Stands for any positive number.
pub(crate) const ANY_NUMBER: &str = "<number>";
/// Stands for any number.
pub(crate) const ANY_COUNT: &str = "<count>";
/// Stands for true or false.
pub(crate) const ANY_BOOL: &str = "<bool>";
/// Name of the only member that stands for a page with this title.
const TITLE: &str = "html_title";

/// Everything in which an answer differs from what is expected; nothing when it fits.
pub(crate) fn differences(expected: &Recorded, actual: &Reply) -> Vec<String> {
    let mut found = Vec::new();
    if expected.status != actual.status {
        found.push(format!("status {} instead of {}", actual.status, expected.status));
    }
    for (name, value) in &expected.headers {
        match actual.headers.get(name) {
            Some(own) if own == value => {}
            own => found.push(format!("header {name}: {own:?} instead of {value:?}")),
        }
    }
    let body = body_of(actual);
    if !fits(&expected.body, &body) {
        found.push(format!("body {body} instead of {}", expected.body));
    }
    found
}

/// The body as JSON, else the title of a page, else as a text.
pub(crate) fn body_of(reply: &Reply) -> Value {
    let page = || {
        let (_, rest) = reply.text.split_once("<title>")?;
        Some(json!({TITLE: rest.split_once("</title>")?.0}))
    };
    let text = || Value::from(reply.text.as_str());
    serde_json::from_str(&reply.text).unwrap_or_else(|_| page().unwrap_or_else(text))
}

fn fits(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(kind), Value::Array(texts)) if kind == ANY_TEXTS => {
            !texts.is_empty() && texts.iter().all(Value::is_string)
        }
        (Value::String(kind), Value::Number(number)) if kind == ANY_NUMBER => {
            number.as_u64().is_some_and(|number| number > 0)
        }
        (Value::String(kind), Value::Number(_)) if kind == ANY_COUNT => true,
        (Value::String(kind), Value::Bool(_)) => kind == ANY_BOOL,
        (Value::String(expected), Value::String(actual)) => {
            expected == actual
                || (expected == ANY_TEXT && !actual.is_empty())
                || same_but_for_order(expected, actual)
        }
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len() && expected.iter().zip(actual).all(|(e, a)| fits(e, a))
        }
        (Value::Object(expected), Value::Object(actual)) => {
            let known = |name: &&String| {
                expected.contains_key(name.as_str()) || expected.contains_key(&format!("?{name}"))
            };
            actual.keys().all(|name| known(&name))
                && expected.iter().all(|(name, value)| match name.strip_prefix('?') {
                    Some(name) => actual.get(name).is_none_or(|own| fits(value, own)),
                    None => actual.get(name).is_some_and(|own| fits(value, own)),
                })
        }
        (expected, actual) => expected == actual,
    }
}

/// The groups in the message of a deployment come in no certain order.
fn same_but_for_order(expected: &str, actual: &str) -> bool {
    expected.contains(" groups ") && in_order(expected) == in_order(actual)
}

fn in_order(message: &str) -> Vec<Vec<&str>> {
    let words = message.trim_end_matches('.').split(' ');
    words
        .map(|word| {
            let mut names: Vec<&str> = word.split(',').collect();
            names.sort_unstable();
            names
        })
        .collect()
}
