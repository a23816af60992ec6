//! What userinfo may say about the holder of a signed token, and how long anything is believed.

use crate::double::{Fault, Op, Place, verifier_of, verifier_with};
use futures_util::future::join_all;
use motley_daemon::identity::{TokenRefusal, VerifierSettings};
use motley_proto::{Identity, Issuer, Secret, Subject};
use serde_json::{Value, json};
use std::time::Duration;

async fn refused_when_userinfo_says(answer: Value) -> TokenRefusal {
    let op = Op::start().await;
    op.break_down(Place::Userinfo, Fault::Answer(answer));
    let (verifier, _) = verifier_of(vec![op.configured()]);
    verifier.verify(&op.token("alice"), None).await.unwrap_err()
}

#[tokio::test]
async fn r17_userinfo_about_somebody_else_is_refused() {
    for (answer, claim) in [
        (json!({"sub": "mallory"}), "sub"),
        (json!({"sub": "alice "}), "sub"),
        (json!({"sub": 7}), "sub"),
        (json!({"sub": ["alice"]}), "sub"),
        (json!({"sub": "alice", "iss": "https://other.example"}), "iss"),
        (json!({"sub": "alice", "iss": 7}), "iss"),
    ] {
        let refused = refused_when_userinfo_says(answer.clone()).await;
        assert!(
            matches!(refused, TokenRefusal::Disagreement { claim: named, .. } if named == claim),
            "{answer}: {refused}"
        );
    }
}

#[tokio::test]
async fn r17_userinfo_that_names_nobody_is_not_used() {
    let op = Op::start().await;
    op.break_down(Place::Userinfo, Fault::Answer(json!({"eduperson_entitlement": ["admins"]})));
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let verified = verifier.verify(&op.token("alice"), None).await.unwrap();
    assert_eq!(verified.claim("eduperson_entitlement"), None);
}

#[tokio::test]
async fn a_good_token_stands_for_itself_when_userinfo_refuses_or_fails() {
    for fault in [
        Fault::Status(403),
        Fault::Unauthorized(r#"Bearer error="insufficient_scope", scope="openid""#),
        Fault::Unauthorized(r#"{"error":"insufficient_scope"}"#),
        Fault::Status(404),
        Fault::Status(429),
        Fault::Status(500),
        Fault::Redirect("https://elsewhere.example/".to_owned()),
        Fault::Text("application/jwt", "eyJ.eyJ.x"),
        Fault::Text("application/json", r#"{"sub":"alice","sub":"bob"}"#),
        Fault::Endless,
        Fault::Answer(json!({"sub": "alice", "pad": "x".repeat(256 * 1024)})),
        Fault::Answer(json!({"sub": "alice", "pad": vec![0; 20_000]})),
    ] {
        let op = Op::start().await;
        op.break_down(Place::Userinfo, fault.clone());
        let (verifier, _) = verifier_of(vec![op.configured()]);
        let verified = verifier.verify(&op.token("alice"), None).await.unwrap();
        assert_eq!(verified.identity().subject.as_str(), "alice", "{fault:?}");
        assert_eq!(verified.sources().userinfo, None, "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_that_its_provider_calls_invalid_is_refused_as_revoked() {
    for fault in [
        Fault::InvalidToken,
        Fault::InvalidTokenInBody,
        // Many providers give no reason, or one of their own.
        Fault::Status(401),
        Fault::Unauthorized("Bearer"),
        Fault::Unauthorized(r#"Bearer error="token_expired""#),
        Fault::Unauthorized(
            r#"Bearer error="invalid_token", error_description="insufficient_scope""#,
        ),
        Fault::Unauthorized(r#"{"error":"unauthorized"}"#),
        Fault::Unauthorized("{"),
    ] {
        let op = Op::start().await;
        op.break_down(Place::Userinfo, fault);
        let (verifier, _) = verifier_of(vec![op.configured()]);
        let refused = verifier.verify(&op.token("alice"), None).await.unwrap_err();
        assert!(matches!(refused, TokenRefusal::Revoked { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_verified_token_is_believed_for_a_while_and_never_past_its_end() {
    let op = Op::start().await;
    let (verifier, clock) = verifier_of(vec![op.configured()]);
    let token = op.token("alice");
    for _ in 0..50 {
        verifier.verify(&token, None).await.unwrap();
    }
    assert_eq!(op.asked(Place::Userinfo), 1);
    clock.pass(3600);
    let refused = verifier.verify(&token, None).await.unwrap_err();
    assert!(matches!(refused, TokenRefusal::Expired { ago: 0 }), "{refused}");
}

#[tokio::test]
async fn a_revoked_token_dies_when_it_is_not_remembered_any_more() {
    let op = Op::start().await;
    let remember_verified = Duration::from_millis(100);
    let settings = VerifierSettings { remember_verified, ..VerifierSettings::default() };
    let (verifier, _) = verifier_with(vec![op.configured()], settings);
    let token = op.token("alice");
    verifier.verify(&token, None).await.unwrap();
    op.break_down(Place::Userinfo, Fault::InvalidToken);
    let begin = std::time::Instant::now();
    while verifier.verify(&token, None).await.is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(5), "still believed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn r17_two_people_are_never_mixed_up_by_what_is_remembered() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let tokens: Vec<(String, Secret)> =
        (0..100).map(|n| format!("user-{n}")).map(|name| (name.clone(), op.token(&name))).collect();
    for _ in 0..3 {
        let all = join_all(tokens.iter().map(|(_, token)| verifier.verify(token, None))).await;
        for ((name, _), verified) in tokens.iter().zip(all) {
            let verified = verified.unwrap();
            assert_eq!(verified.identity().subject.as_str(), name);
            assert_eq!(verified.claim("sub"), Some(&json!(name)));
        }
    }
}

#[tokio::test]
async fn one_token_shown_a_hundred_times_at_once_is_asked_about_once() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let token = op.token("alice");
    let all = join_all((0..100).map(|_| verifier.verify(&token, None))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(op.asked(Place::Userinfo), 1);
}

#[tokio::test]
async fn r41_a_forgotten_identity_is_asked_about_anew_and_others_are_not() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let (alice, bob) = (op.token("alice"), op.token("bob"));
    let identity = verifier.verify(&alice, None).await.unwrap().identity().clone();
    verifier.verify(&bob, None).await.unwrap();
    verifier.forget(&identity);
    verifier.verify(&bob, None).await.unwrap();
    assert_eq!(op.asked(Place::Userinfo), 2);
    op.break_down(Place::Userinfo, Fault::InvalidToken);
    assert!(verifier.verify(&alice, None).await.is_err());
    assert_eq!(op.asked(Place::Userinfo), 3);
}

#[tokio::test]
async fn r41_a_verification_that_is_under_way_while_somebody_is_suspended_is_not_remembered() {
    let op = Op::start_at("127.0.0.1:0", "/realm").await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    verifier.warm_up().await;
    op.break_down(Place::Userinfo, Fault::Late(Duration::from_millis(300)));
    let token = op.token("alice");
    // As an admin may spell it.
    let issuer = Issuer::new(format!("{}/", op.issuer)).unwrap();
    let suspended = Identity::new(issuer, Subject::new("alice").unwrap());
    let suspend = async {
        while op.asked(Place::Userinfo) < 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        verifier.forget(&suspended);
        // Who comes after the suspension does not share what was begun before it.
        verifier.verify(&token, None).await
    };
    let (before, after) = tokio::join!(verifier.verify(&token, None), suspend);
    assert!(before.is_ok() && after.is_ok());
    assert_eq!(op.asked(Place::Userinfo), 2);
    // That one is remembered, whichever of both was filed last.
    op.break_down(Place::Userinfo, Fault::InvalidToken);
    verifier.forget(&suspended);
    assert!(verifier.verify(&token, None).await.is_err());
}

#[tokio::test]
async fn r41_a_flight_that_ends_after_the_suspension_leaves_nothing_behind() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let token = op.token("alice");
    let identity = verifier.verify(&op.token("alice"), None).await.unwrap().identity().clone();
    verifier.forget(&identity);
    op.break_down(Place::Userinfo, Fault::Late(Duration::from_millis(200)));
    let before = op.asked(Place::Userinfo);
    let suspend = async {
        while op.asked(Place::Userinfo) == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        verifier.forget(&identity);
    };
    let (flown, ()) = tokio::join!(verifier.verify(&token, None), suspend);
    assert!(flown.is_ok());
    op.break_down(Place::Userinfo, Fault::InvalidToken);
    assert!(verifier.verify(&token, None).await.is_err());
}

#[tokio::test]
async fn claims_that_userinfo_could_not_add_are_asked_for_again_soon() {
    let op = Op::start().await;
    op.break_down(Place::Userinfo, Fault::Status(503));
    let remember_failure = Duration::from_millis(50);
    let settings = VerifierSettings { remember_failure, ..VerifierSettings::default() };
    let (verifier, _) = verifier_with(vec![op.configured()], settings);
    let token = op.token("alice");
    assert_eq!(verifier.verify(&token, None).await.unwrap().sources().userinfo, None);
    op.mend();
    let begin = std::time::Instant::now();
    while verifier.verify(&token, None).await.unwrap().sources().userinfo.is_none() {
        assert!(begin.elapsed() < Duration::from_secs(5), "still without userinfo");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_refused_token_is_looked_at_again_after_a_moment_only() {
    let op = Op::start().await;
    op.break_down(Place::Userinfo, Fault::InvalidToken);
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let token = op.token("alice");
    for _ in 0..20 {
        assert!(verifier.verify(&token, None).await.is_err());
    }
    assert_eq!(op.asked(Place::Userinfo), 1);
}
