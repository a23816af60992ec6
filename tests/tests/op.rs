//! The test OpenID provider behaves as the standards say, and misbehaves when told to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use motley_tests::op::{
    Alg, Control, Endpoint, Fault, Federation, GrantedToken, TestCa, TestOp, TokenKind, User,
    one_time_password,
};
use motley_tests::sandbox::{OidcAgent, Reply, Rest, TlsFront};
use motley_tests::sandbox_test;
use serde_json::{Value, json};

/// A provider, its authority and a client of both.
struct World {
    ca: TestCa,
    op: TestOp,
    rest: Rest,
}

fn world() -> World {
    let ca = TestCa::new().unwrap();
    let alice = User::new("alice").claim("eduperson_entitlement", json!(["urn:a", "urn:b"]));
    let op = TestOp::builder(&ca).path("/realms/demo").user(alice).start().unwrap();
    op.add_client("app", Some("app-secret"));
    op.add_client("public", None);
    let rest = Rest::new(op.issuer(), Some(ca.pem())).unwrap();
    World { ca, op, rest }
}

impl World {
    /// A path below the issuer as discovery names it.
    fn endpoint(&self, member: &str) -> String {
        let document = self.rest.get("/.well-known/openid-configuration", None).unwrap().json();
        let url = document[member].as_str().unwrap().to_owned();
        url.strip_prefix(self.op.issuer()).unwrap().to_owned()
    }

    fn form(&self, path: &str, client: Option<(&str, &str)>, members: &[(&str, &str)]) -> Reply {
        let body: Vec<String> =
            members.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let basic = client
            .map(|(id, secret)| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))));
        self.rest.post_form(path, basic.as_deref(), &body.join("&")).unwrap()
    }

    /// Verifies a token against the published keys, as a resource server would.
    fn verify(&self, token: &str) -> Result<Value, String> {
        let jwks = self.rest.get(&self.endpoint("jwks_uri"), None).unwrap();
        let set: JwkSet = serde_json::from_str(&jwks.text).unwrap();
        let header = decode_header(token).map_err(|error| error.to_string())?;
        let kid = header.kid.ok_or("no kid")?;
        let jwk: &Jwk = set.find(&kid).ok_or("no such key")?;
        let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
        let mut rules = Validation::new(header.alg);
        rules.validate_aud = false;
        rules.validate_nbf = true;
        rules.leeway = 0;
        rules.set_required_spec_claims(&["exp", "iss"]);
        rules.set_issuer(&[self.op.issuer()]);
        decode::<Value>(token, &key, &rules).map(|data| data.claims).map_err(|e| e.to_string())
    }
}

#[test]
fn discovery_names_the_issuer_and_its_endpoints() {
    let world = world();
    let document = world.rest.get("/.well-known/openid-configuration", None).unwrap().json();
    assert_eq!(document["issuer"], world.op.issuer());
    for member in
        ["jwks_uri", "userinfo_endpoint", "token_endpoint", "device_authorization_endpoint"]
    {
        assert!(document[member].as_str().unwrap().starts_with(world.op.issuer()), "{member}");
    }
    assert_eq!(world.rest.get("/nowhere", None).unwrap().status, 404);
}

#[test]
fn only_the_test_authority_vouches_for_it() {
    let world = world();
    let other = TestCa::new().unwrap();
    let rest = Rest::new(world.op.issuer(), Some(other.pem())).unwrap();
    assert!(rest.get("/jwks", None).is_err());
}

#[test]
fn tokens_of_every_common_algorithm_verify_against_the_published_keys() {
    let world = world();
    for alg in Alg::ALL.into_iter().filter(|alg| *alg != Alg::Es512) {
        let token = world.op.token("alice").alg(alg).sign();
        let claims = world.verify(&token).unwrap_or_else(|error| panic!("{alg}: {error}"));
        assert_eq!(claims["sub"], "sub-alice");
    }
}

#[test]
fn an_es512_token_carries_a_signature_of_the_right_length() {
    let world = world();
    let token = world.op.token("alice").alg(Alg::Es512).sign();
    let signature = token.rsplit('.').next().unwrap();
    assert_eq!(URL_SAFE_NO_PAD.decode(signature).unwrap().len(), 132);
    assert!(world.op.jwks()["keys"].as_array().unwrap().iter().any(|key| key["crv"] == "P-521"));
}

#[test]
fn tokens_are_padded_to_the_wanted_size() {
    let world = world();
    for size in [1023, 1024, 1025, 1026, 4096, 16_384, 16_385, 60_000, 70_000] {
        let token = world.op.token("bob").alg(Alg::Es256).size(size).sign();
        assert_eq!(token.len(), size);
        assert!(world.verify(&token).is_ok());
        assert_eq!(world.rest.get("/userinfo", Some(&token)).unwrap().json()["pad"], Value::Null);
    }
}

#[test]
fn userinfo_answers_the_claims_of_the_token() {
    let world = world();
    let token = world.op.token("alice").claim("extra", 1).userinfo_claim("only_here", true).sign();
    let answer = world.rest.get("/userinfo", Some(&token)).unwrap();
    let expected = json!({
        "sub": "sub-alice", "preferred_username": "alice", "name": "Test alice",
        "email": "alice@example.org", "eduperson_entitlement": ["urn:a", "urn:b"],
        "extra": 1, "only_here": true,
    });
    assert_eq!((answer.status, answer.json()), (200, expected));

    let refused = world.op.token("alice").userinfo_status(403).sign();
    assert_eq!(world.rest.get("/userinfo", Some(&refused)).unwrap().status, 403);
    for bad in ["nonsense", &world.op.token("alice").lifetime(-1).sign()] {
        assert_eq!(world.rest.get("/userinfo", Some(bad)).unwrap().status, 401);
    }
    world.op.forget_token(&token);
    assert_eq!(world.rest.get("/userinfo", Some(&token)).unwrap().status, 401);
}

#[test]
fn introspection_wants_a_client_and_knows_opaque_tokens() {
    let world = world();
    let token = world.op.token("alice").size(4097).opaque();
    assert!(token.len() >= 4097);
    let path = world.endpoint("introspection_endpoint");
    let active = world.form(&path, Some(("app", "app-secret")), &[("token", &token)]).json();
    assert_eq!((&active["active"], &active["sub"]), (&json!(true), &json!("sub-alice")));
    let unknown = world.form(&path, Some(("app", "app-secret")), &[("token", "x")]).json();
    assert_eq!(unknown, json!({"active": false}));
    assert_eq!(world.form(&path, Some(("app", "wrong")), &[("token", &token)]).status, 401);
    assert_eq!(world.form(&path, None, &[("token", &token)]).status, 401);
}

#[test]
fn rotation_withdraws_old_keys_and_adding_keeps_them() {
    let world = world();
    let old = world.op.token("alice").sign();
    world.op.add_key(Alg::Rs256).unwrap();
    let new = world.op.token("alice").sign();
    assert!(world.verify(&old).is_ok() && world.verify(&new).is_ok());
    assert_ne!(decode_header(&old).unwrap().kid, decode_header(&new).unwrap().kid);
    world.op.rotate_keys().unwrap();
    assert_eq!(world.verify(&new).unwrap_err(), "no such key");
    assert!(world.verify(&world.op.token("alice").sign()).is_ok());

    world.op.add_nameless_key(Alg::Es256).unwrap();
    let keys = world.op.jwks();
    assert!(keys["keys"].as_array().unwrap().iter().any(|key| key["kid"].is_null()));
}

#[test]
fn the_device_grant_waits_for_the_user() {
    let world = world();
    let start = |scope: &str| {
        let path = world.endpoint("device_authorization_endpoint");
        world.form(&path, None, &[("client_id", "public"), ("scope", scope)]).json()
    };
    let poll = |code: &Value| {
        let members = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", "public"),
            ("device_code", code.as_str().unwrap()),
        ];
        world.form("/token", None, &members)
    };
    let grant = start("openid offline_access");
    assert_eq!(poll(&grant["device_code"]).json()["error"], "authorization_pending");
    assert_eq!(poll(&grant["device_code"]).json()["error"], "slow_down");
    let code = grant["user_code"].as_str().unwrap();
    assert_eq!(world.op.pending_user_codes(), [code]);
    assert!(world.op.approve_device(code, "alice"));
    let answer = poll(&grant["device_code"]).json();
    assert_eq!(world.verify(answer["access_token"].as_str().unwrap()).unwrap()["sub"], "sub-alice");
    assert!(answer["refresh_token"].is_string() && answer["id_token"].is_string());
    assert_eq!(poll(&grant["device_code"]).json()["error"], "invalid_grant");

    let grant = start("openid");
    assert!(world.op.deny_device(grant["user_code"].as_str().unwrap()));
    assert_eq!(poll(&grant["device_code"]).json()["error"], "access_denied");
    let grant = start("openid");
    world.op.expire_devices();
    assert_eq!(poll(&grant["device_code"]).json()["error"], "expired_token");
    assert!(!world.op.approve_device("NONE-SUCH", "alice"));
}

#[test]
fn a_code_is_redeemed_once_with_its_verifier() {
    let world = world();
    let verifier = "a-verifier-of-sufficient-length-for-the-standard-0123";
    let challenge = "hFwS1c7Dqx5KbGCNt3jQZvUT4qTpK6VIVs6tfvYyLy8";
    let authorize = |challenge: &str| {
        world.op.sign_in(Some("alice"));
        let answer = world
            .rest
            .get(
                &format!(
                    "/authorize?response_type=code&client_id=public&scope=openid&state=s%26t\
                     &redirect_uri=http%3A%2F%2Flocalhost%2Fback&code_challenge={challenge}\
                     &code_challenge_method=S256"
                ),
                None,
            )
            .unwrap();
        let location = &answer.headers["location"];
        assert!(
            location.starts_with("http://localhost/back?code=")
                && location.ends_with("&state=s%26t")
        );
        location["http://localhost/back?code=".len()..location.len() - "&state=s%26t".len()]
            .to_owned()
    };
    let redeem = |code: &str| {
        let members = [
            ("grant_type", "authorization_code"),
            ("client_id", "public"),
            ("redirect_uri", "http%3A%2F%2Flocalhost%2Fback"),
            ("code_verifier", verifier),
            ("code", code),
        ];
        world.form("/token", None, &members).status
    };
    assert_eq!(redeem(&authorize(challenge)), 400);
    let right = {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        URL_SAFE_NO_PAD.encode(hash)
    };
    let code = authorize(&right);
    assert_eq!((redeem(&code), redeem(&code)), (200, 400));
}

#[test]
fn a_refresh_token_brings_tokens_of_the_wanted_sort() {
    let world = world();
    let refresh = world.op.refresh_token("alice", "app");
    let ask = |more: &[(&str, &str)]| {
        let mut members =
            vec![("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        members.extend(more);
        let reply = world.form("/token", Some(("app", "app-secret")), &members);
        reply.json()["access_token"].as_str().unwrap_or_default().to_owned()
    };
    let claims = world.verify(&ask(&[("audience", "ssh")])).unwrap();
    assert_eq!((&claims["aud"], &claims["client_id"]), (&json!("ssh"), &json!("app")));
    world.op.grant_tokens(GrantedToken::Jwt { alg: Alg::Es256, size: 16_384, lifetime: 60 });
    assert!(ask(&[]).len() >= 16_384);
    world.op.grant_tokens(GrantedToken::Opaque { size: 0, lifetime: 60 });
    assert!(ask(&[]).starts_with("opaque_"));

    let wrong = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    assert_eq!(world.form("/token", Some(("public", "")), &wrong).json()["error"], "invalid_grant");
    world.form("/revoke", Some(("app", "app-secret")), &[("token", &refresh)]);
    assert_eq!(ask(&[]), "");
}

#[test]
fn clients_can_register_themselves() {
    let world = world();
    let answer = world.rest.post("/register", None, &json!({"client_name": "x"})).unwrap();
    assert_eq!(answer.status, 201);
    let registered = answer.json();
    let (id, secret) =
        (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
    let reply = world.form("/introspect", Some((id, secret)), &[("token", "x")]);
    assert_eq!(reply.json(), json!({"active": false}));
}

#[test]
fn faults_show_and_heal() {
    let world = world();
    let get = || world.rest.get("/jwks", None);
    world.op.fault(Endpoint::Jwks, Fault::Status(503));
    assert_eq!(get().unwrap().status, 503);
    world.op.fault(Endpoint::Jwks, Fault::Garbage);
    assert_eq!(get().unwrap().json(), Value::Null);
    world.op.fault(Endpoint::Jwks, Fault::Oversized(1_000_000));
    assert_eq!(get().unwrap().text.len(), 1_000_000);
    world.op.fault(Endpoint::Jwks, Fault::Redirect("https://127.0.0.1:1/".into()));
    assert_eq!(get().unwrap().headers["location"], "https://127.0.0.1:1/");
    world.op.fault(Endpoint::Jwks, Fault::Replace(json!({"keys": []})));
    assert_eq!(get().unwrap().json(), json!({"keys": []}));
    world.op.fault(Endpoint::Jwks, Fault::Close);
    assert!(get().is_err());
    world.op.fault(Endpoint::Jwks, Fault::DelayMs(300));
    let start = Instant::now();
    assert_eq!(get().unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(300));
    world.op.heal();
    assert_eq!(get().unwrap().json(), world.op.jwks());

    world.op.fault_times(
        Endpoint::Discovery,
        Fault::Patch(json!({"issuer": "https://else", "jwks_uri": null})),
        2,
    );
    for _ in 0..2 {
        let document = world.rest.get("/.well-known/openid-configuration", None).unwrap().json();
        assert_eq!(
            (&document["issuer"], &document["jwks_uri"]),
            (&json!("https://else"), &Value::Null)
        );
    }
    assert_eq!(world.endpoint("issuer"), "");
}

#[test]
fn it_hangs_and_never_ends_when_told_to() {
    let world = world();
    let pem = world.ca.pem();
    let rest =
        Rest::with_timeout(world.op.issuer(), Some(pem), Duration::from_millis(300)).unwrap();
    for fault in [Fault::Hang, Fault::Endless] {
        world.op.fault(Endpoint::Userinfo, fault);
        assert!(rest.get("/userinfo", None).is_err());
    }
    assert_eq!(world.rest.get("/jwks", None).unwrap().status, 200);
}

#[test]
fn it_goes_down_and_comes_back_on_the_same_port() {
    let world = world();
    world.op.down();
    assert!(TcpStream::connect(world.op.address()).is_err());
    assert!(world.rest.get("/jwks", None).is_err());
    world.op.up().unwrap();
    assert_eq!(world.rest.get("/jwks", None).unwrap().status, 200);
}

#[test]
fn it_counts_what_it_is_asked() {
    let world = world();
    assert_eq!((world.op.connections(), world.op.requests()), (0, 0));
    world.rest.get("/jwks", None).unwrap();
    world.rest.get("/jwks", None).unwrap();
    world.rest.get("/userinfo", None).unwrap();
    assert_eq!(world.op.count(Endpoint::Jwks), 2);
    assert_eq!(world.op.count(Endpoint::Userinfo), 1);
    assert_eq!(world.op.requests(), 3);
    assert!(world.op.connections() >= 1);
    world.op.reset_counters();
    assert_eq!((world.op.connections(), world.op.requests()), (0, 0));
}

#[test]
fn tokens_of_every_bad_kind_fail_verification_and_those_of_every_good_kind_pass() {
    let world = world();
    let good: BTreeSet<&str> = [
        "jwt",
        "jwt-rs256",
        "jwt-es256",
        "jwt-rs512",
        "jwt-1k",
        "jwt-4k",
        "jwt-16k",
        "jwt-60k",
        "jwt-70k",
        "jwt-untrusted-op",
        "jwt-no-sub",
        "jwt-sub-only-in-userinfo",
        "jwt-sub-number",
        "jwt-userinfo-says-other-sub",
        "jwt-userinfo-says-other-iss",
        "jwt-userinfo-refused",
        "jwt-userinfo-500",
        "jwt-iat-in-future",
        "bearer-lowercase",
        "bearer-uppercase",
        "bearer-two-spaces",
        "token-without-scheme",
        "otp-unused",
        "otp-used",
        "otp-unknown",
    ]
    .into();
    for &kind in TokenKind::ALL {
        let minted = world.op.mint(kind, "alice", "https://other.example.org").unwrap();
        let verified = minted.token.as_deref().map(|token| world.verify(token));
        let passes = verified.as_ref().is_some_and(Result::is_ok);
        assert_eq!(passes, good.contains(kind.name()), "{}: {verified:?}", kind.name());
        assert_eq!(kind.name().parse::<TokenKind>().unwrap(), kind);
    }
    assert!("no-such-kind".parse::<TokenKind>().is_err());
}

#[test]
fn the_headers_of_the_kinds_are_as_the_data_say() {
    let world = world();
    let mint = |kind| world.op.mint(kind, "alice", "https://other.example.org").unwrap();
    assert_eq!(mint(TokenKind::None).authorization, None);
    assert_eq!(mint(TokenKind::BearerWithoutToken).authorization.unwrap(), "Bearer");
    let lower = mint(TokenKind::BearerLowercase);
    assert_eq!(lower.authorization.unwrap(), format!("bearer {}", lower.token.unwrap()));
    let otp = mint(TokenKind::OtpUnused);
    assert_eq!(otp.credential, one_time_password(&otp.token.unwrap()));
    assert_eq!(otp.credential.len(), 128);
    let expired = mint(TokenKind::OpaqueExpired).credential;
    assert_eq!(world.rest.get("/userinfo", Some(&expired)).unwrap().status, 401);
    let upper = mint(TokenKind::JwtIssUppercaseHost).credential;
    let claims = URL_SAFE_NO_PAD.decode(upper.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert!(claims["iss"].as_str().unwrap().starts_with("https://LOCALHOST:"));
}

#[test]
fn a_federation_starts_from_its_set_up() {
    let setup = json!({
        "issuers": {"all": "root path", "vo": "with a path", "listed": "", "untrusted": ""},
        "users": {
            "bea": {"op": "all", "sub": "s-bea", "preferred_username": "b", "email": "b@x", "claims": {}},
            "vera": {"op": "vo", "sub": "s-vera", "preferred_username": "v", "email": "v@x",
                     "claims": {"aud": "h1-ssh", "groups": ["g"]}},
            "stranger": {"op": "untrusted", "sub": "s-s", "preferred_username": "s", "email": "s@x",
                         "claims": {}},
        },
    });
    let ca = TestCa::new().unwrap();
    let federation = Federation::start(&ca, &setup).unwrap();
    let vo = federation.op("vo").unwrap();
    assert!(vo.issuer().ends_with("/realms/demo"));
    assert_eq!(vo.claims_of("vera")["groups"], json!(["g"]));
    let text = federation.substitute("<iss_vo> <iss_vo:noscheme> <iss_all:quoted> <sub:bea:upper>");
    let mut words = text.split(' ');
    assert_eq!(words.next().unwrap(), vo.issuer());
    assert_eq!(words.next().unwrap(), vo.issuer().strip_prefix("https://").unwrap());
    assert!(words.next().unwrap().starts_with("https%3A%2F%2Flocalhost%3A"));
    assert_eq!(words.next().unwrap(), "S-BEA");
    assert!(federation.mint(TokenKind::OpaqueUntrustedOp, "bea").is_ok());
    assert!(federation.mint(TokenKind::Jwt, "nobody").is_err());
    let issuers: BTreeSet<String> = federation.ops().map(|(_, op)| op.jwks().to_string()).collect();
    assert_eq!(issuers.len(), 4, "no two providers share a key");
}

#[test]
fn scripts_control_it_over_http() {
    let world = world();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let ops = BTreeMap::from([("demo".to_owned(), world.op.clone())]);
    let control = Control::start(address, ops).unwrap();
    let desk = Rest::new(&control.url(), None).unwrap();
    assert_eq!(desk.get("", None).unwrap().json(), json!({"demo": world.op.issuer()}));
    let order =
        |action: &str, body: Value| desk.post(&format!("/demo/{action}"), None, &body).unwrap();

    order("user", json!({"name": "zoe", "claims": {"sub": "s-zoe"}}));
    let token = order("token", json!({"user": "zoe", "size": 2000, "claims": {"aud": "x"}})).text;
    assert_eq!(world.verify(token.trim()).unwrap()["sub"], "s-zoe");
    let expired = order("token", json!({"user": "zoe", "kind": "jwt-expired"})).text;
    assert!(world.verify(expired.trim()).is_err());
    order("fault", json!({"endpoint": "jwks", "fault": {"status": 500}, "times": 1}));
    assert_eq!(world.rest.get("/jwks", None).unwrap().status, 500);
    order("fault", json!({"endpoint": "jwks", "fault": "garbage"}));
    assert_eq!(world.rest.get("/jwks", None).unwrap().json(), Value::Null);
    order("heal", json!({}));
    assert_eq!(world.rest.get("/jwks", None).unwrap().status, 200);
    assert!(
        desk.get("/demo/counters", None).unwrap().json()["requests"]["jwks"].as_u64().unwrap() >= 3
    );
    order("down", json!({}));
    assert!(TcpStream::connect(world.op.address()).is_err());
    order("up", json!({}));
    assert!(TcpStream::connect(world.op.address()).is_ok());
    assert_eq!(order("nonsense", json!({})).status, 400);
    assert_eq!(order("token", json!({"user": "zoe", "typo": 1})).status, 400);
}

#[test]
fn the_test_op_program_says_where_it_is() {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(env!("CARGO_BIN_EXE_test-op"))
        .args(["--op", "a=0", "--op", "b=0/oauth2", "--control-port", "0"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<String> = lines.take_while(|line| line != "READY").collect();
    let ca = lines[2].strip_prefix("CA ").unwrap().to_owned();
    assert!(Path::new(&ca).exists());
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!Path::new(&ca).exists());
    assert!(lines[0].starts_with("ISSUER a https://localhost:"), "{lines:?}");
    assert!(lines[1].ends_with("/oauth2"), "{lines:?}");
    assert!(lines[3].starts_with("CONTROL http://127.0.0.1:"));
}

sandbox_test! {
    fn the_real_oidc_agent_gets_tokens_from_it(sb) {
        let ca = TestCa::new()?;
        let op = TestOp::builder(&ca).user(User::new("alice")).start()?;
        let agent = OidcAgent::start(sb, &op, ca.path(), "alice", "acct")?;
        let token = agent.token(sb)?;
        assert_eq!(token.split('.').count(), 3);
        let rest = Rest::new(op.issuer(), Some(ca.pem()))?;
        assert_eq!(rest.get("/userinfo", Some(&token))?.json()["sub"], "sub-alice");
        assert!(op.count(Endpoint::Token) >= 1);
        Ok(())
    }
}

#[test]
fn a_front_puts_tls_before_a_plain_service() {
    let world = world();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let ops = BTreeMap::from([("demo".to_owned(), world.op.clone())]);
    let control = Control::start(address, ops).unwrap();
    let front = TlsFront::start(&world.ca, address, &["localhost"], control.address()).unwrap();
    let rest = Rest::new(&front.url(), Some(world.ca.pem())).unwrap();
    assert_eq!(rest.get("/_control", None).unwrap().json(), json!({"demo": world.op.issuer()}));
}

#[test]
fn every_credential_of_the_recorded_set_up_can_be_minted_for_every_user() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("rest");
    let dir = std::env::var_os("MOTLEY_REST_CASES").map_or(own, Into::into);
    let setup = std::fs::read_to_string(dir.join("_setup.json")).unwrap();
    let setup: Value = serde_json::from_str(&setup).unwrap();
    let ca = TestCa::new().unwrap();
    let federation = Federation::start(&ca, &setup).unwrap();
    let mut passed = 0;
    for kind in setup["token_kinds"].as_object().unwrap().keys() {
        let kind: TokenKind = kind.parse().unwrap();
        for user in setup["users"].as_object().unwrap().keys() {
            let minted = federation.mint(kind, user).unwrap();
            assert_eq!(minted.authorization.is_none(), kind == TokenKind::None);
            passed += 1;
        }
    }
    println!("_setup.json: {passed} passed, 0 diverged, 0 failed");
    assert!(passed > 0);
}
