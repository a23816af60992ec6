//! Joins and leaves supplementary groups; memberships that motley did not give are never taken.

use super::{Accounts, Step, is_in};
use crate::{ledger::Event, runner::Program};
use motley_proto::{
    Identity, UserName,
    names::GroupName,
    task::{TaskAnswer, TaskDone, TaskRefusal},
};

impl Accounts {
    pub(super) fn set_groups(
        &self,
        identity: &Identity,
        name: &UserName,
        join: &[GroupName],
        leave: &[GroupName],
    ) -> TaskAnswer {
        self.managed(identity, name)?;
        self.note_expiry_ahead(name)?;
        self.forget_lost_memberships(name)?;
        self.settle_primary(name)?;
        let joined = self.join_groups(name, join)?;
        let leave: Vec<_> = leave.iter().filter(|group| !join.contains(group)).collect();
        let left = self.leave_groups(name, &leave)?;
        let account = self.facts(name)?;
        let account = account.ok_or_else(|| TaskRefusal::NoSuchAccount(name.clone()))?;
        Ok(TaskDone::Groups { joined, left, account })
    }

    /// Joins those of the groups of which the account is no member; yields them.
    pub(super) fn join_groups(
        &self,
        name: &UserName,
        groups: &[GroupName],
    ) -> Result<Vec<GroupName>, TaskRefusal> {
        let member_of = self.read()?.groups.of_member(name.as_str());
        let mut new: Vec<GroupName> = Vec::new();
        for group in groups.iter().filter(|group| !is_in(group, &member_of)) {
            if !new.contains(group) {
                new.push(group.clone());
            }
        }
        if new.is_empty() {
            return Ok(new);
        }
        for group in &new {
            self.provide_group(group)?;
        }
        // On record first: a membership that is not on record could never be taken back.
        for group in &new {
            self.record(Event::Joined { name: name.clone(), group: group.clone() })?;
        }
        self.reached(Step::JoinRecorded);
        let list: Vec<_> = new.iter().map(GroupName::as_str).collect();
        let args = ["--append", "--groups", &list.join(","), "--", name.as_str()];
        let done = self.edit_or_fail(Program::Usermod, &args);
        if done.is_err() {
            self.forget_lost_memberships(name)?;
        }
        done?;
        self.reached(Step::Joined);
        Ok(new)
    }

    pub(super) fn leave_groups(
        &self,
        name: &UserName,
        groups: &[&GroupName],
    ) -> Result<Vec<GroupName>, TaskRefusal> {
        let mut left = Vec::new();
        for group in groups {
            let ours = self.with_book(|book| {
                book.account_named(name).is_some_and(|(_, record)| record.joined.contains(*group))
            });
            if ours {
                let args = ["--remove", "--groups", group.as_str(), "--", name.as_str()];
                self.edit_or_fail(Program::Usermod, &args)?;
                self.record(Event::Left { name: name.clone(), group: (*group).clone() })?;
                left.push((*group).clone());
            }
        }
        Ok(left)
    }

    /// Memberships that somebody else ended are theirs to give from now on.
    pub(super) fn forget_lost_memberships(&self, name: &UserName) -> Result<(), TaskRefusal> {
        let seen = self.read()?;
        let member_of = seen.groups.of_member(name.as_str());
        let joined = self.with_book(|book| {
            book.account_named(name).map(|(_, record)| record.joined.clone()).unwrap_or_default()
        });
        for group in joined.into_iter().filter(|group| !is_in(group, &member_of)) {
            self.record(Event::Left { name: name.clone(), group })?;
        }
        Ok(())
    }
}
