//! Which signed tokens are access tokens, and how old one may be.

use crate::double::{NOW, Op, Place, sign_as, verifier_of, verifier_with};
use motley_daemon::identity::{TokenFault, TokenRefusal, VerifierSettings};
use serde_json::{Value, json};
use std::time::Duration;

fn with(mut claims: Value, more: Value) -> Value {
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

#[tokio::test]
async fn r12_an_id_token_is_refused_before_anybody_is_asked_about_it() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    for (more, claim) in [
        (json!({"at_hash": "x", "nonce": "n", "aud": "client"}), "at_hash"),
        (json!({"events": {"https://schemas.openid.net/secevent/caep": {}}}), "events"),
        (json!({"typ": "ID"}), "typ"),
        (json!({"typ": "Refresh"}), "typ"),
        (json!({"token_use": "id"}), "token_use"),
    ] {
        let token = op.sign(&with(op.claims("alice"), more));
        let refused = verifier.verify(&token, None).await.unwrap_err();
        let fault = TokenRefusal::Malformed(TokenFault::NotAnAccessToken(claim));
        assert_eq!(refused, fault);
    }
    assert_eq!(op.asked(Place::Userinfo), 0);
}

#[tokio::test]
async fn access_tokens_as_real_providers_write_them_are_taken() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    for (kind, more) in [
        // Every claim of RFC 9068 §2.2, and as some write it: without client_id, jti or aud.
        ("at+jwt", json!({"aud": "here", "client_id": "c", "jti": "1"})),
        ("at+jwt", json!({"azp": "c"})),
        ("application/at+jwt", json!({"aud": ["here", "there"], "client_id": "c", "jti": "2"})),
        ("JWT", json!({"typ": "Bearer", "nonce": "n", "azp": "c", "jti": "3"})),
        ("JWT", json!({"auth_time": NOW, "sid": "s", "jti": "4"})),
    ] {
        let token = sign_as(&op.key, kind, &with(op.claims("alice"), more.clone()));
        assert!(verifier.verify(&token, None).await.is_ok(), "{kind} {more}");
    }
    let odd = with(op.claims("alice"), json!({"client_id": ["c"]}));
    let refused = verifier.verify(&sign_as(&op.key, "at+jwt", &odd), None).await.unwrap_err();
    assert_eq!(refused, TokenRefusal::Malformed(TokenFault::NotAText("client_id")));
}

#[tokio::test]
async fn r13_a_token_older_than_allowed_is_refused_also_while_it_is_remembered() {
    let op = Op::start().await;
    let settings =
        VerifierSettings { max_age: Some(Duration::from_secs(100)), ..VerifierSettings::default() };
    let (verifier, clock) = verifier_with(vec![op.configured()], settings);
    let issued = |at: i64| op.sign(&with(op.claims("alice"), json!({ "iat": at })));
    let refused = verifier.verify(&issued(NOW - 101), None).await.unwrap_err();
    assert_eq!(refused, TokenRefusal::TooOld { age: 101, limit: 100 });
    let mut timeless = op.claims("alice");
    timeless.as_object_mut().unwrap().remove("iat");
    let refused = verifier.verify(&op.sign(&timeless), None).await.unwrap_err();
    assert_eq!(refused, TokenRefusal::AgeUnknown);
    // An opaque token of which nothing but userinfo tells does not tell its age.
    let opaque = op.opaque("opaque-1", json!({"sub": "alice"}));
    assert_eq!(verifier.verify(&opaque, None).await.unwrap_err(), TokenRefusal::AgeUnknown);
    assert_eq!(op.asked(Place::Userinfo), 0);

    let token = issued(NOW - 95);
    assert!(verifier.verify(&token, None).await.is_ok());
    clock.pass(5);
    assert!(verifier.verify(&token, None).await.is_ok());
    clock.pass(1);
    let refused = verifier.verify(&token, None).await.unwrap_err();
    assert_eq!(refused, TokenRefusal::TooOld { age: 101, limit: 100 });
}

#[tokio::test]
async fn r13_skew_is_what_the_configuration_says() {
    let op = Op::start().await;
    let settings = VerifierSettings { skew: 5, ..VerifierSettings::default() };
    let (verifier, _) = verifier_with(vec![op.configured()], settings);
    let begins = |at: i64| op.sign(&with(op.claims("alice"), json!({ "nbf": at })));
    assert!(verifier.verify(&begins(NOW + 5), None).await.is_ok());
    let refused = verifier.verify(&begins(NOW + 6), None).await.unwrap_err();
    assert_eq!(refused, TokenRefusal::NotYetValid { claim: "nbf", ahead: 6 });
}
