//! Key sets of providers: only public keys that can verify are taken, and no signature is guessed (R12).
#![no_main]

use libfuzzer_sys::fuzz_target;
use motley_daemon::identity::fuzzing::{Keys, parse_object};
use motley_fuzz::{ALGORITHMS, bounded};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let read = bounded(data.len(), || {
        let document = parse_object(data)?;
        Some((Keys::read(&document)?, document))
    });
    let Some((keys, document)) = read else { return };
    let entries = document["keys"].as_array().expect("a list");
    let is_public = |entry: &&Value| entry.get("d").is_none() && entry.get("k").is_none();
    assert!(keys.count() <= 64);
    assert!(keys.count() <= entries.iter().filter(is_public).count(), "a secret key was taken");
    for entry in entries.iter().take(4) {
        let id = entry.get("kid").and_then(Value::as_str);
        for algorithm in ALGORITHMS {
            for signature in [&[][..], &[0; 64], &[0; 96], &[0; 132], &[0; 256]] {
                for text in [b"a", b"b", b"c", b"d"] {
                    assert!(!keys.verify(id, algorithm, text, signature), "{algorithm}: forged");
                }
            }
        }
    }
    for algorithm in ["none", "HS256", "HS384", "HS512", "", "rs256"] {
        assert!(!keys.verify(None, algorithm, b"text", b""));
    }
});
