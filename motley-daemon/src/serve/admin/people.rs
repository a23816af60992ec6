//! Who has an account, everything about one, and what runs on them.

use super::{Admin, PAGE_BYTES, nobody};
use crate::{
    account::{AccountError, Standing},
    audit::read::{Wanted, newest},
    store::{AccountRecord, Marked, Marks, Phase, spellings},
};
use feudal_plugins::Account;
use motley_proto::{
    Identity, UserName,
    admin::{
        AccountDetails, AccountPage, AccountQuery, AccountRow, AdminAnswer, LoginFact, Mark,
        SessionsPage, SessionsRow, Target, TrailFilter, UseFact,
    },
    rest::AccountState,
    text::escape,
};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Rows that are looked at for one page, whether wanted or not.
const SCANNED_ROWS: u32 = 500;
/// Rows of one page of sessions; root reads the process table for each.
const SESSION_ROWS: u32 = 100;
/// How long one page of sessions may take.
const SESSIONS_LIMIT: Duration = Duration::from_secs(10);
/// How much of the end of the audit trail is searched for a login, in bytes.
const LOGIN_BYTES: u64 = 16 * 1024 * 1024;

/// Room that is left in a page.
struct Room(usize);

impl Room {
    /// Takes an entry in; false when it has no room any more. The first always has.
    fn admit(&mut self, entry: &impl Serialize) -> bool {
        let size = serde_json::to_vec(entry).map_or(usize::MAX, |text| text.len() + 1);
        let fits = size <= self.0 || self.0 == PAGE_BYTES;
        self.0 = self.0.saturating_sub(size);
        fits
    }
}

impl Admin {
    pub(super) async fn list(&self, query: &AccountQuery) -> Result<AdminAnswer, AccountError> {
        let store = self.accounts().store();
        let records = store.page(query.after.as_ref(), query.issuer.as_ref(), SCANNED_ROWS).await?;
        let matching = query.matching.as_ref().map(|text| text.to_lowercase());
        let mut page = AccountPage::default();
        let mut room = Room(PAGE_BYTES);
        let mut last = query.after.clone();
        let is_last = records.len() < SCANNED_ROWS as usize;
        for record in records {
            if matching.as_ref().is_none_or(|text| mentions(&record, text)) {
                let row = self.row(&record).await;
                if query.state.is_none_or(|state| state == row.state) {
                    if !room.admit(&row) {
                        page.next = last;
                        return Ok(AdminAnswer::Accounts(page));
                    }
                    page.rows.push(row);
                }
            }
            last = Some(record.identity);
        }
        page.next = last.filter(|_| !is_last);
        Ok(AdminAnswer::Accounts(page))
    }

    async fn row(&self, record: &AccountRecord) -> AccountRow {
        let state = match self.accounts().standing(&record.identity).await {
            Ok(standing) => standing.state,
            Err(_) => AccountState::Unknown,
        };
        AccountRow { identity: record.identity.clone(), name: record.name.clone(), state }
    }

    pub(super) async fn show(&self, target: Target) -> Result<AdminAnswer, AccountError> {
        let Some(identity) = self.identity(target).await? else { return Ok(nobody()) };
        Ok(match self.details(&identity).await? {
            Some(details) => AdminAnswer::Account(Box::new(details)),
            None => AdminAnswer::Nobody(
                "nobody of that subject and issuer is known here; the issuer must be written as in \
                 its tokens"
                    .to_owned(),
            ),
        })
    }

    /// Everything about the account of an identity, under whichever spelling; `None` when neither
    /// store nor back end know it.
    pub(super) async fn details(
        &self,
        identity: &Identity,
    ) -> Result<Option<AccountDetails>, AccountError> {
        let accounts = self.accounts();
        for spelling in spellings(identity) {
            let record = accounts.store().account_of(&spelling).await?;
            let (standing, problem) = match accounts.standing(&spelling).await {
                Ok(standing) => (standing, None),
                Err(AccountError::Backend(error)) => {
                    let unknown = Standing { state: AccountState::Unknown, account: None };
                    (unknown, Some(format!("the account: {error}")))
                }
                Err(error) => return Err(error),
            };
            let waits = matches!(standing.state, AccountState::Pending | AccountState::Rejected);
            if record.is_some() || standing.account.is_some() || waits {
                let mut details = self.describe(spelling, record, standing).await?;
                details.unknown.extend(problem);
                return Ok(Some(details));
            }
        }
        Ok(None)
    }

    async fn describe(
        &self,
        identity: Identity,
        record: Option<AccountRecord>,
        standing: Standing,
    ) -> Result<AccountDetails, AccountError> {
        let marks = self.accounts().store().marks_of(&identity).await?;
        let tier = record.as_ref().and_then(|record| record.tier);
        let name = standing.name().cloned().or_else(|| record.as_ref()?.name.clone());
        let promised = record.as_ref().and_then(|record| record.uid).map(|uid| uid.get());
        let mut details = AccountDetails {
            uid: standing.account.as_ref().and_then(|account| account.uid).or(promised),
            name,
            state: standing.state,
            tier: tier.map(|tier| tier.as_str().to_owned()),
            ..self.marked(identity, marks)
        };
        if let Some(account) = &standing.account {
            self.add_account(&mut details, account).await;
        }
        details.last_login = self.last_login(&details).await;
        details.last_use = self.accounts().last_use(&details.identity).await?.map(|last| UseFact {
            at: last.used_at.0,
            how: last.how,
            warned_at: last.warned_at.map(|at| at.0),
            acted: last.acted.map(|acted| acted.as_str().to_owned()),
        });
        Ok(details)
    }

    fn marked(&self, identity: Identity, marks: Option<Marks>) -> AccountDetails {
        let mark = |marked: &Marked| Mark { at: marked.at.0, by: escape(&marked.by, 2500) };
        let marks = marks.as_ref();
        AccountDetails {
            identity,
            name: None,
            uid: None,
            state: AccountState::Unknown,
            tier: None,
            shell: None,
            home: None,
            groups: Vec::new(),
            managed_groups: Vec::new(),
            suspended: marks.and_then(|marks| marks.suspended.as_ref()).map(mark),
            limited: marks.and_then(|marks| marks.limited.as_ref()).map(mark),
            leaving: marks.and_then(|marks| marks.leaving.as_ref()).map(mark),
            removed_at: marks.and_then(|marks| marks.removed_at).map(|at| at.0),
            known_since: marks.map(|marks| marks.created_at.0),
            sessions: None,
            last_login: None,
            last_use: None,
            unknown: Vec::new(),
        }
    }

    async fn add_account(&self, details: &mut AccountDetails, account: &Account) {
        let backend = self.accounts().backend();
        details.shell = Some(account.shell.clone());
        details.home = Some(account.home.clone());
        details.groups = account.groups.clone();
        match backend.managed_groups(&account.name).await {
            Ok(groups) => details.managed_groups = groups,
            Err(error) => details.unknown.push(format!("managed groups: {error}")),
        }
        match self.accounts().host().sessions(&details.identity, &account.name).await {
            Ok(running) => details.sessions = u32::try_from(running.sessions.len()).ok(),
            Err(error) => details.unknown.push(format!("sessions: {error}")),
        }
    }

    async fn last_login(&self, details: &AccountDetails) -> Option<LoginFact> {
        let whom = Some(Target::Identity(details.identity.clone()));
        let filter = TrailFilter { event: Some("login_granted".to_owned()), whom };
        let wanted = Wanted { filter, identities: spellings(&details.identity) };
        let path = self.accounts().audit.path().to_owned();
        let found = tokio::task::spawn_blocking(move || newest(&path, &wanted, LOGIN_BYTES)).await;
        let line: serde_json::Value = serde_json::from_str(&found.ok()?.ok()??).ok()?;
        let text = |key: &str| line.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        Some(LoginFact {
            at: line.get("time")?.as_i64()?,
            from: text("rhost"),
            by: text("by").unwrap_or_default(),
        })
    }

    pub(super) async fn sessions(&self, target: Target) -> Result<AdminAnswer, AccountError> {
        let Some(identity) = self.identity(target).await? else { return Ok(nobody()) };
        for identity in spellings(&identity) {
            let standing = self.accounts().standing(&identity).await?;
            if let Some(account) = standing.account {
                let running = self.accounts().host().sessions(&identity, &account.name).await?;
                let row = SessionsRow { identity, name: account.name, running };
                let page = SessionsPage { rows: vec![row], ..SessionsPage::default() };
                return Ok(AdminAnswer::Sessions(page));
            }
        }
        Err(AccountError::NoAccount)
    }

    pub(super) async fn all_sessions(
        &self,
        after: Option<&Identity>,
    ) -> Result<AdminAnswer, AccountError> {
        let until = Instant::now() + SESSIONS_LIMIT;
        let records = self.accounts().store().page(after, None, SESSION_ROWS).await?;
        let mut page = SessionsPage::default();
        let mut room = Room(PAGE_BYTES);
        let mut last = after.cloned();
        let is_last = records.len() < SESSION_ROWS as usize;
        for record in records {
            let name = record.name.filter(|_| record.phase == Phase::Deployed);
            if let Some(name) = name {
                if !self.add_sessions(&record.identity, name, &mut page, &mut room).await {
                    page.next = last;
                    return Ok(AdminAnswer::Sessions(page));
                }
                // At least one account for each page, so that it always goes on.
                if Instant::now() >= until {
                    page.next = Some(record.identity);
                    return Ok(AdminAnswer::Sessions(page));
                }
            }
            last = Some(record.identity);
        }
        page.next = last.filter(|_| !is_last);
        Ok(AdminAnswer::Sessions(page))
    }

    /// False when there is no room for this account any more.
    async fn add_sessions(
        &self,
        identity: &Identity,
        name: UserName,
        page: &mut SessionsPage,
        room: &mut Room,
    ) -> bool {
        match self.accounts().host().sessions(identity, &name).await {
            Ok(running) if running.sessions.is_empty() && running.processes.is_empty() => true,
            Ok(running) => {
                let row = SessionsRow { identity: identity.clone(), name, running };
                let fits = room.admit(&row);
                if fits {
                    page.rows.push(row);
                }
                fits
            }
            Err(feudal_plugins::BackendError::NoAccount) => true,
            Err(error) => {
                let text = format!("{name}: {error}");
                let fits = room.admit(&text);
                if fits {
                    page.unknown.push(text);
                }
                fits
            }
        }
    }
}

fn mentions(record: &AccountRecord, text: &str) -> bool {
    let name = record.name.as_ref().map(UserName::as_str).unwrap_or_default();
    let (subject, issuer) = (record.identity.subject.as_str(), record.identity.issuer.as_str());
    [name, subject, issuer].iter().any(|part| part.to_lowercase().contains(text))
}
