//! Finds entries and says whose they are.

use super::{
    LdapDirectory, Mode,
    directory::Query,
    entry::{Entry, all_of, equals},
    user::User,
};
use crate::{
    backend::{Account, BackendError},
    local_unix::ask_names,
};
use ldap3::Scope;
use motley_proto::{Identity, UserName, names::is_protected_id, text::escape};
use std::collections::HashMap;

/// Filter of entries that are accounts.
pub(super) const ACCOUNT: &str = "(objectClass=posixAccount)";
/// Filter of entries that are groups.
pub(super) const GROUP: &str = "(objectClass=posixGroup)";

impl LdapDirectory {
    /// Entries below the base of users.
    pub(super) async fn users(&self, filter: &str, step: &str) -> Result<Vec<Entry>, BackendError> {
        let query = Query {
            base: &self.config().user_base,
            scope: self.directory.scope(),
            filter,
            attributes: &User::attributes(&self.config().attributes),
        };
        self.directory.search(query).await.map_err(self.failed(step))
    }

    /// The same with one more attribute.
    pub(super) async fn users_with(
        &self,
        filter: &str,
        attribute: &str,
    ) -> Result<Vec<Entry>, BackendError> {
        let mut attributes = User::attributes(&self.config().attributes);
        attributes.push(attribute);
        let query = Query {
            base: &self.config().user_base,
            scope: self.directory.scope(),
            filter,
            attributes: &attributes,
        };
        let found = self.directory.search(query).await;
        found.map_err(self.failed("find a prepared account"))
    }

    /// The entry that carries an identity.
    ///
    /// The attribute may ignore case in searches, and subjects do not: only an exact value counts.
    pub(super) async fn owned(&self, identity: &Identity) -> Result<Option<User>, BackendError> {
        let attribute = &self.config().attributes.identity;
        let text = identity.unique_id();
        let filter = all_of(&[ACCOUNT, &equals(attribute, text.as_str())]);
        let found = self.users(&filter, "find the account of an identity").await?;
        let mut mine = found.into_iter().filter(|entry| entry.has(attribute, text.as_str()));
        let Some(entry) = mine.next() else { return Ok(None) };
        let dn = escape(&entry.dn, 200);
        if let Some(other) = mine.next() {
            return Err(BackendError::Refused(format!(
                "{dn} and {} carry the same identity; take it out of one of them",
                escape(&other.dn, 200)
            )));
        }
        match User::read(entry, &self.config().attributes, self.today()) {
            Some(user) if user.account.identity.as_ref() == Some(identity) => Ok(Some(user)),
            Some(_) => Err(BackendError::Refused(format!(
                "{dn} carries more than one value in {attribute}; leave one"
            ))),
            None => Err(BackendError::Refused(format!(
                "{dn} carries an identity, but no name that an account can have in {}",
                self.config().attributes.name
            ))),
        }
    }

    /// The entry of a local name.
    pub(super) async fn named(&self, name: &UserName) -> Result<Option<User>, BackendError> {
        let attributes = &self.config().attributes;
        let filter = all_of(&[ACCOUNT, &equals(&attributes.name, name.as_str())]);
        let found = self.users(&filter, "find the account of a name").await?;
        let today = self.today();
        let users = found.into_iter().filter_map(|entry| User::read(entry, attributes, today));
        let mut users = users.filter(|user| user.account.name == *name);
        match (users.next(), users.next()) {
            (Some(one), Some(other)) => Err(BackendError::Refused(format!(
                "{} and {} have the same name; leave it to one of them",
                escape(&one.entry.dn, 200),
                escape(&other.entry.dn, 200)
            ))),
            (user, _) => Ok(user),
        }
    }

    /// True when any entry goes by this name, whatever else it is.
    pub(super) async fn has_entry(&self, name: &UserName) -> Result<bool, BackendError> {
        let filter = equals(&self.config().attributes.name, name.as_str());
        Ok(!self.users(&filter, "find the owner of a name").await?.is_empty())
    }

    pub(super) async fn host_has_user(&self, name: &UserName) -> Result<bool, BackendError> {
        let name = name.clone();
        ask_names(&self.names, move |names| names.has_user(&name)).await
    }

    /// The account of an identity by its name, where motley may change it.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] where nothing may be written, [`BackendError::NoAccount`], and
    /// [`BackendError::Refused`] for an account of somebody else or of the system.
    pub(super) async fn changeable(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<User, BackendError> {
        self.may_write()?;
        match self.owned(identity).await? {
            Some(user) if user.account.name == *name => {
                check_uid(&user.account)?;
                Ok(user)
            }
            Some(user) => Err(BackendError::HasAccount(user.account.name)),
            None if self.named(name).await?.is_some() => {
                Err(BackendError::Refused(format!("the account {name} is not of this identity")))
            }
            None => Err(BackendError::NoAccount),
        }
    }

    /// Where passwd(5) has the name as well, the person would log in to that account.
    pub(super) async fn check_files(&self, account: &Account) -> Result<(), BackendError> {
        if !self.files.snapshot().await?.has_name(account.name.as_str()) {
            return Ok(());
        }
        Err(BackendError::Refused(format!(
            "{} is also an account in /etc/passwd; rename or remove that one",
            account.name
        )))
    }

    /// As [`LdapDirectory::check_files`], over all of the host's sources of names.
    pub(super) async fn check_host(&self, account: &Account) -> Result<(), BackendError> {
        self.check_files(account).await?;
        let name = account.name.clone();
        let known = ask_names(&self.names, move |names| names.uid_of(&name)).await?;
        match (known, account.uid) {
            (Some(known), Some(uid)) if known != uid => Err(BackendError::Refused(format!(
                "{} has uid {uid} in the directory, and {known} on this host; let /etc/nsswitch.conf \
                 name one source of it",
                account.name
            ))),
            _ => Ok(()),
        }
    }

    /// Completes an account with its supplementary groups.
    pub(super) async fn with_groups(&self, mut account: Account) -> Result<Account, BackendError> {
        let groups = self.groups_with("memberUid", account.name.as_str()).await?;
        account.groups = groups.into_iter().map(|group| group.name).collect();
        account.groups.sort_unstable();
        account.groups.dedup();
        Ok(account)
    }

    /// All accounts that carry an identity, with their groups.
    pub(super) async fn all_owned(&self) -> Result<Vec<Account>, BackendError> {
        let config = self.config();
        let attributes = &config.attributes;
        let step = "list the accounts";
        let query = Query {
            base: &config.user_base,
            scope: self.directory.scope(),
            filter: &all_of(&[ACCOUNT, &format!("({}=*)", attributes.identity)]),
            attributes: &User::attributes(attributes),
        };
        let users = self.directory.search_all(query).await.map_err(self.failed(step))?;
        let mut memberships = self.all_memberships(step).await?;
        let today = self.today();
        let users = users.into_iter().filter_map(|entry| User::read(entry, attributes, today));
        let accounts = users.map(|user| user.account).filter(|it| it.identity.is_some());
        Ok(accounts
            .map(|account| {
                let mut groups = memberships.remove(account.name.as_str()).unwrap_or_default();
                groups.sort_unstable();
                Account { groups, ..account }
            })
            .collect())
    }

    async fn all_memberships(
        &self,
        step: &str,
    ) -> Result<HashMap<String, Vec<String>>, BackendError> {
        let query = Query {
            base: &self.config().group_base,
            scope: self.directory.scope(),
            filter: GROUP,
            attributes: &["cn", "memberUid"],
        };
        let groups = self.directory.search_all(query).await.map_err(self.failed(step))?;
        let mut memberships = HashMap::<String, Vec<String>>::new();
        for group in groups {
            let Some(name) = group.one("cn") else { continue };
            for member in group.all("memberUid") {
                memberships.entry(member.clone()).or_default().push(name.to_owned());
            }
        }
        Ok(memberships)
    }

    /// Tells whether both bases are there and may be read.
    pub(super) async fn check_bases(&self) -> Result<(), BackendError> {
        let config = self.config();
        for (option, base) in [("user_base", &config.user_base), ("group_base", &config.group_base)]
        {
            let query =
                Query { base, scope: Scope::Base, filter: "(objectClass=*)", attributes: &["1.1"] };
            let found =
                self.directory.search(query).await.map_err(self.failed("read the bases"))?;
            // Without a group nobody is looked up there, so a site that has none may go without.
            if found.is_empty() && (option == "user_base" || config.mode == Mode::FullAccess) {
                return Err(BackendError::Unavailable {
                    what: format!(
                        "the directory {} has no entry {base} that can be read",
                        self.url
                    ),
                    cure: format!("correct {option}, or let admin_user read it"),
                });
            }
        }
        Ok(())
    }
}

/// An entry with a uid of the system is nobody's account, whoever it is said to belong to.
pub(super) fn check_uid(account: &Account) -> Result<(), BackendError> {
    match account.uid {
        Some(uid) if !is_protected_id(uid) => Ok(()),
        Some(uid) => Err(BackendError::Refused(format!(
            "the account {} has uid {uid}, which belongs to the system",
            account.name
        ))),
        None => Err(BackendError::Refused(format!(
            "the account {} has no uidNumber that can be read",
            account.name
        ))),
    }
}
