//! Remembers, durably, which accounts and groups were made for whom; nothing outside it is touched.
//!
//! Events are appended to one file, each synced to disk before the step that it announces is taken.
//! Names and uids stay bound to their identity for ever, also when the account is long gone.

mod file;

use crate::adapter::LeavingHomes;
use motley_proto::{
    Identity, Uid, UserName,
    names::GroupName,
    task::{AccountPath, NewAccount, TaskRefusal},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use file::{Ledger, LedgerError};

/// What was found where the home is to be, when the name was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HomePlan {
    /// Nothing: the home is made, and removed again if the account is rolled back.
    Make,
    /// A directory that belongs to this identity's uid already: it is kept in any case.
    Keep,
}

/// One line of the ledger. Each is written before the step that it announces, or after the step
/// that it confirms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// First line: version of this format.
    Ledger {
        /// Always 1.
        version: u32,
    },
    /// An account is about to be made.
    Reserved {
        /// How it shall look.
        plan: NewAccount,
        /// What becomes of its home.
        home: HomePlan,
    },
    /// The account is complete.
    Created {
        /// Its name.
        name: UserName,
        /// The day, in days since 1970-01-01; lines of the first format lack it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        day: Option<i64>,
        /// True if the site's script for new accounts is to be run.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hook: bool,
    },
    /// The site's script for new accounts is about to be run, for the only time.
    HookBegun {
        /// The account, which a directory may keep.
        name: UserName,
        /// Its uid.
        uid: Uid,
    },
    /// An account that existed was taken over.
    Adopted {
        /// Whose it is.
        identity: Identity,
        /// Its name.
        name: UserName,
        /// Its uid.
        uid: Uid,
        /// The day, in days since 1970-01-01; lines of the first format lack it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        day: Option<i64>,
    },
    /// The reservation was given up before an account of that name existed: name and uid are free,
    /// unless they were this identity's before.
    Released {
        /// The name.
        name: UserName,
    },
    /// A half-made account was removed: name and uid stay bound to the identity.
    RolledBack {
        /// The name.
        name: UserName,
    },
    /// A complete account is about to be taken away.
    Removing {
        /// Its name.
        name: UserName,
        /// What goes with it.
        plan: RemovalPlan,
    },
    /// The account is gone: name and uid stay bound to the identity.
    Removed {
        /// The name.
        name: UserName,
    },
    /// A group is about to be made.
    GroupReserved {
        /// Its name.
        group: GroupName,
    },
    /// The group was made.
    GroupMade {
        /// Its name.
        group: GroupName,
        /// Its gid.
        gid: u32,
    },
    /// The group was not made after all.
    GroupReleased {
        /// Its name.
        group: GroupName,
    },
    /// The account, not a member so far, is about to join.
    Joined {
        /// The account.
        name: UserName,
        /// The group.
        group: GroupName,
    },
    /// The account is no member by motley's doing any more.
    Left {
        /// The account.
        name: UserName,
        /// The group.
        group: GroupName,
    },
    /// The account is about to get another primary group. One that it has by motley's doing may be
    /// either now.
    PrimaryBegun {
        /// The account.
        name: UserName,
        /// The group.
        group: GroupName,
    },
    /// The primary group that the account has by motley's doing; none where the local admin chose it.
    PrimarySettled {
        /// The account.
        name: UserName,
        /// The group.
        group: Option<GroupName>,
    },
    /// The account is about to be marked expired.
    Expired {
        /// The account.
        name: UserName,
        /// What becomes of its expiry date.
        mark: ExpiryMark,
    },
    /// The mark was taken back.
    Unexpired {
        /// The account.
        name: UserName,
    },
    /// What starts something for the account without a login is about to be held.
    Held {
        /// The account, which a directory may keep.
        name: UserName,
        /// What there was.
        hold: Hold,
    },
    /// It was put back.
    Unheld {
        /// The account.
        name: UserName,
    },
    /// The local admin was seen to have set an expiry date that is still to come.
    ExpiryAhead {
        /// The account.
        name: UserName,
        /// The date, in days since 1970-01-01.
        day: i64,
    },
}

/// What goes with an account that is taken away. Decided once and written down, so that a restart
/// finishes exactly this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovalPlan {
    /// Directory in which the account's own home lies, if it is to be put aside.
    pub home_base: Option<AccountPath>,
    /// Name that the home gets among those put aside.
    pub archive: String,
    /// What becomes of the home; lines of the first format lack it.
    #[serde(default)]
    pub homes: LeavingHomes,
    /// Primary group, if it may be motley's.
    pub primary_group: Option<GroupName>,
}

/// An expiry date that motley set, and the one that was there before. Days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpiryMark {
    /// The date that was set.
    pub set: i64,
    /// The date to restore, `None` for "never".
    pub previous: Option<i64>,
}

/// What is held of a suspended account, so that it can be put back as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Uid of the account.
    pub uid: Uid,
    /// True if its user services outlived sessions.
    pub linger: bool,
}

/// How far an account has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Begun; a crash may have left it half-made.
    Creating(NewAccount, HomePlan),
    /// Made or adopted.
    Complete,
    /// Is being taken away; a crash may have left part of it.
    Removing(RemovalPlan),
}

/// What the ledger knows about the account of one identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: UserName,
    /// Its uid.
    pub uid: Uid,
    /// How far it has come.
    pub stage: Stage,
    /// Groups that motley joined.
    pub joined: BTreeSet<GroupName>,
    /// Primary group that motley gave; two while one takes the place of the other.
    pub primary: BTreeSet<GroupName>,
    /// Set while motley keeps the account expired.
    pub expiry: Option<ExpiryMark>,
    /// Day on which motley made or adopted it, in days since 1970-01-01; `None` when that was not
    /// written down.
    pub since: Option<i64>,
    /// Expiry dates that were seen before their day came: the local admin's own, for ever.
    pub ahead: BTreeSet<i64>,
    /// True until the site's script for new accounts is begun.
    pub hook_due: bool,
    /// True when name or uid were this identity's before this record: they are never given free.
    pub returning: bool,
}

impl Record {
    /// True if this is a primary group that motley gave.
    pub fn gave(&self, primary: Option<&str>) -> bool {
        primary.is_some_and(|has| self.primary.iter().any(|given| given.as_str() == has))
    }
}

/// How an identity stands to a name and uid that it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has any of it.
    Free,
    /// Name or uid were this identity's before.
    Returning,
    /// This very account is recorded.
    Own(Box<Record>),
}

/// A line that contradicts the lines before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// The name belongs to another identity.
    #[error("the name {0} belongs to another identity")]
    Name(UserName),
    /// The uid belongs to another identity.
    #[error("the uid {0} belongs to another identity")]
    Uid(Uid),
    /// The identity has another account.
    #[error("the identity has another account, {0}")]
    Identity(UserName),
    /// No account of this name is recorded.
    #[error("no account {0} is recorded before this line")]
    NoAccount(UserName),
    /// The format is of another version.
    #[error("version {0} of the ledger is not known; install a newer release")]
    Version(u32),
}

impl From<Contradiction> for TaskRefusal {
    fn from(seen: Contradiction) -> Self {
        match seen {
            Contradiction::Name(name) => TaskRefusal::NameTaken(name),
            Contradiction::Uid(uid) => TaskRefusal::UidTaken(uid),
            Contradiction::Identity(name) => TaskRefusal::IdentityHasAccount(name),
            Contradiction::NoAccount(name) => TaskRefusal::NotManaged(name),
            Contradiction::Version(_) => TaskRefusal::Failed {
                step: "write the ledger".to_owned(),
                detail: seen.to_string(),
            },
        }
    }
}

/// State of a group that motley makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupStage {
    /// About to be made.
    Reserved,
    /// Made, with this gid.
    Made(u32),
}

/// What all events together say.
#[derive(Debug, Default, Clone)]
pub struct Book {
    names: HashMap<UserName, Identity>,
    uids: HashMap<Uid, Identity>,
    accounts: HashMap<Identity, Record>,
    groups: BTreeMap<GroupName, GroupStage>,
    /// Gids of all groups that were ever made.
    gids: BTreeSet<u32>,
    held: BTreeMap<UserName, Hold>,
    /// Accounts of a directory for which the site's script was begun.
    hooked: BTreeSet<(UserName, Uid)>,
}

impl Book {
    /// How an identity stands to a name and uid.
    ///
    /// # Errors
    /// When any of the three is bound otherwise.
    pub fn standing(
        &self,
        identity: &Identity,
        name: &UserName,
        uid: Uid,
    ) -> Result<Standing, Contradiction> {
        let (name_owner, uid_owner) = (self.names.get(name), self.uids.get(&uid));
        if name_owner.is_some_and(|owner| owner != identity) {
            return Err(Contradiction::Name(name.clone()));
        }
        match self.accounts.get(identity) {
            Some(record) if record.name == *name && record.uid == uid => {
                return Ok(Standing::Own(Box::new(record.clone())));
            }
            Some(record) => return Err(Contradiction::Identity(record.name.clone())),
            None => {}
        }
        match uid_owner {
            Some(owner) if owner != identity => Err(Contradiction::Uid(uid)),
            None if name_owner.is_none() => Ok(Standing::Free),
            _ => Ok(Standing::Returning),
        }
    }

    /// The account of an identity.
    pub fn account_of(&self, identity: &Identity) -> Option<&Record> {
        self.accounts.get(identity)
    }

    /// Whose account of this name is recorded, and what is known about it.
    pub fn account_named(&self, name: &UserName) -> Option<(&Identity, &Record)> {
        let identity = self.names.get(name)?;
        let record = self.accounts.get(identity).filter(|record| record.name == *name)?;
        Some((identity, record))
    }

    /// Whose name it is, or was.
    pub fn owner_of_name(&self, name: &UserName) -> Option<&Identity> {
        self.names.get(name)
    }

    /// Whose uid it is, or was.
    pub fn owner_of_uid(&self, uid: Uid) -> Option<&Identity> {
        self.uids.get(&uid)
    }

    /// True if the site's script was begun for this account of a directory.
    pub fn is_hooked(&self, name: &UserName, uid: Uid) -> bool {
        self.hooked.contains(&(name.clone(), uid))
    }

    /// Complete accounts for which the site's script was not begun.
    pub fn due_hooks(&self) -> Vec<(Identity, UserName)> {
        let is_due = |record: &Record| record.hook_due && record.stage == Stage::Complete;
        let due = self.accounts.iter().filter(|(_, record)| is_due(record));
        due.map(|(identity, record)| (identity.clone(), record.name.clone())).collect()
    }

    /// What is held of the account of that name.
    pub fn held(&self, name: &UserName) -> Option<Hold> {
        self.held.get(name).copied()
    }

    /// State of a group, if motley made it.
    pub fn group(&self, group: &GroupName) -> Option<GroupStage> {
        self.groups.get(group).copied()
    }

    /// Gids of all groups that were ever made, whether or not they still exist.
    pub fn made_gids(&self) -> &BTreeSet<u32> {
        &self.gids
    }

    /// Groups that were about to be made when the process ended.
    pub fn unfinished_groups(&self) -> Vec<GroupName> {
        let reserved = self.groups.iter().filter(|(_, stage)| **stage == GroupStage::Reserved);
        reserved.map(|(name, _)| name.clone()).collect()
    }

    /// Accounts that were about to be made when the process ended.
    pub fn unfinished_accounts(&self) -> Vec<(NewAccount, HomePlan)> {
        let plan = |record: &Record| match &record.stage {
            Stage::Creating(plan, home) => Some((plan.clone(), *home)),
            Stage::Complete | Stage::Removing(_) => None,
        };
        let mut plans: Vec<_> = self.accounts.values().filter_map(plan).collect();
        plans.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        plans
    }

    /// Accounts that were about to get another primary group when the process ended.
    pub fn unsettled_primaries(&self) -> Vec<UserName> {
        let unsettled = self.accounts.values().filter(|record| record.primary.len() > 1);
        unsettled.map(|record| record.name.clone()).collect()
    }

    /// Accounts that were about to be taken away when the process ended.
    pub fn unfinished_removals(&self) -> Vec<(Identity, UserName)> {
        let removing = |record: &Record| matches!(record.stage, Stage::Removing(_));
        let found = self.accounts.iter().filter(|(_, record)| removing(record));
        let mut found: Vec<_> =
            found.map(|(identity, record)| (identity.clone(), record.name.clone())).collect();
        found.sort_by(|(_, a), (_, b)| a.cmp(b));
        found
    }

    /// True if the event can follow.
    fn check(&self, event: &Event) -> Result<(), Contradiction> {
        match event {
            Event::Ledger { version: 1 } => Ok(()),
            Event::Ledger { version } => Err(Contradiction::Version(*version)),
            Event::Reserved { plan, .. } => {
                self.standing(&plan.identity, &plan.name, plan.uid).map(drop)
            }
            Event::Adopted { identity, name, uid, .. } => {
                self.standing(identity, name, *uid).map(drop)
            }
            Event::Created { name, .. }
            | Event::Released { name }
            | Event::RolledBack { name }
            | Event::Removing { name, .. }
            | Event::Removed { name }
            | Event::Joined { name, .. }
            | Event::Left { name, .. }
            | Event::PrimaryBegun { name, .. }
            | Event::PrimarySettled { name, .. }
            | Event::Expired { name, .. }
            | Event::ExpiryAhead { name, .. }
            | Event::Unexpired { name } => match self.account_named(name) {
                Some(_) => Ok(()),
                None => Err(Contradiction::NoAccount(name.clone())),
            },
            Event::GroupReserved { .. }
            | Event::GroupMade { .. }
            | Event::GroupReleased { .. }
            | Event::Held { .. }
            | Event::Unheld { .. }
            | Event::HookBegun { .. } => Ok(()),
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Ledger { .. } => {}
            Event::Reserved { plan, home } => self.reserve(plan, home),
            Event::Adopted { identity, name, uid, day } => {
                self.bind(identity, name.clone(), uid, Stage::Complete);
                self.change(&name, |r| r.since = day);
            }
            Event::Created { name, day, hook } => self.change(&name, |r| {
                r.stage = Stage::Complete;
                r.since = day;
                r.hook_due = hook;
            }),
            Event::HookBegun { name, uid } => match self.account_named(&name) {
                Some(_) => self.change(&name, |r| r.hook_due = false),
                None => {
                    self.hooked.insert((name, uid));
                }
            },
            Event::Released { name } => self.release(&name),
            Event::Removing { name, plan } => {
                self.change(&name, |r| r.stage = Stage::Removing(plan));
            }
            Event::Held { name, hold } => {
                self.held.insert(name, hold);
            }
            Event::Unheld { name } => {
                self.held.remove(&name);
            }
            Event::RolledBack { name } | Event::Removed { name } => {
                self.held.remove(&name);
                if let Some(identity) = self.names.get(&name) {
                    self.accounts.remove(identity);
                }
            }
            Event::GroupReserved { group } => {
                self.groups.insert(group, GroupStage::Reserved);
            }
            Event::GroupMade { group, gid } => {
                self.gids.insert(gid);
                self.groups.insert(group, GroupStage::Made(gid));
            }
            Event::GroupReleased { group } => {
                self.groups.remove(&group);
            }
            Event::Joined { name, group } => self.change(&name, |r| r.joined.extend([group])),
            Event::Left { name, group } => self.change(&name, |r| r.joined.retain(|g| *g != group)),
            Event::PrimaryBegun { name, group } => {
                self.change(&name, |r| r.primary.extend([group]));
            }
            Event::PrimarySettled { name, group } => {
                self.change(&name, |r| r.primary = group.into_iter().collect());
            }
            Event::Expired { name, mark } => self.change(&name, |r| r.expiry = Some(mark)),
            Event::Unexpired { name } => self.change(&name, |r| r.expiry = None),
            Event::ExpiryAhead { name, day } => self.change(&name, |r| r.ahead.extend([day])),
        }
    }

    fn reserve(&mut self, plan: NewAccount, home: HomePlan) {
        let (identity, name, uid) = (plan.identity.clone(), plan.name.clone(), plan.uid);
        self.bind(identity, name, uid, Stage::Creating(plan, home));
    }

    fn bind(&mut self, identity: Identity, name: UserName, uid: Uid, stage: Stage) {
        let named = self.names.insert(name.clone(), identity.clone());
        let numbered = self.uids.insert(uid, identity.clone());
        let returning = named.is_some() || numbered.is_some();
        // An account that was deleted by hand may have left its memberships behind: still ours to end.
        let before = self.accounts.remove(&identity).filter(|record| record.name == name);
        let (joined, ahead) =
            before.map(|record| (record.joined, record.ahead)).unwrap_or_default();
        let primary = match &stage {
            Stage::Creating(plan, _) => BTreeSet::from([plan.primary_group.clone()]),
            Stage::Complete | Stage::Removing(_) => BTreeSet::new(),
        };
        let record = Record {
            name,
            uid,
            stage,
            joined,
            primary,
            expiry: None,
            since: None,
            ahead,
            hook_due: false,
            returning,
        };
        self.accounts.insert(identity, record);
    }

    fn release(&mut self, name: &UserName) {
        let Some(identity) = self.names.get(name) else { return };
        if let Some(record) = self.accounts.remove(identity).filter(|record| !record.returning) {
            self.names.remove(name);
            self.uids.remove(&record.uid);
        }
    }

    fn change(&mut self, name: &UserName, change: impl FnOnce(&mut Record)) {
        let record = self.names.get(name).and_then(|identity| self.accounts.get_mut(identity));
        if let Some(record) = record.filter(|record| record.name == *name) {
            change(record);
        }
    }
}

#[cfg(test)]
mod tests;
