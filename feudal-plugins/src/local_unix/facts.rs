//! Reads what the root helper and the account files say into the words of the back end.

use crate::backend::{Account, BackendError};
use motley_proto::{
    GroupName, Identity, UniqueId,
    rest::AccountState,
    task::{AccountFacts, TaskDone, TaskRefusal},
};

/// Shells in which nobody can work.
const NOLOGIN: [&str; 4] =
    ["/sbin/nologin", "/usr/sbin/nologin", "/bin/nologin", "/usr/bin/nologin"];

pub(super) fn owner(facts: &AccountFacts) -> Option<Identity> {
    facts.identity.clone().or_else(|| identity_in(&facts.gecos))
}

/// The identity that a gecos field names. Its unique id ends at the first comma: people may change
/// the fields behind it (`chfn -r`) without leaving their identity.
pub(super) fn identity_in(gecos: &str) -> Option<Identity> {
    UniqueId::parse(gecos.split(',').next().unwrap_or_default()).ok()
}

pub(super) fn state_by_shell(shell: &str) -> AccountState {
    if NOLOGIN.contains(&shell) { AccountState::Limited } else { AccountState::Deployed }
}

pub(super) fn account_of(facts: AccountFacts, identity: Option<Identity>) -> Account {
    let state = if facts.expired { AccountState::Suspended } else { state_by_shell(&facts.shell) };
    Account {
        identity,
        name: facts.name,
        uid: facts.uid,
        gid: facts.gid,
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

pub(super) fn unexpected(done: &TaskDone) -> BackendError {
    let kind = match done {
        TaskDone::Inspected(_) => "inspected",
        TaskDone::Account(_) => "account",
        TaskDone::Groups { .. } => "groups",
        TaskDone::Sessions(_) => "sessions",
        TaskDone::SessionList(_) => "session_list",
        TaskDone::Removed(_) => "removed",
        TaskDone::RolledBack => "rolled_back",
    };
    BackendError::Unavailable {
        what: format!("the root helper gave the answer `{kind}` to another question"),
        cure: "install packages of the same release and restart both services".to_owned(),
    }
}

pub(super) fn without(groups: &[GroupName], primary: Option<&str>) -> Vec<GroupName> {
    groups.iter().filter(|group| Some(group.as_str()) != primary).cloned().collect()
}

impl From<TaskRefusal> for BackendError {
    fn from(refusal: TaskRefusal) -> Self {
        match refusal {
            TaskRefusal::NameTaken(name) => Self::NameTaken(name),
            TaskRefusal::UidTaken(uid) => Self::UidTaken(uid),
            TaskRefusal::IdentityHasAccount(name) => Self::HasAccount(name),
            TaskRefusal::NoSuchAccount(_) => Self::NoAccount,
            TaskRefusal::GroupForbidden { group, why } => Self::GroupRefused { group, why },
            TaskRefusal::Busy => Self::Busy,
            TaskRefusal::Failed { step, detail } => Self::Failed { step, detail },
            TaskRefusal::NotManaged(_) | TaskRefusal::Forbidden(_) => {
                Self::Refused(refusal.to_string())
            }
        }
    }
}
