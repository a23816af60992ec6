//! The one contract between account work and whatever keeps the accounts.

use crate::{groups::Groups, person::Person};
use async_trait::async_trait;
use motley_proto::{
    GroupName, Identity, Uid, UserName,
    rest::AccountState,
    task::{AccountPath, Removal},
};
use std::{fmt, ops::RangeInclusive};

/// Assurance shell tier: how much shell a person's identity proofing earns (RAF 2.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The least.
    Restricted,
    /// Between both.
    Limited,
    /// The usual shell.
    Full,
}

impl Tier {
    /// The word that configuration files use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Limited => "limited",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a back end shall make true for one identity. Carrying it out twice is the same as once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Whose account it is.
    pub identity: Identity,
    /// Its name: reserved for this identity, or the one it has.
    pub name: UserName,
    /// Its uid, used when the account is made; `None` where the back end numbers its accounts.
    pub uid: Option<Uid>,
    /// Where the back end numbers its accounts within [`Backend::numbers`]: the least uid that a new
    /// account may get. Smaller ones may have been somebody's who has no account any more.
    pub uid_floor: Option<u32>,
    /// What the provider says about the person.
    pub person: Person,
    /// Primary and supplementary groups.
    pub groups: Groups,
    /// Login shell of the person's tier.
    pub shell: AccountPath,
    /// Directory in which the home is made, used when the account is made.
    pub home_base: AccountPath,
}

/// An account as the back end sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose it is; `None` when the back end knows nobody, as for accounts of local people.
    pub identity: Option<Identity>,
    /// Name.
    pub name: UserName,
    /// Uid, if the back end tells. May be one of the system when the account is not of ours.
    pub uid: Option<u32>,
    /// Gid of the primary group, if the back end tells.
    pub gid: Option<u32>,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// `Deployed`, `Suspended` or `Limited`.
    pub state: AccountState,
    /// Names of the supplementary groups, sorted.
    pub groups: Vec<String>,
}

impl Account {
    /// The uid, as one that a person may have; `None` when the back end tells none.
    ///
    /// # Errors
    /// [`BackendError::Refused`] for a uid of the system.
    pub fn personal_uid(&self) -> Result<Option<Uid>, BackendError> {
        self.uid.map(Uid::new).transpose().map_err(|_| {
            BackendError::Refused(format!("the account {} has a uid of the system", self.name))
        })
    }
}

/// What a deployment did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// The account as it is now.
    pub account: Account,
    /// True when it did not exist before.
    pub created: bool,
    /// Groups newly joined, the primary group of a new account left out, and one that took the place of
    /// another among them.
    pub joined: Vec<GroupName>,
    /// Groups left, a primary group that was replaced among them.
    pub left: Vec<GroupName>,
}

impl Deployed {
    /// The sentence for the user.
    pub fn message(&self) -> String {
        crate::message::deployed(self.created, &self.joined, &self.left)
    }
}

/// Groups joined and left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupChanges {
    /// Newly joined.
    pub joined: Vec<GroupName>,
    /// Left.
    pub left: Vec<GroupName>,
}

impl GroupChanges {
    /// Counts a primary group that took the place of another, whose name may be gone.
    pub(crate) fn count_primary(&mut self, new: Option<GroupName>, gone: Option<GroupName>) {
        self.joined.extend(new);
        self.left.extend(gone);
        self.joined.sort_unstable();
        self.left.sort_unstable();
    }
}

/// Why a back end did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The name belongs to somebody else, now or in the past. Take the next candidate.
    #[error("the name {0} is taken")]
    NameTaken(UserName),
    /// The uid belongs to somebody else, now or in the past. Take another one.
    #[error("the uid {0} is taken")]
    UidTaken(Uid),
    /// The identity has an account of another name. Use that one.
    #[error("the identity already owns the account {0}")]
    HasAccount(UserName),
    /// The identity has no account.
    #[error("the identity has no account")]
    NoAccount,
    /// Another program works on the accounts just now. Try again in a moment.
    #[error("the accounts are locked by another program; try again in a moment")]
    Busy,
    /// The back end will not have members of this group. Leave it out.
    #[error("the group {group} is not allowed: {why}")]
    GroupRefused {
        /// The group.
        group: GroupName,
        /// What stands against it, and what to configure.
        why: String,
    },
    /// The back end will not do this, now or later.
    #[error("refused: {0}")]
    Refused(String),
    /// What keeps the accounts has no such operation. What the daemon marks by itself still holds.
    #[error("not possible with this back end: {0}")]
    Unsupported(String),
    /// The back end tried and the system failed.
    #[error("{step} failed: {detail}")]
    Failed {
        /// What was being done.
        step: String,
        /// What the system said, escaped.
        detail: String,
    },
    /// The back end can't be reached.
    #[error("{what}; {cure}")]
    Unavailable {
        /// What happened.
        what: String,
        /// What an admin can do about it.
        cure: String,
    },
}

/// Who decides what an account is called and numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// The caller offers names and uids that nobody was ever given.
    Offered,
    /// The caller offers names; the back end numbers its accounts.
    Numbered,
    /// The back end knows who has which name. Who has none gets no account.
    Known,
}

/// Keeps accounts: local unix accounts, a directory, a registration service.
///
/// Every operation may be repeated after a crash with the same outcome. Operations that change an
/// account name it together with its identity, and a back end refuses when both do not belong
/// together by its own records.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Word of the configuration that selects it.
    fn name(&self) -> &'static str;

    /// Who decides what an account is called and numbered.
    fn naming(&self) -> Naming {
        Naming::Offered
    }

    /// The uids from which the back end numbers accounts ([`Naming::Numbered`]), if it tells.
    fn numbers(&self) -> Option<RangeInclusive<u32>> {
        None
    }

    /// The name that is prepared for somebody who has no account yet, where the back end knows names
    /// ([`Naming::Known`]). `None`: nothing is prepared for this person.
    ///
    /// # Errors
    /// As [`Backend::find`].
    async fn prepared_name(
        &self,
        _identity: &Identity,
        _person: &Person,
    ) -> Result<Option<UserName>, BackendError> {
        Ok(None)
    }

    /// The account of an identity.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] when it can't be found out; never a guess.
    async fn find(&self, identity: &Identity) -> Result<Option<Account>, BackendError>;

    /// The account of a name, whoever it belongs to.
    ///
    /// # Errors
    /// As [`Backend::find`].
    async fn by_name(&self, name: &UserName) -> Result<Option<Account>, BackendError>;

    /// All accounts that carry an identity, for reconciliation and reports. States are those that
    /// can be told without asking anybody: suspension may be missing.
    ///
    /// # Errors
    /// As [`Backend::find`].
    async fn accounts(&self) -> Result<Vec<Account>, BackendError>;

    /// What in the accounts an admin should mend: two of one identity, names that nobody can use.
    ///
    /// # Errors
    /// As [`Backend::find`].
    async fn oddities(&self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    /// True when the name is in use on this host, in any source of names (files, LDAP, SSSD).
    ///
    /// # Errors
    /// As [`Backend::find`].
    async fn is_taken(&self, name: &UserName) -> Result<bool, BackendError>;

    /// True when the uid is in use on this host, in any source of names.
    ///
    /// # Errors
    /// As [`Backend::find`].
    async fn is_uid_taken(&self, uid: Uid) -> Result<bool, BackendError>;

    /// Makes the intent true: creates the account, or adopts and updates the one that exists.
    ///
    /// A suspended account is left as it is. A shell that the configuration does not know was set
    /// by the operator, and stays.
    ///
    /// # Errors
    /// [`BackendError::NameTaken`], [`BackendError::UidTaken`] and [`BackendError::HasAccount`]
    /// ask for another intent; the others end the attempt.
    async fn deploy(&self, intent: &Intent) -> Result<Deployed, BackendError>;

    /// Joins these supplementary groups and leaves others that this back end had joined.
    ///
    /// # Errors
    /// [`BackendError::NoAccount`], or what keeps it from being done.
    async fn set_groups(
        &self,
        identity: &Identity,
        name: &UserName,
        groups: &[GroupName],
    ) -> Result<GroupChanges, BackendError>;

    /// Sets the login shell.
    ///
    /// # Errors
    /// As [`Backend::set_groups`].
    async fn set_shell(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> Result<(), BackendError>;

    /// Locks the account for every way of logging in. Sessions are left alone.
    ///
    /// # Errors
    /// As [`Backend::set_groups`].
    async fn suspend(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError>;

    /// Takes the lock back.
    ///
    /// # Errors
    /// As [`Backend::set_groups`].
    async fn resume(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError>;

    /// Takes back only the lock that [`Backend::suspend`] set, where it can be told from others: what an
    /// admin or another stack has locked stays.
    ///
    /// # Errors
    /// As [`Backend::set_groups`].
    async fn lift_own_lock(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<(), BackendError> {
        self.resume(identity, name).await
    }

    /// Gives the account the shell of tier limited, in which little or nothing can be done.
    ///
    /// # Errors
    /// As [`Backend::set_groups`].
    async fn limit(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError>;

    /// Gives a limited account a shell again.
    ///
    /// # Errors
    /// As [`Backend::set_groups`].
    async fn unlimit(
        &self,
        identity: &Identity,
        name: &UserName,
        shell: &AccountPath,
    ) -> Result<(), BackendError>;

    /// Supplementary groups of the account that this back end joined, and so may leave again.
    ///
    /// # Errors
    /// As [`Backend::find`].
    async fn managed_groups(&self, name: &UserName) -> Result<Vec<GroupName>, BackendError>;

    /// Primary group of the account, where the back end can name it and it is one that motley may
    /// handle.
    ///
    /// # Errors
    /// As [`Backend::find`].
    async fn primary_group(&self, _name: &UserName) -> Result<Option<GroupName>, BackendError> {
        Ok(None)
    }

    /// Primary group of the account if this back end gave it, and so may replace it. One that an admin
    /// chose is none.
    ///
    /// # Errors
    /// As [`Backend::find`].
    async fn managed_primary(&self, _name: &UserName) -> Result<Option<GroupName>, BackendError> {
        Ok(None)
    }

    /// Puts another group in the place of the primary group that this back end gave. A membership in it
    /// that the back end gave becomes this one.
    ///
    /// # Errors
    /// As [`Backend::set_groups`]; [`BackendError::Refused`] for a primary group that an admin chose.
    async fn set_primary_group(
        &self,
        _identity: &Identity,
        _name: &UserName,
        _group: &GroupName,
    ) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("primary groups are not replaced here".to_owned()))
    }

    /// True when all nodes of a service see the same accounts.
    fn is_shared(&self) -> bool {
        true
    }

    /// True when [`Backend::remove`] ends the account's sessions; else the caller does, on its host.
    fn ends_sessions(&self) -> bool {
        true
    }

    /// Whether this back end can take accounts away at all.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] when it can't.
    fn can_remove(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Takes the account away for good: ends its sessions, puts its home aside, keeps name and uid
    /// for this identity alone. An account that is gone already is no error.
    ///
    /// # Errors
    /// As [`Backend::set_groups`]; what was begun is finished by asking again.
    async fn remove(&self, identity: &Identity, name: &UserName) -> Result<Removal, BackendError>;

    /// Removes what a crash left half-made under a reserved name. An account that was completed
    /// stays, and that is no error.
    ///
    /// # Errors
    /// What keeps it from being done.
    async fn roll_back(&self, identity: &Identity, name: &UserName) -> Result<(), BackendError>;

    /// Whether the back end could work just now.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] with the cure.
    async fn check(&self) -> Result<(), BackendError>;
}
