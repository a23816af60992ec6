//! The host's sources of names: files, LDAP, SSSD, whatever nsswitch.conf lists.

use crate::backend::BackendError;
use motley_proto::{GroupName, Uid, UserName};
use std::{sync::Arc, time::Duration};
use uzers::os::unix::UserExt;

/// Longest time for which a look-up in another source of names may take.
const LIMIT: Duration = Duration::from_secs(5);

/// What the host knows about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEntry {
    /// Uid. May be one of the system.
    pub uid: u32,
    /// Gid of the primary group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// Tells which names and uids are in use on the host. Calls may block.
pub trait NameService: Send + Sync + 'static {
    /// True when the name has an entry.
    fn has_user(&self, name: &UserName) -> bool;
    /// True when the uid has an entry.
    fn has_uid(&self, uid: Uid) -> bool;
    /// Uid of a name; `None` when it has no entry, or this source tells no uids.
    fn uid_of(&self, _name: &UserName) -> Option<u32> {
        None
    }
    /// Gid of a group; `None` when it has no entry, or this source tells of no groups.
    fn gid_of(&self, _group: &GroupName) -> Option<u32> {
        None
    }
    /// True when the gid has an entry, as far as this source tells of groups.
    fn has_gid(&self, _gid: u32) -> bool {
        false
    }
    /// The entry of a name; `None` when it has none, or this source tells only whether there is one.
    fn entry(&self, _name: &UserName) -> Option<HostEntry> {
        None
    }
}

/// Asks all sources of names of the host; a directory that hangs must not hang us.
///
/// # Errors
/// [`BackendError::Unavailable`] when no answer comes in time.
pub(crate) async fn ask_names<T: Send + 'static>(
    names: &Arc<dyn NameService>,
    question: impl FnOnce(&dyn NameService) -> T + Send + 'static,
) -> Result<T, BackendError> {
    let names = Arc::clone(names);
    let answer = tokio::task::spawn_blocking(move || question(names.as_ref()));
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        _ => Err(BackendError::Unavailable {
            what: "the host's name service gives no answer".to_owned(),
            cure: "check the sources of `passwd` in /etc/nsswitch.conf".to_owned(),
        }),
    }
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

    fn uid_of(&self, name: &UserName) -> Option<u32> {
        uzers::get_user_by_name(name.as_str()).map(|user| user.uid())
    }

    fn gid_of(&self, group: &GroupName) -> Option<u32> {
        uzers::get_group_by_name(group.as_str()).map(|group| group.gid())
    }

    fn has_gid(&self, gid: u32) -> bool {
        uzers::get_group_by_gid(gid).is_some()
    }

    fn entry(&self, name: &UserName) -> Option<HostEntry> {
        let user = uzers::get_user_by_name(name.as_str())?;
        Some(HostEntry {
            uid: user.uid(),
            gid: user.primary_group_id(),
            home: user.home_dir().to_string_lossy().into_owned(),
            shell: user.shell().to_string_lossy().into_owned(),
        })
    }
}
