//! Providers that are slow, broken, hostile, down or changing their keys.

use crate::double::{Fault, NOW, Op, Place, SigningKey, sign_with, verifier_of, verifier_with};
use futures_util::future::join_all;
use motley_daemon::identity::{Freshness, TokenRefusal, VerifierSettings};
use motley_proto::Secret;
use serde_json::json;
use std::time::{Duration, Instant};

const UNVERIFIED: &str = "The signature of the access token was not verified";

fn gap(seconds: u64) -> VerifierSettings {
    let min_gap = Duration::from_secs(seconds);
    let freshness = Freshness { min_gap, ..Freshness::default() };
    VerifierSettings { freshness, ..VerifierSettings::default() }
}

/// A token whose signature names a key that the provider does not have.
fn unknown_key(op: &Op, number: usize) -> Secret {
    let header = json!({"alg": "ES256", "kid": format!("forged-{number}")});
    Secret::new(op.key.compact(&header.to_string(), &op.claims("alice").to_string()))
}

#[tokio::test]
async fn r15_a_thousand_tokens_with_unknown_keys_cause_one_fetch() {
    let op = Op::start().await;
    let (verifier, _) = verifier_with(vec![op.configured()], gap(3600));
    let tokens: Vec<Secret> = (0..1000).map(|number| unknown_key(&op, number)).collect();
    for answer in join_all(tokens.iter().map(|token| verifier.verify(token, None))).await {
        assert_eq!(answer.unwrap_err().description(), UNVERIFIED);
    }
    assert_eq!((op.asked(Place::Discovery), op.asked(Place::Jwks)), (1, 1));
    assert!(verifier.verify(&op.token("alice"), None).await.is_ok());
}

#[tokio::test]
async fn r15_a_new_key_is_found_at_once_when_the_last_fetch_is_a_while_ago() {
    let op = Op::start().await;
    let (verifier, _) = verifier_with(vec![op.configured()], gap(0));
    assert!(verifier.verify(&op.token("alice"), None).await.is_ok());
    let next = SigningKey::new("RS256", "k2");
    op.publish(&[next.jwk()]);
    assert!(verifier.verify(&sign_with(&next, &op.claims("bob")), None).await.is_ok());
    assert_eq!(op.asked(Place::Jwks), 2);
    // The key that is published no more verifies no more.
    let refused = verifier.verify(&op.token("carol"), None).await.unwrap_err();
    assert_eq!(refused.description(), UNVERIFIED);
}

#[tokio::test]
async fn a_key_that_changed_under_its_old_id_is_found_when_it_is_old_enough() {
    let op = Op::start().await;
    let mut settings = gap(0);
    settings.freshness.suspect_age = Duration::ZERO;
    let (eager, _) = verifier_with(vec![op.configured()], settings);
    let (patient, _) = verifier_with(vec![op.configured()], gap(0));
    for verifier in [&eager, &patient] {
        assert!(verifier.verify(&op.token("alice"), None).await.is_ok());
    }
    let next = SigningKey::new("ES256", "k1");
    op.publish(&[next.jwk()]);
    let token = sign_with(&next, &op.claims("bob"));
    assert!(eager.verify(&token, None).await.is_ok());
    let refused = patient.verify(&token, None).await.unwrap_err();
    assert!(matches!(refused, TokenRefusal::BadSignature { .. }), "{refused}");
}

#[tokio::test]
async fn keys_are_kept_fresh_while_nobody_logs_in() {
    let op = Op::start().await;
    let mut settings = gap(0);
    settings.freshness.max_age = Duration::from_millis(50);
    let (verifier, _) = verifier_with(vec![op.configured()], settings);
    let withdrawn = async {
        while op.asked(Place::Jwks) < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = verifier.keep_fresh() => panic!("ended"),
        found = tokio::time::timeout(Duration::from_secs(5), withdrawn) => found.unwrap(),
    }
}

#[tokio::test]
async fn r15_keys_are_never_fetched_through_redirects_or_without_bound() {
    let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://{}/jwks", trap.local_addr().unwrap());
    for place in [Place::Discovery, Place::Jwks] {
        for fault in [
            Fault::Redirect(elsewhere.clone()),
            Fault::Redirect("/jwks".to_owned()),
            Fault::Endless,
            Fault::Announced(1 << 30),
            Fault::Status(500),
            Fault::Text("application/json", "{"),
            Fault::Text("text/html", "<html>"),
            Fault::Text("application/json", r#"{"issuer":"a","issuer":"b","keys":[]}"#),
            Fault::Answer(json!([])),
            Fault::Answer(json!({"issuer": "http://127.0.0.1:1"})),
        ] {
            let op = Op::start().await;
            op.break_down(place, fault.clone());
            let (verifier, _) = verifier_of(vec![op.configured()]);
            let begin = Instant::now();
            let refused = verifier.verify(&op.token("alice"), None).await.unwrap_err();
            assert_eq!(refused.description(), UNVERIFIED, "{place:?} {fault:?}");
            assert!(refused.is_transient(), "{refused}");
            assert!(begin.elapsed() < Duration::from_secs(4));
        }
    }
    assert_eq!(trap.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn r11_r15_keys_of_another_origin_or_issuer_are_not_used() {
    let (op, evil) = (Op::start().await, Op::start().await);
    for document in [
        json!({"issuer": evil.issuer, "jwks_uri": format!("{}/jwks", op.issuer)}),
        json!({"issuer": op.issuer, "jwks_uri": format!("{}/jwks", evil.issuer)}),
        json!({"issuer": op.issuer}),
        json!({"issuer": op.issuer, "jwks_uri": "file:///etc/passwd"}),
    ] {
        op.break_down(Place::Discovery, Fault::Answer(document.clone()));
        let (verifier, _) = verifier_of(vec![op.configured()]);
        let forged = sign_with(&evil.key, &op.claims("alice"));
        let refused = verifier.verify(&forged, None).await.unwrap_err();
        assert_eq!(refused.description(), UNVERIFIED, "{document}");
    }
    assert_eq!(evil.asked_at_all(), 0);
}

#[tokio::test]
async fn r14_without_keys_a_token_is_refused_and_never_taken_unverified() {
    let op = Op::start().await;
    op.break_down(Place::Jwks, Fault::Answer(json!({"keys": []})));
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let refused = verifier.verify(&op.token("alice"), None).await.unwrap_err();
    assert!(matches!(refused, TokenRefusal::NotVerified(_)), "{refused}");
    assert_eq!(op.asked(Place::Userinfo), 0);
}

#[tokio::test]
async fn a_provider_that_hangs_costs_bounded_time_and_its_own_users_only() {
    let (slow, good) = (Op::start().await, Op::start().await);
    slow.break_down(Place::Discovery, Fault::Hang);
    let (verifier, _) = verifier_of(vec![slow.configured(), good.configured()]);
    let begin = Instant::now();
    let waiting = (0..200).map(|number| slow.token(&format!("u{number}"))).collect::<Vec<_>>();
    let waiting = join_all(waiting.iter().map(|token| verifier.verify(token, None)));
    let prompt = async {
        let verified = verifier.verify(&good.token("alice"), None).await;
        (verified.is_ok(), begin.elapsed())
    };
    let (refused, (granted, took)) = tokio::join!(waiting, prompt);
    assert!(granted && took < Duration::from_secs(2), "{took:?}");
    assert!(refused.iter().all(|one| one.as_ref().unwrap_err().is_transient()));
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert_eq!(slow.asked(Place::Discovery), 1);
}

#[tokio::test]
async fn userinfo_that_hangs_costs_bounded_time_and_the_token_stands_for_itself() {
    let op = Op::start().await;
    op.break_down(Place::Userinfo, Fault::Hang);
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let begin = Instant::now();
    let verified = verifier.verify(&op.token("alice"), None).await.unwrap();
    assert_eq!(verified.sources().userinfo, None);
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn many_logins_at_a_provider_with_hanging_userinfo_wait_no_longer_than_one() {
    let (slow, good) = (Op::start().await, Op::start().await);
    slow.break_down(Place::Userinfo, Fault::Hang);
    let (verifier, _) = verifier_of(vec![slow.configured(), good.configured()]);
    let begin = Instant::now();
    let tokens: Vec<Secret> = (0..200).map(|number| slow.token(&format!("u{number}"))).collect();
    let all = join_all(tokens.iter().map(|token| verifier.verify(token, None)));
    let alice = good.token("alice");
    let full = async {
        while slow.asked(Place::Userinfo) < 32 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (verifier.providers_status()[0].under_way, slow.asked(Place::Userinfo))
    };
    let (all, other, full) = tokio::join!(all, verifier.verify(&alice, None), full);
    assert!(all.iter().all(Result::is_ok) && other.is_ok());
    assert_eq!(full, (32, 32));
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_provider_that_comes_up_is_used_within_seconds() {
    let address = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().to_string()
    };
    let key = SigningKey::new("ES256", "k9");
    let issuer = format!("http://{address}");
    let claims = json!({"iss": issuer, "sub": "alice", "exp": NOW + 600});
    let token = sign_with(&key, &claims);
    let mut provider = Op::start().await.configured();
    provider.issuer = motley_proto::Issuer::new(issuer).unwrap();
    let (verifier, _) = verifier_of(vec![provider]);
    let refused = verifier.verify(&token, None).await.unwrap_err();
    assert!(refused.is_transient() && refused.reason().contains("no connection"), "{refused}");
    assert!(verifier.providers_status()[0].last_failure.is_some());

    let op = Op::start_at(&address, "").await;
    op.publish(&[key.jwk()]);
    let begin = Instant::now();
    while verifier.verify(&token, None).await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(4), "still refused");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let status = &verifier.providers_status()[0];
    assert_eq!((status.key_count, &status.last_failure), (1, &None));
    assert!(status.back_off.is_empty(), "{status:?}");
}

#[tokio::test]
async fn r15_kept_keys_serve_while_the_provider_is_down() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    verifier.warm_up().await;
    for place in [Place::Discovery, Place::Jwks, Place::Userinfo] {
        op.break_down(place, Fault::Status(503));
    }
    assert!(verifier.verify(&op.token("alice"), None).await.is_ok());
    let refused = verifier.verify(&unknown_key(&op, 1), None).await.unwrap_err();
    assert_eq!(refused.description(), UNVERIFIED);
}

#[tokio::test]
async fn warm_up_fetches_all_keys_and_one_dead_provider_does_not_matter() {
    let (one, dead, two) = (Op::start().await, Op::start().await, Op::start().await);
    dead.break_down(Place::Discovery, Fault::Status(500));
    let providers = vec![one.configured(), dead.configured(), two.configured()];
    let (verifier, _) = verifier_of(providers);
    verifier.warm_up().await;
    let keys: Vec<u32> = verifier.providers_status().iter().map(|one| one.key_count).collect();
    assert_eq!(keys, [1, 0, 1]);
    assert_eq!(verifier.providers_status()[0].discovered, Some(one.configured().issuer));
    verifier.verify(&two.token("alice"), None).await.unwrap();
    assert_eq!((two.asked(Place::Discovery), two.asked(Place::Jwks)), (1, 1));
}
