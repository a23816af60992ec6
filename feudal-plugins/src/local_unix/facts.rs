//! Reads what the root helper and the account files say into the words of the back end.

use crate::{
    backend::{Account, BackendError},
    root::unexpected,
    shells::is_nologin,
};
use motley_proto::{
    GroupName, Identity, UniqueId,
    rest::AccountState,
    task::{AccountFacts, TaskDone},
};

pub(super) fn owner(facts: &AccountFacts) -> Option<Identity> {
    facts.identity.clone().or_else(|| identity_in(&facts.gecos))
}

/// The identity that a gecos field names. Its unique id ends at the first comma: people may change
/// the fields behind it (`chfn -r`) without leaving their identity.
pub(super) fn identity_in(gecos: &str) -> Option<Identity> {
    UniqueId::parse(gecos.split(',').next().unwrap_or_default()).ok()
}

pub(super) fn state_by_shell(shell: &str) -> AccountState {
    if is_nologin(shell) { AccountState::Limited } else { AccountState::Deployed }
}

pub(super) fn account_of(facts: AccountFacts, identity: Option<Identity>) -> Account {
    let state = if facts.expired { AccountState::Suspended } else { state_by_shell(&facts.shell) };
    Account {
        identity,
        name: facts.name,
        uid: Some(facts.uid),
        gid: Some(facts.gid),
        home: facts.home,
        shell: facts.shell,
        state,
        groups: facts.groups,
    }
}

pub(super) fn account_facts(done: TaskDone) -> Result<AccountFacts, BackendError> {
    match done {
        TaskDone::Account(facts) => Ok(facts),
        other => Err(unexpected(&other)),
    }
}

pub(super) fn without(groups: &[GroupName], primary: Option<&str>) -> Vec<GroupName> {
    groups.iter().filter(|group| Some(group.as_str()) != primary).cloned().collect()
}
