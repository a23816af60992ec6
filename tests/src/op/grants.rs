//! The token endpoint: refresh, authorization code with PKCE, device code.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::device;
use super::form::{self, Form};
use super::provider::TestOp;
use super::server::Call;
use super::state::{Grant, GrantedToken, fresh, now};

/// An OAuth error (RFC 6749 §5.2) with its HTTP status.
pub(crate) type Refusal = (u16, &'static str);

/// Who asks: by Basic header or by form members (RFC 6749 §2.3.1).
pub(crate) fn authenticate_client(
    op: &TestOp,
    call: &Call,
    form: &Form,
) -> Result<String, Refusal> {
    let basic = call.authorization.as_deref().and_then(form::basic);
    let (client, secret) = match basic {
        Some((client, secret)) => (client, Some(secret)),
        None => {
            let client = form.get("client_id").cloned().ok_or((401, "invalid_client"))?;
            (client, form.get("client_secret").cloned())
        }
    };
    let known = op.state().clients.get(&client).cloned();
    match known {
        // Some clients send an empty secret where they have none.
        Some(None) if secret.as_deref().unwrap_or_default().is_empty() => Ok(client),
        Some(Some(expected)) if secret.as_ref() == Some(&expected) => Ok(client),
        _ => Err((401, "invalid_client")),
    }
}

/// Answers one token request.
pub(crate) fn exchange(op: &TestOp, call: &Call, form: &Form) -> Result<Value, Refusal> {
    let client = authenticate_client(op, call, form)?;
    match form.get("grant_type").map(String::as_str) {
        Some("refresh_token") => refresh(op, &client, form),
        Some("authorization_code") => redeem_code(op, &client, form),
        Some("urn:ietf:params:oauth:grant-type:device_code") => {
            let code = form.get("device_code").ok_or((400, "invalid_request"))?;
            let polled = device::poll(&mut op.state(), &client, code, form.get("code_verifier"));
            let (user, scope) = polled.map_err(|error| (400, error))?;
            Ok(grant(op, &Grant::new(&user, &client, &scope), form))
        }
        _ => Err((400, "unsupported_grant_type")),
    }
}

fn refresh(op: &TestOp, client: &str, form: &Form) -> Result<Value, Refusal> {
    let token = form.get("refresh_token").ok_or((400, "invalid_request"))?;
    let found = op.state().refresh.get(token).cloned();
    let mut found = found.filter(|found| found.client == client).ok_or((400, "invalid_grant"))?;
    let rotates = op.state().rotates;
    let rotated = rotates.then(|| {
        // RFC 9700 §4.14.2: the old one is worth nothing as soon as the new one is made.
        op.state().refresh.remove(token);
        let new = fresh("refresh-");
        op.state().refresh.insert(new.clone(), found.clone());
        new
    });
    if let Some(scope) = form.get("scope").filter(|scope| !scope.is_empty()) {
        if scope.split(' ').any(|wanted| !found.scope.split(' ').any(|has| has == wanted)) {
            return Err((400, "invalid_scope"));
        }
        found.scope.clone_from(scope);
    }
    let mut answer = grant(op, &found, form);
    if let (Some(new), Some(members)) = (rotated, answer.as_object_mut()) {
        members.insert("refresh_token".into(), new.into());
    }
    Ok(answer)
}

fn redeem_code(op: &TestOp, client: &str, form: &Form) -> Result<Value, Refusal> {
    let code = form.get("code").ok_or((400, "invalid_request"))?;
    // RFC 6749 §4.1.2: a code is used once.
    let found = op.state().codes.remove(code).ok_or((400, "invalid_grant"))?;
    let verified = answers(found.challenge.as_deref(), form.get("code_verifier"));
    if !verified
        || found.client != client
        || found.redirect_uri.as_ref() != form.get("redirect_uri")
    {
        return Err((400, "invalid_grant"));
    }
    Ok(grant(op, &found, form))
}

/// Whether a verifier is that of a challenge, if there was one (RFC 7636 §4.6).
pub(crate) fn answers(challenge: Option<&str>, verifier: Option<&String>) -> bool {
    let hash = |verifier: &String| digest::digest(&digest::SHA256, verifier.as_bytes());
    challenge.is_none_or(|challenge| {
        verifier.is_some_and(|verifier| URL_SAFE_NO_PAD.encode(hash(verifier)) == challenge)
    })
}

/// The successful answer of RFC 6749 §5.1.
fn grant(op: &TestOp, grant: &Grant, form: &Form) -> Value {
    let granted = op.state().granted.clone();
    let mut builder = op
        .token(&grant.user)
        .claim("client_id", grant.client.as_str())
        .claim("scope", grant.scope.as_str());
    // RFC 8707 names it `resource`, others `audience`.
    if let Some(audience) = form.get("audience").or_else(|| form.get("resource")) {
        builder = builder.claim("aud", audience.as_str());
    }
    let (token, lifetime) = match granted {
        GrantedToken::Jwt { alg, size, lifetime } => {
            (builder.alg(alg).size(size).lifetime(lifetime).sign(), lifetime)
        }
        GrantedToken::Opaque { size, lifetime } => {
            (builder.size(size).lifetime(lifetime).opaque(), lifetime)
        }
    };
    let mut answer = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": lifetime,
        "scope": grant.scope,
    });
    let members = [
        ("refresh_token", refresh_token(op, grant, form)),
        ("id_token", grant.scope.contains("openid").then(|| id_token(op, grant))),
    ];
    for (name, value) in members {
        if let (Some(value), Some(answer)) = (value, answer.as_object_mut()) {
            answer.insert(name.to_owned(), value.into());
        }
    }
    answer
}

fn refresh_token(op: &TestOp, grant: &Grant, form: &Form) -> Option<String> {
    if let Some(token) = form.get("refresh_token") {
        return Some(token.clone());
    }
    if !grant.scope.contains("offline_access") {
        return None;
    }
    let token = fresh("refresh-");
    op.state().refresh.insert(token.clone(), grant.clone());
    Some(token)
}

fn id_token(op: &TestOp, grant: &Grant) -> String {
    let nonce = grant.nonce.clone().map_or(Value::Null, Value::String);
    op.token(&grant.user)
        .header("typ", "JWT")
        .claim("aud", grant.client.as_str())
        .claim("nonce", nonce)
        .claim("auth_time", now())
        .without("scope")
        .without("client_id")
        .sign()
}
