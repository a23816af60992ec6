//! Tells access tokens from the other signed tokens that a provider hands out.
//!
//! Only what can be told apart without locking out real providers is refused:
//!
//! - A header `typ` of `at+jwt` settles it (RFC 9068 §4). Few providers write it yet, so it is not
//!   required. Such a token has `iss`, `exp` and `sub` like any other; `aud` is held against the
//!   configured audience by policy. `client_id`, `iat` and `jti` are required of the provider (§2.2)
//!   but no part of what a resource server checks (§4), and some leave them out: where they are,
//!   they must be what they are meant to be.
//! - `at_hash` and `c_hash` bind an ID token to what was issued beside it (OpenID Connect Core 1.0
//!   §3.3.2.11); no access token has them. `nonce` and `auth_time` tell nothing: some providers write
//!   them into access tokens too.
//! - `events` makes a security event token, logout tokens among them (RFC 8417 §2.2, OpenID Connect
//!   Back-Channel Logout 1.0 §2.4), which is sent to others and names a person, too.
//! - Some providers name the use in the payload: `typ` is `ID`, `Refresh`, `Offline` or `Logout`, or
//!   `token_use` is `id` or `refresh`.
//! - Of an opaque token introspection may tell the type (RFC 7662 §2.2), `Bearer` as a rule. One that
//!   is bound to a key (`DPoP`) is no bearer token, and a refresh token is active, too.

use super::refusal::TokenFault;
use crate::verified::ClaimMap;
use serde_json::Value;

/// What the header says that the token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    /// An access token (RFC 9068 §2.1).
    AccessToken,
    /// A token of some kind.
    Something,
}

/// Claims that only ID tokens and security event tokens have.
const FOREIGN_CLAIMS: [&str; 3] = ["at_hash", "c_hash", "events"];
/// Claims that name the use, and their values, in lower case, for other uses.
const OTHER_USES: [(&str, &[&str]); 2] = [
    ("typ", &["id", "refresh", "offline", "logout"]),
    ("token_use", &["id", "id_token", "refresh", "refresh_token"]),
];
/// What introspection may call an access token, in lower case.
const BEARER_TYPES: [&str; 2] = ["bearer", "access_token"];
/// Claims of RFC 9068 §2.2 that are texts.
const TEXTS: [&str; 2] = ["client_id", "jti"];

/// Refuses what can be told not to be an access token.
///
/// # Errors
/// Names the claim that tells.
pub(crate) fn check(declared: Declared, claims: &ClaimMap) -> Result<(), TokenFault> {
    if declared == Declared::AccessToken {
        let is_odd = |name: &&&str| claims.get(**name).is_some_and(|value| !value.is_string());
        return TEXTS.iter().find(is_odd).map_or(Ok(()), |name| Err(TokenFault::NotAText(name)));
    }
    let bound = FOREIGN_CLAIMS.iter().find(|name| claims.contains_key(**name));
    let named = || {
        let is_other = |(name, uses): &&(&str, &[&str])| {
            let used = claims.get(*name).and_then(Value::as_str);
            used.is_some_and(|used| uses.iter().any(|other| used.eq_ignore_ascii_case(other)))
        };
        OTHER_USES.iter().find(is_other).map(|(name, _)| name)
    };
    bound.or_else(named).map_or(Ok(()), |name| Err(TokenFault::NotAnAccessToken(name)))
}

/// Refuses what introspection tells not to be an access token that whoever bears it may use.
///
/// # Errors
/// Names the claim that tells.
pub(crate) fn check_introspected(claims: &ClaimMap) -> Result<(), TokenFault> {
    let is_bearer = |kind: &str| BEARER_TYPES.iter().any(|known| kind.eq_ignore_ascii_case(known));
    match claims.get("token_type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if is_bearer(kind) => {}
        Some(_) => return Err(TokenFault::NotAnAccessToken("token_type")),
    }
    check(Declared::Something, claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judge(declared: Declared, claims: Value) -> Result<(), TokenFault> {
        let Value::Object(claims) = claims else { panic!("an object") };
        check(declared, &claims)
    }

    #[test]
    fn r12_id_tokens_and_refresh_tokens_do_not_pass_for_access_tokens() {
        for (claims, tells) in [
            (json!({"at_hash": "x", "nonce": "n"}), "at_hash"),
            (json!({"c_hash": null}), "c_hash"),
            (
                json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
                "events",
            ),
            (json!({"typ": "ID"}), "typ"),
            (json!({"typ": "Refresh"}), "typ"),
            (json!({"typ": "offline"}), "typ"),
            (json!({"token_use": "id"}), "token_use"),
            (json!({"token_use": "refresh_token"}), "token_use"),
        ] {
            let refused = judge(Declared::Something, claims.clone());
            assert_eq!(refused, Err(TokenFault::NotAnAccessToken(tells)), "{claims}");
        }
    }

    #[test]
    fn r12_introspection_of_a_refresh_token_or_of_one_bound_to_a_key_does_not_pass() {
        let judge = |claims: Value| {
            let Value::Object(claims) = claims else { panic!("an object") };
            check_introspected(&claims)
        };
        for good in [json!({}), json!({"token_type": "bearer"}), json!({"token_type": null})] {
            assert_eq!(judge(good.clone()), Ok(()), "{good}");
        }
        for good in ["Bearer", "access_token"] {
            assert_eq!(judge(json!({"token_type": good, "token_use": "access_token"})), Ok(()));
        }
        for (bad, tells) in [
            (json!({"token_type": "refresh_token"}), "token_type"),
            (json!({"token_type": "DPoP"}), "token_type"),
            (json!({"token_type": ["Bearer"]}), "token_type"),
            (json!({"token_type": "Bearer", "token_use": "refresh_token"}), "token_use"),
            (json!({"token_type": "Bearer", "typ": "Refresh"}), "typ"),
        ] {
            assert_eq!(judge(bad.clone()), Err(TokenFault::NotAnAccessToken(tells)), "{bad}");
        }
    }

    #[test]
    fn access_tokens_of_real_providers_pass_whatever_else_they_carry() {
        for claims in [
            json!({}),
            json!({"typ": "Bearer", "nonce": "n", "auth_time": 1, "azp": "x", "sid": "s"}),
            json!({"token_use": "access", "client_id": "x"}),
            json!({"typ": 7, "token_use": ["id"]}),
        ] {
            assert_eq!(judge(Declared::Something, claims.clone()), Ok(()), "{claims}");
            assert_eq!(judge(Declared::AccessToken, claims.clone()), Ok(()), "{claims}");
        }
        let declared = judge(Declared::AccessToken, json!({"client_id": ["x"]}));
        assert_eq!(declared, Err(TokenFault::NotAText("client_id")));
        assert_eq!(
            judge(Declared::AccessToken, json!({"jti": 7})),
            Err(TokenFault::NotAText("jti"))
        );
    }
}
