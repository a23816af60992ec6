//! Device authorization grants under way (RFC 8628).

use serde_json::{Value, json};

use super::form::Form;
use super::grants::answers;
use super::state::{State, fresh, now};

/// Seconds between two polls that a client must keep.
const INTERVAL: i64 = 1;
/// Seconds until a user code expires.
const LIFETIME: i64 = 300;

/// What the user has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Pending,
    Approved(String),
    Denied,
}

/// One grant, found by its device code.
#[derive(Debug, Clone)]
pub(crate) struct DeviceGrant {
    pub(crate) user_code: String,
    pub(crate) client: String,
    pub(crate) scope: String,
    /// `S256` challenge, from clients that send one.
    pub(crate) challenge: Option<String>,
    pub(crate) expires: i64,
    pub(crate) last_poll: i64,
    pub(crate) decision: Decision,
}

/// Starts a grant: the answer of RFC 8628 §3.2.
pub(crate) fn begin(state: &mut State, issuer: &str, client: &str, form: &Form) -> Value {
    let device_code = fresh("device-");
    let code = fresh("").to_uppercase();
    let user_code =
        format!("{}-{}", code.get(..4).unwrap_or_default(), code.get(4..8).unwrap_or_default());
    let decision = state.signed_in.clone().map_or(Decision::Pending, Decision::Approved);
    let grant = DeviceGrant {
        user_code: user_code.clone(),
        client: client.to_owned(),
        scope: form.get("scope").cloned().unwrap_or_default(),
        challenge: form.get("code_challenge").cloned(),
        expires: now() + LIFETIME,
        last_poll: 0,
        decision,
    };
    state.devices.insert(device_code.clone(), grant);
    json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": format!("{issuer}/device"),
        "verification_uri_complete": format!("{issuer}/device?user_code={user_code}"),
        "expires_in": LIFETIME,
        "interval": INTERVAL,
    })
}

/// The user's decision; whether there was such a code.
pub(crate) fn decide(state: &mut State, user_code: &str, decision: Decision) -> bool {
    let grant = state.devices.values_mut().find(|grant| grant.user_code == user_code);
    match grant {
        Some(grant) => {
            grant.decision = decision;
            true
        }
        None => false,
    }
}

/// One poll by the client; the user's name and the scope, or the error code of RFC 8628 §3.5.
pub(crate) fn poll(
    state: &mut State,
    client: &str,
    device_code: &str,
    verifier: Option<&String>,
) -> Result<(String, String), &'static str> {
    let grant = state.devices.get_mut(device_code).ok_or("invalid_grant")?;
    if grant.client != client || !answers(grant.challenge.as_deref(), verifier) {
        return Err("invalid_grant");
    }
    if grant.expires <= now() {
        return Err("expired_token");
    }
    let polled = std::mem::replace(&mut grant.last_poll, now());
    match grant.decision.clone() {
        Decision::Denied => Err("access_denied"),
        Decision::Pending if now() - polled < INTERVAL => Err("slow_down"),
        Decision::Pending => Err("authorization_pending"),
        Decision::Approved(user) => {
            let scope = grant.scope.clone();
            // RFC 8628 §3.4: a device code is redeemed once.
            state.devices.remove(device_code);
            Ok((user, scope))
        }
    }
}
