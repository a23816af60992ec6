//! Makes groups. Nobody sees one before its gid is its own: members would keep a gid that another group gets.

use super::{
    LdapDirectory, Mode,
    deploy::{ATTEMPTS, pause},
    entry::dn_below,
    fault::code,
    groups::Group,
    note::Note,
    number::Free,
};
use crate::{backend::BackendError, local_unix::ask_names};
use motley_proto::GroupName;
use std::collections::HashSet;

impl LdapDirectory {
    /// Makes a group that is not there.
    ///
    /// # Errors
    /// [`BackendError::GroupRefused`] where the site makes groups, or the host has one of this name.
    pub(super) async fn make_group(&self, name: &GroupName) -> Result<Group, BackendError> {
        let refused =
            |why: &str| BackendError::GroupRefused { group: name.clone(), why: why.to_owned() };
        if self.config().mode != Mode::FullAccess {
            return Err(refused("it is not in the directory"));
        }
        let (files, asked) = (self.files.snapshot().await?, name.clone());
        let on_host = ask_names(&self.names, move |names| names.gid_of(&asked)).await?;
        if files.has_group(name.as_str()) || on_host.is_some() {
            return Err(refused("the host has a group of this name outside the directory"));
        }
        for attempt in 1..=ATTEMPTS {
            let made = match self.next_number(&self.gids(), None).await? {
                Free::Reserved(gid) => self.add_group(name.as_str(), gid).await?,
                Free::Guessed(gid) => self.add_unseen(name, gid, attempt).await?,
            };
            match made {
                Made::Yes(group) => {
                    tracing::info!(group = %name, gid = group.gid, "a group was made in the directory");
                    return Ok(group);
                }
                // Somebody was faster; it may be used if that was motley.
                Made::NameTaken => {
                    let made = self.groups_noting(&Note::Made).await?;
                    let group = made.into_iter().find(|group| group.name == name.as_str());
                    return group.ok_or_else(|| refused("it was made by somebody else just now"));
                }
                Made::NumberShared => tokio::time::sleep(pause(name.as_str(), attempt)).await,
            }
        }
        Err(BackendError::Busy)
    }

    async fn add_group(&self, cn: &str, gid: u32) -> Result<Made, BackendError> {
        let dn = dn_below(&self.config().group_base, "cn", cn);
        let one = |text: &str| HashSet::from([text.to_owned()]);
        let entry = vec![
            ("objectClass".to_owned(), HashSet::from(["top".to_owned(), "posixGroup".to_owned()])),
            ("cn".to_owned(), one(cn)),
            ("gidNumber".to_owned(), one(&gid.to_string())),
            (self.config().attributes.notes.clone(), one(&Note::Made.text())),
        ];
        match self.directory.add(&dn, entry).await {
            Ok(()) => Ok(Made::Yes(Group { dn, name: cn.to_owned(), gid })),
            Err(fault) if fault.is(code::ENTRY_ALREADY_EXISTS) => Ok(Made::NameTaken),
            Err(fault) => Err(self.failed("make a group")(fault)),
        }
    }

    /// Makes the group under a name that no group can have, and gives it its own when nobody else has
    /// its gid. Who sees another one gives way.
    async fn add_unseen(
        &self,
        name: &GroupName,
        gid: u32,
        attempt: u32,
    ) -> Result<Made, BackendError> {
        let passing = format!("being made: {name} {}-{attempt}", std::process::id());
        let group = match self.add_group(&passing, gid).await? {
            Made::Yes(group) => group,
            // Left behind by a crash, or made by a process of the same number on another host.
            other => {
                tracing::debug!(?other, passing, "a group is being made already");
                return Ok(Made::NumberShared);
            }
        };
        let mut outcome = Made::NumberShared;
        if self.groups_with("gidNumber", &gid.to_string()).await?.len() == 1 {
            match self.directory.rename(&group.dn, "cn", name.as_str()).await {
                Ok(()) => {
                    let dn = dn_below(&self.config().group_base, "cn", name.as_str());
                    return Ok(Made::Yes(Group { dn, name: name.as_str().to_owned(), gid }));
                }
                Err(fault) if fault.is(code::ENTRY_ALREADY_EXISTS) => outcome = Made::NameTaken,
                Err(fault) => return Err(self.failed("name a group")(fault)),
            }
        }
        let deleted = self.directory.delete(&group.dn).await;
        deleted.map_err(self.failed("take a group back"))?;
        Ok(outcome)
    }
}

/// What came of an attempt.
#[derive(Debug)]
enum Made {
    Yes(Group),
    NameTaken,
    NumberShared,
}
