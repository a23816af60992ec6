//! What becomes of accounts that nobody uses: a warning, a limit, a suspension, and the way back.

use super::{AccountError, Accounts, Order, Suspender};
use crate::{
    clock::Timestamp,
    config::LifecycleConfig,
    notify::{Addressee, Letters},
    store::{IDLENESS, Idle, LastUse, Lease, Letter, StoreError, spellings},
};
use motley_proto::{Identity, rest::AccountState};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Name of the right to look for idle accounts.
const LIFECYCLE: &str = "lifecycle";
/// How long one process may take for a look before another one tries, in seconds.
const LEASE_SECONDS: i64 = 600;
/// Most accounts of which something becomes in one look, for each thing that may become of them.
const BATCH: usize = 50;
/// How many accounts are asked for at once.
const PAGE: i64 = 50;
/// How long one look may go on with accounts of which nothing becomes, in seconds.
const LOOK_SECONDS: i64 = LEASE_SECONDS / 4;
const DAY: i64 = 24 * 3600;
/// What becomes of people before anything becomes of their accounts.
const WARNED: &str = "warned";

/// What follows from idleness, and the words of the warning.
#[derive(Default)]
pub struct Lifecycle {
    /// The section of the configuration.
    pub config: LifecycleConfig,
    /// Texts of mails.
    pub letters: Letters,
    /// Behind whom this process goes on with its next look, by what may become of accounts.
    pub(crate) positions: Mutex<HashMap<&'static str, LastUse>>,
}

impl Lifecycle {
    fn position(&self, of: &'static str) -> Option<LastUse> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).get(of).cloned()
    }

    /// `None`: all were looked at, and the next look begins with the first.
    fn go_on_behind(&self, of: &'static str, last: Option<LastUse>) {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        match last {
            Some(last) => drop(positions.insert(of, last)),
            None => drop(positions.remove(of)),
        }
    }
}

/// Which marks somebody may lift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifting {
    /// All: an admin decides.
    Whatever,
    /// Those of idleness: the person has come back.
    Idleness,
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
        let (mut done, until) = (0, self.clock.now().plus(LOOK_SECONDS));
        // Accounts with which nothing can be done must not keep those behind them from their turn.
        let mut behind = self.lifecycle.position(what.as_str());
        while done < BATCH && self.clock.now() < until {
            let page = (behind.as_ref(), PAGE);
            let page = self.store.idle_since(since, what, page).await?;
            for idle in &page {
                done += usize::from(self.try_to_act(&idle.identity, since, what).await?);
            }
            behind = page.last().cloned();
            if behind.is_none() {
                break;
            }
        }
        self.lifecycle.go_on_behind(what.as_str(), behind);
        Ok(done)
    }

    async fn try_to_act(
        &self,
        identity: &Identity,
        since: Timestamp,
        what: Idle,
    ) -> Result<bool, StoreError> {
        match self.act_on(identity, since, what).await {
            Ok(acted) => Ok(acted),
            // The account is gone, and nothing is to be known of it.
            Err(AccountError::NoAccount) => {
                self.store.forget_use(identity).await?;
                Ok(false)
            }
            Err(error) => {
                let identity = identity.unique_id();
                tracing::warn!(%identity, %error, "an idle account was left as it is; trying again");
                Ok(false)
            }
        }
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
            // Somebody else's limit, which the person's return must not end.
            (_, Idle::Limited, AccountState::Limited)
                if !self.limited_by_idleness(identity).await? =>
            {
                return Ok(false);
            }
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
        let (mut warned, until) = (0, now.plus(LOOK_SECONDS));
        let mut behind = self.lifecycle.position(WARNED);
        while warned < BATCH && self.clock.now() < until {
            let page = (behind.as_ref(), PAGE);
            let page = self.store.to_be_warned(now.plus(-(days - before) * DAY), page).await?;
            for idle in &page {
                let left = idle.used_at.plus(days * DAY).0.saturating_sub(now.0);
                warned += usize::from(self.warn(idle, (left + DAY - 1) / DAY, what, now).await?);
            }
            behind = page.last().cloned();
            if behind.is_none() {
                break;
            }
        }
        self.lifecycle.go_on_behind(WARNED, behind);
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
        self.store.warn(&idle.identity, &letter, now).await
    }

    /// Ends what idleness led to, where the person may who has just shown a good token and is
    /// authorised. What an admin ordered stays. While the database is away nothing is lifted, and that
    /// is no error: whether the person may come in is asked elsewhere, and answered by the marks.
    ///
    /// # Errors
    /// When the store fails otherwise, or back end or audit trail do not answer.
    pub async fn reactivate(&self, identity: &Identity, request: &str) -> Result<(), AccountError> {
        if !self.lifecycle.config.reactivate {
            return Ok(());
        }
        match self.end_idleness(identity, request).await {
            Err(AccountError::Store(StoreError::Unreachable(_))) => Ok(()),
            done => done,
        }
    }

    async fn end_idleness(&self, identity: &Identity, request: &str) -> Result<(), AccountError> {
        let order = Order::from(Suspender::Oneself);
        // Under the lock, so that no admin's order comes in between.
        let held = self.locks.hold(identity).await;
        let acted = self.store.last_use(identity).await?.and_then(|use_| use_.acted);
        if acted.is_none() {
            return Ok(());
        }
        let mut pending = Vec::new();
        if self.suspensions_to_lift(identity, Lifting::Idleness).await?.is_empty() {
            drop(held);
        } else {
            let lifting = (held, Lifting::Idleness);
            pending.extend(self.resume_held(identity, &order, request, lifting).await?.pending);
        }
        let held = self.locks.hold(identity).await;
        if self.limited_by_idleness(identity).await? {
            let lifting = (held, Lifting::Idleness);
            pending.extend(self.unlimit_held(identity, &order, request, lifting).await?.pending);
        }
        // What is not done yet is done by the person's next login.
        if pending.is_empty() { self.count_anew(identity).await } else { Ok(()) }
    }

    async fn limited_by_idleness(&self, identity: &Identity) -> Result<bool, StoreError> {
        let marks = self.store.marks_of(identity).await?;
        Ok(marks.and_then(|marks| marks.limited).is_some_and(|mark| mark.by == IDLENESS))
    }

    /// The spellings of an identity whose suspension goes.
    pub(super) async fn suspensions_to_lift(
        &self,
        identity: &Identity,
        lifting: Lifting,
    ) -> Result<Vec<Identity>, StoreError> {
        let mut found = Vec::new();
        for spelling in spellings(identity) {
            let by_idleness = match lifting {
                Lifting::Whatever => true,
                Lifting::Idleness => {
                    let marks = self.store.marks_of(&spelling).await?;
                    let mark = marks.and_then(|marks| marks.suspended);
                    mark.is_some_and(|mark| mark.by == IDLENESS)
                }
            };
            if by_idleness {
                found.push(spelling);
            }
        }
        Ok(found)
    }

    /// An admin, or the person, has decided: idleness has led to nothing, and counts from now.
    pub(super) async fn count_anew(&self, identity: &Identity) -> Result<(), AccountError> {
        Ok(self.store.count_anew(identity, self.clock.now()).await?)
    }
}
