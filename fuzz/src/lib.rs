//! What the fuzz targets share: a bound on memory, and questions that several of them ask.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::sync::Once;

#[global_allocator]
static MEMORY: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// What every reader may take, however short its input is.
const BASE_BYTES: usize = 4 << 20;
/// What it may take for each byte of its input. JSON is the dearest: `{"":0}` becomes a tree.
const BYTES_PER_BYTE: usize = 200;

/// Runs readers of an input of so many bytes; an allocation beyond the bound ends the process, which
/// the fuzzer reports as a crash.
///
/// # Panics
/// When what others hold is beyond the bound already, which can't be.
pub fn bounded<T>(input_bytes: usize, read: impl FnOnce() -> T) -> T {
    static UNBOUNDED_PANICS: Once = Once::new();
    UNBOUNDED_PANICS.call_once(|| {
        // Whoever reports a panic needs memory for it.
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = MEMORY.set_limit(usize::MAX);
            report(panic);
        }));
    });
    let bound = MEMORY.allocated() + BASE_BYTES + input_bytes * BYTES_PER_BYTE;
    MEMORY.set_limit(bound).expect("the bound is above what is held");
    let result = read();
    MEMORY.set_limit(usize::MAX).expect("no bound");
    result
}

/// Checks that a message says the same after it was written and read again.
///
/// # Panics
/// When it does not.
pub fn check_round_trip<M: Serialize + DeserializeOwned>(body: &[u8]) {
    let Ok(message) = serde_json::from_slice::<M>(body) else { return };
    let written = serde_json::to_vec(&message).expect("what was read can be written");
    let again: M = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("and again"), written);
}

/// True when a text shows nothing that acts on a terminal or breaks a line.
pub fn is_one_line(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c))
}

/// Reads an object as everybody does: of a repeated member the last one counts.
pub fn lax_object(text: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(text).ok()
}

/// The names by which a public key's algorithms go; there is no `none` and no `HS*`.
pub const ALGORITHMS: [&str; 11] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "Ed25519",
];
