//! Makes accounts in the directory, and lets those that exist follow their people.

use super::{
    LdapDirectory, Mode,
    directory::NewEntry,
    entry::{all_of, any_of, dn_below, equals},
    fault::code,
    lock::replace,
    look::{ACCOUNT, check_uid},
    note::Note,
    primary::Replaced,
    user::User,
};
use crate::{
    backend::{BackendError, Deployed, GroupChanges, Intent},
    person::Person,
};
use motley_proto::{GroupName, Identity, UserName, rest::AccountState, text::acts};
use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// How often another number is taken when somebody else took the same one.
pub(super) const ATTEMPTS: u32 = 20;
/// Longest wait before the next attempt.
const WAIT_MILLIS: u64 = 100;
/// Longest value of an attribute about a person, in characters.
const LONGEST: usize = 256;

/// What is left to do after an entry was added.
enum Verdict {
    /// It stands alone.
    Whole,
    /// Somebody else has the same number.
    NumberShared,
    /// Somebody else has the same name or identity.
    Doubled(BackendError),
}

impl LdapDirectory {
    /// Makes the account of somebody who has none.
    pub(super) async fn create(&self, intent: &Intent) -> Result<Deployed, BackendError> {
        self.check_name(intent).await?;
        // What may not be joined is found out before anything is made.
        let wanted = supplementary(intent);
        self.usable(&wanted).await?;
        let gid = self.primary_gid(&intent.groups.primary).await?;
        for attempt in 1..=ATTEMPTS {
            let uid = match intent.uid {
                Some(uid) if self.is_uid_free(uid.get()).await? => uid.get(),
                Some(uid) => return Err(BackendError::UidTaken(uid)),
                None => self.next_number(&self.uids(), intent.uid_floor).await?.number(),
            };
            let dn = dn_below(
                &self.config().user_base,
                &self.config().attributes.name,
                intent.name.as_str(),
            );
            match self.directory.add(&dn, self.new_entry(intent, uid, gid)).await {
                Ok(()) => {}
                // Our own answer may have been lost, or the same person asked twice at once.
                Err(fault) if fault.is(code::ENTRY_ALREADY_EXISTS) || fault.ends_connection() => {
                    return match self.owned(&intent.identity).await? {
                        Some(user) if user.account.name == intent.name => {
                            self.update(intent, user).await
                        }
                        Some(user) => Err(BackendError::HasAccount(user.account.name)),
                        None if fault.is(code::ENTRY_ALREADY_EXISTS) => {
                            Err(BackendError::NameTaken(intent.name.clone()))
                        }
                        None => Err(self.failed("make the account")(fault)),
                    };
                }
                Err(fault) => return Err(self.failed("make the account")(fault)),
            }
            // Who sees another one gives way, so that never two stay.
            match self.judge(&intent.identity, &intent.name, uid).await? {
                Verdict::Whole => return self.finish(intent, &wanted).await,
                Verdict::NumberShared => {
                    self.delete_entry(&dn).await?;
                    tokio::time::sleep(pause(intent.name.as_str(), attempt)).await;
                }
                Verdict::Doubled(error) => {
                    self.delete_entry(&dn).await?;
                    return Err(error);
                }
            }
        }
        Err(BackendError::Busy)
    }

    async fn check_name(&self, intent: &Intent) -> Result<(), BackendError> {
        let taken = || BackendError::NameTaken(intent.name.clone());
        if self.has_entry(&intent.name).await? {
            return Err(taken());
        }
        if self.files.snapshot().await?.has_name(intent.name.as_str()) {
            return Err(taken());
        }
        let name = intent.name.clone();
        let (exists, uid) = crate::local_unix::ask_names(&self.names, move |names| {
            Ok((names.has_user(&name)?, names.uid_of(&name)?))
        })
        .await?;
        // A cache of the host may remember the account that this person had.
        let is_own = intent.uid.is_some_and(|own| uid == Some(own.get()));
        if exists && !is_own {
            return Err(taken());
        }
        // What groups say of the name is this person's who had it before.
        if intent.uid.is_none() && self.is_member_somewhere(&intent.name).await? {
            return Err(taken());
        }
        Ok(())
    }

    async fn is_uid_free(&self, uid: u32) -> Result<bool, BackendError> {
        let filter = all_of(&[ACCOUNT, &equals("uidNumber", &uid.to_string())]);
        Ok(self.users(&filter, "find the owner of a uid").await?.is_empty())
    }

    async fn finish(
        &self,
        intent: &Intent,
        wanted: &[GroupName],
    ) -> Result<Deployed, BackendError> {
        let user = self.owned(&intent.identity).await?.ok_or(BackendError::NoAccount)?;
        let GroupChanges { joined, left } = self.regroup(&user.account, wanted).await?;
        let account = self.with_groups(user.account).await?;
        tracing::info!(name = %account.name, uid = account.uid, "an account was made in the directory");
        Ok(Deployed { account, created: true, joined, left })
    }

    /// The account exists: adopt it, and let person, shell and groups follow.
    pub(super) async fn update(
        &self,
        intent: &Intent,
        user: User,
    ) -> Result<Deployed, BackendError> {
        check_uid(&user.account)?;
        self.check_host(&user.account).await?;
        let suspended = user.account.state == AccountState::Suspended;
        if suspended || self.config().mode == Mode::ReadOnly {
            let account = self.with_groups(user.account).await?;
            return Ok(Deployed { account, created: false, joined: Vec::new(), left: Vec::new() });
        }
        let mut changes = Vec::new();
        if self.config().mode == Mode::FullAccess {
            let facts = facts(&intent.person, &intent.name);
            let differ = facts.iter().filter(|(attribute, value)| {
                *attribute != self.config().attributes.name && !user.entry.has(attribute, value)
            });
            changes.extend(differ.map(|(attribute, value)| replace(attribute, value)));
        }
        let shells = &self.config().shells;
        let shell = intent.shell.as_str();
        if shells.is_of_a_tier(&user.account.shell) && user.account.shell != shell {
            changes.push(replace("loginShell", shell));
        }
        self.change(&user, changes, "update the account").await?;
        let (user, replaced) = self.follow_primary(intent, user).await?;
        // An account may have another primary group than a new one would get, and joins that one then.
        let wanted = match self.config().mode {
            Mode::FullAccess => intent.groups.supplementary.clone(),
            Mode::PreCreated | Mode::ReadOnly => supplementary(intent),
        };
        let mut groups = self.regroup(&user.account, &wanted).await?;
        if let Some(Replaced { new, gone }) = replaced {
            groups.count_primary(new, Some(gone));
        }
        let GroupChanges { joined, left } = groups;
        let user = self.owned(&intent.identity).await?.ok_or(BackendError::NoAccount)?;
        let account = self.with_groups(user.account).await?;
        Ok(Deployed { account, created: false, joined, left })
    }

    fn new_entry(&self, intent: &Intent, uid: u32, gid: u32) -> NewEntry {
        let config = self.config();
        let name = intent.name.as_str();
        let home = format!("{}/{name}", intent.home_base.as_str().trim_end_matches('/'));
        let classes = ["top", "person", "organizationalPerson", "inetOrgPerson", "posixAccount"];
        let mut entry = vec![
            ("objectClass".to_owned(), classes.iter().map(|it| (*it).to_owned()).collect()),
            one("uid", name),
            one("uidNumber", &uid.to_string()),
            one("gidNumber", &gid.to_string()),
            one("homeDirectory", &home),
            one("loginShell", intent.shell.as_str()),
        ];
        let facts = facts(&intent.person, &intent.name);
        entry.extend(facts.iter().map(|(attribute, value)| one(attribute, value)));
        // What the configuration names comes last and wins.
        for (attribute, value) in [
            (&config.attributes.notes, Note::Primary(gid).text().as_str()),
            (&config.attributes.name, name),
            (&config.attributes.identity, intent.identity.unique_id().as_str()),
        ] {
            entry.retain(|(known, _)| !known.eq_ignore_ascii_case(attribute));
            entry.push(one(attribute, value));
        }
        entry
    }

    async fn delete_entry(&self, dn: &str) -> Result<(), BackendError> {
        self.directory.delete(dn).await.map_err(self.failed("take the account back"))
    }

    /// Looks whether the entry that was just made shares anything with another one.
    async fn judge(
        &self,
        identity: &Identity,
        name: &UserName,
        uid: u32,
    ) -> Result<Verdict, BackendError> {
        let attributes = &self.config().attributes;
        let (id, number) = (identity.unique_id(), uid.to_string());
        let shared = any_of(&[
            equals(&attributes.name, name.as_str()),
            equals(&attributes.identity, id.as_str()),
            equals("uidNumber", &number),
        ]);
        let found = self.users(&all_of(&[ACCOUNT, &shared]), "check the account").await?;
        let has_name = |it: &super::entry::Entry| it.has(&attributes.name, name.as_str());
        let has_id = |it: &super::entry::Entry| it.has(&attributes.identity, id.as_str());
        let others: Vec<_> = found.iter().filter(|it| !(has_name(it) && has_id(it))).collect();
        if others.len() == found.len() || found.len() - others.len() > 1 {
            return Err(BackendError::Failed {
                step: "check the account".to_owned(),
                detail: format!("{name} is not in the directory just once"),
            });
        }
        if let Some(entry) = others.iter().find(|it| has_id(it)) {
            let owner = User::read((*entry).clone(), attributes, self.today());
            let owner = owner.map_or_else(|| name.clone(), |user| user.account.name);
            return Ok(Verdict::Doubled(BackendError::HasAccount(owner)));
        }
        if others.iter().any(|it| has_name(it)) {
            return Ok(Verdict::Doubled(BackendError::NameTaken(name.clone())));
        }
        let shares = others.iter().any(|it| it.has("uidNumber", &number));
        Ok(if shares { Verdict::NumberShared } else { Verdict::Whole })
    }

    /// Takes back an account that a crash left with a number of somebody else. All else is made in
    /// one step, and whole.
    pub(super) async fn take_back(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<(), BackendError> {
        if self.config().mode != Mode::FullAccess {
            return Ok(());
        }
        let Some(user) = self.owned(identity).await? else { return Ok(()) };
        let Some(uid) = user.account.uid.filter(|_| user.account.name == *name) else {
            return Ok(());
        };
        match self.judge(identity, name, uid).await? {
            Verdict::Whole => Ok(()),
            Verdict::NumberShared | Verdict::Doubled(_) => self.delete_entry(&user.entry.dn).await,
        }
    }
}

fn one(attribute: &str, value: &str) -> (String, HashSet<String>) {
    (attribute.to_owned(), HashSet::from([value.to_owned()]))
}

/// The supplementary groups without the primary one.
pub(super) fn supplementary(intent: &Intent) -> Vec<GroupName> {
    let primary = &intent.groups.primary;
    intent.groups.supplementary.iter().filter(|group| *group != primary).cloned().collect()
}

/// What the directory keeps about a person. `sn` and `cn` must be there (RFC 4519 §3.12), so that what
/// a provider leaves out is made up from what is known.
fn facts(person: &Person, name: &UserName) -> Vec<(&'static str, String)> {
    let text = |claim: &Option<String>| claim.as_deref().and_then(one_line);
    let (given, family) = (text(&person.given_name), text(&person.family_name));
    let full = text(&person.full_name).or_else(|| match (&given, &family) {
        (Some(given), Some(family)) => Some(format!("{given} {family}")),
        _ => None,
    });
    let surname = family.or_else(|| {
        full.as_ref().and_then(|full| full.split_whitespace().last()).map(str::to_owned)
    });
    let mut facts = vec![
        ("sn", surname.unwrap_or_else(|| name.as_str().to_owned())),
        ("cn", full.unwrap_or_else(|| name.as_str().to_owned())),
    ];
    facts.extend(given.map(|given| ("givenName", given)));
    // The attribute is of ASCII (RFC 4524 §2.16).
    facts.extend(text(&person.email).filter(|it| it.is_ascii()).map(|mail| ("mail", mail)));
    facts
}

/// The text as one line without characters that act; `None` when nothing is left.
fn one_line(text: &str) -> Option<String> {
    let plain: String = text.chars().filter(|c| !acts(*c)).take(LONGEST).collect();
    let plain = plain.trim();
    (!plain.is_empty()).then(|| plain.to_owned())
}

/// Two who gave way to each other come back at different times.
pub(super) fn pause(name: &str, attempt: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    (std::process::id(), name, attempt).hash(&mut hasher);
    Duration::from_millis(hasher.finish() % WAIT_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(person: &Person) -> Vec<(&'static str, String)> {
        facts(person, &UserName::new("jdoe").unwrap())
    }

    #[test]
    fn a_person_of_whom_nothing_is_told_still_has_what_the_schema_asks_for() {
        let named = |sn: &str, cn: &str| vec![("sn", sn.to_owned()), ("cn", cn.to_owned())];
        assert_eq!(shown(&Person::default()), named("jdoe", "jdoe"));
        let full = Person { full_name: Some("Ada King Lovelace".to_owned()), ..Person::default() };
        assert_eq!(shown(&full), named("Lovelace", "Ada King Lovelace"));
        let blank = Person { family_name: Some(" \u{202e}\n ".to_owned()), ..Person::default() };
        assert_eq!(shown(&blank), named("jdoe", "jdoe"));
    }

    #[test]
    fn r31_claims_are_cut_and_cleaned_before_they_are_kept() {
        let person = Person {
            full_name: Some(format!("Ada\r\ndn: cn=admin{}", "x".repeat(1000))),
            email: Some("jörg@example.org".to_owned()),
            ..Person::default()
        };
        let facts = shown(&person);
        let (_, cn) = &facts[1];
        assert!(cn.starts_with("Adadn: cn=admin") && cn.chars().count() == LONGEST, "{cn}");
        assert!(facts.iter().all(|(attribute, _)| *attribute != "mail"));
    }
}
