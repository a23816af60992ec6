//! Seals what a password stands for under a key that only the password yields.
//!
//! Each kind of password has domains of its own for the digest under which a row is found and for
//! the key that opens it, so that neither tells anything about the other (RFC 5869 §3.2 on `info`).

use super::OtpError;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest,
};
use motley_proto::Secret;
use zeroize::{Zeroize, Zeroizing};

/// What the digest and the key of one kind of password are derived for.
pub(super) struct Domain {
    pub(super) lookup: &'static [u8],
    pub(super) seal: &'static [u8],
}

/// The SHA-512 of a token.
pub(super) const PASSWORD: Domain = Domain {
    lookup: b"motley one-time password lookup v1\0",
    seal: b"motley one-time password seal v1\0",
};

/// A short random code. 80 random bits need no slow derivation.
pub(super) const CODE: Domain =
    Domain { lookup: b"motley login code lookup v1\0", seal: b"motley login code seal v2\0" };

impl Domain {
    /// Under what the row is found.
    pub(super) fn digest(&self, password: &Secret) -> [u8; 32] {
        *derive(self.lookup, password)
    }

    /// Nonce, then ciphertext and tag. Opens only together with `bound`.
    pub(super) fn seal(
        &self,
        password: &Secret,
        bound: &[u8],
        text: &str,
    ) -> Result<Vec<u8>, OtpError> {
        let mut sealed = Zeroizing::new(Vec::with_capacity(text.len() + 16));
        sealed.extend_from_slice(text.as_bytes());
        let nonce = self
            .key(password)?
            .seal_in_place_append_tag(Aad::from(bound), &mut *sealed)
            .map_err(|_| OtpError::Seal)?;
        Ok([nonce.as_ref().as_slice(), sealed.as_slice()].concat())
    }

    /// What was sealed under this password and together with these bytes.
    pub(super) fn open(
        &self,
        password: &Secret,
        bound: &[u8],
        mut sealed: Vec<u8>,
    ) -> Result<Secret, OtpError> {
        if sealed.len() < NONCE_LEN {
            return Err(OtpError::Seal);
        }
        let (nonce, text) = sealed.split_at_mut(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OtpError::Seal)?;
        let key = self.key(password)?;
        let text = key.open_in_place(nonce, Aad::from(bound), text).map_err(|_| OtpError::Seal)?;
        let secret = std::str::from_utf8(text)
            .map(str::to_owned)
            .map_err(|_| OtpError::Seal)
            .map(Secret::new);
        sealed.zeroize();
        secret
    }

    fn key(&self, password: &Secret) -> Result<RandomizedNonceKey, OtpError> {
        let bytes = derive(self.seal, password);
        RandomizedNonceKey::new(&AES_256_GCM, bytes.as_ref()).map_err(|_| OtpError::Seal)
    }
}

fn derive(purpose: &[u8], password: &Secret) -> Zeroizing<[u8; 32]> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(purpose);
    context.update(password.expose().as_bytes());
    let mut out = Zeroizing::new([0; 32]);
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}
