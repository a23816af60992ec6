//! Names that are known on this host by whatever source, and whom the host itself asks about them.

use super::UserEntry;
use crate::ffi;
use motley_proto::name_service::answered;
use std::{
    io,
    time::{Duration, Instant},
};

/// How long the accounts of all sources are gone through.
const LISTING_LIMIT: Duration = Duration::from_secs(5);

/// Names that are known on this host by whatever source (files, SSSD, LDAP, systemd).
pub trait NameService: Send + Sync {
    /// The account of that name.
    ///
    /// # Errors
    /// When a source can't be asked: then the name must count as taken.
    fn user_named(&self, name: &str) -> io::Result<Option<UserEntry>>;
    /// The account with that uid.
    ///
    /// # Errors
    /// As [`NameService::user_named`].
    fn user_with_uid(&self, uid: u32) -> io::Result<Option<UserEntry>>;
    /// Gid of the group of that name.
    ///
    /// # Errors
    /// As [`NameService::user_named`].
    fn gid_of(&self, group: &str) -> io::Result<Option<u32>>;
    /// Gids of the groups that list a member of that name, whether or not there is such an account.
    ///
    /// # Errors
    /// As [`NameService::user_named`].
    fn gids_listing(&self, member: &str) -> io::Result<Vec<u32>>;
    /// True if there is an account with this primary group, other than those that are known already by
    /// name. Sources that do not list their accounts tell of none.
    ///
    /// # Errors
    /// When a source can't be asked, or does not come to an end.
    fn has_primary_user(&self, gid: u32, is_known: &dyn Fn(&str) -> bool) -> io::Result<bool>;
    /// Name of the group with that gid.
    ///
    /// # Errors
    /// As [`NameService::user_named`].
    fn group_with(&self, gid: u32) -> io::Result<Option<String>>;
}

/// The name service switch of this host (nsswitch.conf(5)).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

impl NameService for SystemNames {
    fn user_named(&self, name: &str) -> io::Result<Option<UserEntry>> {
        Ok(answered(nix::unistd::User::from_name(name))?.map(from_system))
    }

    fn user_with_uid(&self, uid: u32) -> io::Result<Option<UserEntry>> {
        let uid = nix::unistd::Uid::from_raw(uid);
        Ok(answered(nix::unistd::User::from_uid(uid))?.map(from_system))
    }

    fn gid_of(&self, group: &str) -> io::Result<Option<u32>> {
        Ok(answered(nix::unistd::Group::from_name(group))?.map(|group| group.gid.as_raw()))
    }

    fn gids_listing(&self, member: &str) -> io::Result<Vec<u32>> {
        let member = std::ffi::CString::new(member)?;
        // The answer always holds the primary group that was asked with.
        let nobodys = nix::unistd::Gid::from_raw(u32::MAX);
        let all = nix::unistd::getgrouplist(&member, nobodys)?;
        Ok(all.into_iter().filter(|gid| *gid != nobodys).map(|gid| gid.as_raw()).collect())
    }

    fn has_primary_user(&self, gid: u32, is_known: &dyn Fn(&str) -> bool) -> io::Result<bool> {
        let until = Instant::now() + LISTING_LIMIT;
        let mut found = Ok(false);
        ffi::list_accounts(|name, primary| {
            if primary == gid && !is_known(name) {
                found = Ok(true);
            } else if Instant::now() >= until {
                found = Err(io::ErrorKind::TimedOut.into());
            }
            matches!(found, Ok(false))
        })?;
        found
    }

    fn group_with(&self, gid: u32) -> io::Result<Option<String>> {
        let gid = nix::unistd::Gid::from_raw(gid);
        Ok(answered(nix::unistd::Group::from_gid(gid))?.map(|group| group.name))
    }
}

fn from_system(user: nix::unistd::User) -> UserEntry {
    UserEntry {
        name: user.name,
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        gecos: user.gecos.to_string_lossy().into_owned(),
        home: user.dir.display().to_string(),
        shell: user.shell.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r22_all_accounts_of_the_host_are_looked_through_for_a_primary_group() {
        let ask = |gid, known: &[&str]| {
            SystemNames.has_primary_user(gid, &|name: &str| known.contains(&name)).unwrap()
        };
        assert!(ask(0, &["nobody"]), "root");
        assert!(!ask(u32::MAX - 1, &[]), "nobody has this one");
        let text = std::fs::read_to_string("/etc/passwd").unwrap();
        let local: Vec<_> = text.lines().filter_map(|line| line.split(':').next()).collect();
        assert!(!ask(0, &local), "all of them are known");
    }
}
