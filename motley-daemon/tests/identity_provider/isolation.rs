//! A provider that is dead, slow or mad costs its own users something and nobody else anything.

use crate::double::{Fault, Op, Place, verifier_of};
use futures_util::future::join_all;
use motley_proto::Secret;
use serde_json::json;
use std::time::{Duration, Instant};

/// Far above what is needed on a busy machine, and far below what waiting in turn would take.
const PROMPT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r30_two_hundred_verifications_go_on_while_other_providers_hang_drip_flood_and_babble() {
    let faults = [
        Fault::Hang,
        Fault::Drip,
        Fault::Endless,
        Fault::Announced(1 << 30),
        Fault::Text("application/json", "{\"keys\": [}"),
        Fault::Status(503),
    ];
    let good = Op::start().await;
    let (mut bad, mut providers) = (Vec::new(), vec![good.configured()]);
    for (number, fault) in faults.into_iter().enumerate() {
        for place in [Place::Discovery, Place::Jwks, Place::Userinfo] {
            let op = Op::start_at("127.0.0.1:0", &format!("/{number}")).await;
            op.break_down(place, fault.clone());
            providers.push(op.configured());
            bad.push(op);
        }
    }
    let (verifier, _) = verifier_of(providers);
    let sick: Vec<Secret> =
        bad.iter().flat_map(|op| (0..40).map(|number| op.token(&format!("u{number}")))).collect();
    let healthy: Vec<Secret> = (0..200).map(|number| good.token(&format!("u{number}"))).collect();
    let begin = Instant::now();
    let sick = async {
        let all = join_all(sick.iter().map(|token| verifier.verify(token, None))).await;
        (all.len(), begin.elapsed())
    };
    let healthy = async {
        let all = join_all(healthy.iter().map(|token| verifier.verify(token, None))).await;
        let told = |one: &Result<std::sync::Arc<motley_daemon::verified::Verified>, _>| {
            one.as_ref().is_ok_and(|verified| verified.sources().userinfo.is_some())
        };
        (all.iter().filter(|one| told(one)).count(), begin.elapsed())
    };
    let ((ended, sick_took), (granted, took)) = tokio::join!(sick, healthy);
    assert_eq!((granted, ended), (200, 18 * 40));
    assert!(took < PROMPT, "{took:?}");
    // Metadata, keys and userinfo: each within half of the time of the provider, which is 4 s.
    assert!(sick_took < PROMPT + Duration::from_secs(6), "{sick_took:?}");
}

#[tokio::test]
async fn a_provider_whose_userinfo_fails_is_left_alone_and_asked_again_within_seconds() {
    let op = Op::start().await;
    op.break_down(Place::Userinfo, Fault::Status(503));
    let (verifier, _) = verifier_of(vec![op.configured()]);
    for number in 0..100 {
        let verified = verifier.verify(&op.token(&format!("u{number}")), None).await.unwrap();
        assert!(verified.sources().userinfo.is_none());
    }
    let asked = op.asked(Place::Userinfo);
    assert!((3..50).contains(&asked), "{asked}");
    let back_off = &verifier.providers_status()[0].back_off;
    assert_eq!(back_off[0].place, "questions about verified tokens");
    assert!(back_off[0].failures >= 3 && back_off[0].next_ms <= 3000, "{back_off:?}");
    op.mend();
    let begin = Instant::now();
    for number in 0.. {
        let token = op.token(&format!("late-{number}"));
        if verifier.verify(&token, None).await.unwrap().sources().userinfo.is_some() {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(6), "still left alone");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(verifier.providers_status()[0].back_off.is_empty());
}

#[tokio::test]
async fn r30_made_up_tokens_on_which_a_provider_chokes_do_not_cost_good_ones_anything() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let made_up = async |number: usize| {
        let made_up = Secret::new(format!("made-up-{number}"));
        assert!(verifier.verify(&made_up, None).await.is_err());
    };
    op.break_down(Place::Userinfo, Fault::Status(500));
    for number in 0..20 {
        made_up(number).await;
    }
    assert!(verifier.providers_status()[0].back_off.is_empty());
    let opaque = op.opaque("opaque-1", json!({"sub": "alice"}));
    op.mend();
    assert!(verifier.verify(&opaque, None).await.is_ok());
    // An outage is another thing; questions about tokens with a good signature go on even then.
    op.break_down(Place::Userinfo, Fault::Status(503));
    for number in 20..40 {
        made_up(number).await;
    }
    let back_off = &verifier.providers_status()[0].back_off;
    assert_eq!(back_off[0].place, "questions about unknown tokens");
    op.mend();
    let verified = verifier.verify(&op.token("alice"), None).await.unwrap();
    assert!(verified.sources().userinfo.is_some());
}

#[tokio::test]
async fn r30_a_user_at_whom_a_provider_stumbles_does_not_cost_others_their_claims() {
    let op = Op::start().await;
    let (verifier, _) = verifier_of(vec![op.configured()]);
    for fault in [Fault::Endless, Fault::Status(500), Fault::Status(503)] {
        op.break_down(Place::Userinfo, fault);
        for _ in 0..10 {
            verifier.verify(&op.token("mallory"), None).await.unwrap();
        }
    }
    op.mend();
    let good = verifier.verify(&op.token("alice"), None).await.unwrap();
    assert!(good.sources().userinfo.is_some());
}

#[tokio::test]
async fn keys_that_can_not_be_had_are_asked_for_less_and_less_and_at_least_every_few_seconds() {
    let op = Op::start().await;
    op.break_down(Place::Jwks, Fault::Answer(json!({"no": "keys"})));
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let begin = Instant::now();
    let mut number = 0;
    while begin.elapsed() < Duration::from_millis(2500) {
        number += 1;
        assert!(verifier.verify(&op.token(&format!("u{number}")), None).await.is_err());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // At 0 s, after 1 s; the next would be at 3 s.
    assert!(op.asked(Place::Jwks) <= 3, "{}", op.asked(Place::Jwks));
    let back_off = &verifier.providers_status()[0].back_off;
    let keys = back_off.iter().find(|one| one.place == "jwks").unwrap();
    assert!(keys.next_ms <= 4000, "{keys:?}");
}
