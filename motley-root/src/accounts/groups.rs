//! Makes groups, and says which may be used.

use super::{Accounts, Step, ended_badly, failed, name_service};
use crate::{
    database::Snapshot,
    guard::{self, GroupStep},
    ledger::{Event, GroupStage},
    runner::Program,
};
use motley_proto::{
    names::{GroupName, is_protected_id},
    task::TaskRefusal,
};

/// Most gids about which the name service is asked for one group: each answer may take its time, and
/// everybody's tasks wait for it.
const GID_QUESTIONS: usize = 200;

impl Accounts {
    /// Decides what a group needs before it may be used.
    pub(super) fn group_step(
        &self,
        group: &GroupName,
        seen: &Snapshot,
    ) -> Result<GroupStep, TaskRefusal> {
        let elsewhere = match seen.groups.gid(group.as_str()) {
            Some(_) => None,
            None => self.world.names.gid_of(group.as_str()).map_err(name_service)?,
        };
        let limits = &self.world.limits;
        self.with_book(|book| guard::check_group(group, &seen.groups, elsewhere, book, limits))
    }

    /// Makes the group if it has to be made, and yields its gid.
    pub(super) fn provide_group(&self, group: &GroupName) -> Result<u32, TaskRefusal> {
        let seen = self.read()?;
        let before = match self.group_step(group, &seen)? {
            GroupStep::Use(gid) => return Ok(gid),
            GroupStep::Make(Some(gid)) => Some(gid),
            GroupStep::Make(None) => self.fresh_gid(&seen)?,
        };
        self.record(Event::GroupReserved { group: group.clone() })?;
        self.reached(Step::GroupReserved);
        self.add_group(group, before)?;
        self.reached(Step::GroupAdded);
        let gid = self.read()?.groups.gid(group.as_str());
        let gid = gid.ok_or_else(|| failed("check the new group", "it is not there"))?;
        self.record(Event::GroupMade { group: group.clone(), gid })?;
        self.reached(Step::GroupRecorded);
        Ok(gid)
    }

    /// A gid that no group of ours ever had, if groupadd(8) could choose one that was: the files of a
    /// group that is gone must not become those of the next one.
    fn fresh_gid(&self, seen: &Snapshot) -> Result<Option<u32>, TaskRefusal> {
        let given = self.with_book(|book| book.made_gids().clone());
        let gone = given.iter().filter(|gid| seen.groups.name(**gid).is_none());
        let Some(largest) = gone.max() else { return Ok(None) };
        let range = &self.world.site.gids;
        // Behind the largest first, as groupadd(8) does, and then what is left before.
        let taken = seen.groups.largest_gid(range).unwrap_or(0).max(*largest);
        let first = taken.saturating_add(1).max(*range.start()).min(range.end().saturating_add(1));
        let is_free = |gid: &u32| {
            !is_protected_id(*gid) && !given.contains(gid) && seen.groups.name(*gid).is_none()
        };
        let free = (first..=*range.end()).chain(*range.start()..first).filter(is_free);
        for gid in free.take(GID_QUESTIONS) {
            if self.world.names.group_with(gid).map_err(name_service)?.is_none() {
                return Ok(Some(gid));
            }
        }
        let (min, max) = (range.start(), range.end());
        let what = format!(
            "none that was never used was found from {min} to {max}; widen GID_MIN and GID_MAX of \
             /etc/login.defs, and restart motley-root"
        );
        Err(failed("choose a gid", what))
    }

    fn add_group(&self, group: &GroupName, gid: Option<u32>) -> Result<(), TaskRefusal> {
        let gid = gid.map(|gid| gid.to_string());
        let mut args = Vec::new();
        if let Some(gid) = &gid {
            args.extend(["--gid", gid.as_str()]);
        }
        args.extend(["--", group.as_str()]);
        let refusal = match self.edit(Program::Groupadd, &args) {
            Ok(done) => match done.status {
                Some(0) => return Ok(()),
                // These say that it made nothing: the name is none to it, or name or gid are taken.
                Some(status @ (3 | 4 | 9)) => {
                    self.record(Event::GroupReleased { group: group.clone() })?;
                    return Err(match status {
                        // Distributions differ in what may be a name. It must keep nobody out.
                        3 => TaskRefusal::GroupForbidden {
                            group: group.clone(),
                            why: "groupadd does not take this name".to_owned(),
                        },
                        _ => ended_badly(Program::Groupadd, &done),
                    });
                }
                _ => ended_badly(Program::Groupadd, &done),
            },
            Err(refusal) => refusal,
        };
        // It may be there all the same, as after a crash.
        self.settle_group(group)?;
        Err(refusal)
    }

    /// A group that was about to be made when the process ended is ours if it came to be, and empty.
    pub(super) fn settle_group(&self, group: &GroupName) -> Result<(), TaskRefusal> {
        let seen = self.read()?;
        let reserved = self.with_book(|book| book.group(group)) == Some(GroupStage::Reserved);
        let event = match seen.groups.gid(group.as_str()) {
            Some(gid) if seen.groups.is_empty(group.as_str()) => {
                Event::GroupMade { group: group.clone(), gid }
            }
            _ => Event::GroupReleased { group: group.clone() },
        };
        if reserved { self.record(event) } else { Ok(()) }
    }
}
