//! Replaces a primary group that motley gave; one that the local admin chose is never taken.
//!
//! usermod(8) writes passwd(5) first and then walks through the home, where it gives the files of the
//! old group to the new one, by descriptors and along no link. Its owner chose how many files there are,
//! and the walk is done in the turn that all tasks share, so that nobody sees half of it: a removal in
//! between could take the new group away, or the account. So its time is far shorter than that of other
//! programs. A walk that takes longer is ended, and the group has changed all the same; files that it
//! did not reach keep the old group, of which their owner is no member any more. What remains is a home
//! whose file system does not answer even the signal that ends the walk.

use super::{Accounts, Step, failed, name_service};
use crate::{database::Snapshot, ledger::Event, runner::Program, serve::log};
use motley_proto::{
    Identity, UserName,
    names::GroupName,
    task::{TaskAnswer, TaskRefusal},
};
use std::time::Duration;

/// How long usermod(8) may take with the walk.
const WALK_LIMIT: Duration = Duration::from_secs(3);

impl Accounts {
    pub(super) fn set_primary_group(
        &self,
        identity: &Identity,
        name: &UserName,
        group: &GroupName,
    ) -> TaskAnswer {
        self.managed(identity, name)?;
        self.note_expiry_ahead(name)?;
        self.settle_primary(name)?;
        let (record, entry) = self.managed(identity, name)?;
        let seen = self.read()?;
        if seen.groups.gid(group.as_str()) == Some(entry.gid) {
            return self.account_answer(name);
        }
        if !record.gave(self.name_of_group(entry.gid, &seen)?.as_deref()) {
            return Err(TaskRefusal::Forbidden(format!(
                "the primary group of {name} is not one that motley gave; change it with usermod --gid"
            )));
        }
        let gid = self.provide_group(group)?;
        self.record(Event::PrimaryBegun { name: name.clone(), group: group.clone() })?;
        self.reached(Step::PrimaryRecorded);
        let number = gid.to_string();
        let args = ["--gid", number.as_str(), "--", name.as_str()];
        let done = self.edit_within(Program::Usermod, &args, WALK_LIMIT);
        self.reached(Step::PrimarySet);
        self.settle_primary(name)?;
        let ended = match done {
            Ok(done) if done.status == Some(0) => None,
            Ok(done) => Some(super::ended_badly(Program::Usermod, &done)),
            Err(refusal) => Some(refusal),
        };
        let has = self.read()?.users.named(name.as_str()).map(|entry| entry.gid);
        match ended {
            None if has == Some(gid) => {}
            None => return Err(failed("set the primary group", "it is another one still")),
            Some(why) if has == Some(gid) => {
                log(&format!(
                    "primary group of {name} is {group} now; files in the home may keep the old one: {why}"
                ));
            }
            Some(why) => return Err(why),
        }
        // It has this group once from now on.
        self.leave_groups(name, &[group])?;
        self.account_answer(name)
    }

    /// Name of a group, by whatever source.
    pub(super) fn name_of_group(
        &self,
        gid: u32,
        seen: &Snapshot,
    ) -> Result<Option<String>, TaskRefusal> {
        match seen.groups.name(gid) {
            Some(group) => Ok(Some(group.to_owned())),
            None => self.world.names.group_with(gid).map_err(name_service),
        }
    }

    /// What passwd(5) shows counts, wherever a change ended. A group that somebody else chose is
    /// theirs from now on, though it be one that motley gives later.
    pub(super) fn settle_primary(&self, name: &UserName) -> Result<(), TaskRefusal> {
        let given = self.with_book(|book| {
            book.account_named(name).map(|(_, record)| record.primary.clone()).unwrap_or_default()
        });
        let seen = self.read()?;
        let entry = seen.users.named(name.as_str()).filter(|_| !given.is_empty());
        let Some(entry) = entry else { return Ok(()) };
        let has = self.name_of_group(entry.gid, &seen)?;
        let group = has.and_then(|has| given.iter().find(|given| given.as_str() == has).cloned());
        if given.len() == 1 && group.is_some() {
            return Ok(());
        }
        self.record(Event::PrimarySettled { name: name.clone(), group })
    }
}
