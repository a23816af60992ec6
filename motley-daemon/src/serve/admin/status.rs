//! How the daemon is, in one answer.

use super::Admin;
use crate::{
    account::AccountError,
    store::{AccountRecord, Phase},
};
use motley_proto::{
    Identity,
    admin::{AdminAnswer, DaemonStatus},
    rest::AccountState,
};
use std::collections::{BTreeMap, HashMap};

impl Admin {
    pub(super) async fn status(&self) -> Result<AdminAnswer, AccountError> {
        let accounts = self.accounts();
        let records = accounts.store().accounts().await?;
        let problem = accounts.backend().check().await.err().map(|error| error.to_string());
        let audit = accounts.audit.path();
        let issuers = self.config.ops.iter().map(|op| op.issuer.to_string());
        Ok(AdminAnswer::Status(DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.started.elapsed().as_secs(),
            configured_at: self.configured_at.0,
            files: self.config.files.iter().map(|file| file.display().to_string()).collect(),
            listening: self.listening.clone(),
            issuers: issuers.collect(),
            accounts: u64::try_from(records.len()).unwrap_or(u64::MAX),
            states: self.count(&records).await,
            root_helper: problem.is_none(),
            root_helper_problem: problem,
            store: accounts.store().is_ready().await,
            audit: audit.display().to_string(),
            audit_bytes: std::fs::metadata(audit).map_or(0, |file| file.len()),
            notify: self.notify_status().await?,
            approvals: match accounts.approval_rules() {
                Some(_) => Some(accounts.store().approvals_waiting(accounts.clock.now()).await?),
                None => None,
            },
            outbox: accounts.store().outbox().await?,
        }))
    }

    /// Asks neither root nor any provider, so that thousands of accounts take no time.
    async fn count(&self, records: &[AccountRecord]) -> BTreeMap<String, u64> {
        let seen = self.accounts().backend().accounts().await.unwrap_or_default();
        let seen: HashMap<Identity, AccountState> =
            seen.into_iter().filter_map(|it| Some((it.identity?, it.state))).collect();
        let mut counts = BTreeMap::new();
        for record in records {
            let state = state(record, seen.get(&record.identity).copied());
            *counts.entry(state.as_str().to_owned()).or_insert(0) += 1;
        }
        counts
    }
}

fn state(record: &AccountRecord, seen: Option<AccountState>) -> AccountState {
    match seen {
        _ if record.is_suspended() => AccountState::Suspended,
        Some(_) if record.is_leaving() || record.phase == Phase::Reserved => {
            AccountState::NotDeployed
        }
        Some(_) if record.is_limited() => AccountState::Limited,
        Some(state) => state,
        None => AccountState::NotDeployed,
    }
}
