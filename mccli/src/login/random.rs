//! Values that nobody can guess: PKCE verifiers, state, nonce.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use motley_proto::Secret;

/// 256 bits as text for a URL.
pub(super) fn unguessable() -> Secret {
    let bytes = zeroize::Zeroizing::new(rand::random::<[u8; 32]>());
    Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

/// `S256` challenge of a verifier (RFC 7636 §4.2).
pub(super) fn challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(unguessable().len(), 43);
    }
}
