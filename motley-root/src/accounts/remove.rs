//! Takes complete accounts away: nothing is deleted but their lines in the account files, and homes
//! only where the site wants it.
//!
//! A lying daemon chooses identity and name, and nothing else: the account must be in the ledger and
//! still be what it says there, and home and group follow from the account files. The home is put
//! aside whole, so even then nothing is lost that root can't give back.

use super::{Accounts, Asker, Step, failed, name_service};
use crate::{
    adapter::LeavingHomes,
    database::{Snapshot, UserEntry},
    guard,
    homes::Seen,
    ledger::{Event, GroupStage, RemovalPlan, Stage},
    runner::Program,
    serve::log,
    sessions,
};
use motley_proto::{
    Identity, Uid, UserName,
    names::GroupName,
    task::{AccountPath, HomeFate, Removal, SessionsEnded, TaskAnswer, TaskDone, TaskRefusal},
    text::escape,
};
use std::time::Duration;

/// How the name of a home ends that is to be deleted.
const DELETED: &str = ".deleted";
/// How long one home is deleted before it is the next one's turn.
const DELETION_TURN: Duration = Duration::from_secs(10);
/// Homes of one account that were put aside in the same second.
const ARCHIVE_ATTEMPTS: u32 = 100;

/// Gid of a group that owns nothing, nogroup or nobody.
const NOBODYS_GROUP: u32 = 65_534;
/// A directory that is not there, as of the user nobody.
const NOBODYS_HOME: &str = "/nonexistent";

/// The refusal of anything else about an account that is being taken away.
pub(super) fn is_leaving(name: &UserName) -> TaskRefusal {
    TaskRefusal::Forbidden(format!("{name} is being removed; let that end first"))
}

impl Accounts {
    /// Removes an account in two turns. Ending sessions takes seconds, a home on a network or a directory
    /// may not answer, and nobody else's login has to wait for that, so it is done in between. What
    /// remains for the turns is a look at the home, and its new place.
    pub(super) fn remove_in_turns(
        &self,
        identity: &Identity,
        name: &UserName,
        asker: &dyn Asker,
    ) -> TaskAnswer {
        let (plan, uid) = {
            let _turn = self.take_turn_for(asker)?;
            match self.removal_of(identity, name)? {
                Some(begun) => begun,
                None => return self.require_gone(identity, name),
            }
        };
        let mut ended = SessionsEnded::default();
        if self.is_still_ours(identity, name, uid, &self.read()?)? {
            ended = self.end_all(name, uid)?;
            self.forget_keys(name, uid, &plan, asker)?;
        }
        let is_used = self.is_used_elsewhere(plan.primary_group.as_ref());
        let _turn = self.take_turn();
        // Meanwhile another request may have ended it, and the person have come back.
        match self.removal_of_same(identity, name, &plan) {
            true => {
                let done = self.finish_removal(identity, name, uid, &plan, ended)?;
                let group = plan.primary_group.as_ref().filter(|_| !is_used);
                let group = self.remove_abandoned(group)?;
                self.record(Event::Removed { name: name.clone() })?;
                self.reached(Step::Removed);
                Ok(TaskDone::Removed(Removal { group, ..done }))
            }
            false => Err(TaskRefusal::Busy),
        }
    }

    fn removal_of_same(&self, identity: &Identity, name: &UserName, plan: &RemovalPlan) -> bool {
        self.with_book(|book| match book.account_named(name) {
            Some((owner, record)) if owner == identity => {
                matches!(&record.stage, Stage::Removing(other) if other == plan)
            }
            _ => false,
        })
    }

    /// The removal that was begun, now or earlier; `None` when nothing is there to remove.
    fn removal_of(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<Option<(RemovalPlan, Uid)>, TaskRefusal> {
        let stage = self.with_book(|book| match book.account_named(name) {
            Some((owner, record)) if owner == identity => Some((record.stage.clone(), record.uid)),
            _ => None,
        });
        match stage {
            Some((Stage::Removing(plan), uid)) => Ok(Some((plan, uid))),
            Some((Stage::Complete, uid)) => {
                Ok(Some((self.begin_removal(identity, name, uid)?, uid)))
            }
            Some((Stage::Creating(..), _)) => {
                let reason = format!("{name} is half-made, and such accounts are rolled back");
                Err(TaskRefusal::Forbidden(reason))
            }
            None => Ok(None),
        }
    }

    /// Asked again after it was done; anything else of that name is not ours to remove.
    fn require_gone(&self, identity: &Identity, name: &UserName) -> TaskAnswer {
        let was_theirs = self.with_book(|book| book.owner_of_name(name) == Some(identity));
        if was_theirs && self.read()?.users.named(name.as_str()).is_none() {
            Ok(TaskDone::Removed(Removal::default()))
        } else {
            Err(TaskRefusal::NotManaged(name.clone()))
        }
    }

    /// Checks, shuts the door, and writes down what goes.
    fn begin_removal(
        &self,
        identity: &Identity,
        name: &UserName,
        uid: Uid,
    ) -> Result<RemovalPlan, TaskRefusal> {
        let seen = self.read()?;
        let entry = match self.managed(identity, name) {
            Ok((_, entry)) => Some(entry),
            // Deleted by hand: what it left behind goes too.
            Err(TaskRefusal::NoSuchAccount(_)) => None,
            Err(refusal) => return Err(refusal),
        };
        require_alone(uid, name, &seen)?;
        if entry.is_some() {
            // Sessions that begin while others are ended would otherwise slip through.
            self.expire(identity, name)?;
        } else {
            self.require_unknown(name, uid)?;
        }
        let home_base = self.own_home(name, uid, entry.as_ref(), &seen);
        let homes = self.world.wishes.homes;
        let ending = if homes == LeavingHomes::Remove { DELETED } else { "" };
        let plan = RemovalPlan {
            archive: self.archive_name(name, uid, home_base.as_ref(), ending)?,
            home_base,
            homes,
            primary_group: entry.and_then(|entry| primary_group(&entry, &seen)),
        };
        self.record(Event::Removing { name: name.clone(), plan: plan.clone() })?;
        self.reached(Step::RemovalRecorded);
        Ok(plan)
    }

    /// An account that is no more in passwd may have moved to a directory, or its uid have gone to
    /// somebody there: processes and home are theirs then.
    fn require_unknown(&self, name: &UserName, uid: Uid) -> Result<(), TaskRefusal> {
        let names = &self.world.names;
        let known = match names.user_with_uid(uid.get()).map_err(name_service)? {
            Some(other) => Some(other),
            None => names.user_named(name.as_str()).map_err(name_service)?,
        };
        let Some(known) = known else { return Ok(()) };
        let reason = format!(
            "{name} is not in passwd, and the name service knows {} with uid {}; remove that one first",
            escape(&known.name, 64),
            known.uid
        );
        Err(TaskRefusal::Forbidden(reason))
    }

    /// True while what is there is what was to be removed. Whoever made another account of that name
    /// or uid meanwhile owns it.
    fn is_still_ours(
        &self,
        identity: &Identity,
        name: &UserName,
        uid: Uid,
        seen: &Snapshot,
    ) -> Result<bool, TaskRefusal> {
        let ours = match seen.users.named(name.as_str()) {
            Some(entry) => entry.uid == uid.get() && guard::names_identity(&entry, identity),
            None if require_alone(uid, name, seen).is_err() => false,
            None => {
                self.require_unknown(name, uid)?;
                true
            }
        };
        if ours {
            guard::check_uid(uid.get(), &self.world.limits)?;
            require_alone(uid, name, seen)?;
        }
        Ok(ours)
    }

    /// Goes through the steps that are not done yet, after the sessions were ended, up to its group.
    fn finish_removal(
        &self,
        identity: &Identity,
        name: &UserName,
        uid: Uid,
        plan: &RemovalPlan,
        ended: SessionsEnded,
    ) -> Result<Removal, TaskRefusal> {
        let seen = self.read()?;
        let entry = seen.users.named(name.as_str());
        let ours = self.is_still_ours(identity, name, uid, &seen)?;
        let mut removal = Removal { ended, ..Removal::default() };
        if ours {
            // Also what came since, so that nothing starts behind the look at processes.
            self.archive_jobs(name, uid, &plan.archive)?;
            self.require_nobody_there(name, uid)?;
            removal.home = self.put_home_aside(name, uid, plan, entry.as_ref(), &seen)?;
            self.reached(Step::HomeAside);
        }
        if let Some(entry) = entry.filter(|_| ours) {
            // A user manager that lingers would be started again at every boot, for nobody. Without the
            // account it has no effect, so a failure is no reason to keep the account.
            let _ = self.end_linger(name);
            self.part_from_group(&entry, &seen)?;
            self.edit_or_fail(Program::Userdel, &["--", name.as_str()])?;
            if self.read()?.users.named(name.as_str()).is_some() {
                return Err(failed("remove the account", "it is still there"));
            }
        }
        self.reached(Step::UserRemoved);
        Ok(removal)
    }

    fn end_all(&self, name: &UserName, uid: Uid) -> Result<SessionsEnded, TaskRefusal> {
        self.keep_from_starting(name, uid)?;
        let ended = self.end_sessions(name, uid)?;
        require_none(ended.remaining)?;
        Ok(ended)
    }

    /// A process of the uid that is left would own what the next account with that uid owns.
    fn require_nobody_there(&self, name: &UserName, uid: Uid) -> Result<(), TaskRefusal> {
        let left = sessions::remaining(&self.world.root, &self.whose(name, uid)?);
        require_none(left.map_err(|error| failed("end sessions", error))?)
    }

    /// The directory in which the account's own home lies: one that the site configured, and the home
    /// a directory of this uid that nobody else lives in.
    fn own_home(
        &self,
        name: &UserName,
        uid: Uid,
        entry: Option<&UserEntry>,
        seen: &Snapshot,
    ) -> Option<AccountPath> {
        let is_own = |base: &&AccountPath| {
            let home = format!("{base}/{name}");
            entry.is_none_or(|entry| entry.home == home)
                && !seen.users.others_live_in(&home, name.as_str())
                && self.home_base(base).is_ok_and(|base| {
                    base.look(name.as_str()).is_ok_and(|it| it == Seen::Directory(uid.get()))
                })
        };
        self.world.limits.home_bases.iter().find(is_own).cloned()
    }

    /// `NAME-UID-TIME`, or with a number behind it where that is there already.
    fn archive_name(
        &self,
        name: &UserName,
        uid: Uid,
        base: Option<&AccountPath>,
        ending: &str,
    ) -> Result<String, TaskRefusal> {
        let first = format!("{name}-{uid}-{}", utc((self.world.now)()));
        let Some(base) = base else { return Ok(first) };
        let base = self.home_base(base)?;
        let others = (2..ARCHIVE_ATTEMPTS).map(|number| format!("{first}.{number}{ending}"));
        for archive in std::iter::once(format!("{first}{ending}")).chain(others) {
            if base.aside(&archive)?.is_none() {
                return Ok(archive);
            }
        }
        Err(failed("put the home aside", "too many are there already"))
    }

    fn put_home_aside(
        &self,
        name: &UserName,
        uid: Uid,
        plan: &RemovalPlan,
        entry: Option<&UserEntry>,
        seen: &Snapshot,
    ) -> Result<HomeFate, TaskRefusal> {
        let left = entry.map_or(HomeFate::Nothing, |entry| HomeFate::Left(entry.home.clone()));
        let Some(path) = &plan.home_base else { return Ok(left) };
        if plan.homes == LeavingHomes::Keep {
            return Ok(left);
        }
        let base = self.home_base(path)?;
        if !seen.users.others_live_in(&format!("{path}/{name}"), name.as_str()) {
            base.put_aside(name.as_str(), uid.get(), &plan.archive)?;
        }
        let aside = base.aside(&plan.archive)?;
        Ok(match aside {
            None => left,
            Some(at) if plan.homes == LeavingHomes::Remove => HomeFate::Deleting(self.shown(&at)),
            Some(at) => HomeFate::Archived(self.shown(&at)),
        })
    }

    /// Deletes the homes that are to be deleted, which may take long. False if something is left.
    pub fn delete_homes(&self) -> bool {
        let mut all = true;
        for base in &self.world.limits.home_bases {
            let deleted = self
                .home_base(base)
                .and_then(|base| Ok(base.delete_aside(DELETED, DELETION_TURN)?));
            if let Err(refusal) = deleted {
                log(&format!("delete homes in {base}: {refusal}"));
                all = false;
            }
        }
        all
    }

    /// The path as it is on the host.
    fn shown(&self, path: &std::path::Path) -> String {
        let below = path.strip_prefix(&self.world.root).unwrap_or(path);
        format!("/{}", below.display())
    }

    /// userdel(8) removes a group of the account's name with it where USERGROUPS_ENAB is set, whoever
    /// made it, but only if it is the primary one.
    fn part_from_group(&self, entry: &UserEntry, seen: &Snapshot) -> Result<(), TaskRefusal> {
        let limits = &self.world.limits;
        if !self.with_book(|book| guard::loses_group(entry, &seen.groups, book, limits)) {
            return Ok(());
        }
        if seen.groups.name(NOBODYS_GROUP).is_none() {
            let reason = format!(
                "the group {} is not motley's and would go with the account; \
                 give the account another primary group (usermod --gid)",
                entry.name
            );
            return Err(TaskRefusal::Forbidden(reason));
        }
        let gid = NOBODYS_GROUP.to_string();
        // Where a home is left, usermod(8) would change the group of all that lies in it.
        let args = ["--gid", &gid, "--home", NOBODYS_HOME, "--", &entry.name];
        self.edit_or_fail(Program::Usermod, &args)
    }

    /// True if another source of names knows somebody whose primary group it is, or can't tell.
    fn is_used_elsewhere(&self, group: Option<&GroupName>) -> bool {
        let stage = group.and_then(|group| self.with_book(|book| book.group(group)));
        // Others stay anyway, and asking may take its time.
        let Some(GroupStage::Made(gid)) = stage else { return true };
        let Ok(seen) = self.read() else { return true };
        let is_local = |name: &str| seen.users.named(name).is_some();
        let used = self.world.names.has_primary_user(gid, &is_local);
        used.unwrap_or_else(|error| {
            log(&format!("gid {gid} may be somebody's primary group, so it stays: {error}"));
            true
        })
    }

    fn remove_abandoned(
        &self,
        group: Option<&GroupName>,
    ) -> Result<Option<GroupName>, TaskRefusal> {
        let Some(group) = group else { return Ok(None) };
        let seen = self.read()?;
        let abandoned = self.with_book(|book| {
            guard::is_abandoned(group, &seen.users, &seen.groups, book, &self.world.limits)
        });
        if !abandoned {
            return Ok(None);
        }
        self.edit_or_fail(Program::Groupdel, &["--", group.as_str()])?;
        Ok(Some(group.clone()))
    }
}

fn require_none(left: u32) -> Result<(), TaskRefusal> {
    match left {
        0 => Ok(()),
        left => Err(failed("end sessions", format!("{left} processes still run"))),
    }
}

/// Another name for the same uid would lose its processes, and the home its owner.
fn require_alone(uid: Uid, name: &UserName, seen: &Snapshot) -> Result<(), TaskRefusal> {
    if seen.users.with_uid(uid.get()).any(|entry| entry.name != name.as_str()) {
        let reason = format!("uid {uid} has another name too; give each its own");
        return Err(TaskRefusal::Forbidden(reason));
    }
    Ok(())
}

fn primary_group(entry: &UserEntry, seen: &Snapshot) -> Option<GroupName> {
    GroupName::new(seen.groups.name(entry.gid)?).ok()
}

/// Seconds since 1970 as `YYYYMMDDTHHMMSSZ` in the Gregorian calendar.
fn utc(seconds: i64) -> String {
    let (day, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March here, so that the leap day is their last; 719 468 days lie between
    // 0000-03-01 and 1970-01-01, 146 097 make four centuries.
    let day = day.saturating_add(719_468);
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (era * 400 + year, month + 3),
        _ => (era * 400 + year + 1, month - 9),
    };
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{of_month:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_709_251_199, "20240229T235959Z"),
            (1_709_251_200, "20240301T000000Z"),
            (1_798_761_599, "20261231T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
