//! A registration service as its description says it is, with faults at will.

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

/// What goes wrong with the next request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Status(u16),
    Slow,
    Garbage,
    Redirect,
    Huge,
}

#[derive(Default)]
pub(crate) struct Service {
    pub users: BTreeMap<String, Map<String, Value>>,
    /// Registrations of each person for the service, with the polls after which they hold.
    pub registered: BTreeMap<String, u32>,
    pub groups: BTreeMap<String, i64>,
    pub members: Vec<(i64, i64)>,
    pub faults: VecDeque<Fault>,
    pub calls: Vec<String>,
    /// After how many polls a registration holds.
    pub slowness: u32,
    /// Refuses to make groups.
    pub makes_no_groups: bool,
    next: i64,
}

pub(crate) type Shared = Arc<Mutex<Service>>;

/// `user:pass` in base64.
const CREDENTIALS: &str = "Basic dXNlcjpwYXNz";
const SSN: &str = "sshtest";
const FIRST_UID: i64 = 900_000;

/// Starts the service; yields its address and its insides.
pub(crate) async fn start() -> (String, Shared) {
    let shared = Shared::default();
    let app = Router::new().fallback(any(answer)).with_state(shared.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/rest", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, shared)
}

fn absent() -> Response {
    (StatusCode::NOT_FOUND, "no such user").into_response()
}

/// One path element, decoded once.
fn decoded(element: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = element.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        if *first == b'%' {
            let hex = std::str::from_utf8(&behind[..2]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().strip_prefix("/rest/").unwrap().to_owned();
    let known = request.headers().get(header::AUTHORIZATION);
    if known.and_then(|it| it.to_str().ok()) != Some(CREDENTIALS) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let fault = shared.lock().unwrap().faults.pop_front();
    match fault {
        Some(Fault::Status(status)) => {
            let body = "<html>\u{1b}[31mout of order</html>";
            return (StatusCode::from_u16(status).unwrap(), body).into_response();
        }
        Some(Fault::Slow) => tokio::time::sleep(Duration::from_secs(60)).await,
        Some(Fault::Garbage) => return "{\"id\": \"many\"".into_response(),
        Some(Fault::Redirect) => {
            let elsewhere = [(header::LOCATION, "http://127.0.0.1:9/stolen")];
            return (StatusCode::FOUND, elsewhere).into_response();
        }
        Some(Fault::Huge) => return Body::from(vec![b' '; 8 << 20]).into_response(),
        None => {}
    }
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let words: Vec<String> = path.split('/').map(decoded).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut service = shared.lock().unwrap();
    service.calls.push(words.join(" "));
    service.answer(&words, body)
}

impl Service {
    fn new_id(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    fn answer(&mut self, words: &[&str], body: Value) -> Response {
        match words {
            ["external-user", "find", "externalId", id] => match self.users.get(*id) {
                Some(user) => Json(self.shown(user)).into_response(),
                None => absent(),
            },
            ["external-user", "find", "attribute", attribute, value] => {
                let has = |user: &&Map<String, Value>| user["attributeStore"][*attribute] == *value;
                let found: Vec<Value> =
                    self.users.values().filter(has).map(|user| self.shown(user)).collect();
                Json(found).into_response()
            }
            ["external-user", "create"] => self.create(&body),
            ["external-user", "activate", "externalId", id] => match self.users.get_mut(*id) {
                Some(user) => {
                    user.insert("userStatus".to_owned(), json!("ACTIVE"));
                    "ok".into_response()
                }
                None => absent(),
            },
            ["external-user", "update"] => self.update(body),
            ["external-reg", "find", "externalId", id] => self.registrations(id),
            ["external-reg", verb, "externalId", id, "ssn", ssn] => self.register(verb, id, ssn),
            ["group-admin", "find", "name", name] => match self.groups.get(*name) {
                Some(id) => Json(json!({ "id": id, "name": name })).into_response(),
                None => (StatusCode::NOT_FOUND, "no such group").into_response(),
            },
            ["group-admin", "create", SSN, _] if self.makes_no_groups => {
                (StatusCode::INTERNAL_SERVER_ERROR, "not possible").into_response()
            }
            ["group-admin", "create", SSN, name] => {
                let id = self.new_id();
                self.groups.insert((*name).to_owned(), id);
                Json(json!({ "id": id, "name": name })).into_response()
            }
            ["group-admin", verb, "groupId", group, "userId", user] => {
                let pair = (group.parse().unwrap(), user.parse().unwrap());
                self.members.retain(|member| *member != pair);
                if *verb == "add" {
                    self.members.push(pair);
                }
                "ok".into_response()
            }
            _ => (StatusCode::NOT_FOUND, "not found").into_response(),
        }
    }

    /// A record with its groups written out.
    fn shown(&self, user: &Map<String, Value>) -> Value {
        let id = user["id"].as_i64().unwrap();
        let mine = |group: &i64| self.members.contains(&(*group, id));
        let groups = self.groups.iter().filter(|(_, group)| mine(group));
        let secondary: Vec<Value> =
            groups.map(|(name, group)| json!({ "id": group, "name": name })).collect();
        let mut whole = user.clone();
        whole.insert("secondaryGroups".to_owned(), secondary.into());
        if let Some(primary) = user["primaryGroup"]["id"].as_i64() {
            let (name, _) = self.groups.iter().find(|(_, id)| **id == primary).unwrap();
            whole.insert("primaryGroup".to_owned(), json!({ "id": primary, "name": name }));
        }
        whole.into()
    }

    fn create(&mut self, body: &Value) -> Response {
        let external = body["externalId"].as_str().unwrap().to_owned();
        if self.users.contains_key(&external) {
            return (StatusCode::INTERNAL_SERVER_ERROR, "already there").into_response();
        }
        let id = self.new_id();
        let user = json!({
            "id": id, "externalId": external, "userStatus": "ON_HOLD", "uidNumber": FIRST_UID + id,
            "attributeStore": {}, "genericStore": {}, "primaryGroup": null,
        });
        self.users.insert(external, user.as_object().unwrap().clone());
        "ok".into_response()
    }

    /// The whole record is replaced, but for what the service itself decides.
    fn update(&mut self, body: Value) -> Response {
        let Some(old) = self.users.get_mut(body["externalId"].as_str().unwrap_or_default()) else {
            return absent();
        };
        let mut new = body.as_object().unwrap().clone();
        for key in ["id", "userStatus", "uidNumber"] {
            new.insert(key.to_owned(), old[key].clone());
        }
        for key in ["attributeStore", "genericStore", "primaryGroup"] {
            new.entry(key).or_insert(Value::Null);
        }
        *old = new;
        "ok".into_response()
    }

    fn registrations(&mut self, id: &str) -> Response {
        if !self.users.contains_key(id) {
            return absent();
        }
        let mut list = vec![json!({ "serviceShortName": "other", "registryStatus": "ACTIVE" })];
        if let Some(left) = self.registered.get_mut(id) {
            let status = if *left == 0 { "ACTIVE" } else { "PENDING" };
            *left = left.saturating_sub(1);
            list.push(json!({ "serviceShortName": SSN, "registryStatus": status }));
        }
        Json(list).into_response()
    }

    fn register(&mut self, verb: &str, id: &str, ssn: &str) -> Response {
        let Some(user) = self.users.get(id) else { return absent() };
        let is_complete = user["userStatus"] == "ACTIVE"
            && user["primaryGroup"]["id"].is_i64()
            && ["eppn", "email"].iter().all(|key| user.contains_key(*key))
            && user["attributeStore"]["http://bwidm.de/bwidmOrgId"].is_string()
            && user["attributeStore"]["urn:oid:0.9.2342.19200300.100.1.1"].is_string();
        match verb {
            "register" if ssn == SSN && is_complete => {
                self.registered.insert(id.to_owned(), self.slowness);
                "ok".into_response()
            }
            "deregister" if ssn == SSN => {
                self.registered.remove(id);
                "ok".into_response()
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "not possible").into_response(),
        }
    }
}
