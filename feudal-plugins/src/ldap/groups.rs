//! Groups: which may be joined, made where they are missing, joined and left without touching what others did.

use super::{
    LdapDirectory, Mode,
    directory::Query,
    entry::{all_of, any_of, dn_below, equals},
    fault::code,
    lock::{add, delete},
    look::GROUP,
    note::Note,
};
use crate::{
    backend::{Account, BackendError, GroupChanges},
    local_unix::ask_names,
};
use motley_proto::{GroupName, UserName, names::is_protected_id};
use std::collections::BTreeMap;

/// Group of people who bring none: it grants nothing, every host has it, and nobody joins it here.
pub(super) const NOBODYS: &str = "nogroup";
/// Its gid on Debian, where the host does not tell.
const NOBODYS_GID: u32 = 65_534;

/// A group's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) dn: String,
    pub(super) name: String,
    pub(super) gid: u32,
}

impl LdapDirectory {
    /// Groups with this value of an attribute. Members are not asked for: there may be many.
    pub(super) async fn groups_with(
        &self,
        attribute: &str,
        value: &str,
    ) -> Result<Vec<Group>, BackendError> {
        self.groups(&equals(attribute, value)).await
    }

    async fn groups(&self, filter: &str) -> Result<Vec<Group>, BackendError> {
        let query = Query {
            base: &self.config().group_base,
            scope: self.directory.scope(),
            filter: &all_of(&[GROUP, filter]),
            attributes: &["cn", "gidNumber"],
        };
        let found = self.directory.search(query).await.map_err(self.failed("find groups"))?;
        let groups = found.into_iter().filter_map(|entry| {
            let (name, gid) = (entry.one("cn")?.to_owned(), entry.number("gidNumber")?);
            Some(Group { dn: entry.dn, name, gid })
        });
        Ok(groups.collect())
    }

    /// True when a group lists somebody of this name, in the directory or on this host. Groups go on
    /// listing people who are gone, and whoever got such a name would get their memberships.
    pub(super) async fn is_member_somewhere(&self, name: &UserName) -> Result<bool, BackendError> {
        let config = self.config();
        let dn = dn_below(&config.user_base, &config.attributes.name, name.as_str());
        let listed = any_of(&[
            equals("memberUid", name.as_str()),
            equals("member", &dn),
            equals("uniqueMember", &dn),
        ]);
        if !self.groups(&listed).await?.is_empty()
            || self.files.snapshot().await?.is_member(name.as_str())
        {
            return Ok(true);
        }
        let name = name.clone();
        ask_names(&self.names, move |names| names.is_member(&name)).await
    }

    pub(super) async fn groups_noting(&self, note: &Note) -> Result<Vec<Group>, BackendError> {
        self.groups_with(&self.config().attributes.notes, &note.text()).await
    }

    /// Groups that motley joined for this account.
    pub(super) async fn groups_joined_by_us(
        &self,
        name: &UserName,
    ) -> Result<Vec<GroupName>, BackendError> {
        let groups = self.groups_noting(&Note::Member(name.clone())).await?;
        let names = groups.into_iter().filter_map(|group| GroupName::new(group.name).ok());
        let mut names: Vec<GroupName> = names.collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The groups that may be joined, made where they are missing.
    ///
    /// # Errors
    /// [`BackendError::GroupRefused`] for the first that may not be. Where entries are the site's
    /// (`pre_created`), such groups are left out instead: nobody can make them here.
    pub(super) async fn usable(
        &self,
        wanted: &[GroupName],
    ) -> Result<BTreeMap<GroupName, Group>, BackendError> {
        let wanted: Vec<_> = wanted.iter().filter(|group| group.as_str() != NOBODYS).collect();
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let named: Vec<String> = wanted.iter().map(|group| equals("cn", group.as_str())).collect();
        let named = any_of(&named);
        let made = equals(&self.config().attributes.notes, &Note::Made.text());
        let made = all_of(&[named.as_str(), made.as_str()]);
        // In this order: whoever makes one in between made it with its note.
        let present = self.groups(&named).await?;
        let made = if present.is_empty() { Vec::new() } else { self.groups(&made).await? };
        let mut usable = BTreeMap::new();
        for name in wanted {
            match self.usable_one(name, &present, &made).await {
                Ok(group) => {
                    usable.insert(name.clone(), group);
                }
                Err(BackendError::GroupRefused { group, why })
                    if self.config().mode == Mode::PreCreated =>
                {
                    tracing::info!(%group, why, "a group is left out");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(usable)
    }

    async fn usable_one(
        &self,
        name: &GroupName,
        present: &[Group],
        made: &[Group],
    ) -> Result<Group, BackendError> {
        let refused = |why: String| BackendError::GroupRefused { group: name.clone(), why };
        let limits = &self.config().groups;
        let is_allowed = limits.allowed.contains(name);
        if !is_allowed && !name.as_str().starts_with(&limits.prefix) {
            return Err(refused(format!(
                "it does not begin with {}; see group_prefix",
                limits.prefix
            )));
        }
        let mut here = present.iter().filter(|group| group.name == name.as_str());
        let Some(group) = here.next() else { return self.make_group(name).await };
        if here.next().is_some() {
            return Err(refused("two entries have this name; remove one".to_owned()));
        }
        if is_protected_id(group.gid) {
            return Err(refused(format!("its gid {} belongs to the system", group.gid)));
        }
        if is_allowed || !limits.prefix.is_empty() || made.contains(group) {
            return Ok(group.clone());
        }
        let why = "it exists and was not made by motley; add it to allowed_groups";
        Err(refused(why.to_owned()))
    }

    /// Gid of the group of people who bring none.
    pub(super) async fn nobodys_gid(&self) -> Result<u32, BackendError> {
        let Ok(nobodys) = GroupName::new(NOBODYS) else { return Ok(NOBODYS_GID) };
        let known = ask_names(&self.names, move |names| names.gid_of(&nobodys)).await?;
        Ok(known.unwrap_or(NOBODYS_GID))
    }

    /// Gid of a primary group that an account is to get.
    pub(super) async fn primary_gid(&self, group: &GroupName) -> Result<u32, BackendError> {
        if group.as_str() == NOBODYS {
            return self.nobodys_gid().await;
        }
        let usable = self.usable(std::slice::from_ref(group)).await?;
        usable.get(group).map(|found| found.gid).ok_or_else(|| BackendError::GroupRefused {
            group: group.clone(),
            why: "it can't be used".to_owned(),
        })
    }

    /// Joins what is wanted and leaves what motley joined and nobody wants any more.
    pub(super) async fn regroup(
        &self,
        account: &Account,
        wanted: &[GroupName],
    ) -> Result<GroupChanges, BackendError> {
        let name = &account.name;
        let note = Note::Member(name.clone());
        let (usable, member, ours) = tokio::try_join!(
            self.usable(wanted),
            self.groups_with("memberUid", name.as_str()),
            self.groups_noting(&note),
        )?;
        let mut changes = GroupChanges::default();
        for (group_name, group) in usable {
            if Some(group.gid) != account.gid && !member.contains(&group) {
                self.join(&group, name, !ours.contains(&group)).await?;
                changes.joined.push(group_name);
            }
        }
        for group in &ours {
            if wanted.iter().any(|wanted| wanted.as_str() == group.name) {
                continue;
            }
            let is_member = member.contains(group);
            self.leave(group, name, is_member).await?;
            if let (true, Ok(left)) = (is_member, GroupName::new(group.name.clone())) {
                changes.left.push(left);
            }
        }
        changes.left.sort_unstable();
        Ok(changes)
    }

    /// Membership and note come in one step, so no crash can part them.
    async fn join(&self, group: &Group, name: &UserName, note: bool) -> Result<(), BackendError> {
        let mut changes = vec![add("memberUid", name.as_str())];
        if note {
            let text = Note::Member(name.clone()).text();
            changes.push(add(&self.config().attributes.notes, &text));
        }
        let condition = equals("gidNumber", &group.gid.to_string());
        match self.directory.modify(&group.dn, changes, &condition).await {
            // Somebody else just joined the account; then the membership is theirs.
            Err(fault) if fault.is(code::ATTRIBUTE_OR_VALUE_EXISTS) => Ok(()),
            done => done.map_err(self.failed("join a group")),
        }
    }

    pub(super) async fn leave(
        &self,
        group: &Group,
        name: &UserName,
        is_member: bool,
    ) -> Result<(), BackendError> {
        let text = Note::Member(name.clone()).text();
        let mut changes = vec![delete(&self.config().attributes.notes, &text)];
        if is_member {
            changes.push(delete("memberUid", name.as_str()));
        }
        let condition = equals("gidNumber", &group.gid.to_string());
        match self.directory.modify(&group.dn, changes, &condition).await {
            Err(fault) if fault.is(code::NO_SUCH_ATTRIBUTE) || fault.is(code::NO_SUCH_OBJECT) => {
                Ok(())
            }
            done => done.map_err(self.failed("leave a group")),
        }
    }

    /// Takes an account that goes away out of all groups, whoever had joined it: the next owner of the
    /// name must not inherit them.
    pub(super) async fn leave_all(&self, name: &UserName) -> Result<(), BackendError> {
        let note = Note::Member(name.clone());
        let (member, ours) = tokio::try_join!(
            self.groups_with("memberUid", name.as_str()),
            self.groups_noting(&note)
        )?;
        for group in &ours {
            self.leave(group, name, member.contains(group)).await?;
        }
        for group in member.iter().filter(|group| !ours.contains(group)) {
            let changes = vec![delete("memberUid", name.as_str())];
            let condition = equals("gidNumber", &group.gid.to_string());
            match self.directory.modify(&group.dn, changes, &condition).await {
                Err(fault) if fault.is(code::NO_SUCH_ATTRIBUTE) => {}
                done => done.map_err(self.failed("leave a group"))?,
            }
        }
        Ok(())
    }
}
