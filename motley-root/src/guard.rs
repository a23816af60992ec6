//! Says what may be touched: pure rules over the limits, the ledger and the account files.

use crate::{
    database::{Groups, UserEntry, Users},
    ledger::{Book, GroupStage},
};
use motley_proto::{
    Identity, Uid, UserName,
    names::{GroupName, is_protected_id},
    task::{AccountPath, NewAccount, TaskRefusal},
};
use std::{collections::BTreeSet, ops::RangeInclusive};

/// Limits that hold whatever the daemon asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Text with which groups that are made or joined must begin.
    pub group_prefix: String,
    /// Existing groups that may be joined or be primary.
    pub allowed_groups: BTreeSet<GroupName>,
    /// Directories in which homes may be made.
    pub home_bases: BTreeSet<AccountPath>,
    /// Login shells besides those that the site lists and those that let nobody in.
    pub shells: BTreeSet<AccountPath>,
    /// Uids of accounts.
    pub uids: RangeInclusive<u32>,
    /// Uids of accounts that a directory keeps, whose sessions may be looked at and ended.
    pub directory_uids: DirectoryUids,
    /// True if the site's script is run for such accounts too, of which the ledger knows nothing.
    pub directory_hooks: bool,
    /// What becomes of a home that exists before its account.
    pub existing_homes: ExistingHomes,
}

/// Whose sessions may be ended although the helper made no account for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryUids {
    /// Nobody's, unless the adapter's configuration names a directory as back end.
    Unset,
    /// Nobody's, whatever the adapter's configuration says.
    None,
    /// Those of accounts with these uids.
    Range(RangeInclusive<u32>),
}

impl DirectoryUids {
    /// True if the uid is one of them. Uids of the system never are.
    pub fn contains(&self, uid: u32) -> bool {
        match self {
            Self::Unset | Self::None => false,
            Self::Range(range) => range.contains(&uid) && !is_protected_id(uid),
        }
    }
}

/// What becomes of a home that exists before its account does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingHomes {
    /// The name counts as taken: the home is somebody's remains.
    Refuse,
    /// It is kept if it belongs to the uid of the new account.
    Keep,
}

/// Shells that let nobody in, which shells(5) does not list.
const SHELLS_THAT_REFUSE: &[&str] = &[
    "/usr/sbin/nologin",
    "/sbin/nologin",
    "/usr/bin/nologin",
    "/bin/nologin",
    "/usr/bin/false",
    "/bin/false",
];

/// What has to be done so that a group may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupStep {
    /// It exists and may be used.
    Use(u32),
    /// It has to be made, with the gid it had before if there is one.
    Make(Option<u32>),
}

fn forbidden(reason: String) -> TaskRefusal {
    TaskRefusal::Forbidden(reason)
}

fn refused(group: &GroupName, why: String) -> TaskRefusal {
    TaskRefusal::GroupForbidden { group: group.clone(), why }
}

/// Checks uid, shell and home of a new account.
///
/// # Errors
/// [`TaskRefusal::Forbidden`] with what to configure.
pub fn check_plan(
    plan: &NewAccount,
    limits: &Limits,
    listed_shells: &BTreeSet<String>,
) -> Result<(), TaskRefusal> {
    check_uid(plan.uid.get(), limits)?;
    check_shell(&plan.shell, limits, listed_shells)?;
    if limits.home_bases.contains(&plan.home_base) {
        Ok(())
    } else {
        Err(forbidden(format!("homes in {}; add it to home_bases", plan.home_base)))
    }
}

/// Checks that a uid is one of a person's accounts and within the limits.
///
/// # Errors
/// [`TaskRefusal::Forbidden`].
pub fn check_uid(uid: u32, limits: &Limits) -> Result<(), TaskRefusal> {
    if is_protected_id(uid) {
        return Err(forbidden(format!("uid {uid} belongs to the system")));
    }
    if limits.uids.contains(&uid) {
        return Ok(());
    }
    let (min, max) = (limits.uids.start(), limits.uids.end());
    Err(forbidden(format!("uid {uid} is outside {min}-{max}; set uid_min and uid_max")))
}

/// Checks that a login shell is listed.
///
/// # Errors
/// [`TaskRefusal::Forbidden`].
pub fn check_shell(
    shell: &AccountPath,
    limits: &Limits,
    listed: &BTreeSet<String>,
) -> Result<(), TaskRefusal> {
    let known = listed.contains(shell.as_str())
        || SHELLS_THAT_REFUSE.contains(&shell.as_str())
        || limits.shells.contains(shell);
    if known {
        Ok(())
    } else {
        Err(forbidden(format!("shell {shell}; add it to /etc/shells or to shells")))
    }
}

/// Decides what has to be done so that a group may be joined or be primary.
///
/// `elsewhere` is the gid under which a source other than group(5) knows the name.
///
/// # Errors
/// [`TaskRefusal::GroupForbidden`] when it exists and motley did not make it, or its name lies outside
/// the prefix: a name from a token must never become membership of a local group.
pub fn check_group(
    group: &GroupName,
    groups: &Groups,
    elsewhere: Option<u32>,
    book: &Book,
    limits: &Limits,
) -> Result<GroupStep, TaskRefusal> {
    let present = groups.gid(group.as_str()).or(elsewhere);
    if limits.allowed_groups.contains(group) {
        return Ok(present.map_or(GroupStep::Make(None), GroupStep::Use));
    }
    let in_prefix = group.as_str().starts_with(&limits.group_prefix);
    if !in_prefix {
        let prefix = &limits.group_prefix;
        return Err(refused(group, format!("it does not begin with {prefix}")));
    }
    match (present, book.group(group)) {
        (None, Some(GroupStage::Made(gid))) => {
            Ok(GroupStep::Make(groups.name(gid).is_none().then_some(gid)))
        }
        (None, _) => Ok(GroupStep::Make(None)),
        (Some(gid), _) if is_protected_id(gid) => {
            Err(refused(group, format!("its gid {gid} belongs to the system")))
        }
        (Some(gid), Some(GroupStage::Made(made))) if gid == made => Ok(GroupStep::Use(gid)),
        (Some(gid), _) if !limits.group_prefix.is_empty() => Ok(GroupStep::Use(gid)),
        (Some(_), _) => {
            let why = "it exists and was not made by motley; add it to allowed_groups";
            Err(refused(group, why.to_owned()))
        }
    }
}

/// True if a primary group goes with its last account: motley made it, it still has the gid it was
/// made with, nobody is in it, and the admin did not name it.
pub fn is_abandoned(
    group: &GroupName,
    users: &Users,
    groups: &Groups,
    book: &Book,
    limits: &Limits,
) -> bool {
    let Some(gid) = groups.gid(group.as_str()) else { return false };
    is_to_go(group, gid, book, limits) && groups.is_empty(group.as_str()) && !users.uses_gid(gid)
}

fn is_to_go(group: &GroupName, gid: u32, book: &Book, limits: &Limits) -> bool {
    book.group(group) == Some(GroupStage::Made(gid))
        && !is_protected_id(gid)
        && !limits.allowed_groups.contains(group)
}

/// True if userdel(8) would take away a group with the account of its name that motley did not make,
/// or that the admin named.
pub fn loses_group(entry: &UserEntry, groups: &Groups, book: &Book, limits: &Limits) -> bool {
    groups.gid(&entry.name) == Some(entry.gid)
        && !GroupName::new(entry.name.clone())
            .is_ok_and(|group| is_to_go(&group, entry.gid, book, limits))
}

/// Checks that an existing account may be taken over for an identity, and yields its uid.
///
/// # Errors
/// [`TaskRefusal::NotManaged`] when its full name is not exactly this identity,
/// [`TaskRefusal::Forbidden`] when the uid is one of the system, out of range or shared.
pub fn check_adoption(
    entry: &UserEntry,
    sharing_uid: usize,
    identity: &Identity,
    name: &UserName,
    limits: &Limits,
) -> Result<Uid, TaskRefusal> {
    check_uid(entry.uid, limits)?;
    if !names_identity(entry, identity) {
        return Err(TaskRefusal::NotManaged(name.clone()));
    }
    if sharing_uid > 1 {
        return Err(forbidden(format!("uid {} has several names; give each its own", entry.uid)));
    }
    Uid::new(entry.uid).map_err(|error| forbidden(format!("uid {} {error}", entry.uid)))
}

/// True if the full name of the account is exactly the text form of this identity.
pub fn names_identity(entry: &UserEntry, identity: &Identity) -> bool {
    entry.full_name() == identity.unique_id().as_str()
}

#[cfg(test)]
mod tests;
