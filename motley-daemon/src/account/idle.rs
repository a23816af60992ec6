//! What becomes of accounts that nobody uses: a warning, a limit, a suspension, and the way back.

use super::{AccountError, Accounts, Order, Suspender};
use crate::{
    clock::Timestamp,
    config::LifecycleConfig,
    notify::{Addressee, Letters},
    store::{Idle, LastUse, Lease, Letter, StoreError},
};
use motley_proto::{Identity, rest::AccountState};

/// Name of the right to look for idle accounts.
const LIFECYCLE: &str = "lifecycle";
/// How long one process may take for a look before another one tries, in seconds.
const LEASE_SECONDS: i64 = 600;
/// Most accounts of one kind in one look.
const BATCH: i64 = 50;
const DAY: i64 = 24 * 3600;

/// What follows from idleness, and the words of the warning.
#[derive(Default)]
pub struct Lifecycle {
    /// The section of the configuration.
    pub config: LifecycleConfig,
    /// Texts of mails.
    pub letters: Letters,
}

/// What came of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdleLook {
    /// People who were warned.
    pub warned: usize,
    /// Accounts that were limited.
    pub limited: usize,
    /// Accounts that were suspended.
    pub suspended: usize,
}

impl Accounts {
    /// Looks for accounts that nobody has used for long, unless another process is at it. An account
    /// of which no use is known counts from the first look on.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn look_for_idle(&self, holder: &str) -> Result<IdleLook, StoreError> {
        let mut look = IdleLook::default();
        let config = self.lifecycle.config;
        let (now, lease) = (self.clock.now(), Lease { kind: LIFECYCLE, holder });
        if !config.acts() || !self.store.may_sweep() {
            return Ok(look);
        }
        if !self.store.take_lease(lease, now, now.plus(LEASE_SECONDS)).await? {
            return Ok(look);
        }
        self.store.begin_counting(now).await?;
        if let Some(days) = config.suspend_after {
            look.suspended = self.act(now.plus(-days * DAY), Idle::Suspended).await?;
        }
        if let Some(days) = config.limit_after {
            look.limited = self.act(now.plus(-days * DAY), Idle::Limited).await?;
        }
        look.warned = self.warn_idle(now).await?;
        self.store.drop_lease(lease).await?;
        Ok(look)
    }

    async fn act(&self, since: Timestamp, what: Idle) -> Result<usize, StoreError> {
        let mut done = 0;
        for idle in self.store.idle_since(since, what, BATCH).await? {
            match self.act_on(&idle.identity, since, what).await {
                Ok(true) => done += 1,
                Ok(false) => {}
                // The account is gone, and nothing is to be known of it.
                Err(AccountError::NoAccount) => self.store.forget_use(&idle.identity).await?,
                Err(error) => {
                    let identity = idle.identity.unique_id();
                    tracing::warn!(%identity, %error, "an idle account was left as it is; trying again");
                }
            }
        }
        Ok(done)
    }

    /// False: it was used, or changed, meanwhile.
    async fn act_on(
        &self,
        identity: &Identity,
        since: Timestamp,
        what: Idle,
    ) -> Result<bool, AccountError> {
        let still = self.store.last_use(identity).await?.is_some_and(|use_| use_.used_at <= since);
        let state = self.standing(identity).await?.state;
        match (still, what, state) {
            (false, ..) => return Ok(false),
            (_, _, AccountState::NotDeployed) => return Err(AccountError::NoAccount),
            (_, _, AccountState::Suspended) => return Ok(false),
            (true, Idle::Limited, _) => {
                self.limit(identity, Suspender::Idleness, LIFECYCLE).await?
            }
            (true, Idle::Suspended, _) => {
                self.suspend(identity, Suspender::Idleness, LIFECYCLE).await?
            }
        };
        tracing::info!(identity = %identity.unique_id(), what = what.as_str(), "nobody used this account");
        Ok(true)
    }

    async fn warn_idle(&self, now: Timestamp) -> Result<usize, StoreError> {
        let config = self.lifecycle.config;
        let first = [
            config.limit_after.map(|days| (days, "limited")),
            config.suspend_after.map(|days| (days, "suspended")),
        ];
        let first = first.into_iter().flatten().min();
        let (Some(before), Some((days, what))) = (config.warn_before, first) else { return Ok(0) };
        let mut warned = 0;
        for idle in self.store.to_be_warned(now.plus(-(days - before) * DAY), BATCH).await? {
            let left = idle.used_at.plus(days * DAY).0.saturating_sub(now.0);
            warned += usize::from(self.warn(&idle, (left + DAY - 1) / DAY, what, now).await?);
        }
        Ok(warned)
    }

    async fn warn(
        &self,
        idle: &LastUse,
        days: i64,
        what: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(address) = &idle.email else { return Ok(false) };
        let record = self.store.account_of(&idle.identity).await?;
        let name = record.and_then(|record| record.name);
        let mail =
            name.and_then(|name| self.lifecycle.letters.warning(address, &name, days.max(0), what));
        let Some(mail) = mail else { return Ok(false) };
        let letter = Letter {
            // One for each person and time of warning.
            id: format!("idle-{}-{}", idle.used_at.0, idle.identity.unique_id()),
            addressee: match mail.to {
                Addressee::Person(address) => Some(address),
                Addressee::Admins | Addressee::Watchers => None,
            },
            subject: mail.subject,
            body: mail.body,
            created_at: now,
            failures: 0,
        };
        self.store.warn(&idle.identity, &letter, now).await?;
        Ok(true)
    }

    /// Ends what idleness led to, where the person may who has just shown a good token and is
    /// authorised. What an admin ordered stays.
    ///
    /// # Errors
    /// When store or audit trail do not answer.
    pub async fn reactivate(&self, identity: &Identity, request: &str) -> Result<(), AccountError> {
        if !self.lifecycle.config.reactivate {
            return Ok(());
        }
        let order = Order::from(Suspender::Oneself);
        // Under the lock, so that no admin's order comes in between.
        let held = self.locks.hold(identity).await;
        let acted = self.store.last_use(identity).await?.and_then(|use_| use_.acted);
        match acted {
            None => return Ok(()),
            Some(Idle::Suspended) => drop(self.resume_held(identity, &order, request, held).await?),
            Some(Idle::Limited) => drop(held),
        }
        let held = self.locks.hold(identity).await;
        let marks = self.store.marks_of(identity).await?;
        let limited = marks.and_then(|marks| marks.limited);
        if limited.is_some_and(|mark| mark.by == Suspender::Idleness.to_string()) {
            self.unlimit_held(identity, &order, request, held).await?;
        }
        self.count_anew(identity).await
    }

    /// An admin, or the person, has decided: idleness has led to nothing, and counts from now.
    pub(super) async fn count_anew(&self, identity: &Identity) -> Result<(), AccountError> {
        Ok(self.store.count_anew(identity, self.clock.now()).await?)
    }
}
