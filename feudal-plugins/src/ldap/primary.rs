//! Primary groups: one that motley gave goes with the claim, one that an admin chose stays.

use super::{
    LdapDirectory, Mode,
    lock::{add, delete},
    note::Note,
    user::User,
};
use crate::backend::{BackendError, Intent};
use motley_proto::{GroupName, UserName};

/// A primary group that took the place of another.
pub(super) struct Replaced {
    /// The new one, if the account was no member of it before.
    pub(super) new: Option<GroupName>,
    /// The one before.
    pub(super) gone: GroupName,
}

/// True if the account has the primary group that motley gave it last.
fn is_given(user: &User) -> bool {
    user.account.gid.is_some_and(|gid| user.notes.contains(&Note::Primary(gid)))
}

impl LdapDirectory {
    /// Name of the primary group, where motley makes the entries of accounts.
    pub(super) async fn known_primary(
        &self,
        name: &UserName,
    ) -> Result<Option<GroupName>, BackendError> {
        if self.config().mode != Mode::FullAccess {
            return Ok(None);
        }
        let gid = self.named(name).await?.and_then(|user| user.account.gid);
        match gid {
            Some(gid) => self.name_of(gid).await,
            None => Ok(None),
        }
    }

    /// The same, if motley gave it.
    pub(super) async fn given_primary(
        &self,
        name: &UserName,
    ) -> Result<Option<GroupName>, BackendError> {
        let user = self.named(name).await?.filter(is_given);
        match user.and_then(|user| user.account.gid) {
            Some(gid) if self.config().mode == Mode::FullAccess => self.name_of(gid).await,
            _ => Ok(None),
        }
    }

    async fn name_of(&self, gid: u32) -> Result<Option<GroupName>, BackendError> {
        if gid == self.nobodys_gid().await? {
            return Ok(GroupName::new(super::groups::NOBODYS).ok());
        }
        let groups = self.groups_with("gidNumber", &gid.to_string()).await?;
        Ok(groups.into_iter().next().and_then(|group| GroupName::new(group.name).ok()))
    }

    /// A primary group that motley gave does not outlast the claim.
    pub(super) async fn follow_primary(
        &self,
        intent: &Intent,
        user: User,
    ) -> Result<(User, Option<Replaced>), BackendError> {
        let is_ours = self.config().mode == Mode::FullAccess && is_given(&user);
        let Some(gid) = user.account.gid.filter(|_| is_ours) else { return Ok((user, None)) };
        // A group that is gone from the directory grants nothing.
        let gone = self.name_of(gid).await?.filter(|gone| !intent.groups.contains(gone));
        let Some(gone) = gone else { return Ok((user, None)) };
        let primary = &intent.groups.primary;
        let (user, was_member) = self.replace_primary(user, primary).await?;
        let new = Some(primary.clone()).filter(|_| !was_member);
        Ok((user, Some(Replaced { new, gone })))
    }

    /// Gid and note change in one step, and only as long as nobody else changed the gid. Also tells
    /// whether the account was a member of the group before.
    pub(super) async fn replace_primary(
        &self,
        mut user: User,
        group: &GroupName,
    ) -> Result<(User, bool), BackendError> {
        if self.config().mode != Mode::FullAccess {
            let what = "primary groups are the site's, which makes the entries";
            return Err(BackendError::Unsupported(what.to_owned()));
        }
        let Some(before) = user.account.gid.filter(|_| is_given(&user)) else {
            return Err(BackendError::Refused(format!(
                "the primary group of {} is not one that motley gave",
                user.account.name
            )));
        };
        let gid = self.primary_gid(group).await?;
        if gid != before {
            let notes = &self.config().attributes.notes;
            let changes = vec![
                delete("gidNumber", &before.to_string()),
                add("gidNumber", &gid.to_string()),
                delete(notes, &Note::Primary(before).text()),
                add(notes, &Note::Primary(gid).text()),
            ];
            self.change(&user, changes, "replace the primary group").await?;
            user.account.gid = Some(gid);
        }
        let name = user.account.name.clone();
        let member = self.groups_with("memberUid", name.as_str()).await?;
        let here = member.into_iter().find(|it| it.name == group.as_str());
        let was_member = here.is_some();
        if let Some(here) = here
            && self.groups_noting(&Note::Member(name.clone())).await?.contains(&here)
        {
            self.leave(&here, &name, true).await?;
        }
        Ok((user, was_member))
    }
}
