//! Makes an intent true: a record, its groups, its registration.

use super::{
    BwIdm,
    record::{Record, RegGroup, login_of, wanted},
};
use crate::{
    backend::{BackendError, Deployed, GroupChanges, Intent},
    local_unix::{NameService, ask_names},
};
use motley_proto::{GroupName, rest::AccountState};
use std::collections::BTreeSet;

impl BwIdm {
    pub(super) async fn make_true(&self, intent: &Intent) -> Result<Deployed, BackendError> {
        let organisation = &self.config.organisation;
        let login = login_of(&intent.name, organisation)?;
        let _one_at_a_time = self.naming.lock().await;
        let known = self.record_of(&intent.identity).await?;
        if let Some(record) = &known {
            self.check_record(record, intent)?;
        }
        let before = match &known {
            Some(record) => self.account_of(record).await?,
            None => None,
        };
        if let Some(account) = &before
            && account.state == AccountState::Suspended
        {
            let account = account.clone();
            return Ok(Deployed { account, created: false, joined: vec![], left: vec![] });
        }
        self.check_name(intent, known.as_ref()).await?;
        let mut record = match known {
            Some(record) => record,
            None => self.create(&intent.identity).await?,
        };
        if !record.is_active() {
            record = self.activate(&intent.identity).await?;
        }
        let primary = self.usable_group(&intent.groups.primary, &mut record).await?;
        let old = record.clone();
        record.describe(&intent.identity, &intent.person, &login, organisation, &primary);
        if record != old {
            self.write(&record).await?;
            record = self.known(&intent.identity).await?;
        }
        self.yield_to_earlier(&mut record, intent).await?;
        let changes = self.regroup(&mut record, &wanted(&intent.groups)).await?;
        self.register(&record.external_id).await?;
        let record = self.known(&intent.identity).await?;
        let missing = || self.rest.unavailable("does not show an account that it has registered");
        let account = self.account_of(&record).await?.ok_or_else(missing)?;
        let GroupChanges { joined, left } = changes;
        Ok(Deployed { account, created: before.is_none(), joined, left })
    }

    /// What a record says that is there already must agree with the intent.
    fn check_record(&self, record: &Record, intent: &Intent) -> Result<(), BackendError> {
        let ours = self.config.organisation.as_str();
        match record.organisation() {
            Some(other) if other != ours => {
                let why = format!("the registration service knows this person under `{other}`");
                return Err(BackendError::Refused(why));
            }
            _ => {}
        }
        match record.name(&self.config.organisation) {
            Some(name) if name != intent.name => Err(BackendError::HasAccount(name)),
            _ => Ok(()),
        }
    }

    /// Somebody else's name is taken, in the service and on this host. Who has a record with this
    /// name shows up on the host too.
    async fn check_name(
        &self,
        intent: &Intent,
        record: Option<&Record>,
    ) -> Result<(), BackendError> {
        let own = intent.identity.unique_id();
        let named = self.records_named(&intent.name).await?;
        let foreign = named.iter().any(|record| record.external_id != own.as_str());
        let has_name = record.is_some_and(|it| it.name(&self.config.organisation).is_some());
        // What groups of the host say of the name is this person's who had it before.
        let (name, is_own) = (intent.name.clone(), intent.uid.is_some());
        let look = move |names: &dyn NameService| {
            Ok(names.has_user(&name)? || (!is_own && names.is_member(&name)?))
        };
        let taken = foreign || (!has_name && ask_names(&self.names, look).await?);
        if taken { Err(BackendError::NameTaken(intent.name.clone())) } else { Ok(()) }
    }

    /// Another client of the service may have taken the name at the same moment. Of two records with
    /// one name the older keeps it.
    async fn yield_to_earlier(
        &self,
        record: &mut Record,
        intent: &Intent,
    ) -> Result<(), BackendError> {
        let named = self.records_named(&intent.name).await?;
        if !named.iter().any(|other| other.id < record.id) {
            return Ok(());
        }
        record.give_name_up();
        self.write(record).await?;
        Err(BackendError::NameTaken(intent.name.clone()))
    }

    /// A group that may be joined, made where it is missing. A name that a provider asserts leads into
    /// no group that others made for their own ends.
    ///
    /// # Errors
    /// [`BackendError::GroupRefused`].
    async fn usable_group(
        &self,
        name: &GroupName,
        record: &mut Record,
    ) -> Result<RegGroup, BackendError> {
        let refused = |why: String| BackendError::GroupRefused { group: name.clone(), why };
        let limits = &self.config.groups;
        let is_allowed = limits.allowed.contains(name);
        if !is_allowed && !name.as_str().starts_with(&limits.prefix) {
            return Err(refused(format!(
                "it does not begin with {}; see group_prefix",
                limits.prefix
            )));
        }
        let service = &self.config.service;
        let group = match self.group_named(name).await? {
            // What a crash cut off.
            Some(group) if record.is_making(service, name, (self.clock)()) => group,
            Some(group) => return self.check_group(group, record).await,
            None => self.make_group(name, record).await?,
        };
        record.note_made(service, &group);
        self.write(record).await?;
        Ok(group)
    }

    async fn make_group(
        &self,
        name: &GroupName,
        record: &mut Record,
    ) -> Result<RegGroup, BackendError> {
        let service = &self.config.service;
        // First, so that a crash leaves no group that nobody may join.
        record.note_making(service, name, (self.clock)());
        self.write(record).await?;
        if let Err(refusal) = self.create_group(name).await? {
            // A group that others make of that name must not pass for this one.
            record.forget_making(service, name);
            self.write(record).await?;
            return Err(refusal);
        }
        let missing = || self.rest.unavailable("does not know a group that it has just made");
        self.group_named(name).await?.ok_or_else(missing)
    }

    async fn check_group(
        &self,
        group: RegGroup,
        record: &Record,
    ) -> Result<RegGroup, BackendError> {
        let limits = &self.config.groups;
        let name = GroupName::new(group.name.clone())
            .map_err(|error| BackendError::Refused(error.to_string()))?;
        let is_allowed = limits.allowed.contains(&name) || !limits.prefix.is_empty();
        // Whose primary group it is already gets nothing by it.
        let has = record.primary_group().is_some_and(|primary| primary.id == group.id);
        if is_allowed || has || self.is_made_by_us(&group).await? {
            return Ok(group);
        }
        let why = "it exists and was not made by motley; add it to allowed_groups".to_owned();
        Err(BackendError::GroupRefused { group: name, why })
    }

    /// Joins what is wanted and leaves what we joined and is not wanted any more. What we are about
    /// to join is noted first, so that a crash leaves no membership that nobody would take back.
    pub(super) async fn regroup(
        &self,
        record: &mut Record,
        wanted: &BTreeSet<GroupName>,
    ) -> Result<GroupChanges, BackendError> {
        let service = &self.config.service;
        let member: BTreeSet<String> =
            record.secondary_groups().into_iter().map(|group| group.name).collect();
        let managed = record.managed(service);
        let joined: Vec<GroupName> =
            wanted.iter().filter(|group| !member.contains(group.as_str())).cloned().collect();
        let left: Vec<GroupName> =
            managed.iter().filter(|group| !wanted.contains(*group)).cloned().collect();
        if joined.is_empty() && left.is_empty() {
            return Ok(GroupChanges::default());
        }
        // Before anything is changed: one that may not be joined ends the attempt.
        let mut usable = Vec::new();
        for name in &joined {
            usable.push(self.usable_group(name, record).await?);
        }
        if !joined.is_empty() {
            record.set_managed(service, &managed.iter().chain(&joined).cloned().collect());
            self.write(record).await?;
        }
        for group in &usable {
            self.member("add", group, record).await?;
        }
        for group in record.secondary_groups() {
            if left.iter().any(|name| name.as_str() == group.name) {
                self.member("remove", &group, record).await?;
            }
        }
        if let Some(identity) = record.identity() {
            *record = self.known(&identity).await?;
        }
        if !left.is_empty() {
            let kept = managed.iter().chain(&joined).filter(|group| !left.contains(group));
            record.set_managed(service, &kept.cloned().collect());
            self.write(record).await?;
        }
        Ok(GroupChanges { joined, left })
    }
}
