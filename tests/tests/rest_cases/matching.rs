//! Compares an answer with what is expected: prose is free, the order of group names too.

use motley_tests::sandbox::Reply;
use serde_json::Value;

use super::case::Recorded;

/// Stands for any prose in an expected body.
pub(crate) const ANY_TEXT: &str = "<text>";

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

/// The body as JSON, else as a text.
pub(crate) fn body_of(reply: &Reply) -> Value {
    serde_json::from_str(&reply.text).unwrap_or_else(|_| Value::from(reply.text.as_str()))
}

fn fits(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(expected), Value::String(actual)) => {
            expected == actual
                || (expected == ANY_TEXT && !actual.is_empty())
                || same_but_for_order(expected, actual)
        }
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len() && expected.iter().zip(actual).all(|(e, a)| fits(e, a))
        }
        (Value::Object(expected), Value::Object(actual)) => {
            let member = |name: &String| Some((expected.get(name)?, actual.get(name)?));
            expected.len() == actual.len()
                && expected.keys().all(|name| member(name).is_some_and(|(e, a)| fits(e, a)))
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
