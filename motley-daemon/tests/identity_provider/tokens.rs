//! Signed tokens: which are accepted, which are refused, and in which words.

use crate::double::{NOW, Op, Place, SigningKey, sign_with, verifier_of};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use motley_daemon::clock::Timestamp;
use motley_daemon::identity::{Known, TokenRefusal};
use motley_daemon::serve::{
    gate::{Gate, GateLimits, Passage},
    source::Source,
};
use motley_proto::{Issuer, Secret};
use serde_json::{Value, json};
use std::net::IpAddr;

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

async fn refusal(op: &Op, token: &Secret) -> String {
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let refused = verifier.verify(token, None).await.unwrap_err();
    // R06: what is shown or logged never holds the token, nor its signature.
    let signature = token.expose().rsplit('.').next().unwrap();
    for text in [refused.reason(), refused.description(), format!("{refused:?}")] {
        assert!(!text.contains(token.expose()), "{text}");
        assert!(signature.is_empty() || !text.contains(signature), "{text}");
    }
    refused.description()
}

#[tokio::test]
async fn a_good_token_proves_its_identity_with_claims_from_token_and_userinfo() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let token = op.sign(&with(op.claims("alice"), "name", json!("Alice")));
    let verified = verifier.verify(&token, None).await.unwrap();
    assert_eq!(verified.identity().issuer.as_str(), op.issuer);
    assert_eq!(verified.identity().subject.as_str(), "alice");
    assert_eq!(verified.expires(), Some(Timestamp(NOW + 3600)));
    assert_eq!(verified.claim("name"), Some(&json!("Alice")));
    assert_eq!(verified.sources().userinfo.as_ref().unwrap()["sub"], "alice");
    assert_eq!(verified.sources().token.as_ref().unwrap()["exp"], NOW + 3600);
}

#[tokio::test]
async fn a_verification_takes_little_room_on_the_stacks_of_its_callers() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let token = op.token("alice");
    let bytes = std::mem::size_of_val(&verifier.verify(&token, None));
    assert!(bytes < 8 * 1024, "{bytes}");
}

#[tokio::test]
async fn every_algorithm_verifies_with_and_without_key_id() {
    let op = Op::start().await;
    let keys: Vec<SigningKey> =
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
            .into_iter()
            .map(|algorithm| SigningKey::new(algorithm, algorithm))
            .collect();
    op.publish(&keys.iter().map(SigningKey::jwk).collect::<Vec<_>>());
    let (verifier, _) = verifier_of(vec![op.configured()]);
    for mut key in keys {
        let named = sign_with(&key, &op.claims("alice"));
        assert!(verifier.verify(&named, None).await.is_ok(), "{}", key.algorithm);
        key.kid = None;
        let unnamed = sign_with(&key, &op.claims("bob"));
        let verified = verifier.verify(&unnamed, None).await;
        assert_eq!(verified.unwrap().identity().subject.as_str(), "bob", "{}", key.algorithm);
    }
}

#[tokio::test]
async fn a_token_of_70_000_characters_is_accepted() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let token = op.sign(&with(op.claims("alice"), "pad", json!("x".repeat(52_000))));
    assert!(token.len() > 69_000);
    assert!(verifier.verify(&token, None).await.is_ok());
}

#[tokio::test]
async fn r12_no_attack_on_the_header_gets_as_far_as_userinfo() {
    let op = Op::start().await;
    let claims = op.claims("alice").to_string();
    let foreign = SigningKey::new("ES256", "k1");
    let good = op.token("alice").expose().to_owned();
    let (octets, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = octets.split_once('.').unwrap();
    let other = URL_SAFE_NO_PAD.encode(op.claims("mallory").to_string());
    let forged = |header: &str| foreign.compact(header, &claims);
    let not_allowed = "Could not verify JWT: The specified alg value is not allowed";
    let parameter = "Could not verify JWT: The header has a parameter that is not allowed";
    let wrong = "Could not verify JWT: Signature verification failed";
    let unverified = "The signature of the access token was not verified";
    for (attack, token, answer) in [
        ("none with kid", forged(r#"{"alg":"none","kid":"k1"}"#), not_allowed),
        ("none without kid", forged(r#"{"alg":"none"}"#), not_allowed),
        ("public key as secret", hs256_with_public_key(&op, &claims), not_allowed),
        (
            "own key in jwk",
            forged(&json!({"alg": "ES256", "jwk": foreign.jwk()}).to_string()),
            parameter,
        ),
        (
            "own keys at jku",
            forged(r#"{"alg":"ES256","kid":"k1","jku":"http://127.0.0.1:9/"}"#),
            parameter,
        ),
        (
            "own certificate",
            forged(r#"{"alg":"ES256","kid":"k1","x5u":"http://127.0.0.1:9/"}"#),
            parameter,
        ),
        (
            "critical extension",
            op.key.compact(r#"{"alg":"ES256","kid":"k1","crit":["x"],"x":1}"#, &claims),
            parameter,
        ),
        ("foreign key", forged(r#"{"alg":"ES256","kid":"k1"}"#), wrong),
        ("foreign key in x5c", forged(r#"{"alg":"ES256","kid":"k1","x5c":["AAAA"]}"#), wrong),
        ("stripped signature", format!("{octets}."), wrong),
        ("zero signature", format!("{octets}.{}", URL_SAFE_NO_PAD.encode([0; 64])), wrong),
        ("swapped payload", format!("{header}.{other}.{signature}"), wrong),
        ("unknown kid", forged(r#"{"alg":"ES256","kid":"k2"}"#), unverified),
        ("kid as path", forged(r#"{"alg":"ES256","kid":"../../dev/null"}"#), unverified),
        ("other algorithm", forged(r#"{"alg":"RS256","kid":"k1"}"#), unverified),
    ] {
        assert_eq!(refusal(&op, &Secret::new(token)).await, answer, "{attack}");
    }
    assert_eq!(op.asked(Place::Userinfo), 0);
}

fn hs256_with_public_key(op: &Op, claims: &str) -> String {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, op.key.jwk().to_string().as_bytes());
    let header = r#"{"alg":"HS256","kid":"k1"}"#;
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&secret, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

#[tokio::test]
async fn r13_tokens_without_a_proper_end_beginning_or_holder_are_refused() {
    let op = Op::start().await;
    let good = || op.claims("alice");
    let expired = "The access token is not valid: Signature has expired";
    let bad_date =
        |claim: &str| format!("Could not verify JWT: Claim '{claim}' must be a date in seconds");
    for (claims, answer) in [
        (without(good(), "exp"), "Could not verify JWT: No 'exp' claim in body".to_owned()),
        (with(good(), "exp", json!("1900000000")), bad_date("exp")),
        (with(good(), "exp", json!(null)), bad_date("exp")),
        (with(good(), "exp", json!(-1)), bad_date("exp")),
        (with(good(), "exp", json!(1e300)), bad_date("exp")),
        (with(good(), "exp", json!(NOW - 30)), expired.to_owned()),
        (with(good(), "exp", json!(NOW)), expired.to_owned()),
        (
            with(good(), "nbf", json!(NOW + 3600)),
            "The access token is not valid: The token is not yet valid (nbf)".to_owned(),
        ),
        (
            with(good(), "iat", json!(NOW + 3600)),
            "The access token is not valid: The token is not yet valid (iat)".to_owned(),
        ),
        (with(good(), "iat", json!("now")), bad_date("iat")),
        (
            with(good(), "sub", json!(4711)),
            "Could not verify JWT: Subject must be a string".to_owned(),
        ),
        (without(good(), "sub"), "Could not verify JWT: No 'sub' claim in body".to_owned()),
        (without(good(), "iss"), "Could not verify JWT: No 'iss' claim in body".to_owned()),
        (
            with(good(), "iss", json!(4711)),
            "Could not verify JWT: Issuer must be a string".to_owned(),
        ),
    ] {
        assert_eq!(refusal(&op, &op.sign(&claims)).await, answer, "{claims}");
    }
    let twice = good().to_string().replacen('{', r#"{"exp":9999999999,"#, 1);
    let token = Secret::new(op.key.compact(r#"{"alg":"ES256","kid":"k1"}"#, &twice));
    assert!(refusal(&op, &token).await.contains("without repeated members"));
    assert_eq!(op.asked(Place::Userinfo), 0);
}

#[tokio::test]
async fn r10_r11_issuers_that_are_not_configured_cause_no_request_at_all() {
    let op = Op::start().await;
    let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let trap_issuer = format!("http://{}", trap.local_addr().unwrap());
    let port = op.issuer.rsplit(':').next().unwrap();
    let (verifier, _) = verifier_of(vec![op.configured()]);
    for issuer in [
        trap_issuer.clone(),
        format!("{}/x", op.issuer),
        format!("{}//", op.issuer),
        format!("{}?", op.issuer),
        format!("{}#", op.issuer),
        format!(" {}", op.issuer),
        format!("{}\n", op.issuer),
        op.issuer.to_uppercase(),
        op.issuer.replace("http:", "https:"),
        op.issuer.replace("127.0.0.1", "localhost"),
        op.issuer.replace("127.0.0.1", "www.127.0.0.1"),
        op.issuer.replace("127.0.0.1", "127.0.0.1@evil.example"),
        format!("http://user@127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}/oauth2"),
        "http://127.0.0.1".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "https://op.example.invalid".to_owned(),
        "file:///etc/passwd".to_owned(),
        "not a url".to_owned(),
        String::new(),
    ] {
        let token = op.sign(&with(op.claims("alice"), "iss", json!(issuer)));
        let hint = Issuer::new(trap_issuer.as_str()).unwrap();
        let refused = verifier.verify(&token, Some(&hint)).await.unwrap_err();
        assert!(matches!(refused, TokenRefusal::UntrustedIssuer(_)), "{issuer}: {refused}");
    }
    assert_eq!(op.asked_at_all(), 0);
    assert_eq!(trap.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn r31_an_issuer_is_shown_escaped_and_cut() {
    let op = Op::start().await;
    for (issuer, shown) in [
        ("not a url".to_owned(), "not a url".to_owned()),
        ("a\nb\u{1b}[2J".to_owned(), "a\\u{a}b\\u{1b}[2J".to_owned()),
        ("x".repeat(5000), format!("{}…", "x".repeat(256))),
    ] {
        let token = op.sign(&with(op.claims("alice"), "iss", json!(issuer)));
        assert_eq!(refusal(&op, &token).await, format!("Issuer is not trusted: {shown}"));
    }
}

#[tokio::test]
async fn a_slash_too_many_in_the_configuration_is_forgiven_but_not_in_the_token() {
    let op = Op::start_at("127.0.0.1:0", "/realms/demo").await;
    let mut provider = op.configured();
    provider.issuer = Issuer::new(format!("{}/", op.issuer)).unwrap();
    let (verifier, _) = verifier_of(vec![provider]);
    let verified = verifier.verify(&op.token("alice"), None).await.unwrap();
    assert_eq!(verified.identity().issuer.as_str(), op.issuer);

    let (verifier, _) = verifier_of(vec![op.configured()]);
    let slashed = format!("{}/", op.issuer);
    let token = op.sign(&with(op.claims("alice"), "iss", json!(slashed)));
    let refused = verifier.verify(&token, None).await.unwrap_err();
    assert_eq!(refused.description(), format!("Issuer is not trusted: {slashed}"));
    assert_eq!(op.asked(Place::Userinfo), 1);
}

#[tokio::test]
async fn a_provider_whose_issuer_ends_in_a_slash_works_with_either_configuration() {
    let op = Op::start_at("127.0.0.1:0", "/").await;
    for configured in [op.issuer.clone(), op.issuer.trim_end_matches('/').to_owned()] {
        let mut provider = op.configured();
        provider.issuer = Issuer::new(configured).unwrap();
        let (verifier, _) = verifier_of(vec![provider]);
        let verified = verifier.verify(&op.token("alice"), None).await.unwrap();
        assert_eq!(verified.identity().issuer.as_str(), op.issuer);
    }
}

#[tokio::test]
async fn a_token_of_one_provider_is_nothing_to_another() {
    let (one, other) = (Op::start().await, Op::start().await);
    let (verifier, _) = verifier_of(vec![one.configured(), other.configured()]);
    let token = sign_with(&one.key, &other.claims("alice"));
    let refused = verifier.verify(&token, None).await.unwrap_err();
    assert!(matches!(refused, TokenRefusal::BadSignature { .. }), "{refused}");
    assert_eq!((one.asked_at_all(), other.asked(Place::Userinfo)), (0, 0));
}

#[tokio::test]
async fn r30_whose_a_token_is_can_be_told_without_asking_anybody() {
    let op = Op::start().await;
    let (verifier, clock) = verifier_of(vec![op.configured()]);
    let token = op.token("alice");
    assert!(!verifier.is_ready());
    assert_eq!(verifier.recognises(&token).await, Known::Nothing, "no keys yet");
    assert_eq!(op.asked_at_all(), 0);
    verifier.warm_up().await;
    assert!(verifier.is_ready());
    let asked = op.asked_at_all();
    assert_eq!(verifier.remembers(&token).await, Known::Nothing, "not verified yet");
    let Known::Identity(identity) = verifier.recognises(&token).await else { panic!() };
    assert_eq!(identity.subject.as_str(), "alice");
    let forged = sign_with(&SigningKey::new("RS256", "k1"), &op.claims("alice"));
    let elsewhere = op.sign(&with(op.claims("alice"), "iss", json!("https://other.example")));
    for unknown in [forged, elsewhere, Secret::new("opaque-token-0123456789".to_owned())] {
        assert_eq!(verifier.recognises(&unknown).await, Known::Nothing);
    }
    clock.pass(3600);
    assert_eq!(verifier.recognises(&token).await, Known::Nothing, "it has expired");
    assert_eq!(op.asked_at_all(), asked, "nobody was asked");
}

#[tokio::test]
async fn r30_a_remembered_token_is_counted_for_its_owner() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let token = op.token("alice");
    let verified = verifier.verify(&token, None).await.unwrap();
    assert_eq!(verifier.remembers(&token).await, Known::Identity(verified.identity().clone()));
    verifier.forget(verified.identity());
    assert_eq!(verifier.remembers(&token).await, Known::Nothing);
}

#[tokio::test]
async fn r30_tokens_of_a_person_that_are_no_good_here_use_up_nothing_of_what_the_person_may_ask() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let id_token = op.sign(&with(op.claims("alice"), "at_hash", json!("x")));
    let elsewhere = op.sign(&with(op.claims("alice"), "aud", json!("elsewhere")));
    let good = op.token("alice");
    verifier.verify(&elsewhere, None).await.unwrap();
    assert_eq!(verifier.recognises(&id_token).await, Known::Nothing);
    let gate = Gate::new(GateLimits::new(10, 20));
    let from = |last: u8| Source::Peer(IpAddr::from([192, 0, 2, last]));
    for _ in 0..9 {
        let Passage::Counted(key) = gate.judge(from(1), Some(&id_token), &verifier).await else {
            break;
        };
        gate.failed(key);
    }
    let refused = gate.judge(from(1), Some(&id_token), &verifier).await;
    assert!(matches!(refused, Passage::Refused { whose: "source", .. }), "{refused:?}");
    // The policy refuses this one each time, so nobody tells the gate that anything was granted.
    for _ in 0..20 {
        let passed = gate.judge(from(2), Some(&elsewhere), &verifier).await;
        assert!(matches!(passed, Passage::Known(_)), "{passed:?}");
    }
    let refused = gate.judge(from(2), Some(&elsewhere), &verifier).await;
    assert!(matches!(refused, Passage::Refused { whose: "token", .. }), "{refused:?}");
    let passed = gate.judge(from(1), Some(&good), &verifier).await;
    assert!(matches!(passed, Passage::Known(_)), "{passed:?}");
}
