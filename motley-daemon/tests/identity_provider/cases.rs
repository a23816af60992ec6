//! Recorded answers of the Python stack to every kind of token, compared with ours.

use crate::double::{Fault, NOW, Op, Place, SigningKey, sign_with, verifier_of};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use motley_daemon::identity::TokenRefusal;
use motley_proto::Secret;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// Two configured providers and one that is not, as the recordings need them.
struct World {
    own: Op,
    other: Op,
    untrusted: Op,
    rsa: SigningKey,
    long_rsa: SigningKey,
}

impl World {
    async fn new() -> Self {
        let own = Op::start_at("127.0.0.1:0", "/all").await;
        let (other, untrusted) = (Op::start().await, Op::start().await);
        let rsa = SigningKey::new("RS256", "rsa");
        let long_rsa = SigningKey::new("RS512", "rsa512");
        own.publish(&[own.key.jwk(), rsa.jwk(), long_rsa.jwk()]);
        Self { own, other, untrusted, rsa, long_rsa }
    }

    /// The token of a recorded kind; nothing when the kind is not about a token's content.
    fn mint(&self, kind: &str) -> Option<Secret> {
        let claims = self.own.claims("bea");
        let changed = |name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            sign_with(&self.rsa, &claims)
        };
        let removed = |name: &str| {
            let mut claims = claims.clone();
            claims.as_object_mut()?.remove(name);
            Some(sign_with(&self.rsa, &claims))
        };
        let headed = |key: &SigningKey, header: Value| {
            Secret::new(key.compact(&header.to_string(), &claims.to_string()))
        };
        let text = |text: &str| Secret::new(text.to_owned());
        let opaque = |pad: usize| {
            self.own.opaque(&format!("opaque-{}", "x".repeat(pad)), json!({"sub": "bea"}))
        };
        let foreign = || SigningKey::new("ES256", "k1");
        Some(match kind {
            "garbage" => text("not-a-token"),
            "garbage-three-parts" => text("aaaa.bbbb.cccc"),
            "garbage-with-space" => text("not a token"),
            "jwt-rs256"
            | "jwt"
            | "jwt-userinfo-refused"
            | "jwt-userinfo-500"
            | "jwt-userinfo-says-other-sub"
            | "jwt-userinfo-says-other-iss" => sign_with(&self.rsa, &claims),
            "jwt-es256" => sign_with(&self.own.key, &claims),
            "jwt-rs512" => sign_with(&self.long_rsa, &claims),
            "jwt-no-kid" => headed(&self.rsa, json!({"alg": "RS256"})),
            "jwt-es256-no-kid" => headed(&self.own.key, json!({"alg": "ES256"})),
            "jwt-unknown-kid" => headed(&self.rsa, json!({"alg": "RS256", "kid": "nobody's"})),
            "jwt-expired" => changed("exp", json!(NOW - 30)),
            "jwt-not-yet-valid" => changed("nbf", json!(NOW + 3600)),
            "jwt-iat-in-future" => changed("iat", json!(NOW + 3600)),
            "jwt-bad-signature" => bent(&sign_with(&self.rsa, &claims)),
            "jwt-foreign-key" => sign_with(&foreign(), &claims),
            "jwt-signature-stripped" => stripped(&sign_with(&self.rsa, &claims)),
            "jwt-alg-none" => stripped(&headed(&self.rsa, json!({"alg": "none", "kid": "rsa"}))),
            "jwt-alg-none-no-kid" => stripped(&headed(&self.rsa, json!({"alg": "none"}))),
            "jwt-hs256-public-key" => with_hmac(&self.rsa, &claims),
            "jwt-payload-swapped" => swapped(&sign_with(&self.rsa, &claims), &claims),
            "jwt-no-exp" => removed("exp")?,
            "jwt-no-iss" => removed("iss")?,
            "jwt-iss-number" => changed("iss", json!(4711)),
            "jwt-iss-not-url" => changed("iss", json!("not a url")),
            "jwt-iss-trailing-slash" => changed("iss", json!(format!("{}/", self.own.issuer))),
            "jwt-iss-uppercase-host" => changed("iss", json!(self.shouted())),
            "jwt-iss-of-other-op" => changed("iss", json!(self.other.issuer)),
            "jwt-untrusted-op" => self.untrusted.token("stranger"),
            "jwt-no-sub" | "jwt-sub-only-in-userinfo" => removed("sub")?,
            "jwt-sub-number" => changed("sub", json!(4711)),
            "jwt-1k" => changed("pad", json!("x".repeat(1_025))),
            "jwt-4k" => changed("pad", json!("x".repeat(4_097))),
            "jwt-16k" => changed("pad", json!("x".repeat(13_000))),
            "jwt-60k" => changed("pad", json!("x".repeat(44_500))),
            "jwt-70k" => changed("pad", json!("x".repeat(52_000))),
            "opaque" => opaque(1),
            "opaque-4k" => opaque(4_096),
            "opaque-expired" => text("opaque-expired"),
            "opaque-untrusted-op" => self.untrusted.opaque("opaque-u", json!({"sub": "stranger"})),
            "otp-used" | "otp-unknown" => text(&"0123456789abcdef".repeat(8)),
            _ => return None,
        })
    }

    /// How userinfo answers to a token of this kind.
    fn prepare(&self, kind: &str) {
        self.own.mend();
        let fault = match kind {
            "jwt-userinfo-refused" => Fault::Status(403),
            "jwt-userinfo-500" => Fault::Status(500),
            "jwt-userinfo-says-other-sub" => Fault::Answer(json!({"sub": "h1other"})),
            "jwt-userinfo-says-other-iss" => {
                Fault::Answer(json!({"sub": "bea", "iss": self.other.issuer}))
            }
            "jwt-sub-only-in-userinfo" => Fault::Answer(json!({"sub": "bea"})),
            _ => return,
        };
        self.own.break_down(Place::Userinfo, fault);
    }

    /// The issuer in capitals, but for its scheme.
    fn shouted(&self) -> String {
        self.own.issuer.to_uppercase().replace("HTTP:", "http:")
    }

    /// Puts our issuers into a recorded text.
    fn fill(&self, recorded: &str) -> String {
        recorded
            .replace("<iss_untrusted>", &self.untrusted.issuer)
            .replace("https://<iss_all:noscheme:upper>", &self.shouted())
    }
}

fn bent(token: &Secret) -> Secret {
    let (text, signature) = token.expose().rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[7] ^= 1;
    Secret::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(bytes)))
}

fn stripped(token: &Secret) -> Secret {
    let (text, _) = token.expose().rsplit_once('.').unwrap();
    Secret::new(format!("{text}."))
}

fn swapped(token: &Secret, claims: &Value) -> Secret {
    let parts: Vec<&str> = token.expose().split('.').collect();
    let mut claims = claims.clone();
    claims["sub"] = json!("adam");
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    Secret::new(format!("{}.{payload}.{}", parts[0], parts[2]))
}

fn with_hmac(key: &SigningKey, claims: &Value) -> Secret {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"rsa"}"#);
    let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let secret = hmac::Key::new(hmac::HMAC_SHA256, key.jwk().to_string().as_bytes());
    let tag = hmac::sign(&secret, text.as_bytes());
    Secret::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref())))
}

/// What was recorded, as far as it is about the token: accepted, or refused in these words.
#[derive(Debug, Clone, PartialEq)]
enum Recorded {
    Accepted,
    Refused(String),
    /// Status 500 and no words.
    Broken,
}

fn recorded(case: &Value) -> Option<Recorded> {
    let body = &case["response"]["body"];
    match case["response"]["status"].as_u64()? {
        200 | 403 => Some(Recorded::Accepted),
        401 if body["error"] == "Unauthenticated" => {
            Some(Recorded::Refused(body["error_description"].as_str()?.to_owned()))
        }
        500 if body == "Internal Server Error" => Some(Recorded::Broken),
        _ => None,
    }
}

/// Where ours differs on purpose, and why. Rules, so that they also fit cases not seen yet.
fn reason_to_differ(before: &Recorded, ours: &Result<(), TokenRefusal>) -> Option<&'static str> {
    use motley_daemon::identity::TokenFault as Fault;
    use {Recorded as R, TokenRefusal as T};
    match (before, ours) {
        (R::Broken, Err(T::Malformed(_) | T::NotYetValid { .. })) => {
            Some("a token of odd form is refused with 401 instead of status 500")
        }
        (R::Accepted, Err(T::Malformed(Fault::NoExpiry))) => {
            Some("a token without an end would be good for ever (RFC 9068 §2.2)")
        }
        (R::Accepted, Err(T::Malformed(Fault::NoSubject))) => {
            Some("only the signed token says whose it is")
        }
        (R::Accepted, Err(T::UntrustedIssuer(issuer))) if issuer.ends_with('/') => {
            Some("the issuer is compared exactly (RFC 9068 §4)")
        }
        (R::Accepted, Err(T::Disagreement { .. })) => {
            Some("userinfo about somebody else is refused (OpenID Connect Core 1.0 §5.3.2)")
        }
        (R::Refused(words), Err(T::BadSignature { .. })) if words.contains("was not verified") => {
            Some("a token of another provider may carry a kid that both use")
        }
        _ => None,
    }
}

/// The kind of a case's token: that of a stranger is always of the provider that is not configured.
fn kind_of(case: &Value) -> &str {
    let kind = case["request"]["token_kind"].as_str().unwrap_or_default();
    // Which of two headers counts is not decided here.
    let two_headers =
        case["name"].as_str().is_some_and(|name| name.contains("Authorization header"));
    if two_headers || !is_protected(case["request"]["path"].as_str().unwrap_or_default()) {
        return "none";
    }
    match case["request"]["user"].as_str() {
        Some("stranger") if kind.starts_with("jwt") => "jwt-untrusted-op",
        Some("stranger") if kind == "opaque" => "opaque-untrusted-op",
        _ => kind,
    }
}

/// True for routes that look at the token.
fn is_protected(path: &str) -> bool {
    let path = path.strip_prefix("/api/v1").or(path.strip_prefix("/api")).unwrap_or(path);
    let below = |folder: &str| path.strip_prefix(folder).is_some_and(|name| !name.is_empty());
    let single = ["/verify_user", "/info/authorisation"];
    below("/user/") || below("/admin/") || single.iter().any(|route| path.starts_with(route))
}

/// Every file of the folder that holds a list of cases.
fn cases() -> Vec<(String, Vec<Value>)> {
    let folder = std::env::var_os("MOTLEY_REST_CASES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/rest")),
        PathBuf::from,
    );
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read(&path).unwrap();
        let cases = serde_json::from_slice::<Value>(&text).unwrap().as_array().cloned()?;
        Some((path.file_name()?.to_string_lossy().into_owned(), cases))
    };
    files.into_iter().filter_map(read).collect()
}

#[tokio::test]
async fn recorded_answers_to_all_kinds_of_token_are_given_again() {
    let world = World::new().await;
    let mut results: HashMap<String, Result<(), TokenRefusal>> = HashMap::new();
    let (mut run, mut failures) = (0, Vec::new());
    for (file, cases) in cases() {
        let (mut passed, mut skipped, failed_before) = (0, 0, failures.len());
        let mut diverged: BTreeMap<&str, usize> = BTreeMap::new();
        for case in &cases {
            let kind = kind_of(case);
            let (Some(token), Some(before)) = (world.mint(kind), recorded(case)) else {
                skipped += 1;
                continue;
            };
            if !results.contains_key(kind) {
                world.prepare(kind);
                let mut own = world.own.configured();
                own.opaque_tokens = true;
                let (verifier, _) = verifier_of(vec![own, world.other.configured()]);
                let result = verifier.verify(&token, None).await.map(|_| ());
                results.insert(kind.to_owned(), result);
            }
            let ours = &results[kind];
            let same = match (&before, ours) {
                (Recorded::Accepted, Ok(())) => true,
                (Recorded::Refused(words), Err(refusal)) => {
                    world.fill(words) == refusal.description()
                }
                _ => false,
            };
            match reason_to_differ(&before, ours) {
                _ if same => passed += 1,
                Some(reason) => *diverged.entry(reason).or_default() += 1,
                None => failures.push(format!("{}: {before:?}, ours {ours:?}", case["name"])),
            }
        }
        let count: usize = diverged.values().sum();
        let failed = failures.len() - failed_before;
        println!(
            "{file}: {passed} passed, {count} diverged, {failed} failed, {skipped} not about tokens"
        );
        for (reason, count) in diverged {
            println!("  {count} diverged: {reason}");
        }
        run += passed + count;
    }
    assert!(run > 0, "no case was run");
    assert!(failures.is_empty(), "{failures:#?}");
}
