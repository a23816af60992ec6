//! How much of the time of a verification is the signature: whole verifications of distinct tokens
//! beside what the crypto library alone needs for the same signatures.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use motley_daemon::clock::SystemClock;
use motley_daemon::identity::{HttpSettings, Provider, TokenVerifier, UserinfoMode};
use motley_proto::{Issuer, Secret};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use tokio::runtime::Runtime;

/// Tokens in one round. Each is verified once by a verifier that has not seen it.
const TOKENS: usize = 256;

fn main() {
    divan::main();
}

/// A provider on the loopback interface, its key and its tokens.
struct World {
    runtime: Runtime,
    issuer: String,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    tokens: Vec<Secret>,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = pair.public_key();
        let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
        let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let key = json!({"kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256",
            "n": encode(&modulus), "e": encode(&exponent)});
        runtime.spawn(serve(listener, issuer.clone(), json!({ "keys": [key] })));
        let tokens = (0..TOKENS).map(|number| token(&pair, &claims(&issuer, number))).collect();
        Self { runtime, issuer, modulus, exponent, tokens }
    }

    /// A verifier that has the keys and has seen no token.
    fn verifier(&self) -> TokenVerifier {
        let mut provider = Provider::new(Issuer::new(self.issuer.as_str()).unwrap());
        provider.allow_http = true;
        provider.userinfo = UserinfoMode::WhenNeeded;
        let http = HttpSettings::default();
        let verifier = TokenVerifier::new(vec![provider], &http, Arc::new(SystemClock)).unwrap();
        self.runtime.block_on(verifier.warm_up());
        verifier
    }

    fn verify_all(&self, verifier: &TokenVerifier) {
        self.runtime.block_on(async {
            for token in &self.tokens {
                assert!(black_box(verifier.verify(token, None).await).is_ok());
            }
        });
    }
}

async fn serve(listener: tokio::net::TcpListener, issuer: String, keys: Value) {
    let about = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks")});
    let app = axum::Router::new()
        .route(
            "/.well-known/openid-configuration",
            axum::routing::get(async move || axum::Json(about)),
        )
        .route("/jwks", axum::routing::get(async move || axum::Json(keys)));
    axum::serve(listener, app).await.unwrap();
}

/// Claims as research infrastructures put them into tokens: with twelve memberships, so that the
/// token has about 1.6 kB.
fn claims(issuer: &str, number: usize) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let entitlements: Vec<String> = (0..12)
        .map(|group| {
            format!(
                "urn:geant:example.org:group:collaboration-{group:02}:role=member#login.example.org"
            )
        })
        .collect();
    json!({"iss": issuer, "sub": format!("{number:032x}"), "aud": "ssh.example.org",
        "iat": now - 10, "exp": now + 36_000, "jti": format!("{number:024x}"),
        "client_id": "oidc-agent", "scope": "openid entitlements", "eduperson_entitlement": entitlements})
}

fn token(pair: &RsaKeyPair, claims: &Value) -> Secret {
    let header = json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"});
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    Secret::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The floor: nothing but RSA-2048 with SHA-256 over the same octets.
#[divan::bench(sample_count = 60)]
fn crypto_library_alone(bencher: Bencher<'_, '_>) {
    let components = RsaPublicKeyComponents { n: &WORLD.modulus, e: &WORLD.exponent };
    let key: ParsedPublicKey =
        components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).unwrap();
    let signed: Vec<(&[u8], Vec<u8>)> = WORLD
        .tokens
        .iter()
        .map(|token| {
            let (octets, signature) = token.expose().rsplit_once('.').unwrap();
            (octets.as_bytes(), URL_SAFE_NO_PAD.decode(signature).unwrap())
        })
        .collect();
    bencher.counter(ItemsCount::new(TOKENS)).bench(|| {
        for (octets, signature) in &signed {
            assert!(key.verify_sig(black_box(octets), black_box(signature)).is_ok());
        }
    });
}

/// Whole verifications of tokens that were never seen before.
#[divan::bench(sample_count = 60, sample_size = 1)]
fn distinct_tokens(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(|| WORLD.verifier())
        .counter(ItemsCount::new(TOKENS))
        .bench_local_refs(|verifier| WORLD.verify_all(verifier));
}

/// The same tokens while they are remembered.
#[divan::bench(sample_count = 60)]
fn remembered_tokens(bencher: Bencher<'_, '_>) {
    let verifier = WORLD.verifier();
    WORLD.verify_all(&verifier);
    bencher.counter(ItemsCount::new(TOKENS)).bench_local(|| WORLD.verify_all(&verifier));
}
