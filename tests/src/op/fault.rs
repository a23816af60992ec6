//! What can go wrong at a provider, per endpoint, and the counters of what was asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The endpoints of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Endpoint {
    Discovery,
    Jwks,
    Userinfo,
    Introspection,
    Token,
    DeviceAuthorization,
    DeviceVerification,
    Authorization,
    Revocation,
    Registration,
    /// Any path that is none of the others.
    Other,
}

/// A fault at one endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The right answer, but this many milliseconds later.
    DelayMs(u64),
    /// The right answer, made at once and sent this many milliseconds later.
    LateMs(u64),
    /// No answer, and the connection stays open.
    Hang,
    /// The connection is closed without an answer.
    Close,
    /// This HTTP status with a JSON error as its body.
    Status(u16),
    /// Status 200 with bytes that are no JSON.
    Garbage,
    /// Status 200 with this many bytes of JSON text.
    Oversized(usize),
    /// Status 200 with a body that never ends.
    Endless,
    /// Status 302 to this URL.
    Redirect(String),
    /// Status 200 with this JSON instead of the right answer.
    Replace(Value),
    /// The right answer with these members put into it (`null` removes one), e.g. another `issuer`.
    Patch(Value),
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: BTreeMap<Endpoint, (Fault, Option<u32>)>,
}

impl Faults {
    pub(crate) fn set(&mut self, endpoint: Endpoint, fault: Fault, times: Option<u32>) {
        self.active.insert(endpoint, (fault, times));
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    /// The fault for one request; one that was set for a number of times is counted down.
    pub(crate) fn take(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let (fault, times) = self.active.get_mut(&endpoint)?;
        let fault = fault.clone();
        match times {
            Some(1) => drop(self.active.remove(&endpoint)),
            Some(left) => *left -= 1,
            None => {}
        }
        Some(fault)
    }
}

/// How often each endpoint was asked.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Counters {
    pub(crate) requests: BTreeMap<Endpoint, usize>,
    pub(crate) connections: usize,
}

/// Puts the members of `patch` into `value`; `null` removes a member.
pub(crate) fn patch(value: &mut Value, patch: &Value) {
    let (Some(target), Some(members)) = (value.as_object_mut(), patch.as_object()) else { return };
    for (name, member) in members {
        if member.is_null() {
            target.remove(name);
        } else {
            target.insert(name.clone(), member.clone());
        }
    }
}
