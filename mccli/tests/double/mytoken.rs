//! A double of a mytoken server: the requests of its API version 0 that mccli makes, with rotation,
//! restrictions, transfer codes and its errors. It is no mytoken server, and signs nothing.

use super::http::{Request, answer_all};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard},
};

/// Provider of its access tokens.
pub(crate) const PROVIDER: &str = "https://op.example.org";

/// A running double; it ends with the test process.
pub(crate) struct MytokenServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    url: String,
    access_token: String,
    /// Mytokens that are alive, by their text.
    mytokens: HashMap<String, Mytoken>,
    /// Transfer codes that nobody has used, with their mytokens.
    codes: HashMap<String, String>,
    serial: u32,
    refusal: Option<(u16, Value)>,
    requests: Vec<Value>,
}

#[derive(Clone)]
struct Mytoken {
    claims: Value,
    short: bool,
}

impl MytokenServer {
    /// Gives this access token for each of its mytokens.
    pub(crate) fn start(access_token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            url: format!("http://{address}"),
            access_token: access_token.to_owned(),
            mytokens: HashMap::new(),
            codes: HashMap::new(),
            serial: 0,
            refusal: None,
            requests: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || answer_all(&listener, move |request| answer(&shared, request)));
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A mytoken that is a JWT, with these claims beside the usual ones.
    pub(crate) fn mint(&self, more: Value) -> String {
        self.state().mint(more, false)
    }

    /// A mytoken that is a short text.
    pub(crate) fn mint_short(&self, more: Value) -> String {
        self.state().mint(more, true)
    }

    /// A transfer code for a mytoken.
    pub(crate) fn transfer_code(&self, mytoken: &str) -> String {
        let mut state = self.state();
        state.serial += 1;
        let code = format!("code{:04}", state.serial);
        state.codes.insert(code.clone(), mytoken.to_owned());
        code
    }

    /// Refuses everything that asks for a token from now on.
    pub(crate) fn refuse(&self, status: u16, error: &str, description: &str) {
        let body = json!({"error": error, "error_description": description});
        self.state().refusal = Some((status, body));
    }

    /// True if this mytoken can still be used.
    pub(crate) fn knows(&self, mytoken: &str) -> bool {
        self.state().mytokens.contains_key(mytoken)
    }

    /// The bodies of what was asked for, in order.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn mint(&mut self, more: Value, short: bool) -> String {
        let mut claims = json!({
            "ver": "0.7", "token_type": "mytoken", "iss": self.url, "oidc_iss": PROVIDER,
            "oidc_sub": "alice", "capabilities": ["AT", "tokeninfo"],
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.issue(Mytoken { claims, short })
    }

    fn issue(&mut self, mut mytoken: Mytoken) -> String {
        self.serial += 1;
        mytoken.claims["seq_no"] = self.serial.into();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = match mytoken.short {
            true => format!("{:0>40}", format!("short{}", self.serial)),
            false => format!("{}.{}.c2ln", part(&json!({"alg": "ES512"})), part(&mytoken.claims)),
        };
        self.mytokens.insert(text.clone(), mytoken);
        text
    }

    fn access_token(&mut self, body: &Value) -> (u16, Value) {
        if body["grant_type"] != "mytoken" {
            return error(400, "invalid_grant");
        }
        let text = body["mytoken"].as_str().unwrap_or_default().to_owned();
        let Some(mut mytoken) = self.mytokens.get(&text).cloned() else {
            return error(401, "invalid_token");
        };
        if !mytoken.claims["capabilities"].as_array().unwrap().contains(&json!("AT")) {
            return error(403, "insufficient_capabilities");
        }
        if body.get("oidc_issuer").is_some_and(|issuer| issuer != PROVIDER) {
            return error(400, "invalid_request");
        }
        if !use_up(&mut mytoken.claims, body) {
            return error(403, "usage_restricted");
        }
        let mut answer = json!({
            "access_token": self.access_token, "token_type": "Bearer", "expires_in": 3600,
            "scope": body["scope"],
        });
        if mytoken.claims["rotation"]["on_AT"] == true {
            self.mytokens.remove(&text);
            let next = self.issue(mytoken);
            answer["token_update"] = json!({"mytoken": next, "mytoken_type": "token"});
        } else {
            self.mytokens.insert(text, mytoken);
        }
        (200, answer)
    }

    fn mytoken(&mut self, body: &Value) -> (u16, Value) {
        if body["grant_type"] != "transfer_code" {
            return error(400, "invalid_grant");
        }
        match self.codes.remove(body["transfer_code"].as_str().unwrap_or_default()) {
            Some(mytoken) => (200, json!({"mytoken": mytoken, "mytoken_type": "token"})),
            None => error(401, "invalid_token"),
        }
    }
}

/// Finds a restriction that allows this and counts the use; none at all allows everything.
fn use_up(claims: &mut Value, body: &Value) -> bool {
    let Some(restrictions) = claims.get_mut("restrictions").and_then(Value::as_array_mut) else {
        return true;
    };
    let within = |allowed: &Value, asked: &Value| match (allowed.as_str(), asked.as_str()) {
        (Some(allowed), Some(asked)) => {
            asked.split(' ').all(|word| allowed.split(' ').any(|known| known == word))
        }
        _ => true,
    };
    for restriction in restrictions {
        let left = restriction["usages_AT"].as_u64();
        if within(&restriction["scope"], &body["scope"]) && left != Some(0) {
            if let Some(left) = left {
                restriction["usages_AT"] = (left - 1).into();
            }
            return true;
        }
    }
    false
}

fn error(status: u16, word: &str) -> (u16, Value) {
    (status, json!({"error": word, "error_description": "said the double"}))
}

fn answer(state: &Mutex<State>, request: &Request) -> (u16, Value) {
    let state = &mut *state.lock().unwrap();
    if request.path == "/.well-known/mytoken-configuration" {
        return (
            200,
            json!({
                "issuer": state.url,
                "access_token_endpoint": format!("{}/api/v0/token/access", state.url),
                "mytoken_endpoint": format!("{}/api/v0/token/my", state.url),
            }),
        );
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    state.requests.push(body.clone());
    if let Some(refusal) = &state.refusal {
        return refusal.clone();
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/api/v0/token/access") => state.access_token(&body),
        ("POST", "/api/v0/token/my") => state.mytoken(&body),
        _ => (404, json!({})),
    }
}
