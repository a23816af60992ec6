//! Opaque tokens where several providers issue them and the configuration lets each see all.

use crate::double::{Fault, NOW, Op, Place, verifier_with};
use motley_daemon::identity::{
    ClientCredentials, NoIdentity, OpaqueOffer, Provider, TokenRefusal, TokenVerifier,
    VerifierSettings,
};
use motley_proto::Secret;
use serde_json::json;
use std::time::{Duration, Instant};

fn marked(op: &Op) -> Provider {
    Provider { opaque_tokens: true, ..op.configured() }
}

fn introspecting(op: &Op) -> Provider {
    let secret = Secret::new("s:1 +".to_owned());
    let introspection = Some(ClientCredentials { id: "motley".to_owned(), secret });
    Provider { introspection, ..marked(op) }
}

fn offering(providers: Vec<Provider>) -> TokenVerifier {
    let settings = VerifierSettings {
        opaque: OpaqueOffer::AllMarked,
        remember_failure: Duration::from_millis(50),
        ..VerifierSettings::default()
    };
    verifier_with(providers, settings).0
}

#[tokio::test]
async fn r16_only_marked_providers_are_tried_in_turn_and_the_first_that_knows_it_wins() {
    let (one, two, three, unmarked) =
        (Op::start().await, Op::start().await, Op::start().await, Op::start().await);
    let token = two.opaque("opaque-1", json!({"sub": "alice"}));
    three.opaque("opaque-1", json!({"sub": "mallory"}));
    let verifier =
        offering(vec![unmarked.configured(), marked(&one), marked(&two), marked(&three)]);
    let verified = verifier.verify(&token, None).await.unwrap();
    assert_eq!(verified.identity().issuer.as_str(), two.issuer);
    assert_eq!(verified.identity().subject.as_str(), "alice");
    assert_eq!((unmarked.asked_at_all(), three.asked_at_all()), (0, 0));
    assert_eq!((one.asked(Place::Userinfo), two.asked(Place::Userinfo)), (1, 1));
    // From now on its provider is known.
    verifier.forget(verified.identity());
    assert!(verifier.verify(&token, None).await.is_ok());
    assert_eq!((one.asked(Place::Userinfo), two.asked(Place::Userinfo)), (1, 2));
}

#[tokio::test]
async fn r16_nothing_of_the_shape_of_a_one_time_password_or_signed_token_is_offered() {
    let (one, two) = (Op::start().await, Op::start().await);
    let verifier = offering(vec![marked(&one), marked(&two)]);
    for text in [
        "0123456789abcdef".repeat(8),
        "0123456789ABCDEF".repeat(8),
        "eyJhbGciOiJub25lIn0.e30.".to_owned(),
        "not a token".to_owned(),
    ] {
        assert!(verifier.verify(&Secret::new(text), None).await.is_err());
    }
    assert_eq!((one.asked_at_all(), two.asked_at_all()), (0, 0));
}

#[tokio::test]
async fn a_provider_that_is_down_hides_no_token_of_another() {
    for fault in [Fault::Status(503), Fault::Text("text/html", "<html>"), Fault::Hang] {
        let (down, up) = (Op::start().await, Op::start().await);
        down.break_down(Place::Userinfo, fault.clone());
        let quick = Provider { timeout: Duration::from_secs(1), ..marked(&down) };
        let verifier = offering(vec![quick, marked(&up)]);
        let token = up.opaque("opaque-1", json!({"sub": "alice"}));
        let begin = Instant::now();
        let verified = verifier.verify(&token, None).await.unwrap();
        assert_eq!(verified.identity().issuer.as_str(), up.issuer, "{fault:?}");
        assert!(begin.elapsed() < Duration::from_secs(4), "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_of_a_provider_that_was_down_is_known_as_soon_as_it_is_up() {
    let (other, own) = (Op::start().await, Op::start().await);
    own.break_down(Place::Userinfo, Fault::Status(503));
    let verifier = offering(vec![marked(&other), marked(&own)]);
    let token = own.opaque("opaque-1", json!({"sub": "alice"}));
    let refused = verifier.verify(&token, None).await.unwrap_err();
    assert!(refused.is_transient(), "{refused}");
    own.mend();
    let begin = Instant::now();
    while verifier.verify(&token, None).await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(6), "still refused");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let unknown = verifier.verify(&Secret::new("opaque-2".to_owned()), None).await.unwrap_err();
    assert!(matches!(&unknown, TokenRefusal::NoIdentity(NoIdentity::NobodyKnows(_))), "{unknown}");
    assert_eq!(unknown.description(), "User identity could not be determined");
}

#[tokio::test]
async fn a_provider_that_fails_is_asked_after_the_others() {
    let (down, up) = (Op::start().await, Op::start().await);
    down.break_down(Place::Userinfo, Fault::Status(503));
    let verifier = offering(vec![marked(&down), marked(&up)]);
    for number in 0..3 {
        let token = up.opaque(&format!("opaque-{number}"), json!({"sub": "alice"}));
        assert!(verifier.verify(&token, None).await.is_ok());
    }
    let before = down.asked(Place::Userinfo);
    let token = up.opaque("opaque-9", json!({"sub": "alice"}));
    assert!(verifier.verify(&token, None).await.is_ok());
    assert_eq!((before, down.asked(Place::Userinfo)), (3, 3));
}

#[tokio::test]
async fn introspection_that_contradicts_itself_or_the_time_is_refused_at_each_provider() {
    let (one, two) = (Op::start().await, Op::start().await);
    let verifier = offering(vec![introspecting(&one), introspecting(&two)]);
    for (name, says) in [
        ("inactive", json!({"active": false, "sub": "alice"})),
        ("other-issuer", json!({"sub": "alice", "iss": one.issuer})),
        ("expired", json!({"sub": "alice", "exp": NOW})),
        ("not-yet", json!({"sub": "alice", "nbf": NOW + 3600})),
        ("odd-end", json!({"sub": "alice", "exp": "later"})),
    ] {
        let refused = verifier.verify(&two.opaque(name, says), None).await.unwrap_err();
        assert!(!refused.is_transient(), "{name}: {refused}");
    }
    // Introspection and userinfo of one provider name two people.
    two.break_down(Place::Userinfo, Fault::Answer(json!({"sub": "mallory"})));
    let token = two.opaque("two-people", json!({"sub": "alice"}));
    assert!(verifier.verify(&token, None).await.is_err());
    two.mend();
    let good = two.opaque("good", json!({"sub": "alice", "iss": two.issuer, "exp": NOW + 9}));
    assert!(verifier.verify(&good, None).await.is_ok());
}
