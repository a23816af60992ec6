//! Entries that a site made before their people come: who may have one, and how it becomes theirs.

use super::{
    ClaimKey, LdapDirectory, Mode,
    entry::{all_of, equals},
    fault::code,
    lock::{add, delete},
    look::{ACCOUNT, check_uid},
    user::User,
};
use crate::{
    backend::{BackendError, Deployed, GroupChanges, Intent},
    person::Person,
    shells::is_nologin,
};
use motley_proto::{Identity, text::escape};

impl LdapDirectory {
    /// The entry of nobody yet that is meant for this person, by the agreed claim of the agreed
    /// provider. Without such an agreement there is none: whoever comes first has no right to it.
    pub(super) async fn claimable(
        &self,
        identity: &Identity,
        person: &Person,
    ) -> Result<Option<User>, BackendError> {
        let config = self.config();
        let Some(rule) = config.claim.as_ref().filter(|_| config.mode == Mode::PreCreated) else {
            return Ok(None);
        };
        if rule.issuer != identity.issuer {
            return Ok(None);
        }
        let value = match rule.key {
            ClaimKey::PreferredUsername => person.preferred_username.as_deref(),
            ClaimKey::Email => person.email.as_deref().filter(|_| person.email_verified),
        };
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
        let unclaimed = format!("(!({}=*))", config.attributes.identity);
        let filter = all_of(&[ACCOUNT, &equals(&rule.attribute, value), &unclaimed]);
        let agrees = |kept: &String| match rule.key {
            ClaimKey::PreferredUsername => kept == value,
            ClaimKey::Email => kept.eq_ignore_ascii_case(value),
        };
        let mut found = self.users_with(&filter, &rule.attribute).await?;
        found.retain(|entry| entry.all(&rule.attribute).iter().any(agrees));
        if found.len() > 1 {
            let value = escape(value, 100);
            tracing::warn!(
                attribute = rule.attribute,
                value,
                "several entries have this value, so nobody gets one"
            );
            return Ok(None);
        }
        let entry = found.pop();
        let user = entry.and_then(|it| User::read(it, &config.attributes, self.today()));
        match user {
            Some(user) => check_uid(&user.account).map(|()| Some(user)),
            None => Ok(None),
        }
    }

    /// Makes the prepared entry this person's.
    pub(super) async fn claim(&self, intent: &Intent) -> Result<Deployed, BackendError> {
        let user = match self.claimable(&intent.identity, &intent.person).await? {
            Some(user) if user.account.name == intent.name => user,
            _ => {
                let owner = self.named(&intent.name).await?.and_then(|user| user.account.identity);
                return Err(match owner {
                    Some(_) => BackendError::NameTaken(intent.name.clone()),
                    None => BackendError::NoAccount,
                });
            }
        };
        self.check_host(&user.account).await?;
        let attribute = &self.config().attributes.identity;
        let id = intent.identity.unique_id();
        let unclaimed = format!("(!({attribute}=*))");
        let changes = vec![add(attribute, id.as_str())];
        match self.directory.modify(&user.entry.dn, changes, &unclaimed).await {
            Ok(()) => {}
            Err(fault)
                if [
                    code::ASSERTION_FAILED,
                    code::ATTRIBUTE_OR_VALUE_EXISTS,
                    code::CONSTRAINT_VIOLATION,
                ]
                .iter()
                .any(|code| fault.is(*code)) => {}
            Err(fault) => return Err(self.failed("take the entry over")(fault)),
        }
        // Also tells of somebody who came at the same moment, where the attribute takes several values.
        match self.owned(&intent.identity).await {
            Ok(Some(user)) if user.account.name == intent.name => {
                self.settle_in(intent, user).await
            }
            Ok(_) => Err(BackendError::NameTaken(intent.name.clone())),
            Err(error) => {
                let changes = vec![delete(attribute, id.as_str())];
                let mine = equals(attribute, id.as_str());
                let undone = self.directory.modify(&user.entry.dn, changes, &mine).await;
                undone.map_err(self.failed("give the entry back"))?;
                Err(error)
            }
        }
    }

    async fn settle_in(&self, intent: &Intent, user: User) -> Result<Deployed, BackendError> {
        // Whom the site lets nowhere does not get a shell by coming.
        let intent = match motley_proto::task::AccountPath::new(user.account.shell.clone()) {
            Ok(shell) if is_nologin(shell.as_str()) => &Intent { shell, ..intent.clone() },
            _ => intent,
        };
        self.update(intent, user).await.map(|done| Deployed { created: true, ..done })
    }

    /// Takes the identity off an entry that stays the site's.
    pub(super) async fn release(&self, user: &User) -> Result<(), BackendError> {
        let GroupChanges { .. } = self.regroup(&user.account, &[]).await?;
        let Some(identity) = &user.account.identity else { return Ok(()) };
        let attribute = &self.config().attributes.identity;
        let changes = vec![delete(attribute, identity.unique_id().as_str())];
        self.change(user, changes, "take the identity off the entry").await
    }
}
