//! Logins in the kernel's user key ring: on no disk, and gone with the user's last session.

use super::{Id, Label, Result, Store, StoreError};
use linux_keyutils::{
    Key, KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission,
};
use zeroize::Zeroizing;

/// The key ring of the user that runs this.
pub(super) struct KernelKeys;

impl KernelKeys {
    fn ring() -> Result<KeyRing> {
        KeyRing::from_special_id(KeyRingIdentifier::User, true).map_err(failed)
    }

    fn find(id: &Id) -> Result<Option<(KeyRing, Key)>> {
        let ring = Self::ring()?;
        match ring.search(&description(id)) {
            Ok(key) => Ok(Some((ring, key))),
            Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => {
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl Store for KernelKeys {
    fn read(&self, id: &Id) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some((_, key)) = Self::find(id)? else { return Ok(None) };
        key.read_to_vec().map(|bytes| Some(Zeroizing::new(bytes))).map_err(failed)
    }

    fn write(&self, label: &Label, content: &[u8]) -> Result<()> {
        // In place: old and new would not both fit into the share of one user. Adding a key that is
        // there changes it; the call that is made for changing takes one page only.
        if let Some((ring, _)) = Self::find(&label.id())? {
            return ring.add_key(&description(&label.id()), content).map(drop).map_err(failed);
        }
        let ring = Self::ring()?;
        // Who is to change a key's permissions must possess it (keyrings(7)), and not every session
        // possesses the user's ring: the key is made in our own ring and linked from there.
        let own = KeyRing::from_special_id(KeyRingIdentifier::Process, true).map_err(failed)?;
        let key = own.add_key(&description(&label.id()), content).map_err(failed)?;
        let permissions =
            KeyPermissionsBuilder::builder().posessor(Permission::ALL).user(Permission::ALL);
        key.set_perms(permissions.build())
            .and_then(|()| ring.link_key(key))
            .and_then(|()| own.unlink_key(key))
            .map_err(failed)
    }

    fn remove(&self, id: &Id) -> Result<()> {
        match Self::find(id)? {
            Some((ring, key)) => ring.unlink_key(key).map_err(failed),
            None => Ok(()),
        }
    }
}

fn description(id: &Id) -> String {
    format!("mccli:login:{}", id.as_str())
}

fn failed(error: KeyError) -> StoreError {
    StoreError::Memory(match error {
        KeyError::QuotaExceeded => {
            "your share is used up (/proc/sys/kernel/keys/maxbytes)".to_owned()
        }
        other => format!("{other:?}"),
    })
}
