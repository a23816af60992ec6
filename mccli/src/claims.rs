//! Looks into an access token without verifying it: only to tell the user early what is wrong.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use motley_proto::{Secret, rest::OpInfo};
use serde_json::Value;

/// Header and payload of a token that is a JWT (RFC 7519 §3).
pub(crate) struct Claims {
    /// First part.
    pub(crate) header: Value,
    /// Second part.
    pub(crate) payload: Value,
}

impl Claims {
    /// The claims, if the token is a JWT.
    pub(crate) fn of(token: &Secret) -> Option<Self> {
        let mut parts = token.expose().split('.');
        let (header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let decode = |part: &str| -> Option<Value> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        let claims = Self { header: decode(header)?, payload: decode(payload)? };
        (claims.header.is_object() && claims.payload.is_object()).then_some(claims)
    }

    /// `iss`.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.payload.get("iss")?.as_str()
    }

    /// Seconds until `exp`, negative when it is over; `None` without `exp`.
    pub(crate) fn seconds_left(&self, now_s: f64) -> Option<f64> {
        Some(self.payload.get("exp")?.as_f64()? - now_s)
    }

    /// What the token lacks of what the service wants, for people.
    pub(crate) fn lacking(&self, wanted: &OpInfo) -> Option<String> {
        let scopes = texts(self.payload.get("scope")?);
        let missing: Vec<&str> = wanted
            .scopes
            .iter()
            .map(String::as_str)
            .filter(|scope| !scopes.iter().any(|has| has == scope))
            .collect();
        if !missing.is_empty() {
            return Some(format!("the token lacks the scopes {}", missing.join(" ")));
        }
        let audiences = self.payload.get("aud").map(texts).unwrap_or_default();
        let accepted = audiences_of(wanted);
        let fits = accepted.is_empty() || accepted.iter().any(|a| audiences.contains(a));
        (!fits).then(|| format!("the token is not for the audience {}", accepted.join(" or ")))
    }
}

/// The audiences that a service accepts; several are written as a JSON list in one text.
pub(crate) fn audiences_of(wanted: &OpInfo) -> Vec<String> {
    match wanted.audience.trim() {
        "" => Vec::new(),
        text => serde_json::from_str(text).unwrap_or_else(|_| vec![text.to_owned()]),
    }
}

/// A claim that is a list, or a text with blanks between its values.
fn texts(claim: &Value) -> Vec<String> {
    match claim {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A JWT that says this; nobody here looks at its signature.
    pub(crate) fn unsigned(payload: &Value) -> Secret {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        Secret::new(format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(payload)))
    }

    fn wanted(scopes: &[&str], audience: &str) -> OpInfo {
        OpInfo {
            scopes: scopes.iter().map(|&s| s.to_owned()).collect(),
            audience: audience.to_owned(),
            ..OpInfo::default()
        }
    }

    #[test]
    fn scopes_must_all_be_there_and_one_audience() {
        for (payload, wanted, fits) in [
            (json!({"scope": "openid profile"}), wanted(&["openid"], ""), true),
            (json!({"scope": "openid"}), wanted(&["openid", "email"], ""), false),
            (json!({"scope": ["openid"]}), wanted(&["openid"], ""), true),
            (json!({}), wanted(&["openid"], ""), true),
            (json!({"scope": "openid", "aud": "a"}), wanted(&[], "a"), true),
            (json!({"scope": "openid", "aud": ["a", "b"]}), wanted(&[], "b"), true),
            (json!({"scope": "openid", "aud": "a"}), wanted(&[], r#"["b","a"]"#), true),
            (json!({"scope": "openid", "aud": "a"}), wanted(&[], "b"), false),
            (json!({"scope": "openid"}), wanted(&[], "b"), false),
        ] {
            let claims = Claims::of(&unsigned(&payload)).unwrap();
            assert_eq!(claims.lacking(&wanted).is_none(), fits, "{payload}");
        }
    }

    #[test]
    fn opaque_texts_have_no_claims() {
        for text in ["", "opaque", "a.b", "a.b.c", "e30.e30.e30.e30", "W10.W10.x"] {
            assert!(Claims::of(&Secret::new(text.to_owned())).is_none(), "{text}");
        }
        let claims = Claims::of(&unsigned(&json!({"exp": 100, "iss": "https://op"}))).unwrap();
        assert_eq!(claims.seconds_left(40.0), Some(60.0));
        assert_eq!(claims.issuer(), Some("https://op"));
    }
}
