//! Makes accounts, step by step so that each can be finished or taken back, and adopts existing ones.

use super::{Accounts, Asker, Step, ended_badly, failed, name_service};
use crate::{
    database::{Snapshot, UserEntry},
    guard::{self, ExistingHomes},
    homes::{HomeBase, NewHome, Seen},
    ledger::{Event, GroupStage, HomePlan, Stage, Standing},
    runner::Program,
};
use motley_proto::{
    Identity, UserName,
    names::GroupName,
    task::{AccountPath, NewAccount, TaskAnswer, TaskRefusal},
};
use std::path::PathBuf;

impl Accounts {
    /// Who comes back in the middle of a removal has it finished first, in turns of its own: ending
    /// sessions takes seconds.
    pub(super) fn create_in_turns(&self, plan: &NewAccount, asker: &dyn Asker) -> TaskAnswer {
        {
            let _turn = self.take_turn_for(asker)?;
            if !self.is_going(plan) {
                return self.create(plan);
            }
            self.check_plan(plan)?;
        }
        self.remove_in_turns(&plan.identity, &plan.name, asker)?;
        let _turn = self.take_turn_for(asker)?;
        self.create(plan)
    }

    fn is_going(&self, plan: &NewAccount) -> bool {
        self.with_book(|book| match book.standing(&plan.identity, &plan.name, plan.uid) {
            Ok(Standing::Own(record)) => matches!(record.stage, Stage::Removing(_)),
            _ => false,
        })
    }

    fn create(&self, plan: &NewAccount) -> TaskAnswer {
        self.check_plan(plan)?;
        let standing =
            self.with_book(|book| book.standing(&plan.identity, &plan.name, plan.uid))?;
        let seen = self.read()?;
        match (standing, seen.users.named(plan.name.as_str())) {
            (Standing::Own(record), entry) => match (record.stage, entry) {
                (Stage::Creating(begun, home), _) => self.complete(&begun, home)?,
                (Stage::Complete, Some(entry)) => {
                    self.require_same(plan, &entry)?;
                    self.note_expiry_ahead(&plan.name)?;
                }
                (Stage::Complete, None) => self.begin(plan, &seen, Standing::Returning)?,
                // Another removal began since the last one ended.
                (Stage::Removing(_), _) => return Err(TaskRefusal::Busy),
            },
            (_, Some(entry)) => self.take_over(plan, &entry, &seen)?,
            (standing, None) => self.begin(plan, &seen, standing)?,
        }
        self.join_groups(&plan.name, &plan.groups)?;
        self.account_answer(&plan.name)
    }

    fn check_plan(&self, plan: &NewAccount) -> Result<(), TaskRefusal> {
        guard::check_plan(plan, &self.world.limits, &self.listed_shells())
    }

    pub(super) fn adopt(&self, identity: &Identity, name: &UserName) -> TaskAnswer {
        let seen = self.read()?;
        let entry = seen.users.named(name.as_str());
        let entry = entry.ok_or_else(|| TaskRefusal::NoSuchAccount(name.clone()))?;
        let begun = self.with_book(|book| match book.account_of(identity) {
            Some(record) if record.name == *name => Some(record.stage.clone()),
            _ => None,
        });
        match begun {
            Some(Stage::Complete) => {
                self.managed(identity, name)?;
                self.note_expiry_ahead(name)?;
            }
            Some(Stage::Creating(plan, home)) => self.complete(&plan, home)?,
            Some(Stage::Removing(_)) => return Err(super::remove::is_leaving(name)),
            None => self.record_adoption(identity, name, &entry, &seen)?,
        }
        self.account_answer(name)
    }

    fn record_adoption(
        &self,
        identity: &Identity,
        name: &UserName,
        entry: &UserEntry,
        seen: &Snapshot,
    ) -> Result<(), TaskRefusal> {
        let sharing = seen.users.with_uid(entry.uid).count();
        let uid = guard::check_adoption(entry, sharing, identity, name, &self.world.limits)?;
        self.with_book(|book| book.standing(identity, name, uid))?;
        let (identity, day) = (identity.clone(), Some((self.world.today)()));
        self.record(Event::Adopted { identity, name: name.clone(), uid, day })?;
        self.inherit_expiry(name, seen)?;
        self.note_expiry_ahead(name)
    }

    /// An account that is there already and names this very identity is adopted.
    fn take_over(
        &self,
        plan: &NewAccount,
        entry: &UserEntry,
        seen: &Snapshot,
    ) -> Result<(), TaskRefusal> {
        self.require_same(plan, entry)?;
        self.record_adoption(&plan.identity, &plan.name, entry, seen)
    }

    fn require_same(&self, plan: &NewAccount, entry: &UserEntry) -> Result<(), TaskRefusal> {
        if !guard::names_identity(entry, &plan.identity) {
            Err(TaskRefusal::NameTaken(plan.name.clone()))
        } else if entry.uid == plan.uid.get() {
            Ok(())
        } else {
            Err(TaskRefusal::IdentityHasAccount(plan.name.clone()))
        }
    }

    /// Reserves name and uid and goes through all steps; what fails is taken back at once.
    fn begin(
        &self,
        plan: &NewAccount,
        seen: &Snapshot,
        standing: Standing,
    ) -> Result<(), TaskRefusal> {
        self.require_free(plan, seen)?;
        for group in std::iter::once(&plan.primary_group).chain(&plan.groups) {
            self.group_step(group, seen)?;
        }
        let home = self.plan_home(plan, &standing)?;
        self.record(Event::Reserved { plan: plan.clone(), home })?;
        self.forget_lost_memberships(&plan.name)?;
        self.reached(Step::Reserved);
        self.complete(plan, home).inspect_err(|refusal| {
            // Files that are locked now are locked for this too. The reservation stays then, and
            // the next try or the next start finishes it.
            if *refusal != TaskRefusal::Busy {
                let _ = self.take_back(plan, home);
            }
        })
    }

    fn require_free(&self, plan: &NewAccount, seen: &Snapshot) -> Result<(), TaskRefusal> {
        let (name, uid) = (plan.name.as_str(), plan.uid.get());
        let names = &self.world.names;
        if seen.users.is_malformed(name) || names.user_named(name).map_err(name_service)?.is_some()
        {
            return Err(TaskRefusal::NameTaken(plan.name.clone()));
        }
        if seen.users.with_uid(uid).next().is_some()
            || names.user_with_uid(uid).map_err(name_service)?.is_some()
        {
            return Err(TaskRefusal::UidTaken(plan.uid));
        }
        self.require_no_remains(plan, seen)?;
        match seen.users.with_full_name(plan.identity.unique_id().as_str()) {
            None => Ok(()),
            Some(other) => Err(match UserName::new(other.name.clone()) {
                Ok(name) => TaskRefusal::IdentityHasAccount(name),
                Err(_) => TaskRefusal::Forbidden(format!(
                    "uid {} names this identity under a name that can't be managed",
                    other.uid
                )),
            }),
        }
    }

    /// What is said about a name elsewhere must not become true of somebody new.
    ///
    /// Groups go on listing people who are gone, from the host or from a directory. Rules of
    /// pam_access(8) name people and groups alike. Who comes back has their memberships again, but a
    /// group of that name is theirs only if it was made for them.
    fn require_no_remains(&self, plan: &NewAccount, seen: &Snapshot) -> Result<(), TaskRefusal> {
        let (name, names) = (plan.name.as_str(), &self.world.names);
        let gid = match seen.groups.gid(name) {
            None => names.gid_of(name).map_err(name_service)?,
            gid => gid,
        };
        let is_free =
            match self.with_book(|book| book.owner_of_name(&plan.name) == Some(&plan.identity)) {
                true => gid.is_none_or(|gid| self.was_made(name, gid)),
                false => gid.is_none() && self.is_listed_nowhere(name, seen)?,
            };
        if is_free { Ok(()) } else { Err(TaskRefusal::NameTaken(plan.name.clone())) }
    }

    fn was_made(&self, group: &str, gid: u32) -> bool {
        let group = GroupName::new(group);
        group.is_ok_and(|group| {
            self.with_book(|book| book.group(&group)) == Some(GroupStage::Made(gid))
        })
    }

    /// True if no group lists a member of this name.
    fn is_listed_nowhere(&self, name: &str, seen: &Snapshot) -> Result<bool, TaskRefusal> {
        let in_gshadow = self.world.database.is_in_gshadow(name);
        Ok(seen.groups.of_member(name).is_empty()
            && !in_gshadow.map_err(|error| failed("read the groups", error))?
            && self.world.names.gids_listing(name).map_err(name_service)?.is_empty())
    }

    /// A directory that exists is somebody's remains, unless it is known to be this identity's.
    fn plan_home(&self, plan: &NewAccount, standing: &Standing) -> Result<HomePlan, TaskRefusal> {
        let base = self.home_base(&plan.home_base)?;
        let keep =
            *standing != Standing::Free || self.world.limits.existing_homes == ExistingHomes::Keep;
        match base.look(plan.name.as_str())? {
            Seen::Nothing => Ok(HomePlan::Make),
            Seen::Directory(uid) if keep && uid == plan.uid.get() => Ok(HomePlan::Keep),
            Seen::Directory(_) | Seen::Other => Err(TaskRefusal::NameTaken(plan.name.clone())),
        }
    }

    /// Goes through the steps that are not done yet.
    pub(super) fn complete(&self, plan: &NewAccount, home: HomePlan) -> Result<(), TaskRefusal> {
        // The limits may have become narrower since it was begun.
        self.check_plan(plan)?;
        let gid = self.provide_group(&plan.primary_group)?;
        for group in &plan.groups {
            self.provide_group(group)?;
        }
        if !self.has_entry(plan)? {
            self.add_user(plan, gid)?;
        }
        self.reached(Step::UserAdded);
        let gid = self.verify_entry(plan)?;
        let is_new_home = self.make_home(plan, home, gid)?;
        self.reached(Step::HomeMade);
        self.join_groups(&plan.name, &plan.groups)?;
        self.note_expiry_ahead(&plan.name)?;
        let day = Some((self.world.today)());
        // Links that its owner left in a home that came back would lead the script anywhere, as root.
        let hook = is_new_home && self.world.wishes.hook.is_some();
        self.record(Event::Created { name: plan.name.clone(), day, hook })?;
        self.reached(Step::Completed);
        Ok(())
    }

    /// True if the account files hold the whole account; half of it is removed first.
    fn has_entry(&self, plan: &NewAccount) -> Result<bool, TaskRefusal> {
        let seen = self.read()?;
        let Some(entry) = seen.users.named(plan.name.as_str()) else {
            return Ok(false);
        };
        if entry.uid != plan.uid.get() || !guard::names_identity(&entry, &plan.identity) {
            return Err(TaskRefusal::NameTaken(plan.name.clone()));
        }
        if seen.expiries.knows(plan.name.as_str()) {
            return Ok(true);
        }
        // useradd was killed between passwd and shadow.
        self.edit_or_fail(Program::Userdel, &["--", plan.name.as_str()])?;
        Ok(false)
    }

    fn add_user(&self, plan: &NewAccount, gid: u32) -> Result<(), TaskRefusal> {
        let (gecos, home) = (plan.identity.unique_id(), home_path(plan));
        let (uid, gid) = (plan.uid.to_string(), gid.to_string());
        let args = [
            "--comment",
            gecos.as_str(),
            "--gid",
            gid.as_str(),
            "--uid",
            uid.as_str(),
            "--shell",
            plan.shell.as_str(),
            "--home-dir",
            home.as_str(),
            "--no-create-home",
            // The name was checked by a stricter grammar; this allows its dots everywhere.
            "--badname",
            "--",
            plan.name.as_str(),
        ];
        let done = self.edit(Program::Useradd, &args)?;
        match done.status {
            Some(0) => Ok(()),
            Some(4) => Err(TaskRefusal::UidTaken(plan.uid)),
            Some(9) => Err(TaskRefusal::NameTaken(plan.name.clone())),
            _ => Err(ended_badly(Program::Useradd, &done)),
        }
    }

    /// Looks whether the account is what was asked for, and yields its gid.
    fn verify_entry(&self, plan: &NewAccount) -> Result<u32, TaskRefusal> {
        let seen = self.read()?;
        let found = seen.users.named(plan.name.as_str());
        let found = found.ok_or_else(|| failed("check the new account", "it is not there"))?;
        let home = home_path(plan);
        let fits = found.uid == plan.uid.get()
            && guard::names_identity(&found, &plan.identity)
            && found.home == home
            && seen.expiries.knows(plan.name.as_str());
        if fits {
            Ok(found.gid)
        } else {
            Err(failed("check the new account", "it differs from the plan"))
        }
    }

    /// Makes the home where it is to be made; true if it was, now or before a crash.
    fn make_home(&self, plan: &NewAccount, home: HomePlan, gid: u32) -> Result<bool, TaskRefusal> {
        let base = self.home_base(&plan.home_base)?;
        let (name, uid) = (plan.name.as_str(), plan.uid.get());
        if home == HomePlan::Keep && base.look(name)? == Seen::Directory(uid) {
            return Ok(false);
        }
        let site = &self.world.site;
        base.make(name, &NewHome { uid, gid, mode: site.home_mode, skel: &site.skel })?;
        Ok(true)
    }

    pub(super) fn home_base(&self, path: &AccountPath) -> Result<HomeBase, TaskRefusal> {
        let below: PathBuf = self.world.root.join(path.as_str().trim_start_matches('/'));
        Ok(HomeBase::open(&below)?)
    }

    pub(super) fn reached(&self, step: Step) {
        self.world.witness.reached(step);
    }
}

fn home_path(plan: &NewAccount) -> String {
    format!("{}/{}", plan.home_base, plan.name)
}
