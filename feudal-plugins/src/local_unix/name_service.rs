//! The host's sources of names: files, LDAP, SSSD, whatever nsswitch.conf lists.

use crate::backend::BackendError;
use motley_proto::{GroupName, Uid, UserName, name_service::answered, text::escape};
use nix::unistd::{Gid, Group, User, getgrouplist};
use std::{ffi::CString, io, sync::Arc, time::Duration};

/// Longest time for which a look-up in another source of names may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Most of what a source says that is told, in characters.
const SHOWN: usize = 200;

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
///
/// All fail when a source can't be asked: then the name must count as taken.
pub trait NameService: Send + Sync + 'static {
    /// True when the name has an entry.
    ///
    /// # Errors
    /// See [`NameService`].
    fn has_user(&self, name: &UserName) -> io::Result<bool>;
    /// True when the uid has an entry.
    ///
    /// # Errors
    /// See [`NameService`].
    fn has_uid(&self, uid: Uid) -> io::Result<bool>;
    /// Uid of a name; `None` when it has no entry, or this source tells no uids.
    ///
    /// # Errors
    /// See [`NameService`].
    fn uid_of(&self, _name: &UserName) -> io::Result<Option<u32>> {
        Ok(None)
    }
    /// Gid of a group; `None` when it has no entry, or this source tells of no groups.
    ///
    /// # Errors
    /// See [`NameService`].
    fn gid_of(&self, _group: &GroupName) -> io::Result<Option<u32>> {
        Ok(None)
    }
    /// True when the gid has an entry, as far as this source tells of groups.
    ///
    /// # Errors
    /// See [`NameService`].
    fn has_gid(&self, _gid: u32) -> io::Result<bool> {
        Ok(false)
    }
    /// True when a group lists a member of that name, whether or not there is such an account; as far
    /// as this source tells of groups.
    ///
    /// # Errors
    /// See [`NameService`].
    fn is_member(&self, _name: &UserName) -> io::Result<bool> {
        Ok(false)
    }
    /// The entry of a name; `None` when it has none, or this source tells only whether there is one.
    ///
    /// # Errors
    /// See [`NameService`].
    fn entry(&self, _name: &UserName) -> io::Result<Option<HostEntry>> {
        Ok(None)
    }
}

/// Asks all sources of names of the host; a directory that hangs must not hang us.
///
/// # Errors
/// [`BackendError::Unavailable`] when no answer comes in time, or a source fails.
pub(crate) async fn ask_names<T: Send + 'static>(
    names: &Arc<dyn NameService>,
    question: impl FnOnce(&dyn NameService) -> io::Result<T> + Send + 'static,
) -> Result<T, BackendError> {
    let names = Arc::clone(names);
    let answer = tokio::task::spawn_blocking(move || question(names.as_ref()));
    let what = match tokio::time::timeout(LIMIT, answer).await {
        Ok(Ok(Ok(answer))) => return Ok(answer),
        Ok(Ok(Err(error))) => {
            format!("the host's name service fails: {}", escape(&error.to_string(), SHOWN))
        }
        _ => "the host's name service gives no answer".to_owned(),
    };
    let cure = "check the sources of `passwd` and `group` in /etc/nsswitch.conf".to_owned();
    Err(BackendError::Unavailable { what, cure })
}

/// A name that may be given to somebody new: no account has it, and no group lists somebody who had
/// it and is gone, whose memberships would be the new owner's.
pub(crate) fn is_unknown(names: &dyn NameService, name: &UserName) -> io::Result<bool> {
    Ok(!names.has_user(name)? && !names.is_member(name)?)
}

/// The C library's name service switch.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

fn user(name: &UserName) -> io::Result<Option<User>> {
    answered(User::from_name(name.as_str()))
}

impl NameService for SystemNames {
    fn has_user(&self, name: &UserName) -> io::Result<bool> {
        Ok(user(name)?.is_some())
    }

    fn has_uid(&self, uid: Uid) -> io::Result<bool> {
        let uid = nix::unistd::Uid::from_raw(uid.get());
        Ok(answered(User::from_uid(uid))?.is_some())
    }

    fn uid_of(&self, name: &UserName) -> io::Result<Option<u32>> {
        Ok(user(name)?.map(|user| user.uid.as_raw()))
    }

    fn gid_of(&self, group: &GroupName) -> io::Result<Option<u32>> {
        Ok(answered(Group::from_name(group.as_str()))?.map(|group| group.gid.as_raw()))
    }

    fn has_gid(&self, gid: u32) -> io::Result<bool> {
        Ok(answered(Group::from_gid(Gid::from_raw(gid)))?.is_some())
    }

    fn is_member(&self, name: &UserName) -> io::Result<bool> {
        // The answer always holds the primary group that was asked with.
        let nobodys = Gid::from_raw(u32::MAX);
        let all = getgrouplist(&CString::new(name.as_str())?, nobodys)?;
        Ok(all.into_iter().any(|gid| gid != nobodys))
    }

    fn entry(&self, name: &UserName) -> io::Result<Option<HostEntry>> {
        Ok(user(name)?.map(|user| HostEntry {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir.to_string_lossy().into_owned(),
            shell: user.shell.to_string_lossy().into_owned(),
        }))
    }
}
