//! Accounts that another stack made, taken into the store before their owners come by.
//!
//! An account is recognised without this: by its gecos field, or the attribute of a directory. What
//! the store knows beforehand no other node gives to anybody else, and a lock that the other stack
//! put on an account becomes one of the person.

use super::{AccountError, Accounts};
use crate::{
    audit::Event,
    store::{AccountRecord, Phase, StoreError},
};
use feudal_plugins::{Account, BackendError};
use motley_proto::{
    Identity, Uid,
    admin::{ImportOutcome, ImportPage, ImportRow},
    rest::AccountState,
};
use std::time::{Duration, Instant};

/// How long one page may take.
const PAGE_LIMIT: Duration = Duration::from_secs(10);
/// Rows of one page.
const PAGE_ROWS: usize = 100;
/// By whom, in the marks of locks that another stack had put on accounts.
const FOUND_LOCKED: &str = "found locked at import";

impl Accounts {
    /// Looks at the accounts behind `after`, and notes them if `apply` says so.
    ///
    /// # Errors
    /// When store, back end or audit trail do not answer. What was noted before stays noted.
    pub async fn import(
        &self,
        apply: bool,
        after: Option<&Identity>,
        request: &str,
    ) -> Result<ImportPage, AccountError> {
        let begin = Instant::now();
        let mut accounts = self.backend.accounts().await?;
        accounts.retain(|account| account.identity.as_ref() > after);
        accounts.sort_unstable_by(|a, b| a.identity.cmp(&b.identity));
        let mut page = ImportPage::default();
        if after.is_none() {
            page.oddities = self.backend.oddities().await?;
        }
        for account in accounts {
            let Some(identity) = account.identity.clone() else { continue };
            if page.rows.len() >= PAGE_ROWS || begin.elapsed() > PAGE_LIMIT {
                return Ok(page);
            }
            match self.import_one(identity.clone(), account, apply, request).await? {
                Some(row) => page.rows.push(row),
                None => page.known = page.known.saturating_add(1),
            }
            page.next = Some(identity);
        }
        page.next = None;
        Ok(page)
    }

    /// `None` when the store knows the account as it is.
    async fn import_one(
        &self,
        identity: Identity,
        account: Account,
        apply: bool,
        request: &str,
    ) -> Result<Option<ImportRow>, AccountError> {
        let _held = self.locks.hold(&identity).await;
        // Only the look at one account tells whether it is locked.
        let account = match self.backend.find(&identity).await {
            Ok(found) => found.unwrap_or(account),
            // One account that nobody can use must not keep the others.
            Err(BackendError::Refused(why)) => {
                let (name, uid, state) = (account.name, account.uid, account.state);
                let outcome = ImportOutcome::Conflict { why };
                return Ok(Some(ImportRow { identity, name, uid, state, outcome }));
            }
            Err(error) => return Err(error.into()),
        };
        let known = self.store.known_of(&identity).await?;
        let locked = account.state == AccountState::Suspended && !known.suspended;
        let holder = self.store.account_named(&account.name).await?;
        let mut found = outcome(&account, known.record.as_ref(), holder.as_ref());
        if !matches!(found, Some(ImportOutcome::Conflict { .. }))
            && let Some(conflict) = self.former_owner(&identity, &account).await?
        {
            found = Some(conflict);
        }
        let outcome = match found {
            Some(outcome) => outcome,
            None if locked => ImportOutcome::Changed { before: "not suspended".to_owned() },
            None => return Ok(None),
        };
        let mut row = ImportRow {
            identity,
            name: account.name.clone(),
            uid: account.uid,
            state: account.state,
            outcome,
        };
        if apply
            && !matches!(row.outcome, ImportOutcome::Conflict { .. })
            && let Err(error) = self.note_import(&row.identity, &account, locked, request).await
        {
            row.outcome = ImportOutcome::Conflict { why: error.to_string() };
        }
        Ok(Some(row))
    }

    /// The conflict with whoever had name or uid before.
    async fn former_owner(
        &self,
        identity: &Identity,
        account: &Account,
    ) -> Result<Option<ImportOutcome>, AccountError> {
        let uid = account.uid.and_then(|uid| Uid::new(uid).ok());
        match self.store.check_promises(identity, &account.name, uid).await {
            Ok(()) => Ok(None),
            Err(error @ (StoreError::NamePromised(_) | StoreError::UidPromised(_))) => {
                Ok(Some(ImportOutcome::Conflict { why: error.to_string() }))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn note_import(
        &self,
        identity: &Identity,
        account: &Account,
        locked: bool,
        request: &str,
    ) -> Result<(), AccountError> {
        self.audit.record(Event::Deployed {
            request: request.to_owned(),
            identity: identity.clone(),
            name: account.name.clone(),
            what: "taken over".to_owned(),
        })?;
        if locked {
            self.audit.record(Event::Suspended {
                request: request.to_owned(),
                identity: identity.clone(),
                by: FOUND_LOCKED.to_owned(),
            })?;
            self.store.suspend(identity, FOUND_LOCKED, self.clock.now()).await?;
        }
        let uid = account.uid.and_then(|uid| Uid::new(uid).ok());
        Ok(self.store.commit(identity, &account.name, uid, self.clock.now()).await?)
    }
}

/// What becomes of an account, by the person's row and the row that holds its name. `None`: nothing.
fn outcome(
    account: &Account,
    own: Option<&AccountRecord>,
    holder: Option<&AccountRecord>,
) -> Option<ImportOutcome> {
    let conflict = |why: String| Some(ImportOutcome::Conflict { why });
    if let Some(Err(error)) = account.uid.map(Uid::new) {
        return conflict(format!("its uid {error}; give it another one: usermod --uid"));
    }
    if let Some(holder) =
        holder.filter(|holder| Some(&holder.identity) != account.identity.as_ref())
    {
        let whose = holder.identity.unique_id();
        return conflict(format!("the name is promised to {whose}; rename the account"));
    }
    match own {
        Some(own) if own.is_leaving() => {
            conflict("it is being taken away; try again when that is done".to_owned())
        }
        Some(own) if own.name.is_none() || own.phase == Phase::None => Some(ImportOutcome::New),
        Some(own) if own.name.as_ref() == Some(&account.name) && own.agrees_with(account.uid) => {
            (own.phase != Phase::Deployed).then_some(ImportOutcome::New)
        }
        Some(own) => {
            let name = own.name.as_ref().map_or("-", |name| name.as_str());
            let uid = own.uid.map_or("-".to_owned(), |uid| uid.get().to_string());
            Some(ImportOutcome::Changed { before: format!("{name}, uid {uid}") })
        }
        None => Some(ImportOutcome::New),
    }
}
