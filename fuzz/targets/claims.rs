//! Claims of a verified token: times, subject, audience and policy (R13, R17, R34).
#![no_main]

use libfuzzer_sys::fuzz_target;
use motley_daemon::config::{Config, Owners, Source, validate};
use motley_daemon::identity::fuzzing::{end, parse_object, subject, vouch};
use motley_daemon::policy::{authorise, authorise_admin, tier};
use motley_daemon::verified::ClaimMap;
use motley_fuzz::{bounded, lax_object};
use motley_proto::{Identity, Issuer, Subject};
use serde_json::Value;
use std::sync::LazyLock;

const NOW: i64 = 1_800_000_000;
const SKEW: i64 = 60;

/// One rule of each kind, so that each is asked.
const RULES: &str = "
[DEFAULT]
audience = ssh
[authorisation.groups]
op_url = https://groups.example
authorised_vos = [vo, urn:geant:x.example:group:vo:role=member]
vo_claim = groups
vo_match = all
assurance_claim = eduperson_assurance
[authorisation.people]
op_url = https://people.example
authorised_users = [alice]
authorised_admins = [alice]
[authorisation.all]
op_url = https://all.example
authorise_all = yes
";

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let source = |text: &str| Source { path: "f".into(), text: text.to_owned(), is_public: false };
    let rules = RULES.replace("assurance_claim = eduperson_assurance\n", "");
    validate(source(&rules), source(""), Owners { service: 0 }).expect("valid").0
});

fuzz_target!(|data: &[u8]| {
    // A reader that takes the last of two members must not see another value than we do.
    let Some(claims) = bounded(data.len(), || parse_object(data)) else { return };
    assert_eq!(lax_object(data).as_ref(), Some(&claims));
    check_times(&claims);
    check_subject(&claims);
    check_policy(&claims);
});

fn check_times(claims: &ClaimMap) {
    let Some(end) = end(claims, NOW, SKEW) else { return };
    let date = |name: &str| claims.get(name).map(|value| value.as_f64().expect("a number"));
    let expires = date("exp").expect("a token without end was let through");
    assert!(end > NOW && expires.floor() == end as f64);
    for name in ["nbf", "iat"] {
        assert!(date(name).is_none_or(|begin| begin < (NOW + SKEW + 1) as f64));
    }
}

fn check_subject(claims: &ClaimMap) {
    let Some(subject) = subject(claims) else { return };
    assert_eq!(claims["sub"].as_str(), Some(subject.as_str()));
    assert!(!subject.as_str().is_empty() && subject.as_str().len() <= 255);
    assert!(!subject.as_str().contains(char::is_control));
}

fn check_policy(claims: &ClaimMap) {
    for op in &CONFIG.ops {
        let subject = subject(claims).unwrap_or_else(|| Subject::new("nobody").expect("valid"));
        let issuer = Issuer::new(op.issuer.as_str()).expect("valid");
        let identity = Identity::new(issuer, subject);
        let grants = |claims: &ClaimMap| {
            let who = vouch(identity.clone(), claims.clone());
            let _ = tier(&op.policy.assurance, &who);
            (
                authorise(&op.policy, &who).is_granted(),
                authorise_admin(&op.policy, &who).is_granted(),
            )
        };
        let (user, admin) = grants(claims);
        if user || admin {
            let names = |value: &Value| value.as_str() == Some("ssh");
            let named = match &claims["aud"] {
                Value::Array(all) => all.iter().any(names),
                one => names(one),
            };
            assert!(named, "a token for somebody else was let through");
        }
        // Fewer claims never grant more.
        for name in claims.keys().take(16) {
            let mut fewer = claims.clone();
            fewer.remove(name);
            let (user_then, admin_then) = grants(&fewer);
            assert!(user || !user_then, "without {name} a user is let in");
            assert!(admin || !admin_then, "without {name} an admin is let in");
        }
    }
}
