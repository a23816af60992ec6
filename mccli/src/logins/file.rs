//! Logins in files, sealed with a key that lies elsewhere: a copy of one is worth nothing alone.

use super::{GROWTH, Id, Label, Lock, Result, Room, Store, StoreError, folder::Folder, name_of};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

/// Name of the key's file, in the folder of the configuration.
const KEY: &str = "logins.key";
/// Length of the key, in bytes.
const KEY_BYTES: usize = 32;
/// Ending of the sealed files.
const SEALED: &str = "sealed";
/// First bytes of each: what comes behind is nonce, ciphertext and tag of AES-256-GCM.
const MAGIC: &[u8] = b"mccli login 1\n";

/// The sealed files in one folder.
pub(super) struct SealedFiles<'a> {
    folder: &'a Folder,
    config: &'a Folder,
}

impl<'a> SealedFiles<'a> {
    /// In `folder`, with the key in `config`.
    pub(super) fn new(folder: &'a Folder, config: &'a Folder) -> Self {
        Self { folder, config }
    }

    fn key(&self) -> Result<Option<RandomizedNonceKey>> {
        let Some(bytes) = self.config.read(KEY)? else { return Ok(None) };
        RandomizedNonceKey::new(&AES_256_GCM, &bytes).map(Some).map_err(|_| StoreError::Unsafe {
            path: self.config.path_of(KEY),
            reason: format!("it does not hold {KEY_BYTES} bytes"),
            cure: "Remove it, then log in again.".to_owned(),
        })
    }

    /// The key; the first login makes it, and two first ones at once make one.
    fn key_or_new(&self) -> Result<RandomizedNonceKey> {
        self.config.make()?;
        let _lock = Lock::take(self.folder.path_of("key.lock"))?;
        if let Some(key) = self.key()? {
            return Ok(key);
        }
        let bytes = Zeroizing::new(rand::random::<[u8; KEY_BYTES]>());
        self.config.write(KEY, bytes.as_slice())?;
        self.key()?.ok_or_else(|| self.unsealable(KEY))
    }

    fn unsealable(&self, name: &str) -> StoreError {
        StoreError::Sealed { path: self.folder.path_of(name), key: self.config.path_of(KEY) }
    }
}

impl Store for SealedFiles<'_> {
    fn read(&self, id: &Id) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let name = name_of(id, SEALED);
        let Some(mut bytes) = self.folder.read(&name)? else { return Ok(None) };
        let broken = || self.unsealable(&name);
        let key = self.key()?.ok_or_else(broken)?;
        let behind = bytes.strip_prefix(MAGIC).map(<[u8]>::len).ok_or_else(broken)?;
        let start = bytes.len() - behind;
        let (_, sealed) = bytes.split_at_mut(start);
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let aad = Aad::from(id.as_str().as_bytes());
        let text = key.open_in_place(nonce, aad, text).map_err(|_| broken())?;
        Ok(Some(Zeroizing::new(text.to_vec())))
    }

    fn write(&self, label: &Label, content: &[u8]) -> Result<()> {
        let id = label.id();
        let name = name_of(&id, SEALED);
        let key = self.key_or_new()?;
        let mut text = Zeroizing::new(Vec::with_capacity(content.len() + 64));
        text.extend_from_slice(content);
        // Bound to its name: a sealed login can't be put into the place of another one.
        let aad = Aad::from(id.as_str().as_bytes());
        let nonce =
            key.seal_in_place_append_tag(aad, &mut *text).map_err(|_| self.unsealable(&name))?;
        let bytes = [MAGIC, nonce.as_ref(), text.as_slice()].concat();
        self.folder.write(&name, &bytes)
    }

    fn make_room(&self, label: &Label, content: &[u8]) -> Result<Room> {
        let name = name_of(&label.id(), SEALED);
        let sealed = MAGIC.len() + NONCE_LEN + content.len() + AES_256_GCM.tag_len();
        self.folder.make_room(&name, sealed + GROWTH).map(|draft| Room { _draft: Some(draft) })
    }

    fn remove(&self, id: &Id) -> Result<()> {
        self.folder.remove(&name_of(id, SEALED))
    }
}
