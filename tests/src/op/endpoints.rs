//! The endpoints of a provider, each a function from a request to an answer.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use serde_json::{Value, json};

use super::device::{self, Decision};
use super::fault::{Endpoint, Fault, patch};
use super::form::{self, Form};
use super::grants::{Refusal, authenticate_client, exchange};
use super::keys::Alg;
use super::provider::TestOp;
use super::server::Call;
use super::state::{Grant, UserinfoAnswer, fresh, introspection_of};

/// Which endpoint a path below the issuer's is.
pub(crate) fn endpoint_of(path: &str) -> Endpoint {
    match path {
        "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => {
            Endpoint::Discovery
        }
        "/jwks" => Endpoint::Jwks,
        "/userinfo" => Endpoint::Userinfo,
        "/introspect" => Endpoint::Introspection,
        "/token" => Endpoint::Token,
        "/device_authorization" => Endpoint::DeviceAuthorization,
        "/device" => Endpoint::DeviceVerification,
        "/authorize" => Endpoint::Authorization,
        "/revoke" => Endpoint::Revocation,
        "/register" => Endpoint::Registration,
        _ => Endpoint::Other,
    }
}

/// The right answer, without faults.
pub(crate) fn answer(op: &TestOp, endpoint: Endpoint, call: &Call) -> Response<Body> {
    let form = match call.method.as_str() {
        "POST" => form::parse(&String::from_utf8_lossy(&call.body)),
        _ => form::parse(&call.query),
    };
    match endpoint {
        Endpoint::Discovery => json_response(200, &discovery(op)),
        Endpoint::Jwks => json_response(200, &op.state().keys.document()),
        Endpoint::Userinfo => userinfo(op, call, &form),
        Endpoint::Introspection => oauth(introspect(op, call, &form)),
        Endpoint::Token => oauth(exchange(op, call, &form)),
        Endpoint::DeviceAuthorization => oauth(device_authorization(op, call, &form)),
        Endpoint::DeviceVerification => device_verification(op, &form),
        Endpoint::Authorization => authorize(op, &form),
        Endpoint::Revocation => oauth(revoke(op, call, &form)),
        Endpoint::Registration => register(op, call),
        Endpoint::Other => error(404, "not_found"),
    }
}

/// What a fault makes of an answer.
pub(crate) enum Spoiled {
    /// This is sent.
    Answer(Response<Body>),
    /// The right answer with these members put into it is sent.
    Patched(Response<Body>, Value),
    /// Nothing is sent, and the connection is closed.
    Closed,
}

/// Applies a fault; `right` makes the right answer where that is still wanted.
pub(crate) fn spoil(fault: Fault, right: impl FnOnce() -> Response<Body>) -> Spoiled {
    Spoiled::Answer(match fault {
        Fault::DelayMs(_) | Fault::LateMs(_) => right(),
        Fault::Hang | Fault::Close => return Spoiled::Closed,
        Fault::Patch(members) => return Spoiled::Patched(right(), members),
        Fault::Status(status) => error(status, "fault"),
        Fault::Garbage => response(200, "application/json", Body::from(&b"\x00\xff{{not json"[..])),
        Fault::Oversized(size) => {
            let text = format!("{{\"pad\":\"{}\"}}", "x".repeat(size.saturating_sub(10)));
            response(200, "application/json", Body::from(text))
        }
        Fault::Endless => {
            let chunks = futures_util::stream::repeat_with(|| {
                Ok::<_, std::convert::Infallible>(vec![b' '; 64 * 1024])
            });
            response(200, "application/json", Body::from_stream(chunks))
        }
        Fault::Redirect(url) => redirect(&url),
        Fault::Replace(value) => json_response(200, &value),
    })
}

/// Puts members into a JSON answer.
pub(crate) async fn patched(answer: Response<Body>, members: &Value) -> Response<Body> {
    let status = answer.status().as_u16();
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap_or_default();
    let mut value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    patch(&mut value, members);
    json_response(status, &value)
}

fn discovery(op: &TestOp) -> Value {
    let issuer = op.issuer();
    let at = |path: &str| format!("{}/{path}", issuer.trim_end_matches('/'));
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("userinfo"),
        "jwks_uri": at("jwks"),
        "introspection_endpoint": at("introspect"),
        "revocation_endpoint": at("revoke"),
        "registration_endpoint": at("register"),
        "device_authorization_endpoint": at("device_authorization"),
        "scopes_supported": ["openid", "profile", "email", "offline_access", "eduperson_entitlement"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": Alg::ALL.map(Alg::name),
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic", "client_secret_post", "none",
        ],
        "code_challenge_methods_supported": ["S256"],
    })
}

fn userinfo(op: &TestOp, call: &Call, form: &Form) -> Response<Body> {
    let header = call.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    let token = header.map(str::trim).or_else(|| form.get("access_token").map(String::as_str));
    let answer =
        token.and_then(|token| op.state().live(token).map(|issued| issued.userinfo.clone()));
    match answer {
        Some(UserinfoAnswer::Claims(claims)) => json_response(200, &Value::Object(claims)),
        Some(UserinfoAnswer::Status(status)) => error(status, "refused"),
        None => {
            let mut refusal = error(401, "invalid_token");
            let challenge = header::HeaderValue::from_static("Bearer error=\"invalid_token\"");
            refusal.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            refusal
        }
    }
}

fn introspect(op: &TestOp, call: &Call, form: &Form) -> Result<Value, Refusal> {
    authenticate_client(op, call, form)?;
    let token = form.get("token").ok_or((400, "invalid_request"))?;
    Ok(introspection_of(op.state().live(token)))
}

fn device_authorization(op: &TestOp, call: &Call, form: &Form) -> Result<Value, Refusal> {
    let client = authenticate_client(op, call, form)?;
    Ok(device::begin(&mut op.state(), op.issuer().trim_end_matches('/'), &client, form))
}

/// `GET /device?user_code=C&user=NAME` approves, with `deny=1` instead of a user it denies.
fn device_verification(op: &TestOp, form: &Form) -> Response<Body> {
    let code = form.get("user_code").map(String::as_str).unwrap_or_default();
    let known = match (form.get("user"), form.get("deny")) {
        (Some(user), _) => device::decide(&mut op.state(), code, Decision::Approved(user.clone())),
        (None, Some(_)) => device::decide(&mut op.state(), code, Decision::Denied),
        (None, None) => {
            let page = "Add user=NAME to the address to approve, deny=1 to deny.\n";
            return response(200, "text/plain", Body::from(page));
        }
    };
    if known {
        response(200, "text/plain", Body::from("done\n"))
    } else {
        error(404, "no_such_code")
    }
}

/// Signs in whoever `user=` names, else [`TestOp::sign_in`]'s user, and redirects with a code.
fn authorize(op: &TestOp, form: &Form) -> Response<Body> {
    let mut state = op.state();
    let (Some(client), Some(target)) = (form.get("client_id"), form.get("redirect_uri")) else {
        return error(400, "invalid_request");
    };
    if !state.clients.contains_key(client) {
        return error(400, "unauthorized_client");
    }
    let back = |name: &str, value: &str| {
        let state = form.get("state").map(|state| format!("&state={}", form::encode(state)));
        let join = if target.contains('?') { '&' } else { '?' };
        redirect(&format!("{target}{join}{name}={value}{}", state.unwrap_or_default()))
    };
    let challenge = form.get("code_challenge").cloned();
    if challenge.is_some() && form.get("code_challenge_method").map(String::as_str) != Some("S256")
    {
        return back("error", "invalid_request");
    }
    let Some(user) = form.get("user").cloned().or_else(|| state.signed_in.clone()) else {
        return back("error", "login_required");
    };
    let scope = form.get("scope").map(String::as_str).unwrap_or_default();
    let mut grant = Grant::new(&user, client, scope);
    grant.redirect_uri = Some(target.clone());
    grant.challenge = challenge;
    grant.nonce = form.get("nonce").cloned();
    let code = fresh("code-");
    state.codes.insert(code.clone(), grant);
    back("code", &code)
}

fn revoke(op: &TestOp, call: &Call, form: &Form) -> Result<Value, Refusal> {
    authenticate_client(op, call, form)?;
    let token = form.get("token").ok_or((400, "invalid_request"))?;
    let mut state = op.state();
    state.issued.remove(token);
    state.refresh.remove(token);
    Ok(json!({}))
}

fn register(op: &TestOp, call: &Call) -> Response<Body> {
    let Ok(Value::Object(mut request)) = serde_json::from_slice(&call.body) else {
        return error(400, "invalid_client_metadata");
    };
    let public = request.get("token_endpoint_auth_method").is_some_and(|method| method == "none");
    let secret = (!public).then(|| fresh("secret-"));
    let (client, secret) = op.add_client(&fresh("client-"), secret.as_deref());
    request.insert("client_id".into(), client.into());
    if let Some(secret) = secret {
        request.insert("client_secret".into(), secret.into());
        request.insert("client_secret_expires_at".into(), 0.into());
    }
    json_response(201, &Value::Object(request))
}

fn oauth(result: Result<Value, Refusal>) -> Response<Body> {
    match result {
        Ok(value) => json_response(200, &value),
        Err((status, code)) => error(status, code),
    }
}

pub(crate) fn error(status: u16, code: &str) -> Response<Body> {
    json_response(status, &json!({"error": code, "error_description": format!("test: {code}")}))
}

pub(crate) fn json_response(status: u16, value: &Value) -> Response<Body> {
    response(status, "application/json", Body::from(value.to_string()))
}

fn redirect(url: &str) -> Response<Body> {
    let mut answer = response(302, "text/plain", Body::empty());
    if let Ok(location) = url.parse() {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

pub(crate) fn response(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let value = header::HeaderValue::from_static(content_type);
    answer.headers_mut().insert(header::CONTENT_TYPE, value);
    answer
}
