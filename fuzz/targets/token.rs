//! Texts from clients: what is taken for a signed token, and what its header may say (R12).
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use motley_daemon::identity::MAX_TOKEN_BYTES;
use motley_daemon::identity::fuzzing::{Presented, read_token};
use motley_fuzz::{ALGORITHMS, bounded, lax_object};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
    }
    // The same bytes as header and payload, so that their readers are reached at once.
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let header = URL_SAFE_NO_PAD.encode(lines.next().unwrap_or_default());
    let payload = URL_SAFE_NO_PAD.encode(lines.next().unwrap_or_default());
    check(&format!("{header}.{payload}.c2ln"));
});

fn check(text: &str) {
    match bounded(text.len(), || read_token(text)) {
        None => {}
        Some(Presented::Opaque) => {
            assert!(!text.is_empty() && text.len() <= MAX_TOKEN_BYTES);
            assert!(!(text.starts_with("ey") && text.contains('.')), "a signed token as opaque");
            let is_password = text.len() == 128 && text.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(!is_password, "a one-time password as opaque token");
            assert!(text.bytes().all(|b| b.is_ascii_graphic()));
        }
        Some(Presented::Signed(read)) => {
            let parts: Vec<&str> = text.split('.').collect();
            let [header, payload, signature] = parts.as_slice() else { panic!("not three parts") };
            assert_eq!(read.signed_bytes, header.len() + 1 + payload.len());
            let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("strict base64url");
            assert_eq!(read.signature_bytes, bytes(signature).len());
            let header = lax_object(&bytes(header)).expect("an object");
            for name in ["crit", "b64", "zip", "jwk", "jku", "x5u"] {
                assert!(!header.contains_key(name), "{name} was let through");
            }
            let named = header["alg"].as_str().expect("a text");
            assert!(ALGORITHMS.contains(&named), "{named} was let through");
            assert!(named == read.algorithm || named == "Ed25519");
            assert_eq!(header.get("kid").and_then(Value::as_str), read.key_id.as_deref());
            let claims = lax_object(&bytes(payload)).expect("an object");
            assert_eq!(claims["iss"].as_str(), Some(read.issuer.as_str()));
        }
    }
}
