//! The document against the specification and against the table of paths.

use super::{MOUNTS, document};
use crate::serve::rest::routes;
use axum::http::Method;
use serde_json::Value;
use std::collections::BTreeSet;

fn read(get_mutations: bool) -> Value {
    serde_json::from_slice(&document(get_mutations)).unwrap()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().unwrap().iter()
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    members(&document["paths"]).flat_map(|(path, item)| {
        members(item).map(move |(method, operation)| (path, method, operation))
    })
}

#[test]
fn every_path_is_in_the_document_with_the_methods_that_work_and_no_other() {
    for get_mutations in [true, false] {
        let document = read(get_mutations);
        let described: BTreeSet<(String, String)> = operations(&document)
            .map(|(path, method, _)| (path.clone(), method.to_uppercase()))
            .collect();
        let mut served = BTreeSet::new();
        for (path, route) in routes::all().filter(|(_, route)| !route.at_root_only) {
            for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
                if route.takes(&method, get_mutations) {
                    let paths = MOUNTS.map(|(mount, _)| format!("{mount}{path}"));
                    served.extend(paths.map(|path| (path, method.to_string())));
                }
            }
        }
        assert_eq!(described, served);
    }
}

#[test]
fn get_on_what_changes_something_is_marked_as_old() {
    let document = read(true);
    for (path, route) in routes::all().filter(|(_, route)| !route.at_root_only) {
        let mutates = route.takes(&Method::POST, true) && route.takes(&Method::GET, true);
        let get = &document["paths"][format!("/api{path}")]["get"];
        assert_eq!(get["deprecated"] == true, mutates, "{path}");
    }
}

#[test]
fn the_document_keeps_to_openapi_3_1() {
    let document = read(true);
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let tags: Vec<&Value> =
        document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{place}: same id twice");
        for tag in operation["tags"].as_array().unwrap() {
            assert!(tags.contains(&tag), "{place}: no tag {tag}");
        }
        check_parameters(operation, &place);
        check_responses(operation, &place);
        check_security(&document, operation, &place);
    }
    check_references(&document, &document);
    for (name, schema) in members(&document["components"]["schemas"]) {
        check_schema(schema, name);
    }
}

fn check_parameters(operation: &Value, place: &str) {
    let mut seen = BTreeSet::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, home) = (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
        assert!(["query", "header"].contains(&home), "{place}: {name} in {home}");
        assert!(seen.insert((name, home)), "{place}: {name} twice");
        assert!(parameter["schema"].is_object(), "{place}: {name} has no schema");
        // Such a definition would be ignored (OpenAPI 3.1 §4.8.12.1).
        assert!(!["authorization", "accept"].contains(&name.to_lowercase().as_str()), "{place}");
    }
}

fn check_responses(operation: &Value, place: &str) {
    for (status, response) in members(&operation["responses"]) {
        let number: u16 = status.parse().unwrap();
        assert!((200..600).contains(&number), "{place}: {status}");
        assert!(response["description"].is_string(), "{place}: {status} is not described");
        for (kind, content) in response["content"].as_object().into_iter().flatten() {
            assert!(kind.contains('/') && content["schema"].is_object(), "{place}: {status}");
        }
    }
    assert!(operation["responses"]["200"].is_object(), "{place}");
}

fn check_security(document: &Value, operation: &Value, place: &str) {
    for requirement in operation["security"].as_array().into_iter().flatten() {
        for (scheme, scopes) in members(requirement) {
            let known = &document["components"]["securitySchemes"][scheme];
            assert_eq!((&known["type"], &known["scheme"]), (&"http".into(), &"bearer".into()));
            assert_eq!(scopes, &Value::from(Vec::<Value>::new()), "{place}");
        }
    }
}

fn check_references(document: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                let found = document.pointer(target.strip_prefix('#').unwrap());
                assert!(found.is_some(), "{target} leads nowhere");
            }
            members.values().for_each(|value| check_references(document, value));
        }
        Value::Array(items) => items.iter().for_each(|item| check_references(document, item)),
        _ => {}
    }
}

/// Words that 3.0 had and JSON Schema 2020-12 has not, and members that are required but not there.
fn check_schema(schema: &Value, name: &str) {
    let Value::Object(words) = schema else { return };
    assert!(!words.contains_key("nullable"), "{name}");
    let known = ["object", "array", "string", "integer", "number", "boolean", "null"];
    let kinds = match words.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().collect(),
        Some(kind) => vec![kind],
        None => Vec::new(),
    };
    assert!(kinds.iter().all(|kind| known.contains(&kind.as_str().unwrap())), "{name}: {kinds:?}");
    for required in words.get("required").and_then(Value::as_array).into_iter().flatten() {
        assert!(schema["properties"][required.as_str().unwrap()].is_object(), "{name}: {required}");
    }
    for (_, property) in schema["properties"].as_object().into_iter().flatten() {
        check_schema(property, name);
    }
}

#[test]
fn whoever_must_bring_a_token_is_told_so_and_how_it_may_be_refused() {
    let document = read(true);
    let open = ["/", "/user", "/admin", "/info", "/info/op", "/privacy"];
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let inner = path.trim_start_matches("/api").trim_start_matches("/v1");
        let is_open = open.contains(&inner);
        assert_eq!(operation["security"].is_null(), is_open, "{place}");
        let answers = &operation["responses"];
        assert_eq!(answers["401"].is_null(), is_open, "{place}");
        let needs_query = operation["parameters"].as_array().into_iter().flatten();
        let is_needed =
            |parameter: &&Value| parameter["in"] == "query" && parameter["required"] == true;
        let needs_query = needs_query.filter(is_needed).count() > 0;
        assert_eq!(answers["400"].is_object(), needs_query, "{place}");
        assert!(answers["429"].is_object(), "{place}");
        if !is_open && inner != "/info/authorisation" {
            assert!(answers["403"].is_object() && answers["500"].is_object(), "{place}");
        }
    }
}
