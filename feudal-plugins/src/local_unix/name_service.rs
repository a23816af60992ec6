//! The host's sources of names: files, LDAP, SSSD, whatever nsswitch.conf lists.

use motley_proto::{Uid, UserName};

/// Tells which names and uids are in use on the host. Calls may block.
pub trait NameService: Send + Sync + 'static {
    /// True when the name has an entry.
    fn has_user(&self, name: &UserName) -> bool;
    /// True when the uid has an entry.
    fn has_uid(&self, uid: Uid) -> bool;
}

/// The C library's name service switch.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

impl NameService for SystemNames {
    fn has_user(&self, name: &UserName) -> bool {
        uzers::get_user_by_name(name.as_str()).is_some()
    }

    fn has_uid(&self, uid: Uid) -> bool {
        uzers::get_user_by_uid(uid.get()).is_some()
    }
}
