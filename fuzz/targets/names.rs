//! Names, issuers, paths and the gecos text: what is taken obeys its grammar (R11, R20, R25).
#![no_main]

use feudal_plugins::names::{ShadowVariant, user_name};
use libfuzzer_sys::fuzz_target;
use motley_fuzz::{bounded, is_one_line};
use motley_proto::task::AccountPath;
use motley_proto::text::escape;
use motley_proto::{Audience, GroupName, Issuer, LoginName, Subject, UniqueId, UserName};
use url::Url;

const VARIANTS: [ShadowVariant; 4] =
    [ShadowVariant::Default, ShadowVariant::V044, ShadowVariant::Punch, ShadowVariant::Ldap];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    bounded(text.len(), || {
        check_names(text);
        check_issuer(text);
        check_identity(text);
        check_path(text);
        check_escape(text);
    });
});

fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && !["root", "sudo", "docker", "wheel", "shadow", "daemon", "nobody"].contains(&text)
}

fn check_names(text: &str) {
    let name = UserName::new(text).ok();
    assert!(name.is_none() || is_name(text), "user name {text:?}");
    assert_eq!(name.is_some(), GroupName::new(text).is_ok());
    let json = serde_json::to_string(text).expect("a text");
    assert_eq!(serde_json::from_str::<UserName>(&json).ok(), name, "the wire lets more through");
    if let Ok(login) = LoginName::new(text) {
        assert!(!text.contains(char::is_control) && text.len() <= 256);
        assert_eq!(login.to_user_name().ok(), name);
    }
    for variant in VARIANTS {
        if let Ok(made) = user_name(text, variant) {
            assert!(is_name(made.as_str()), "{made} made of {text:?}");
        }
    }
}

fn check_issuer(text: &str) {
    let _ = Issuer::canonical(text);
    let Ok(issuer) = Issuer::new(text) else { return };
    assert!(text.is_ascii() && !text.contains(['@', '?', '#', '\\', ' ']) && is_one_line(text));
    // The library that connects must not see another host than whoever read the configuration.
    let Ok(url) = Url::parse(text) else { return };
    assert_eq!(url.scheme() == "https", issuer.is_https());
    assert!(url.username().is_empty() && url.password().is_none());
    assert!(url.query().is_none() && url.fragment().is_none());
    let authority = text.split('/').nth(2).unwrap_or_default().to_lowercase();
    if let Some(url::Host::Domain(host)) = url.host() {
        assert!(authority == host || authority.starts_with(&format!("{host}:")), "{host}");
    }
    if !issuer.is_https() {
        let loopback = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(host)) => host == "localhost",
            None => false,
        };
        assert!(loopback, "http leaves this host");
    }
}

fn check_identity(text: &str) {
    let _ = (Subject::new(text), Audience::new(text));
    let Ok(identity) = UniqueId::parse(text) else { return };
    assert_eq!(identity.unique_id().as_str(), text, "two texts for one identity");
    assert_eq!(text.matches('@').count(), 1);
    let is_quoted = |b: u8| b.is_ascii_alphanumeric() || b"_.-~+%@".contains(&b);
    assert!(text.bytes().all(is_quoted), "it could split a line of passwd");
}

fn check_path(text: &str) {
    if AccountPath::new(text).is_ok() {
        let plain = std::path::Path::new(text).components().count();
        assert_eq!(plain, text.split('/').count(), "{text}");
        assert!(text.starts_with('/') && !text.contains([':', ' ', ',']) && is_one_line(text));
    }
}

fn check_escape(text: &str) {
    let shown = escape(text, 64);
    assert!(is_one_line(&shown) && shown.chars().count() <= 64 * 10 + 1);
}
