//! Opaque tokens: which provider gets to see them, and what it may say.

use crate::double::{Fault, NOW, Op, Place, verifier_of, verifier_with};
use futures_util::future::join_all;
use motley_daemon::identity::{
    ClientCredentials, HttpSettings, Known, NoIdentity, Provider, TokenRefusal, TokenVerifier,
    VerifierError, VerifierSettings,
};
use motley_proto::{Issuer, Secret};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOBODY: &str = "User identity could not be determined";

fn marked(op: &Op) -> Provider {
    Provider { opaque_tokens: true, ..op.configured() }
}

fn introspecting(op: &Op) -> Provider {
    let secret = Secret::new("s:1 +".to_owned());
    let introspection = Some(ClientCredentials { id: "motley".to_owned(), secret });
    Provider { introspection, ..op.configured() }
}

#[tokio::test]
async fn r16_without_a_named_provider_nobody_is_asked() {
    let (one, other) = (Op::start().await, Op::start().await);
    let token = one.opaque("opaque-1", json!({"sub": "alice"}));
    for providers in
        [vec![one.configured(), other.configured()], vec![marked(&one), marked(&other)]]
    {
        let (verifier, _) = verifier_of(providers);
        let refused = verifier.verify(&token, None).await.unwrap_err();
        assert_eq!(refused.description(), NOBODY);
        assert!(refused.reason().contains("opaque_tokens = yes"), "{refused}");
    }
    assert_eq!((one.asked_at_all(), other.asked_at_all()), (0, 0));
}

#[tokio::test]
async fn r16_the_provider_that_the_client_names_is_the_only_one_asked() {
    let (one, other) = (Op::start().await, Op::start().await);
    let token = one.opaque("opaque-1", json!({"sub": "alice", "name": "Alice"}));
    let (verifier, _) = verifier_of(vec![marked(&other), one.configured()]);
    for hint in [one.issuer.clone(), format!("{}/", one.issuer)] {
        let hint = Issuer::new(hint).unwrap();
        let verified = verifier.verify(&token, Some(&hint)).await.unwrap();
        assert_eq!(verified.identity().issuer.as_str(), one.issuer);
        assert_eq!(verified.identity().subject.as_str(), "alice");
        assert_eq!(verified.claim("name"), Some(&json!("Alice")));
        assert_eq!(verified.sources().token, None);
    }
    assert_eq!((one.asked(Place::Userinfo), other.asked_at_all()), (1, 0));
}

#[tokio::test]
async fn r16_what_one_provider_said_about_a_token_is_not_passed_off_as_anothers_word() {
    let (own, hostile) = (Op::start().await, Op::start().await);
    let token = own.opaque("opaque-1", json!({"sub": "alice"}));
    hostile.opaque("opaque-1", json!({"sub": "mallory"}));
    let (verifier, _) = verifier_of(vec![own.configured(), hostile.configured()]);
    let [by_own, by_hostile] = [&own, &hostile].map(|op| op.configured().issuer);
    let poisoned = verifier.verify(&token, Some(&by_hostile)).await.unwrap();
    assert_eq!(poisoned.identity().subject.as_str(), "mallory");
    let verified = verifier.verify(&token, Some(&by_own)).await.unwrap();
    assert_eq!(verified.identity().issuer.as_str(), own.issuer);
    assert_eq!(verified.identity().subject.as_str(), "alice");
}

#[tokio::test]
async fn r16_a_hint_that_is_not_configured_is_refused_without_asking_anybody() {
    let (one, stranger) = (Op::start().await, Op::start().await);
    let token = stranger.opaque("opaque-1", json!({"sub": "alice"}));
    let (verifier, _) = verifier_of(vec![marked(&one)]);
    let hint = stranger.configured().issuer;
    let refused = verifier.verify(&token, Some(&hint)).await.unwrap_err();
    assert!(matches!(refused, TokenRefusal::NoIdentity(NoIdentity::HintUnknown(_))), "{refused}");
    assert_eq!((one.asked_at_all(), stranger.asked_at_all()), (0, 0));
}

#[tokio::test]
async fn r16_a_marked_or_only_provider_counts_as_named() {
    let (one, other) = (Op::start().await, Op::start().await);
    let token = one.opaque("opaque-1", json!({"sub": "alice"}));
    for providers in [
        vec![other.configured(), marked(&one)],
        vec![marked(&one), other.configured()],
        vec![one.configured()],
    ] {
        let (verifier, _) = verifier_of(providers);
        assert!(verifier.verify(&token, None).await.is_ok());
    }
    assert_eq!(other.asked_at_all(), 0);
}

#[tokio::test]
async fn r16_the_provider_of_a_token_is_remembered_longer_than_the_token() {
    let (one, other) = (Op::start().await, Op::start().await);
    let token = one.opaque("opaque-1", json!({"sub": "alice"}));
    let (verifier, _) = verifier_of(vec![one.configured(), other.configured()]);
    let hint = one.configured().issuer;
    let identity = verifier.verify(&token, Some(&hint)).await.unwrap().identity().clone();
    verifier.forget(&identity);
    assert!(verifier.verify(&token, None).await.is_ok());
    assert_eq!((one.asked(Place::Userinfo), other.asked_at_all()), (2, 0));
}

#[tokio::test]
async fn r16_one_time_passwords_and_signed_tokens_never_go_out_as_opaque_ones() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![marked(&op)]);
    for text in [
        "0123456789abcdef".repeat(8),
        "0123456789ABCDEF".repeat(8),
        "not a token".to_owned(),
        "eyJhbGciOiJub25lIn0.e30.".to_owned(),
        "eyJhbGciOiJSUzI1NiJ9.e30".to_owned(),
        "ey.ey.ey".to_owned(),
    ] {
        assert!(verifier.verify(&Secret::new(text.clone()), None).await.is_err(), "{text}");
    }
    assert_eq!(op.asked_at_all(), 0);
}

#[tokio::test]
async fn r30_made_up_opaque_tokens_do_not_take_the_place_of_questions_about_good_ones() {
    let op = Op::start().await;
    op.break_down(Place::Introspection, Fault::Hang);
    let (verifier, _) = verifier_of(vec![introspecting(&op)]);
    let made_up: Vec<Secret> = (0..100).map(|n| Secret::new(format!("made-up-{n}"))).collect();
    let flood = join_all(made_up.iter().map(|token| verifier.verify(token, None)));
    let alice = op.token("alice");
    let good = async {
        while op.asked(Place::Introspection) < 32 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let begin = Instant::now();
        let verified = verifier.verify(&alice, None).await.unwrap();
        (verified.sources().userinfo.is_some(), begin.elapsed())
    };
    let (flood, (told, took)) = tokio::join!(flood, good);
    assert!(flood.iter().all(Result::is_err));
    assert!(told && took < Duration::from_secs(1), "{told} {took:?}");
}

#[tokio::test]
async fn what_the_provider_does_not_know_is_nobody() {
    for fault in [None, Some(Fault::Status(403)), Some(Fault::InvalidToken)] {
        let op = Op::start().await;
        if let Some(fault) = fault {
            op.break_down(Place::Userinfo, fault);
        }
        let (verifier, _) = verifier_of(vec![op.configured()]);
        for text in ["not-a-token", "aaaa.bbbb.cccc", "opaque-expired"] {
            let refused = verifier.verify(&Secret::new(text.to_owned()), None).await.unwrap_err();
            assert_eq!(refused.description(), NOBODY);
            assert!(!refused.is_transient(), "{refused}");
        }
    }
}

#[tokio::test]
async fn userinfo_that_fails_refuses_an_opaque_token_for_a_moment_only() {
    let op = Op::start().await;
    let remember_failure = Duration::from_millis(50);
    let settings = VerifierSettings { remember_failure, ..VerifierSettings::default() };
    let (verifier, _) = verifier_with(vec![op.configured()], settings);
    let token = op.opaque("opaque-1", json!({"sub": "alice"}));
    op.break_down(Place::Userinfo, Fault::Status(502));
    assert!(verifier.verify(&token, None).await.unwrap_err().is_transient());
    op.mend();
    let begin = std::time::Instant::now();
    while verifier.verify(&token, None).await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(5), "still refused");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_provider_can_only_speak_for_itself() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    for (name, says) in [
        ("other-issuer", json!({"sub": "alice", "iss": "https://other.example"})),
        ("no-subject", json!({"name": "Alice"})),
        ("number", json!({"sub": 4711})),
        ("empty", json!({"sub": ""})),
        ("newline", json!({"sub": "a\nb"})),
    ] {
        let token = op.opaque(name, says);
        assert!(verifier.verify(&token, None).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn introspection_decides_where_there_are_credentials_for_it() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![introspecting(&op)]);
    let says = json!({"sub": "alice", "iss": op.issuer, "exp": NOW + 50, "aud": "here"});
    let verified = verifier.verify(&op.opaque("opaque-1", says), None).await.unwrap();
    assert_eq!(verified.identity().subject.as_str(), "alice");
    assert_eq!(verified.sources().introspection.as_ref().unwrap()["aud"], "here");
    assert_eq!(verified.expires().map(|end| end.0), Some(NOW + 50));
    for (name, says) in [
        ("inactive", json!({"active": false, "sub": "alice"})),
        ("active-as-text", json!({"active": "true", "sub": "alice"})),
        ("other-issuer", json!({"sub": "alice", "iss": "https://other.example"})),
        ("expired", json!({"sub": "alice", "exp": NOW})),
        ("odd-end", json!({"sub": "alice", "exp": "later"})),
        ("number", json!({"sub": 4711})),
        ("refresh", json!({"sub": "alice", "token_type": "refresh_token"})),
        ("bound-to-a-key", json!({"sub": "alice", "token_type": "DPoP"})),
        ("for-a-client", json!({"sub": "alice", "typ": "ID"})),
    ] {
        let before = op.asked(Place::Userinfo);
        assert!(verifier.verify(&op.opaque(name, says), None).await.is_err(), "{name}");
        assert_eq!(op.asked(Place::Userinfo), before, "{name}");
    }
}

#[tokio::test]
async fn introspection_without_a_subject_leaves_it_to_userinfo() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![introspecting(&op)]);
    let token = op.opaque("opaque-1", json!({"active": true, "scope": "openid"}));
    op.break_down(Place::Userinfo, Fault::Answer(json!({"sub": "alice"})));
    let verified = verifier.verify(&token, None).await.unwrap();
    assert_eq!(verified.identity().subject.as_str(), "alice");
    assert_eq!(verified.claim("scope"), Some(&json!("openid")));
}

#[tokio::test]
async fn wrong_credentials_of_ours_are_not_held_against_the_token() {
    let op = Op::start().await;
    let secret = Secret::new("wrong".to_owned());
    let introspection = Some(ClientCredentials { id: "motley".to_owned(), secret });
    let (verifier, _) = verifier_of(vec![Provider { introspection, ..op.configured() }]);
    let token = op.opaque("opaque-1", json!({"sub": "alice"}));
    let refused = verifier.verify(&token, None).await.unwrap_err();
    assert!(refused.is_transient() && refused.reason().contains("401"), "{refused}");
}

#[tokio::test]
async fn a_configuration_that_could_confuse_providers_is_refused() {
    let clock = Arc::new(motley_daemon::clock::SystemClock);
    let new = |issuers: &[&str]| {
        let providers = issuers.iter().map(|one| Provider::new(Issuer::new(*one).unwrap()));
        TokenVerifier::new(providers.collect(), &HttpSettings::default(), Arc::clone(&clock) as _)
    };
    assert!(matches!(new(&["http://127.0.0.1:80"]), Err(VerifierError::PlainHttp(_))));
    let twice = ["https://op.example/x", "https://op.example/x/"];
    assert!(matches!(new(&twice), Err(VerifierError::Duplicate(..))));
    assert!(new(&["https://op.example/x", "https://op.example/X"]).is_ok());
    let ca_file = Some("/nonexistent/ca.pem".into());
    let missing =
        TokenVerifier::new(Vec::new(), &HttpSettings { ca_file, proxy: None }, clock as _);
    let message = missing.err().unwrap().to_string();
    assert!(message.contains("/nonexistent/ca.pem"), "{message}");
}

#[tokio::test]
async fn r30_an_opaque_token_that_was_good_once_does_not_queue_behind_made_up_ones() {
    let op = Op::start().await;
    let remember_verified = Duration::from_millis(20);
    let settings = VerifierSettings { remember_verified, ..VerifierSettings::default() };
    let (verifier, _) = verifier_with(vec![op.configured()], settings);
    let token = op.opaque("opaque-1", json!({"sub": "alice"}));
    verifier.verify(&token, None).await.unwrap();
    while verifier.remembers(&token).await != Known::Nothing {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = op.asked(Place::Userinfo);
    op.break_down(Place::Userinfo, Fault::Hang);
    let made_up: Vec<Secret> = (0..100).map(|n| Secret::new(format!("made-up-{n}"))).collect();
    let flood = join_all(made_up.iter().map(|token| verifier.verify(token, None)));
    let good = async {
        while op.asked(Place::Userinfo) < before + 32 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        op.mend();
        let begin = Instant::now();
        verifier.verify(&token, None).await.unwrap();
        begin.elapsed()
    };
    let (flood, took) = tokio::join!(flood, good);
    assert!(flood.iter().take(32).all(Result::is_err));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn r30_an_opaque_token_that_its_provider_does_not_know_any_more_is_as_unknown_as_any() {
    let op = Op::start().await;
    let remember_verified = Duration::from_millis(20);
    let settings = VerifierSettings { remember_verified, ..VerifierSettings::default() };
    let (verifier, _) = verifier_with(vec![op.configured()], settings);
    let token = op.opaque("opaque-1", json!({"sub": "alice"}));
    verifier.verify(&token, None).await.unwrap();
    while verifier.remembers(&token).await != Known::Nothing {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    op.break_down(Place::Userinfo, Fault::Status(503));
    assert!(verifier.verify(&token, None).await.is_err());
    assert_eq!(verifier.recognises(&token).await, Known::Provider, "it could not be asked");
    op.break_down(Place::Userinfo, Fault::InvalidToken);
    let begin = Instant::now();
    while verifier.recognises(&token).await == Known::Provider {
        assert!(verifier.verify(&token, None).await.is_err());
        assert!(begin.elapsed() < Duration::from_secs(10), "still known");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(verifier.recognises(&token).await, Known::Nothing);
}
