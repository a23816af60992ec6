//! A first account: under which name and uid it is promised, and how the promise is kept.

use super::{
    Accounts,
    deployment::{DeployError, Deployment, Wish},
};
use crate::store::{AccountRecord, Reservation, StoreError};
use feudal_plugins::{BackendError, Naming, message, names::candidates};
use motley_proto::{Identity, Uid, UserName, rest::AccountState};

/// How many uids in a row may turn out to be taken by others before the attempt ends.
const UID_ATTEMPTS: u32 = 100_000;
/// How many names that were tried are told to the user.
const SHOWN_CANDIDATES: usize = 32;

impl Accounts {
    /// There is no account: go on with a promise that a crash left, or try the names in turn.
    pub(super) async fn create(
        &self,
        wish: &Wish<'_>,
        record: Option<AccountRecord>,
    ) -> Result<Deployment, DeployError> {
        if self.backend.naming() == Naming::Known {
            return self.create_prepared(wish, record).await;
        }
        if let Some(record) = self.promised_before(wish, record).await? {
            match self.fulfil(wish, record).await? {
                Some(deployment) => return Ok(deployment),
                None => {
                    tracing::info!(request = wish.request, "the promised name was taken meanwhile")
                }
            }
        }
        let promised = self.store.promised_names().await?;
        let mut tried = Vec::new();
        for candidate in candidates(&self.rules.names, wish.claims, wish.groups.primary.as_str()) {
            if tried.len() < SHOWN_CANDIDATES {
                tried.push(candidate.wanted);
            }
            let name = candidate.name;
            if promised.contains(name.as_str()) || self.backend.is_taken(&name).await? {
                continue;
            }
            let Some(promise) = self.promise(wish.identity, &name).await? else { continue };
            if let Some(deployment) = self.fulfil(wish, promise).await? {
                return Ok(deployment);
            }
        }
        let list = tried.join(", ");
        // Nothing of this changes by itself: the names stay their owners', and the claims are what they
        // are. Only the site can give names that do not depend on them.
        Err(DeployError::Rejected(format!(
            "I cannot create usernames. The list of tried ones is: {list}. Trying again does not help; \
             ask the administrators of this service, who can have names counted (pooled usernames), or \
             your home organisation for another preferred_username."
        )))
    }

    /// The back end knows what everybody is called: the account of that name becomes this person's.
    async fn create_prepared(
        &self,
        wish: &Wish<'_>,
        record: Option<AccountRecord>,
    ) -> Result<Deployment, DeployError> {
        let Some(name) = self.backend.prepared_name(wish.identity, &wish.person).await? else {
            return Err(DeployError::nothing_prepared());
        };
        let before = record.and_then(|record| record.name);
        if before.is_some_and(|before| before != name)
            && let Some(promise) = self.promise(wish.identity, &name).await?
        {
            // The site gave this person another name; the one that it had goes to nobody.
            self.store.release(&promise, self.clock.now()).await?;
        }
        let taken = || {
            DeployError::Rejected(format!(
                "the account {name} is somebody else's; ask the administrators of this service"
            ))
        };
        let promise = self.promise(wish.identity, &name).await?.ok_or_else(taken)?;
        self.fulfil(wish, promise).await?.ok_or_else(taken)
    }

    /// What was promised to this person: by an attempt that did not end, for an account that was taken
    /// away since, or on another node.
    async fn promised_before(
        &self,
        wish: &Wish<'_>,
        record: Option<AccountRecord>,
    ) -> Result<Option<AccountRecord>, DeployError> {
        let Some((name, uid)) = record.and_then(|record| Some((record.name?, record.uid))) else {
            return Ok(None);
        };
        let held = self.store.reserve(wish.identity, &name, uid, self.clock.now()).await?;
        Ok(match held {
            Reservation::Held(promise) => Some(*promise),
            Reservation::NameTaken | Reservation::UidTaken => None,
        })
    }

    /// Promises the name with a uid that nobody has; `None` when the name went to somebody else.
    async fn promise(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<Option<AccountRecord>, DeployError> {
        if self.backend.naming() != Naming::Offered {
            let held = self.store.reserve(identity, name, None, self.clock.now()).await?;
            return Ok(match held {
                Reservation::Held(record) => Some(*record),
                Reservation::NameTaken | Reservation::UidTaken => None,
            });
        }
        let mut next = self.store.next_uid(self.rules.first_uid).await?;
        for _ in 0..UID_ATTEMPTS {
            let Ok(uid) = Uid::new(next) else {
                next = next.saturating_add(1);
                continue;
            };
            if self.backend.is_uid_taken(uid).await? {
                next = next.saturating_add(1);
                continue;
            }
            match self.store.reserve(identity, name, Some(uid), self.clock.now()).await? {
                Reservation::Held(record) => return Ok(Some(*record)),
                Reservation::NameTaken => return Ok(None),
                Reservation::UidTaken => next = self.store.next_uid(next.saturating_add(1)).await?,
            }
        }
        Err(BackendError::Refused("no free uid was found".to_owned()).into())
    }

    /// Makes the promised account; `None` when name or uid turn out to be taken. That retires both,
    /// unless the back end knows whose they are.
    async fn fulfil(
        &self,
        wish: &Wish<'_>,
        promise: AccountRecord,
    ) -> Result<Option<Deployment>, DeployError> {
        let Some(name) = promise.name.clone() else {
            return Err(StoreError::Corrupt("reservation").into());
        };
        let shell = self.earned_shell(wish, Some(&promise));
        let mut intent = self.intent(wish, name.clone(), promise.uid, shell);
        if let (None, Some(range)) = (promise.uid, self.backend.numbers()) {
            intent.uid_floor = Some(self.store.next_uid_in(&range).await?);
        }
        self.claim_groups(wish, &intent.groups.supplementary).await?;
        let done = match self.backend.deploy(&intent).await {
            Ok(done) => done,
            Err(BackendError::NameTaken(_) | BackendError::UidTaken(_)) => {
                if self.backend.naming() == Naming::Known {
                    self.store.unpromise(wish.identity).await?;
                    return Ok(None);
                }
                if self.store.release(&promise, self.clock.now()).await? {
                    return Ok(None);
                }
                let uid = promise.uid.map(|uid| format!(" with uid {uid}")).unwrap_or_default();
                return Err(DeployError::Rejected(format!(
                    "the account {name}{uid} is yours on other nodes, but here the name or uid \
                     belongs to another account; ask the administrators of this service"
                )));
            }
            Err(error) => return Err(error.into()),
        };
        let uid = match promise.uid {
            Some(uid) => Some(uid),
            None => done.account.personal_uid()?,
        };
        // What the site made beforehand was there before.
        let created = done.created || self.backend.naming() != Naming::Known;
        if created {
            // The script works in the home as root, so nobody may be in it yet. Whoever made the account
            // may have ended before, so it is asked for also when the account is there already.
            self.greet(wish.identity, &name, wish.request).await?;
        }
        self.store.commit(wish.identity, &name, uid, self.clock.now()).await?;
        self.store.set_tier(wish.identity, wish.tier).await?;
        if !done.created {
            self.follow_shell(&done.account, wish, promise.is_limited()).await;
        }
        let message = message::deployed(created, &done.joined, &done.left);
        self.audit_deployment(wish, &name, &message)?;
        self.equip(wish.identity, &name, &intent.person, wish.request).await;
        let limited = promise.is_limited();
        let state = if limited { AccountState::Limited } else { AccountState::Deployed };
        Ok(Some(Deployment { state, message, name }))
    }
}
