//! Locks accounts and sets their shells, in a way that can be taken back.

use super::{
    LdapDirectory,
    directory::Change,
    entry::equals,
    note::Note,
    user::{EXPIRED, LOCKED, User},
};
use crate::backend::BackendError;
use ldap3::Mod;
use motley_proto::task::AccountPath;
use std::collections::HashSet;

/// The changes of one attribute, in the words of the protocol.
pub(super) fn replace(attribute: &str, value: &str) -> Change {
    Mod::Replace(attribute.to_owned(), HashSet::from([value.to_owned()]))
}

pub(super) fn clear(attribute: &str) -> Change {
    Mod::Replace(attribute.to_owned(), HashSet::new())
}

pub(super) fn add(attribute: &str, value: &str) -> Change {
    Mod::Add(attribute.to_owned(), HashSet::from([value.to_owned()]))
}

pub(super) fn delete(attribute: &str, value: &str) -> Change {
    Mod::Delete(attribute.to_owned(), HashSet::from([value.to_owned()]))
}

impl LdapDirectory {
    /// Lets the account expire, and notes what that replaced. Repeating it changes nothing.
    pub(super) async fn lock(&self, user: &User) -> Result<(), BackendError> {
        let notes = &self.config().attributes.notes;
        let mut changes = Vec::new();
        if !user.entry.is_a("shadowAccount") {
            changes.push(add("objectClass", "shadowAccount"));
        }
        if user.expire != Some(EXPIRED) {
            changes.push(replace("shadowExpire", &EXPIRED.to_string()));
        }
        if user.replaced_expiry().is_none() {
            changes.push(add(notes, &Note::Expiry(user.expire).text()));
        }
        if self.config().ppolicy && user.entry.one("pwdAccountLockedTime") != Some(LOCKED) {
            changes.push(replace("pwdAccountLockedTime", LOCKED));
            if !user.notes.contains(&Note::Locked) {
                changes.push(add(notes, &Note::Locked.text()));
            }
        }
        self.change(user, changes, "lock the account").await
    }

    /// Puts back what a lock replaced. What an admin set, before or since, stays.
    pub(super) async fn unlock(&self, user: &User) -> Result<(), BackendError> {
        let notes = &self.config().attributes.notes;
        let mut changes = Vec::new();
        if let Some(before) = user.replaced_expiry() {
            if user.expire == Some(EXPIRED) {
                changes.push(match before {
                    Some(day) => replace("shadowExpire", &day.to_string()),
                    None => clear("shadowExpire"),
                });
            }
            changes.push(delete(notes, &Note::Expiry(before).text()));
        }
        if user.notes.contains(&Note::Locked) {
            if user.entry.one("pwdAccountLockedTime") == Some(LOCKED) {
                changes.push(clear("pwdAccountLockedTime"));
            }
            changes.push(delete(notes, &Note::Locked.text()));
        }
        self.change(user, changes, "unlock the account").await
    }

    pub(super) async fn change_shell(
        &self,
        user: &User,
        shell: &AccountPath,
    ) -> Result<(), BackendError> {
        if user.account.shell == shell.as_str() {
            return Ok(());
        }
        let changes = vec![replace("loginShell", shell.as_str())];
        self.change(user, changes, "set the shell").await
    }

    /// Changes a user's entry in one step, as long as it is still this identity's.
    pub(super) async fn change(
        &self,
        user: &User,
        changes: Vec<Change>,
        step: &str,
    ) -> Result<(), BackendError> {
        let Some(identity) = &user.account.identity else { return Err(BackendError::NoAccount) };
        let attribute = &self.config().attributes.identity;
        let condition = equals(attribute, identity.unique_id().as_str());
        let done = self.directory.modify(&user.entry.dn, changes, &condition).await;
        done.map_err(self.failed(step))
    }
}
