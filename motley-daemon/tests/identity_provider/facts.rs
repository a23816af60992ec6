//! What an admin is told about providers and about one token, and what is counted.

use crate::double::{Fault, NOW, Op, Place, SigningKey, sign_as, sign_with, verifier_of};
use feudal_plugins::AnyOf;
use metrics_exporter_prometheus::PrometheusBuilder;
use motley_daemon::identity::{ClientCredentials, Provider, UserinfoMode};
use motley_proto::Secret;
use motley_proto::facts::{IssuerFact, OutcomeFact, TokenKind, UserinfoFact};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn the_facts_about_a_provider_are_those_of_its_discovery_keys_and_use() {
    let op = Op::start().await;
    let rsa = SigningKey::new("RS256", "r\u{1b}1");
    op.publish(&[op.key.jwk(), rsa.jwk()]);
    let secret = Secret::new("s:1 +".to_owned());
    let provider = Provider {
        audience_configured: true,
        introspection: Some(ClientCredentials { id: "motley".to_owned(), secret }),
        ..op.configured()
    };
    let (verifier, _) = verifier_of(vec![provider]);
    let before = &verifier.providers_status()[0];
    assert!(before.discovered.is_none() && before.features.is_none() && before.latency.is_none());
    assert_eq!((before.requests, before.key_count, before.keys_age), (0, 0, None));

    verifier.verify(&op.token("alice"), None).await.unwrap();
    let status = &verifier.providers_status()[0];
    let features = status.features.as_ref().unwrap();
    assert!(features.userinfo && features.introspection && status.introspection_usable);
    assert!(status.audience_configured && !status.rfc9068_seen);
    assert_eq!(features.device_flow, Some(format!("{}/device", op.issuer)));
    assert_eq!(features.scopes, ["openid", "email"]);
    assert_eq!(features.claims, ["sub", "e\\u{1b}mail"]);
    assert_eq!(features.pkce, ["S256"]);
    assert_eq!(status.key_count, 2);
    assert_eq!(status.keys[0].kid.as_deref(), Some("k1"));
    assert_eq!(status.keys[0].algorithms, ["ES256"]);
    assert_eq!(status.keys[1].kid.as_deref(), Some("r\\u{1b}1"));
    assert!(status.keys[1].algorithms.contains(&"RS256".to_owned()));
    assert!(status.keys_age.is_some() && status.metadata_age.is_some());
    assert_eq!((status.requests, status.failures, status.under_way), (3, 0, 0));
    assert_eq!(status.latency.unwrap().of, 3);

    op.break_down(Place::Userinfo, Fault::Status(503));
    let claims = op.claims("bob");
    verifier.verify(&sign_as(&op.key, "at+jwt", &claims), None).await.unwrap();
    let status = &verifier.providers_status()[0];
    assert!(status.rfc9068_seen);
    assert_eq!((status.requests, status.failures), (4, 1));
    let failure = status.last_failure.as_ref().unwrap();
    assert_eq!((failure.place.as_str(), failure.why.contains("503")), ("userinfo", true));
}

#[tokio::test]
async fn a_probe_asks_every_provider_now_and_costs_the_caches_nothing() {
    let (one, dead, hanging) = (Op::start().await, Op::start().await, Op::start().await);
    let (verifier, _) =
        verifier_of(vec![one.configured(), dead.configured(), hanging.configured()]);
    verifier.warm_up().await;
    dead.break_down(Place::Discovery, Fault::Status(500));
    hanging.break_down(Place::Jwks, Fault::Hang);
    let next = SigningKey::new("RS256", "k2");
    one.publish(&[one.key.jwk(), next.jwk()]);
    let begin = Instant::now();
    let status = verifier.probe().await;
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    assert_eq!(status.iter().map(|one| one.key_count).collect::<Vec<_>>(), [2, 1, 1]);
    for op in [&one, &dead, &hanging] {
        assert_eq!((op.asked(Place::Discovery), op.asked(Place::Jwks)), (2, 2));
    }
    assert_eq!(status[1].last_failure.as_ref().unwrap().place, "discovery");
    assert_eq!(status[2].last_failure.as_ref().unwrap().place, "jwks");
    assert!(status.iter().all(|one| one.back_off.is_empty()), "{status:?}");
    // The kept keys go on to serve, and the new ones do.
    for token in [sign_with(&next, &one.claims("a")), dead.token("b"), hanging.token("c")] {
        assert!(verifier.verify(&token, None).await.is_ok());
    }
    assert_eq!(one.asked(Place::Jwks), 2);
}

#[tokio::test]
async fn r06_an_inspection_tells_everything_but_the_token_and_its_signature() {
    let op = Op::start().await;
    let provider = Provider {
        userinfo: UserinfoMode::WhenNeeded,
        needs: vec![AnyOf::new(["vo"]), AnyOf::new(["email"])],
        ..op.configured()
    };
    let (verifier, _) = verifier_of(vec![provider]);
    let mut claims = op.claims("alice");
    claims["email"] = json!("a\u{202e}@b.example");
    let token = op.sign(&claims);
    op.break_down(Place::Userinfo, Fault::Answer(json!({"sub": "alice", "vo": ["a"], "x\n": 1})));
    let inspection = verifier.inspect(&token, None).await;
    let verified = inspection.result.unwrap();
    assert_eq!(verified.claim("vo"), Some(&json!(["a"])));
    let facts = inspection.facts;
    assert_eq!(facts.kind, TokenKind::Signed);
    let shown = |name: &str| {
        let all = facts.header.iter().chain(&facts.claims);
        all.filter(|one| one.name == name).map(|one| one.value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((shown("alg"), shown("sub")), (vec!["\"ES256\""], vec!["\"alice\""]));
    assert_eq!(shown("email"), ["\"a\\u{202e}@b.example\""]);
    let configured = op.configured().issuer;
    assert_eq!(facts.issuer, IssuerFact::Configured { named: op.issuer.clone(), configured });
    assert_eq!(facts.key.as_ref().unwrap().kid.as_deref(), Some("k1"));
    let times: Vec<_> =
        facts.times.iter().map(|time| (time.claim.as_str(), time.from_now)).collect();
    assert_eq!(times, [("iat", -10), ("exp", 3600)]);
    assert_eq!(facts.lacking, [["vo"]]);
    let added = vec!["vo".to_owned(), "x\\u{a}".to_owned()];
    assert_eq!(facts.userinfo, UserinfoFact::Answered { added });
    let OutcomeFact::Good { identity, expires } = &facts.outcome else { panic!("{facts:?}") };
    assert_eq!((identity.subject.as_str(), *expires), ("alice", Some(NOW + 3600)));
    let text = serde_json::to_string(&facts).unwrap();
    let signature = token.expose().rsplit('.').next().unwrap();
    assert!(!text.contains(signature) && !text.contains(token.expose()));
    // It remembers nothing and is not fooled by what is remembered.
    op.break_down(Place::Userinfo, Fault::InvalidToken);
    assert!(verifier.verify(&token, None).await.is_err());
}

#[tokio::test]
async fn an_inspection_of_a_bad_token_says_why_and_sends_it_nowhere_it_must_not_go() {
    let (op, stranger) = (Op::start().await, Op::start().await);
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let inspect = async |text: &Secret| verifier.inspect(text, None).await.facts;
    let facts = inspect(&stranger.token("alice")).await;
    assert_eq!(facts.issuer, IssuerFact::NotConfigured { named: stranger.issuer.clone() });
    let OutcomeFact::Refused { kind, .. } = &facts.outcome else { panic!("{facts:?}") };
    assert_eq!(kind, "untrusted_issuer");
    assert_eq!((op.asked_at_all(), stranger.asked_at_all()), (0, 0));

    let forged = sign_with(&SigningKey::new("ES256", "k1"), &op.claims("alice"));
    let facts = inspect(&forged).await;
    let OutcomeFact::Refused { kind, is_transient, .. } = &facts.outcome else { panic!() };
    assert_eq!((kind.as_str(), *is_transient), ("bad_signature", false));
    assert!(matches!(&facts.userinfo, UserinfoFact::NotAsked { .. }));
    assert_eq!(op.asked(Place::Userinfo), 0);

    for text in ["not a token", "", &"0123456789abcdef".repeat(8)] {
        let facts = inspect(&Secret::new(text.to_owned())).await;
        assert_eq!((facts.kind, facts.issuer), (TokenKind::NotReadable, IssuerFact::None));
    }
    let broken = Secret::new("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.".to_owned());
    let facts = inspect(&broken).await;
    assert_eq!(facts.kind, TokenKind::NotReadable);
    assert_eq!((facts.header.len(), facts.claims.len()), (1, 1));
    assert_eq!(op.asked(Place::Userinfo), 0);

    let opaque = op.opaque("opaque-1", json!({"sub": "alice"}));
    let facts = inspect(&opaque).await;
    assert_eq!(facts.kind, TokenKind::Opaque);
    assert!(matches!(&facts.issuer, IssuerFact::Configured { .. }));
    assert!(!serde_json::to_string(&facts).unwrap().contains("opaque-1"));
}

#[tokio::test]
async fn metrics_count_requests_verifications_and_cache_hits_of_configured_issuers_only() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let (op, stranger) = (Op::start().await, Op::start().await);
    let (verifier, _) = verifier_of(vec![op.configured()]);
    let token = op.token("alice");
    for _ in 0..3 {
        verifier.verify(&token, None).await.unwrap();
    }
    for number in 0..50 {
        let mut claims = stranger.claims("alice");
        claims["iss"] = json!(format!("{}/{number}", stranger.issuer));
        assert!(verifier.verify(&stranger.sign(&claims), None).await.is_err());
    }
    op.break_down(Place::Userinfo, Fault::InvalidToken);
    for _ in 0..2 {
        assert!(verifier.verify(&op.token("bob"), None).await.is_err());
    }
    let revoked = op.token("carol");
    for _ in 0..4 {
        assert!(verifier.verify(&revoked, None).await.is_err());
    }
    let text = recorder.handle().render();
    let issuer = &op.issuer;
    for line in [
        format!(
            r#"motley_provider_requests_total{{issuer="{issuer}",kind="discovery",outcome="ok"}} 1"#
        ),
        format!(
            r#"motley_provider_requests_total{{issuer="{issuer}",kind="userinfo",outcome="ok"}} 1"#
        ),
        format!(
            r#"motley_provider_requests_total{{issuer="{issuer}",kind="userinfo",outcome="refused"}} 3"#
        ),
        format!(r#"motley_provider_request_seconds_count{{issuer="{issuer}",kind="jwks"}} 1"#),
        r#"motley_token_verifications_total{outcome="good"} 3"#.to_owned(),
        r#"motley_token_verifications_total{outcome="untrusted_issuer"} 50"#.to_owned(),
        r#"motley_token_verifications_total{outcome="revoked"} 6"#.to_owned(),
        r#"motley_token_cache_total{result="hit"} 2"#.to_owned(),
        r#"motley_token_cache_total{result="miss"} 54"#.to_owned(),
        r#"motley_token_cache_total{result="refused"} 3"#.to_owned(),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(!text.contains(&stranger.issuer), "{text}");
}
