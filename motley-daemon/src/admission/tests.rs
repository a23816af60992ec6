//! The login prompt with the replay guard, over a provider on the loopback interface.

use super::*;
use crate::{
    account::{
        Lifecycle, Suspender,
        tests::{Bench, bench, bench_living, friendly},
    },
    clock::{Clock, SystemClock},
    config::{LifecycleConfig, Owners, Source, validate},
    otp::password_of,
};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

struct World {
    issuer: String,
    key: EcdsaKeyPair,
    bench: Bench,
    verifier: Arc<TokenVerifier>,
    ops: Vec<OpConfig>,
}

async fn world() -> World {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let [x, y] = [x, y].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y}]});
    let about = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks")});
    let app = axum::Router::new()
        .route("/jwks", axum::routing::get(async move || axum::Json(keys)))
        .fallback(async move || axum::Json(about));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let source = |name: &str, text: String| Source { path: name.into(), text, is_public: false };
    let text = format!(
        "[authorisation.a]\nop_url = {issuer}\nallow_http_loopback = yes\nauthorise_all = yes\n"
    );
    let files = (source("motley_cue.conf", text), source("feudal_adapter.conf", String::new()));
    let (config, _) = validate(files.0, files.1, Owners { service: 0 }).unwrap();
    let verifier = TokenVerifier::with_settings(
        config.providers(),
        &config.http_settings(),
        Arc::new(SystemClock),
        config.verifier_settings(),
    );
    let verifier = Arc::new(verifier.unwrap());
    World { issuer, key, bench: bench(friendly()).await, verifier, ops: config.ops }
}

impl World {
    fn claims(&self) -> Value {
        let exp = SystemClock.now().plus(3600).0;
        json!({"iss": self.issuer, "sub": "jane", "exp": exp, "preferred_username": "jdoe"})
    }

    fn token(&self) -> Secret {
        self.token_saying(json!({}))
    }

    fn token_saying(&self, more: Value) -> Secret {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
        let text = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        Secret::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Another token of the same person.
    fn other_token(&self) -> Secret {
        self.token_saying(json!({"jti": "2"}))
    }

    fn admission(&self) -> Admission {
        let passwords = Some(self.bench.accounts.passwords.clone());
        Admission::new(self.verifier.clone(), &self.ops, passwords, self.bench.accounts.clone())
    }

    /// One with the guard, and the person's account is there.
    async fn guarded(&self) -> Admission {
        let admission =
            self.admission().with_replay_guard(Arc::new(ReplayGuard::new(Arc::new(SystemClock))));
        let verified = admission.identify(&self.token(), None).await.unwrap();
        self.bench.accounts.deploy(&verified, Tier::Full, "r").await.unwrap();
        admission
    }
}

fn name(text: &str) -> LoginName {
    LoginName::new(text).unwrap()
}

#[tokio::test]
async fn r19_a_token_is_good_for_one_login_and_for_rest_as_often_as_before() {
    let world = world().await;
    let admission = world.guarded().await;
    let token = world.token();
    // Who mistypes the name has not used the token up.
    assert!(matches!(
        admission.admit(&token, &name("other")).await,
        Err(Refusal::OtherName(Some(_)))
    ));
    assert!(admission.admit(&token, &name("jdoe")).await.is_ok());
    let again = admission.admit(&token, &name("jdoe")).await;
    assert!(matches!(again, Err(Refusal::Replayed(Replayed::Used))));
    for _ in 0..3 {
        assert!(admission.identify(&token, None).await.is_ok());
        assert!(admission.identify_either(&token, None).await.is_ok());
    }
    let unguarded = world.admission();
    for _ in 0..3 {
        assert!(unguarded.admit(&token, &name("jdoe")).await.is_ok());
    }
}

#[tokio::test]
async fn r19_a_one_time_password_uses_up_the_token_that_it_stands_for() {
    let world = world().await;
    let admission = world.guarded().await;
    let token = world.token();
    let verified = admission.identify(&token, None).await.unwrap();
    let passwords = admission.passwords().unwrap();
    passwords.issue(&token, &verified).await.unwrap();
    let by_password = admission.admit(&password_of(&token), &name("jdoe")).await;
    assert_eq!(by_password.unwrap().proof(), Proof::OneTimePassword);
    // Neither the token itself nor another password for it opens the prompt again.
    assert!(matches!(
        admission.admit(&token, &name("jdoe")).await,
        Err(Refusal::Replayed(Replayed::Used))
    ));
    passwords.issue(&token, &verified).await.unwrap();
    assert!(matches!(
        admission.admit(&password_of(&token), &name("jdoe")).await,
        Err(Refusal::Replayed(Replayed::Used))
    ));
}

#[tokio::test]
async fn r19_a_code_that_stood_for_a_used_token_does_not_open_the_prompt() {
    let world = world().await;
    let (admission, token) = (world.guarded().await, world.token());
    let verified = admission.identify(&token, None).await.unwrap();
    let code = admission.code_for_holder(&token, &verified, "r").await.unwrap();
    admission.admit(&token, &name("jdoe")).await.unwrap();
    let typed = code.code.shown();
    let by_code = admission.admit(&typed, &name("jdoe")).await;
    assert!(matches!(by_code, Err(Refusal::Replayed(Replayed::Used))));
}

#[tokio::test]
async fn r19_what_does_not_open_the_prompt_does_not_end_a_suspension_by_idleness_either() {
    let living = Lifecycle {
        config: LifecycleConfig { reactivate: true, ..LifecycleConfig::default() },
        ..Lifecycle::default()
    };
    let bench = bench_living(friendly(), Arc::new(SystemClock), None, living).await;
    let world = World { bench, ..world().await };
    let admission = world.guarded().await;
    let token = world.token();
    let accounts = &world.bench.accounts;
    let identity = admission.identify(&token, None).await.unwrap().identity().clone();
    admission.admit(&token, &name("jdoe")).await.unwrap();
    accounts.store().begin_counting(SystemClock.now()).await.unwrap();
    accounts.suspend(&identity, Suspender::Idleness, "r").await.unwrap();
    let state = async || accounts.standing(&identity).await.unwrap().state;
    assert!(admission.admit(&token, &name("jdoe")).await.is_err(), "used up");
    assert_eq!(state().await, AccountState::Suspended);
    let fresh = world.other_token();
    assert!(admission.admit(&fresh, &name("other")).await.is_err(), "another name");
    assert_eq!(state().await, AccountState::Suspended);
    admission.admit(&fresh, &name("jdoe")).await.unwrap();
    assert_eq!(state().await, AccountState::Deployed);
}
