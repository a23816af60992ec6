//! The recorded texts by which the Python stack names identities in gecos fields: we adopt by them.

use motley_proto::{Identity, Issuer, Subject, UserName};
use motley_root::{
    config::default_limits, database::UserEntry, defaults::SiteDefaults, guard::check_adoption,
};
use serde_json::Value;
use std::{fs, path::PathBuf};

/// How one case ended.
enum Verdict {
    Passed,
    Diverged(&'static str),
    Failed(String),
}

fn vectors() -> PathBuf {
    match std::env::var_os("MOTLEY_VECTORS") {
        Some(folder) => folder.into(),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors")),
    }
}

fn judge(case: &Value) -> Verdict {
    let (input, expected) = (&case["input"], &case["expected"]);
    let (subject, issuer) = (input["sub"].as_str(), input["iss"].as_str());
    let Some(text) = expected["unique_id"].as_str() else {
        return match (subject, issuer) {
            (Some(subject), Some(issuer)) => {
                Verdict::Failed(format!("{subject} at {issuer} is no error"))
            }
            _ => Verdict::Passed,
        };
    };
    let (Some(subject), Some(issuer)) = (subject, issuer) else {
        return Verdict::Failed("a name for something that is no text".to_owned());
    };
    match (Subject::new(subject), Issuer::new(issuer)) {
        (Ok(subject), Ok(issuer)) => adopt(&Identity::new(issuer, subject), text),
        (Err(_), _) => diverge_on_subject(subject),
        (_, Err(_)) => diverge_on_issuer(issuer),
    }
}

fn adopt(identity: &Identity, gecos: &str) -> Verdict {
    let text = |text: &str| text.to_owned();
    let entry = UserEntry {
        name: text("jdoe"),
        uid: 5001,
        gid: 100,
        gecos: text(gecos),
        home: text("/home/jdoe"),
        shell: text("/bin/sh"),
    };
    let site = SiteDefaults {
        uid_min: 1000,
        uid_max: 60_000,
        gids: 1000..=60_000,
        home_mode: 0o700,
        skel: "/".into(),
    };
    let name = UserName::new("jdoe").unwrap();
    match check_adoption(&entry, 1, identity, &name, &default_limits(&site)) {
        Ok(_) => Verdict::Passed,
        Err(refusal) => Verdict::Failed(format!("{gecos}: {refusal}")),
    }
}

fn diverge_on_subject(subject: &str) -> Verdict {
    if subject.is_empty() {
        Verdict::Diverged("an empty subject names nobody")
    } else if subject.len() > 255 {
        Verdict::Diverged("OpenID Connect Core 1.0 §2 caps subjects at 255 characters")
    } else if subject.chars().any(char::is_control) {
        Verdict::Diverged("a control character in a subject could break a line in a log or file")
    } else {
        Verdict::Failed(format!("the subject {subject:?} is refused"))
    }
}

fn diverge_on_issuer(issuer: &str) -> Verdict {
    if is_plain_https(issuer) {
        Verdict::Failed(format!("the issuer {issuer:?} is refused"))
    } else {
        Verdict::Diverged("an issuer is an https URL of scheme, host, port and path only")
    }
}

fn is_plain_https(issuer: &str) -> bool {
    let Some(rest) = issuer.strip_prefix("https://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let plain = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    plain(host, b".-") && port.parse::<u16>().is_ok() && plain(rest, b"/._~:-")
}

#[test]
fn accounts_of_the_python_stack_are_recognised_by_their_gecos_text() {
    let path = vectors().join("unique_id.json");
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let (mut passed, mut diverged, mut failed) = (0, 0, Vec::new());
    for case in &cases {
        match judge(case) {
            Verdict::Passed => passed += 1,
            Verdict::Diverged(reason) => {
                diverged += 1;
                println!("diverged: {}: {reason}", case["input"]);
            }
            Verdict::Failed(why) => failed.push(why),
        }
    }
    println!("unique_id.json: {passed} passed, {diverged} diverged, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(passed > 0, "no case was run");
}
