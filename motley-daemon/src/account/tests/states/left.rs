//! What a case leaves of the account: compared are its name, lock, shell and groups.

use super::{super::*, play::Case};
use std::collections::BTreeSet;

/// What can be seen of an account on the host and in memory alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) name: String,
    /// It has a date of expiry that is past.
    pub(super) locked: bool,
    pub(super) shell: String,
    /// The primary group is among them.
    pub(super) groups: BTreeSet<String>,
}

impl Left {
    /// What was recorded; `None`: the person has no account.
    pub(super) fn recorded(case: &Case) -> Option<Self> {
        let account = &case.0["expected"]["account_after"];
        let word = |key: &str| account[key].as_str().map(str::to_owned);
        let groups = account["groups"].as_array().into_iter().flatten();
        let groups = groups.filter_map(|it| it.as_str().map(str::to_owned));
        Some(Self {
            name: word("username")?,
            // The others are `never`, and one that is far ahead.
            locked: ["today", "11323"].contains(&account["expires"].as_str()?),
            shell: word("shell")?,
            groups: groups.chain(word("primary_group")).collect(),
        })
    }

    /// What is in memory.
    pub(super) async fn found(backend: &MemoryBackend, who: &Identity) -> Option<Self> {
        let account = backend.find(who).await.unwrap()?;
        let primary = backend.primary_group(&account.name).await.unwrap();
        // useradd gives an account of nobody's a group of its own name.
        let primary = primary.map_or_else(|| account.name.to_string(), |it| it.to_string());
        let groups = std::iter::once(primary).chain(account.groups).collect();
        let locked = account.state == AccountState::Suspended;
        Some(Self { name: account.name.to_string(), locked, shell: account.shell, groups })
    }
}
