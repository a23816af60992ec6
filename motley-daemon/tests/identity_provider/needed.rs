//! Userinfo asked only when it is needed: exactly when a claim that somebody reads is lacking.

use crate::double::{Fault, Op, Place, verifier_of, verifier_with};
use feudal_plugins::AnyOf;
use motley_daemon::identity::{
    Cure, Provider, TokenRefusal, TokenVerifier, UserinfoMode, VerifierSettings,
};
use serde_json::{Value, json};
use std::time::Duration;

fn needing(op: &Op, choices: &[&[&str]]) -> Provider {
    Provider {
        userinfo: UserinfoMode::WhenNeeded,
        needs: choices.iter().map(|names| AnyOf::new(names.iter().copied())).collect(),
        ..op.configured()
    }
}

fn claims(op: &Op, more: &Value) -> Value {
    let mut claims = op.claims("alice");
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

async fn asks(op: &Op, verifier: &TokenVerifier, more: &Value) -> bool {
    let before = op.asked(Place::Userinfo);
    verifier.verify(&op.sign(&claims(op, more)), None).await.unwrap();
    op.asked(Place::Userinfo) > before
}

#[tokio::test]
async fn userinfo_is_asked_exactly_when_one_of_the_choices_is_lacking() {
    let op = Op::start().await;
    let choices: &[&[&str]] = &[&["vo"], &["assurance", "acr"]];
    let (verifier, _) = verifier_of(vec![needing(&op, choices)]);
    for (more, lacks) in [
        (json!({}), true),
        (json!({"vo": ["a"]}), true),
        (json!({"acr": "x"}), true),
        (json!({"vo": null, "acr": "x"}), true),
        (json!({"vo": ["a"], "acr": "x"}), false),
        (json!({"vo": ["a"], "assurance": ["x"]}), false),
        // An empty list says that there are none.
        (json!({"vo": [], "assurance": ["x"]}), false),
    ] {
        assert_eq!(asks(&op, &verifier, &more).await, lacks, "{more}");
    }
    let (verifier, _) = verifier_of(vec![needing(&op, &[])]);
    assert!(!asks(&op, &verifier, &json!({})).await);
    // Always means always.
    let always = Provider { userinfo: UserinfoMode::Always, ..needing(&op, &[]) };
    let (verifier, _) = verifier_of(vec![always]);
    assert!(asks(&op, &verifier, &json!({"vo": ["a"], "acr": "x"})).await);
}

#[tokio::test]
async fn what_userinfo_adds_is_there_and_opaque_tokens_are_asked_about_as_ever() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![needing(&op, &[&["vo"]])]);
    op.break_down(Place::Userinfo, Fault::Answer(json!({"sub": "alice", "vo": ["a"]})));
    let verified = verifier.verify(&op.token("alice"), None).await.unwrap();
    assert_eq!(verified.claim("vo"), Some(&json!(["a"])));
    op.mend();
    let opaque = op.opaque("opaque-1", json!({"sub": "alice"}));
    assert!(verifier.verify(&opaque, None).await.is_ok());
    assert_eq!(op.asked(Place::Userinfo), 2);
}

#[tokio::test]
async fn r34_an_answer_that_does_not_come_adds_nothing_and_is_asked_for_again_soon() {
    let op = Op::start().await;
    let remember_failure = Duration::from_millis(50);
    let settings = VerifierSettings { remember_failure, ..VerifierSettings::default() };
    let (verifier, _) = verifier_with(vec![needing(&op, &[&["vo"]])], settings);
    op.break_down(Place::Userinfo, Fault::Status(503));
    let token = op.token("alice");
    let verified = verifier.verify(&token, None).await.unwrap();
    assert_eq!((verified.claim("vo"), verified.sources().userinfo.is_some()), (None, false));
    op.break_down(Place::Userinfo, Fault::Answer(json!({"sub": "alice", "vo": ["a"]})));
    let begin = std::time::Instant::now();
    while verifier.verify(&token, None).await.unwrap().claim("vo").is_none() {
        assert!(begin.elapsed() < Duration::from_secs(5), "still without");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn r34_a_token_that_its_provider_calls_invalid_is_refused_and_the_cure_is_named() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![needing(&op, &[&["vo"], &["acr", "loa"], &["sub"]])]);
    op.break_down(Place::Userinfo, Fault::InvalidToken);
    let refused = verifier.verify(&op.token("alice"), None).await.unwrap_err();
    let TokenRefusal::Revoked { cure, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*cure, Cure::TellMore("vo; acr or loa".to_owned()));
    let complete = op.sign(&claims(&op, &json!({"vo": [], "loa": "x"})));
    assert!(verifier.verify(&complete, None).await.is_ok());
}

#[tokio::test]
async fn r17_userinfo_about_somebody_else_is_refused_when_it_is_asked() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![needing(&op, &[&["vo"]])]);
    op.break_down(Place::Userinfo, Fault::Answer(json!({"sub": "mallory", "vo": ["admins"]})));
    let refused = verifier.verify(&op.token("alice"), None).await.unwrap_err();
    assert!(matches!(refused, TokenRefusal::Disagreement { claim: "sub", .. }), "{refused}");
}
