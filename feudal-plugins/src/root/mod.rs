//! The root helper as the back ends see it: one task in, one answer out.

mod channel;
mod host;

pub(crate) use channel::Channel;
pub use host::RootHost;

use crate::backend::BackendError;
use motley_proto::task::{TaskDone, TaskRefusal};

pub(crate) fn unexpected(done: &TaskDone) -> BackendError {
    let kind = match done {
        TaskDone::Inspected(_) => "inspected",
        TaskDone::Account(_) => "account",
        TaskDone::Groups { .. } => "groups",
        TaskDone::Sessions(_) => "sessions",
        TaskDone::Held(_) => "held",
        TaskDone::Released(_) => "released",
        TaskDone::Hook(_) => "hook",
        TaskDone::Keys(_) => "keys",
        TaskDone::SessionList(_) => "session_list",
        TaskDone::Removed(_) => "removed",
        TaskDone::RolledBack => "rolled_back",
    };
    BackendError::Unavailable {
        what: format!("the root helper gave the answer `{kind}` to another question"),
        cure: "install packages of the same release and restart both services".to_owned(),
    }
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
