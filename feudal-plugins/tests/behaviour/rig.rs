//! What a case needs to know of a back end, and the people that it plays with.

use async_trait::async_trait;
use feudal_plugins::{
    Account, Backend, BackendError, Deployed, Intent, Naming, Person, groups::Groups,
};
use motley_proto::{GroupName, Identity, Issuer, Subject, Uid, UserName, task::AccountPath};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a back end can do. What it can't it must refuse as [`BackendError::Unsupported`].
#[derive(Debug, Clone, Copy)]
pub struct Abilities {
    /// Locks accounts.
    pub suspends: bool,
    /// Gives accounts the shell of tier limited.
    pub limits: bool,
    /// Keeps supplementary groups.
    pub groups: bool,
    /// Replaces primary groups that it gave.
    pub primary_groups: bool,
    /// Sets login shells.
    pub shells: bool,
    /// Lists the accounts that carry an identity.
    pub lists: bool,
    /// Takes accounts away.
    pub removes: bool,
    /// Keeps the name of a removed account for its owner by itself.
    pub keeps_names: bool,
}

impl Abilities {
    /// All of them.
    pub const ALL: Self = Self {
        suspends: true,
        limits: true,
        groups: true,
        primary_groups: true,
        shells: true,
        lists: true,
        removes: true,
        keeps_names: true,
    };
    /// None of them.
    pub const NONE: Self = Self {
        suspends: false,
        limits: false,
        groups: false,
        primary_groups: false,
        shells: false,
        lists: false,
        removes: false,
        keeps_names: false,
    };
}

/// A back end with the hands of those who work beside it. What a rig has no hands for it answers with
/// `false`, and the case is content.
#[async_trait]
pub trait Rig: Send + Sync {
    /// The back end.
    fn backend(&self) -> &dyn Backend;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// The shell of tier limited, by which [`Backend::limit`] goes.
    fn limited_shell(&self) -> &str {
        "/sbin/nologin"
    }

    /// Two shells of tiers, the first for full.
    fn shells(&self) -> [&str; 2] {
        ["/bin/sh", "/sbin/nologin"]
    }

    /// What every name begins with.
    fn name_prefix(&self) -> &str {
        ""
    }

    /// Where [`Naming::Known`] holds: from now on the back end knows this name for the identity.
    async fn prepare(&self, _identity: &Identity, _name: &UserName) {}

    /// Makes an account of nobody that motley knows, as a local admin would.
    async fn foreign_account(&self, _name: &UserName) -> bool {
        false
    }

    /// Makes an account that carries the identity, as another stack would have left it behind.
    async fn inherited_account(&self, _identity: &Identity, _name: &UserName) -> bool {
        false
    }

    /// Makes the account a member of a group, as a local admin would.
    async fn give_membership(&self, _name: &UserName, _group: &GroupName) -> bool {
        false
    }

    /// Gives the account another primary group, as a local admin would.
    async fn give_primary(&self, _name: &UserName, _group: &GroupName) -> bool {
        false
    }

    /// Lists a name as member of a group though there is no such account, as one that is gone leaves it.
    async fn list_in_group(&self, _name: &UserName) -> bool {
        false
    }

    /// Everything that is kept under a name, as text, to see whether anything was touched.
    async fn picture(&self, name: &UserName) -> String {
        format!("{:?}", self.backend().by_name(name).await)
    }
}

/// Numbers for people and uids, none twice in a process.
static NEXT: AtomicU32 = AtomicU32::new(1);
const FIRST_UID: u32 = 20_000;

/// A person who does not occur in any other case.
#[derive(Debug, Clone)]
pub struct Someone {
    pub identity: Identity,
    pub name: UserName,
    pub uid: Uid,
}

impl Someone {
    pub fn new(rig: &dyn Rig, word: &str) -> Self {
        Self::named(rig.name_prefix(), word)
    }

    /// The same where there is no rig yet.
    pub fn named(prefix: &str, word: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let subject = Subject::new(format!("{word}-{number}")).unwrap();
        Self {
            identity: Identity::new(Issuer::new("https://op.example/").unwrap(), subject),
            name: UserName::new(format!("{prefix}{word}{number}")).unwrap(),
            uid: Uid::new(FIRST_UID + number).unwrap(),
        }
    }

    /// What this person's deployment would ask for, without supplementary groups.
    pub fn intent(&self, rig: &dyn Rig) -> Intent {
        let primary = GroupName::new("people").unwrap();
        Intent {
            identity: self.identity.clone(),
            name: self.name.clone(),
            uid: (rig.backend().naming() == Naming::Offered).then_some(self.uid),
            uid_floor: None,
            person: Person {
                given_name: Some("Ada".to_owned()),
                family_name: Some("Lovelace".to_owned()),
                full_name: Some("Ada Lovelace".to_owned()),
                preferred_username: Some(self.name.as_str().to_owned()),
                email: Some(format!("{}@example.org", self.name)),
                email_verified: true,
                ssh_keys: None,
            },
            groups: Groups {
                primary: primary.clone(),
                supplementary: vec![primary],
                dropped: Vec::new(),
            },
            shell: AccountPath::new(rig.shells()[0]).unwrap(),
            home_base: AccountPath::new("/home").unwrap(),
        }
    }

    /// The same with these supplementary groups beside the primary one.
    pub fn intent_with_groups(&self, rig: &dyn Rig, names: &[&str]) -> Intent {
        let mut intent = self.intent(rig);
        intent.groups.supplementary.extend(groups(names));
        intent.groups.supplementary.sort();
        intent
    }

    /// Gives this person an account.
    pub async fn deploy(&self, rig: &dyn Rig) -> Deployed {
        rig.prepare(&self.identity, &self.name).await;
        rig.backend().deploy(&self.intent(rig)).await.unwrap()
    }

    /// The account that the back end finds for this person.
    pub async fn found(&self, rig: &dyn Rig) -> Option<Account> {
        rig.backend().find(&self.identity).await.unwrap()
    }

    /// As [`Someone::found`], where there must be one.
    pub async fn account(&self, rig: &dyn Rig) -> Account {
        self.found(rig).await.unwrap_or_else(|| panic!("{} has no account", self.name))
    }
}

pub fn groups(names: &[&str]) -> Vec<GroupName> {
    names.iter().map(|name| GroupName::new(*name).unwrap()).collect()
}

/// A group that does not occur in any other case.
pub fn new_group(word: &str) -> String {
    format!("{word}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What a back end that can't do something must say.
pub fn assert_unsupported<T: std::fmt::Debug>(answer: Result<T, BackendError>) {
    assert!(matches!(answer, Err(BackendError::Unsupported(_))), "{answer:?}");
}
