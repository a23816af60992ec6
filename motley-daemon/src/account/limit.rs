//! Limits: an account keeps the shell of tier limited until an admin lifts that, whatever its owner earns.

use super::{AccountError, Accounts, Order, suspend::unchanged};
use crate::{audit::Event, store::AccountRecord};
use feudal_plugins::{Account, BackendError, Tier, shells::is_nologin};
use motley_proto::{Identity, admin::Receipt, rest::AccountState, task::AccountPath};

/// Why the back end does not show a limit.
pub(super) enum Unapplied {
    /// It is to be tried again.
    Yet(String),
    /// The back end has no means of it; the mark alone holds.
    Never(String),
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
        let _held = self.locks.hold(identity).await;
        let (identity, account) = self.account_in_use(identity).await?;
        self.audit.record(Event::Limited {
            request: request.to_owned(),
            identity: identity.clone(),
            by: by.clone(),
        })?;
        self.store.limit(&identity, &by, &account.shell, self.clock.now()).await?;
        let mut receipt = unchanged(&identity, AccountState::Limited);
        receipt.name = Some(account.name.clone());
        match self.apply_limit(&identity, &account).await {
            Ok(()) => {}
            Err(Unapplied::Never(why)) => receipt.not_done.push(why),
            Err(Unapplied::Yet(why)) => receipt.pending.push(why),
        }
        let known = self.store.known_of(&identity).await?;
        if receipt.pending.is_empty() && !known.suspended {
            self.store.settle(&identity).await?;
        }
        if let Ok(standing) = self.standing(&identity).await {
            receipt.state = standing.state;
        }
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
        let by = order.into().to_string();
        let _held = self.locks.hold(identity).await;
        let (identity, account) = self.account_or_mark(identity).await?;
        self.audit.record(Event::Unlimited {
            request: request.to_owned(),
            identity: identity.clone(),
            by,
        })?;
        let mut receipt = unchanged(&identity, AccountState::NotDeployed);
        if let Some(account) = account {
            receipt.name = Some(account.name.clone());
            self.store.unsettle(&identity).await?;
            let record = self.store.account_of(&identity).await?;
            let shell = self.shell_after_limit(record.as_ref(), &account);
            match self.backend.unlimit(&identity, &account.name, &shell).await {
                Ok(()) | Err(BackendError::NoAccount) => {}
                Err(error @ BackendError::Unsupported(_)) => {
                    receipt.not_done.push(format!("set the shell: {error}"));
                }
                Err(error) => receipt.pending.push(format!("set the shell: {error}")),
            }
        }
        if receipt.pending.is_empty() {
            self.store.unlimit(&identity).await?;
        }
        receipt.state = self.standing(&identity).await?.state;
        Ok(receipt)
    }

    /// Makes the back end show the limit. Repeating it is harmless.
    ///
    /// # Errors
    /// What was not done, in words.
    pub(super) async fn apply_limit(
        &self,
        identity: &Identity,
        account: &Account,
    ) -> Result<(), Unapplied> {
        if account.shell == self.rules.shells.limited.as_str() {
            return Ok(());
        }
        match self.backend.limit(identity, &account.name).await {
            Ok(()) | Err(BackendError::NoAccount) => Ok(()),
            Err(error @ BackendError::Unsupported(_)) => {
                Err(Unapplied::Never(format!("set the shell: {error}")))
            }
            Err(error) => Err(Unapplied::Yet(format!("set the shell: {error}"))),
        }
    }

    /// A shell of any tier stands for the tier, which may be another one by now; any other was set by
    /// an admin.
    fn shell_after_limit(&self, record: Option<&AccountRecord>, account: &Account) -> AccountPath {
        let shells = &self.rules.shells;
        let tier = record.and_then(|record| record.tier);
        // Limited by hand or by another stack: what it had before is not known.
        let before = match record {
            Some(record) if record.is_limited() => record.limited_shell.as_deref(),
            _ => Some(account.shell.as_str()).filter(|shell| !is_nologin(shell)),
        };
        let by_admin = before.filter(|shell| tier.is_none() || !shells.is_of_a_tier(shell));
        by_admin
            .and_then(|shell| AccountPath::new(shell).ok())
            .unwrap_or_else(|| shells.of(tier.unwrap_or(Tier::Full)).clone())
    }
}
