//! One-time passwords: the short stand-in for an access token that ssh's prompt would cut.
//!
//! The password is the SHA-512 of the token in hex, so a client computes it by itself. The token is
//! kept sealed under a key derived from the password, and found by another digest of it: who reads
//! the database has neither the token nor the password. There is no key file that could be lost.
//!
//! For people who type there are short random codes, kept in the same way.

mod code;
mod seal;

pub use code::{Behind, CodeFor, NewCode, RedeemedCode};

use crate::{
    chance::{Chance, NoChance, SystemChance},
    clock::{Clock, Timestamp},
    store::{Bounds, Put, SealedToken, Store, StoreError},
    verified::Verified,
};
use aws_lc_rs::digest;
use motley_proto::{Identity, Secret};
use seal::PASSWORD;
use std::{fmt::Write, sync::Arc};

/// Most passwords that one identity may hold at a time; clients need one for each host prompt.
const LIMIT_PER_IDENTITY: i64 = 32;
/// Most unused passwords of all identities, and as many codes.
const LIMIT_IN_TOTAL: i64 = 20_000;
/// Most bytes that the tokens behind passwords take, and as many those behind codes.
const LIMIT_OF_BYTES: i64 = 256 * 1024 * 1024;
/// What is kept of passwords.
const BOUNDS: Bounds =
    Bounds { per_identity: LIMIT_PER_IDENTITY, total: LIMIT_IN_TOTAL, bytes: LIMIT_OF_BYTES };

/// Why no password was issued or redeemed.
#[derive(Debug, thiserror::Error)]
pub enum OtpError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sealing failed.
    #[error("the token could not be sealed")]
    Seal,
    /// This identity holds too many.
    #[error("too many one-time passwords of this identity are unused; they end by themselves")]
    TooMany,
    /// The identity is suspended.
    #[error("the identity is suspended")]
    Suspended,
    /// The token ends at once.
    #[error("the access token has expired")]
    Expired,
    /// All identities together hold too many.
    #[error("too many one-time passwords or codes are unused; they end by themselves")]
    Full,
    /// There is no randomness.
    #[error(transparent)]
    Chance(#[from] NoChance),
}

/// Issues and redeems one-time passwords.
pub struct OneTimePasswords {
    store: Store,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    lifetime: i64,
    codes: bool,
}

/// What a redeemed password stood for.
pub struct Redeemed {
    /// The access token; it still has to be verified.
    pub token: Secret,
    /// For whom the password was issued; must equal the token's identity.
    pub identity: Identity,
}

impl OneTimePasswords {
    /// Passwords end after `lifetime` seconds, and never later than their token.
    pub fn new(store: Store, clock: Arc<dyn Clock>, lifetime: i64) -> Self {
        Self { store, clock, chance: Arc::new(SystemChance), lifetime, codes: true }
    }

    /// The same, without short codes.
    #[must_use]
    pub fn without_codes(self) -> Self {
        Self { codes: false, ..self }
    }

    /// The same, with codes drawn from there.
    #[must_use]
    pub fn with_chance(self, chance: Arc<dyn Chance>) -> Self {
        Self { chance, ..self }
    }

    /// Stores the password that belongs to a verified token. Returns when it ends.
    ///
    /// # Errors
    /// When the store fails, or this identity holds too many or is suspended.
    pub async fn issue(&self, token: &Secret, verified: &Verified) -> Result<Timestamp, OtpError> {
        let expires_at = self.end(verified.expires())?;
        let password = password_of(token);
        let digest = PASSWORD.digest(&password);
        let sealed = PASSWORD.seal(&password, &digest, token.expose())?;
        let row = SealedToken { identity: verified.identity().clone(), sealed, expires_at };
        match self.store.put_one_time_password(&digest, &row, BOUNDS).await? {
            Put::Done => Ok(expires_at),
            Put::TooMany => Err(OtpError::TooMany),
            Put::Full => Err(OtpError::Full),
            Put::Suspended => Err(OtpError::Suspended),
        }
    }

    /// Seconds from now to that time; none when it is over.
    pub fn seconds_until(&self, end: Timestamp) -> i64 {
        end.0.saturating_sub(self.clock.now().0).max(0)
    }

    /// When something ends that is given out now, and whose token ends then.
    fn end(&self, token_ends: Option<Timestamp>) -> Result<Timestamp, OtpError> {
        let now = self.clock.now();
        let by_age = now.plus(self.lifetime);
        let end = token_ends.map_or(by_age, |end| end.min(by_age));
        if end > now { Ok(end) } else { Err(OtpError::Expired) }
    }

    /// Takes the password out of the store and opens its token; `None` when it is unknown, used or
    /// past its time.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn redeem(&self, password: &Secret) -> Result<Option<Redeemed>, OtpError> {
        let digest = PASSWORD.digest(password);
        let Some(row) = self.store.take_one_time_password(&digest, self.clock.now()).await? else {
            return Ok(None);
        };
        let token = PASSWORD.open(password, &digest, row.sealed)?;
        Ok(Some(Redeemed { token, identity: row.identity }))
    }

    /// Drops all passwords and codes of an identity and says how many there were.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drop_all_of(&self, identity: &Identity) -> Result<u64, OtpError> {
        let passwords = self.store.drop_one_time_passwords(identity).await?;
        Ok(passwords.saturating_add(self.store.drop_codes(identity).await?))
    }

    /// Drops all passwords and codes that are past their time, unless this host's clock is off.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sweep(&self) -> Result<u64, OtpError> {
        if !self.store.may_sweep() {
            return Ok(0);
        }
        let now = self.clock.now();
        let passwords = self.store.sweep_one_time_passwords(now).await?;
        Ok(passwords.saturating_add(self.store.sweep_codes(now).await?))
    }
}

/// The one-time password of a token: SHA-512 in lower-case hex.
pub fn password_of(token: &Secret) -> Secret {
    let hash = digest::digest(&digest::SHA512, token.expose().as_bytes());
    let mut text = String::with_capacity(128);
    for byte in hash.as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verified::ClaimSources;
    use motley_proto::{Issuer, Subject};
    use std::sync::atomic::{AtomicI64, Ordering};

    struct SetClock(AtomicI64);
    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::Relaxed))
        }
    }

    fn verified(expires: Option<i64>) -> Verified {
        let identity =
            Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new("a").unwrap());
        Verified::attest(identity, ClaimSources::default(), expires.map(Timestamp))
    }

    async fn passwords() -> (OneTimePasswords, Arc<SetClock>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}/db", folder.path().display())).await.unwrap();
        let clock = Arc::new(SetClock(AtomicI64::new(1000)));
        (OneTimePasswords::new(store, clock.clone(), 600), clock, folder)
    }

    #[tokio::test]
    async fn r18_a_password_opens_its_token_once_and_names_its_identity() {
        let (passwords, _clock, _folder) = passwords().await;
        let token = Secret::new("eyJ.a.b".to_owned());
        passwords.issue(&token, &verified(None)).await.unwrap();
        let redeemed = passwords.redeem(&password_of(&token)).await.unwrap().unwrap();
        assert!(redeemed.token == token);
        assert_eq!(redeemed.identity, *verified(None).identity());
        assert!(passwords.redeem(&password_of(&token)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn r18_a_password_ends_with_its_token_or_after_its_lifetime() {
        let (passwords, clock, _folder) = passwords().await;
        let token = Secret::new("eyJ.a.b".to_owned());
        assert_eq!(passwords.issue(&token, &verified(Some(1100))).await.unwrap(), Timestamp(1100));
        assert_eq!(passwords.issue(&token, &verified(Some(9999))).await.unwrap(), Timestamp(1600));
        clock.0.store(1600, Ordering::Relaxed);
        assert!(passwords.redeem(&password_of(&token)).await.unwrap().is_none());
        assert!(matches!(
            passwords.issue(&token, &verified(Some(1500))).await,
            Err(OtpError::Expired)
        ));
    }

    #[tokio::test]
    async fn r06_the_database_holds_neither_token_nor_password() {
        let (passwords, _clock, folder) = passwords().await;
        let token = Secret::new("eyJcanary.canary.canary".to_owned());
        passwords.issue(&token, &verified(None)).await.unwrap();
        let password = password_of(&token);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            for needle in ["canary", &password.expose()[..16]] {
                assert!(!bytes.windows(needle.len()).any(|w| w == needle.as_bytes()));
            }
        }
    }

    #[test]
    fn the_password_is_the_sha512_of_the_token_as_clients_compute_it() {
        let password = password_of(&Secret::new("abc".to_owned()));
        assert!(password.expose().starts_with("ddaf35a193617abacc417349ae204131"));
        assert_eq!(password.len(), 128);
    }
}
