//! Accounts that a directory keeps: what runs under them on this host is looked at and ended here.
//!
//! Nothing about the account itself is done here: the directory keeps it, and its own back end
//! changes it. The ledger knows no such account, so what stands between a lying daemon and other
//! people's sessions are the uids that root's configuration names.

use super::{Accounts, name_service};
use motley_proto::{Identity, Uid, UserName, task::TaskRefusal};

impl Accounts {
    /// The uid of an account whose sessions this identity's daemon may look at and end: one of the
    /// ledger, else one that a directory keeps.
    pub(super) fn present(&self, identity: &Identity, name: &UserName) -> Result<Uid, TaskRefusal> {
        match self.recorded(identity, name) {
            Ok((record, _)) => Ok(record.uid),
            Err(refusal) if is_elsewhere(&refusal) => self.kept_elsewhere(identity, name, refusal),
            Err(refusal) => Err(refusal),
        }
    }

    fn kept_elsewhere(
        &self,
        identity: &Identity,
        name: &UserName,
        refusal: TaskRefusal,
    ) -> Result<Uid, TaskRefusal> {
        let seen = self.read()?;
        let is_local =
            seen.users.named(name.as_str()).is_some() || seen.users.is_malformed(name.as_str());
        let anothers = |owner: Option<&Identity>| owner.is_some_and(|owner| owner != identity);
        if is_local || self.with_book(|book| anothers(book.owner_of_name(name))) {
            return Err(refusal);
        }
        let found = self.world.names.user_named(name.as_str()).map_err(name_service)?;
        let Some(entry) = found.filter(|entry| entry.name == name.as_str()) else {
            return Err(TaskRefusal::NoSuchAccount(name.clone()));
        };
        let uids = &self.world.limits.directory_uids;
        let uid =
            Uid::new(entry.uid).ok().filter(|uid| uids.contains(uid.get())).ok_or_else(|| {
                TaskRefusal::Forbidden(format!(
                    "{name} has the uid {} in a directory; add it to directory_uids",
                    entry.uid
                ))
            })?;
        // Its processes would be those of the local account too.
        let is_shared = seen.users.with_uid(uid.get()).next().is_some()
            || self.with_book(|book| anothers(book.owner_of_uid(uid)));
        if is_shared {
            let reason = format!("uid {uid} of {name} is a local account's too; give each its own");
            return Err(TaskRefusal::Forbidden(reason));
        }
        Ok(uid)
    }
}

fn is_elsewhere(refusal: &TaskRefusal) -> bool {
    matches!(refusal, TaskRefusal::NotManaged(_) | TaskRefusal::NoSuchAccount(_))
}
