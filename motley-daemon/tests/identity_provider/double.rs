//! The provider: discovery, keys, userinfo and introspection over http, with counters and faults.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaKeyPair,
};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use motley_daemon::clock::{Clock, Timestamp};
use motley_daemon::identity::{Freshness, HttpSettings, Provider, TokenVerifier, VerifierSettings};
use motley_proto::{Issuer, Secret};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The time at which every test begins.
pub(crate) const NOW: i64 = 1_800_000_000;

/// A clock that is moved by hand.
#[derive(Default)]
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(NOW + self.0.load(Ordering::SeqCst))
    }
}

/// Where a provider can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Discovery,
    Jwks,
    Userinfo,
    Introspection,
}

/// How a place misbehaves.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Status(u16),
    InvalidToken,
    InvalidTokenInBody,
    /// 401 where 403 belongs, with this in the challenge or, if it is JSON, in the body.
    Unauthorized(&'static str),
    Hang,
    /// As it should, but after this time.
    Late(Duration),
    Endless,
    /// One byte after the other.
    Drip,
    Announced(u64),
    Redirect(String),
    Text(&'static str, &'static str),
    Answer(Value),
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str, usize),
    Ed(Ed25519KeyPair),
}

/// A key of the provider.
pub(crate) struct SigningKey {
    pub(crate) kid: Option<String>,
    pub(crate) algorithm: &'static str,
    pair: Pair,
}

impl SigningKey {
    /// A new key for this algorithm.
    pub(crate) fn new(algorithm: &'static str, kid: &str) -> Self {
        let ec = |signing: &'static EcdsaSigningAlgorithm, curve, bytes| {
            Pair::Ec(EcdsaKeyPair::generate(signing).unwrap(), curve, bytes)
        };
        let pair = match algorithm {
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", 32),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", 48),
            "ES512" => ec(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521", 66),
            "EdDSA" => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
            _ => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        };
        Self { kid: Some(kid.to_owned()), algorithm, pair }
    }

    /// The public key (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                json!({
                    "kty": "RSA",
                    "n": b64(public.modulus().big_endian_without_leading_zero()),
                    "e": b64(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Pair::Ec(pair, curve, bytes) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(*bytes);
                json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())})
            }
        };
        if let Some(kid) = &self.kid {
            jwk["kid"] = json!(kid);
        }
        jwk
    }

    fn sign(&self, octets: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding: &'static dyn aws_lc_rs::signature::RsaEncoding = match self.algorithm
                {
                    "RS256" => &RSA_PKCS1_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    other => panic!("{other}"),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, octets, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair, _, _) => pair.sign(&random, octets).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(octets).as_ref().to_vec(),
        }
    }

    /// A compact token with this header and payload, exactly as written.
    pub(crate) fn compact(&self, header: &str, payload: &str) -> String {
        let text =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

#[derive(Default)]
struct Inside {
    issuer: String,
    keys: Mutex<Vec<Value>>,
    counts: Mutex<HashMap<Place, usize>>,
    faults: Mutex<HashMap<Place, Fault>>,
    /// What userinfo and introspection say about an opaque token.
    holders: Mutex<HashMap<String, Value>>,
}

/// A provider that runs until the test ends.
pub(crate) struct Op {
    pub(crate) issuer: String,
    pub(crate) key: SigningKey,
    inside: Arc<Inside>,
}

impl Op {
    /// Starts at any free port, with an ES256 key `k1`.
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0", "").await
    }

    /// Starts at this address, with an issuer that has this path.
    pub(crate) async fn start_at(address: &str, path: &str) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let issuer = format!("http://{}{path}", listener.local_addr().unwrap());
        Self::serve(listener, issuer)
    }

    /// Serves whoever comes to this listener.
    pub(crate) fn serve<L: Listener>(listener: L, issuer: String) -> Self
    where
        L::Addr: std::fmt::Debug,
    {
        let key = SigningKey::new("ES256", "k1");
        let inside = Arc::new(Inside { issuer: issuer.clone(), ..Inside::default() });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&inside));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let op = Self { issuer, key, inside };
        op.publish(&[op.key.jwk()]);
        op
    }

    /// Makes these the published keys.
    pub(crate) fn publish(&self, keys: &[Value]) {
        *self.inside.keys.lock().unwrap() = keys.to_vec();
    }

    /// Makes a place misbehave from now on.
    pub(crate) fn break_down(&self, place: Place, fault: Fault) {
        self.inside.faults.lock().unwrap().insert(place, fault);
    }

    /// Makes all places behave again.
    pub(crate) fn mend(&self) {
        self.inside.faults.lock().unwrap().clear();
    }

    /// How often a place was asked.
    pub(crate) fn asked(&self, place: Place) -> usize {
        self.inside.counts.lock().unwrap().get(&place).copied().unwrap_or(0)
    }

    /// How often any place was asked.
    pub(crate) fn asked_at_all(&self) -> usize {
        self.inside.counts.lock().unwrap().values().sum()
    }

    /// An opaque token about whose holder the provider says this.
    pub(crate) fn opaque(&self, token: &str, says: Value) -> Secret {
        self.inside.holders.lock().unwrap().insert(token.to_owned(), says);
        Secret::new(token.to_owned())
    }

    /// The claims of a good token for a subject.
    pub(crate) fn claims(&self, subject: &str) -> Value {
        json!({"iss": self.issuer, "sub": subject, "iat": NOW - 10, "exp": NOW + 3600})
    }

    /// A token with these claims, signed with `k1`.
    pub(crate) fn sign(&self, claims: &Value) -> Secret {
        sign_with(&self.key, claims)
    }

    /// A good token for a subject.
    pub(crate) fn token(&self, subject: &str) -> Secret {
        self.sign(&self.claims(subject))
    }

    /// This provider in a configuration.
    pub(crate) fn configured(&self) -> Provider {
        let mut provider = Provider::new(Issuer::new(self.issuer.as_str()).unwrap());
        provider.allow_http = true;
        provider.timeout = Duration::from_secs(4);
        provider
    }
}

/// A token with these claims, signed with this key and the usual header.
pub(crate) fn sign_with(key: &SigningKey, claims: &Value) -> Secret {
    let mut header = json!({"alg": key.algorithm, "typ": "JWT"});
    if let Some(kid) = &key.kid {
        header["kid"] = json!(kid);
    }
    Secret::new(key.compact(&header.to_string(), &claims.to_string()))
}

/// A token with these claims that declares its kind, signed with this key.
pub(crate) fn sign_as(key: &SigningKey, kind: &str, claims: &Value) -> Secret {
    let header = json!({"alg": key.algorithm, "typ": kind, "kid": key.kid});
    Secret::new(key.compact(&header.to_string(), &claims.to_string()))
}

/// A verifier for these providers, with the usual times but no gap between fetches of keys.
pub(crate) fn verifier_of(providers: Vec<Provider>) -> (TokenVerifier, Arc<HandClock>) {
    let freshness = Freshness { min_gap: Duration::ZERO, ..Freshness::default() };
    verifier_with(providers, VerifierSettings { freshness, ..VerifierSettings::default() })
}

/// A verifier for these providers with these times.
pub(crate) fn verifier_with(
    providers: Vec<Provider>,
    settings: VerifierSettings,
) -> (TokenVerifier, Arc<HandClock>) {
    let clock = Arc::new(HandClock::default());
    let http = HttpSettings::default();
    let shared: Arc<dyn Clock> = Arc::<HandClock>::clone(&clock);
    (TokenVerifier::with_settings(providers, &http, shared, settings).unwrap(), clock)
}

async fn answer(State(op): State<Arc<Inside>>, request: Request) -> Response {
    let path = request.uri().path();
    let place = match path.rsplit('/').next() {
        Some("openid-configuration") => Place::Discovery,
        Some("jwks") => Place::Jwks,
        Some("userinfo") => Place::Userinfo,
        Some("introspect") => Place::Introspection,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    *op.counts.lock().unwrap().entry(place).or_default() += 1;
    let fault = op.faults.lock().unwrap().get(&place).cloned();
    match fault {
        None => {}
        Some(Fault::Late(time)) => tokio::time::sleep(time).await,
        Some(fault) => return misbehave(fault).await,
    }
    let base = op.issuer.trim_end_matches('/');
    match place {
        Place::Discovery => axum::Json(json!({
            "issuer": op.issuer,
            "jwks_uri": format!("{base}/jwks"),
            "userinfo_endpoint": format!("{base}/userinfo"),
            "introspection_endpoint": format!("{base}/introspect"),
            "device_authorization_endpoint": format!("{base}/device"),
            "scopes_supported": ["openid", "email"],
            "claims_supported": ["sub", "e\u{1b}mail"],
            "code_challenge_methods_supported": ["S256"],
        }))
        .into_response(),
        Place::Jwks => axum::Json(json!({ "keys": *op.keys.lock().unwrap() })).into_response(),
        Place::Userinfo => tell_about(&op, &request),
        Place::Introspection => introspect(&op, request).await,
    }
}

async fn misbehave(fault: Fault) -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)];
    match fault {
        Fault::Status(code) => StatusCode::from_u16(code).unwrap().into_response(),
        Fault::InvalidToken => (StatusCode::UNAUTHORIZED, challenge).into_response(),
        Fault::InvalidTokenInBody => {
            (StatusCode::UNAUTHORIZED, axum::Json(json!({"error": "invalid_token"})))
                .into_response()
        }
        Fault::Unauthorized(body) if body.starts_with('{') => {
            (StatusCode::UNAUTHORIZED, [(header::CONTENT_TYPE, "application/json")], body)
                .into_response()
        }
        Fault::Unauthorized(challenge) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
        }
        Fault::Hang | Fault::Late(_) => std::future::pending().await,
        Fault::Endless => {
            let chunks = futures_util::stream::repeat_with(|| {
                Ok::<_, std::io::Error>(vec![b' '; 64 * 1024])
            });
            ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(chunks))
                .into_response()
        }
        Fault::Drip => {
            let chunks = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, std::io::Error>(vec![b' ']), ()))
            });
            ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(chunks))
                .into_response()
        }
        Fault::Announced(bytes) => {
            let chunks = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
            ([(header::CONTENT_LENGTH, bytes.to_string())], Body::from_stream(chunks))
                .into_response()
        }
        Fault::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Fault::Text(kind, text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Fault::Answer(value) => axum::Json(value).into_response(),
    }
}

/// Every claim of a signed token that is about its holder; what was noted about an opaque one.
fn tell_about(op: &Inside, request: &Request) -> Response {
    let bearer = request.headers().get(header::AUTHORIZATION).unwrap().to_str().unwrap();
    let token = bearer.strip_prefix("Bearer ").unwrap();
    let noted = op.holders.lock().unwrap().get(token).cloned();
    let own = || {
        let payload = token.split('.').nth(1)?;
        let mut claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let members = claims.as_object_mut()?;
        for technical in ["iss", "aud", "exp", "iat", "nbf", "jti", "scope", "client_id", "azp"] {
            members.remove(technical);
        }
        Some(claims)
    };
    match noted.or_else(own) {
        Some(claims) => axum::Json(claims).into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// RFC 7662, for the client `motley` with the secret `s:1 +`.
async fn introspect(op: &Inside, request: Request) -> Response {
    let expected = format!("Basic {}", STANDARD.encode("motley:s%3A1+%2B"));
    if request.headers().get(header::AUTHORIZATION).map(|sent| sent.as_bytes())
        != Some(expected.as_bytes())
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let body = axum::body::to_bytes(request.into_body(), 100_000).await.unwrap();
    let form = String::from_utf8(body.to_vec()).unwrap();
    let token = form.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap();
    let noted = op.holders.lock().unwrap().get(token).cloned();
    let mut says = noted.unwrap_or_else(|| json!({"active": false}));
    if says.get("active").is_none() {
        says["active"] = json!(true);
    }
    axum::Json(says).into_response()
}
