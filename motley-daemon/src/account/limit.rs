//! Limits: an account keeps the shell of tier limited until an admin lifts that, whatever its owner earns.

use super::{AccountError, Accounts, IdentityHeld, Lifting, Order, suspend::unchanged};
use crate::{
    audit::Event,
    store::{AccountRecord, CarriedOut, StoreError},
};
use feudal_plugins::{Account, BackendError, Tier, shells::is_nologin};
use motley_proto::{Identity, admin::Receipt, rest::AccountState, task::AccountPath};

/// Why the back end does not show a limit, or still shows it.
pub(super) enum Unapplied {
    /// It is to be tried again.
    Yet(String),
    /// The back end has no means of it; the mark alone counts.
    Never(String),
}

impl Unapplied {
    fn of(error: &BackendError) -> Self {
        let what = format!("set the shell: {error}");
        match error {
            BackendError::Unsupported(_) => Self::Never(what),
            _ => Self::Yet(what),
        }
    }

    /// Puts it where the receipt names such things.
    pub(super) fn tell(self, receipt: &mut Receipt) {
        match self {
            Self::Yet(what) => receipt.pending.push(what),
            Self::Never(what) => receipt.not_done.push(what),
        }
    }
}

impl Accounts {
    /// Limits an account. The mark comes first, so that no deployment in between lifts it.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], or when audit log, store or back end do not answer before anything
    /// was changed.
    pub async fn limit(
        &self,
        identity: &Identity,
        order: impl Into<Order>,
        request: &str,
    ) -> Result<Receipt, AccountError> {
        let by = order.into().to_string();
        let held = self.locks.hold(identity).await;
        let (identity, account) = self.account_in_use(identity).await?;
        self.audit.record(Event::Limited {
            request: request.to_owned(),
            identity: identity.clone(),
            by: by.clone(),
        })?;
        let version = self.store.limit(&identity, &by, &account.shell, self.clock.now()).await?;
        let record = self.store.account_of(&identity).await?.ok_or(StoreError::NoRow)?;
        let mut receipt = self.carry_out(&record, request).await?;
        drop(held);
        receipt.name = Some(account.name);
        receipt.state = AccountState::Limited;
        if let Ok(standing) = self.standing(&identity).await {
            receipt.state = standing.state;
        }
        receipt.nodes = self.others(&identity, version).await;
        Ok(receipt)
    }

    /// Lifts a limit: the account gets the shell of its tier, or the one that an admin had set. The
    /// mark goes last.
    ///
    /// # Errors
    /// As [`Accounts::limit`].
    pub async fn unlimit(
        &self,
        identity: &Identity,
        order: impl Into<Order>,
        request: &str,
    ) -> Result<Receipt, AccountError> {
        let held = self.locks.hold(identity).await;
        self.unlimit_held(identity, &order.into(), request, (held, Lifting::Whatever)).await
    }

    /// The same for whoever holds the lock of the identity. It is given back before other nodes are
    /// waited for.
    pub(super) async fn unlimit_held(
        &self,
        identity: &Identity,
        order: &Order,
        request: &str,
        (held, lifting): (IdentityHeld, Lifting),
    ) -> Result<Receipt, AccountError> {
        let by = order.to_string();
        let (identity, account) = self.account_or_mark(identity).await?;
        self.audit.record(Event::Unlimited {
            request: request.to_owned(),
            identity: identity.clone(),
            by,
        })?;
        let mut receipt = unchanged(&identity, AccountState::NotDeployed);
        if let Some(account) = account {
            receipt.name = Some(account.name.clone());
            self.store.renew_marks(&identity).await?;
            let record = self.store.account_of(&identity).await?;
            let own = self.store.carried_out(&identity).await?;
            if let Err(unapplied) = self.lift_limit(record.as_ref(), &own, &account).await {
                unapplied.tell(&mut receipt);
            }
        }
        if receipt.pending.is_empty() {
            let version = match lifting {
                Lifting::Whatever => {
                    self.count_anew(&identity).await?;
                    self.store.unlimit(&identity).await?
                }
                Lifting::Idleness => self.store.unlimit_idle(&identity).await?,
            };
            if let Some(record) = self.store.account_of(&identity).await? {
                // The shell is set, so nothing is left of the limit here.
                let mut own = self.store.carried_out(&identity).await?;
                own.limited_shell = None;
                self.store.note_carried_out(&identity, &own).await?;
                receipt.pending.extend(self.carry_out(&record, request).await?.pending);
            }
            drop(held);
            receipt.nodes = self.others(&identity, version).await;
        }
        receipt.state = self.standing(&identity).await?.state;
        Ok(receipt)
    }

    /// Makes the account of this node show the limit, or its end if this node had limited it. Returns
    /// the shell from before, while it is limited.
    ///
    /// # Errors
    /// What was not done, in words.
    pub(super) async fn show_limit(
        &self,
        record: &AccountRecord,
        before: &CarriedOut,
    ) -> Result<Option<String>, Unapplied> {
        if !record.is_limited() && before.limited_shell.is_none() {
            return Ok(None);
        }
        let account = match self.backend.find(&record.identity).await {
            Ok(Some(account)) => account,
            Ok(None) => return Ok(None),
            Err(error) => return Err(Unapplied::Yet(format!("find the account: {error}"))),
        };
        if record.is_limited() {
            self.apply_limit(&record.identity, &account).await?;
            return Ok(before.limited_shell.clone().or(Some(account.shell)));
        }
        self.lift_limit(Some(record), before, &account).await?;
        Ok(None)
    }

    async fn lift_limit(
        &self,
        record: Option<&AccountRecord>,
        own: &CarriedOut,
        account: &Account,
    ) -> Result<(), Unapplied> {
        let Some(identity) = record.map(|record| &record.identity) else { return Ok(()) };
        let shell = self.shell_after_limit(record, own, account);
        match self.backend.unlimit(identity, &account.name, &shell).await {
            Ok(()) | Err(BackendError::NoAccount) => Ok(()),
            Err(error) => Err(Unapplied::of(&error)),
        }
    }

    /// Makes the back end show the limit. Repeating it is harmless.
    ///
    /// # Errors
    /// What was not done, in words.
    async fn apply_limit(&self, identity: &Identity, account: &Account) -> Result<(), Unapplied> {
        if account.shell == self.rules.shells.limited.as_str() {
            return Ok(());
        }
        match self.backend.limit(identity, &account.name).await {
            Ok(()) | Err(BackendError::NoAccount) => Ok(()),
            Err(error) => Err(Unapplied::of(&error)),
        }
    }

    /// A shell of any tier stands for the tier, which may be another one by now; any other was set by
    /// an admin.
    fn shell_after_limit(
        &self,
        record: Option<&AccountRecord>,
        own: &CarriedOut,
        account: &Account,
    ) -> AccountPath {
        let shells = &self.rules.shells;
        let tier = record.and_then(|record| record.tier);
        // Limited by hand or by another stack: what it had before is not known.
        let before = match record {
            // What this node saw before it limited the account, else what the one that was asked saw.
            _ if own
                .limited_shell
                .as_deref()
                .is_some_and(|shell| shell != shells.limited.as_str()) =>
            {
                own.limited_shell.as_deref()
            }
            Some(record) if record.is_limited() => record.limited_shell.as_deref(),
            _ => Some(account.shell.as_str()).filter(|shell| !is_nologin(shell)),
        };
        let by_admin = before.filter(|shell| tier.is_none() || !shells.is_of_a_tier(shell));
        by_admin
            .and_then(|shell| AccountPath::new(shell).ok())
            .unwrap_or_else(|| shells.of(tier.unwrap_or(Tier::Full)).clone())
    }
}
