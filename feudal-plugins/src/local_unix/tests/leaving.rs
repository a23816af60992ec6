//! Sessions that are listed, and accounts that are taken away.

use super::*;
use crate::host::Host;
use motley_proto::task::{AccountSessions, HomeFate, Removal};

fn remove(subject: &str, user: &str) -> Task {
    Task::Remove { identity: identity(subject), name: name(user) }
}

#[tokio::test]
async fn an_account_of_the_python_stack_is_adopted_before_it_is_removed() {
    let removal = Removal {
        home: HomeFate::Archived("/home/.removed/jdoe-2001".to_owned()),
        ..Removal::default()
    };
    let bench = bench([
        refused(TaskRefusal::NotManaged(name("jdoe"))),
        answer(TaskDone::Account(facts("jdoe", "sub-1"))),
        answer(TaskDone::Removed(removal.clone())),
    ]);
    let done = bench.backend.remove(&identity("sub-1"), &name("jdoe")).await;
    assert_eq!(done, Ok(removal));
    let adopt = Task::Adopt { identity: identity("sub-1"), name: name("jdoe") };
    assert_eq!(bench.helper.asked(), [remove("sub-1", "jdoe"), adopt, remove("sub-1", "jdoe")]);
}

#[tokio::test]
async fn an_account_that_is_gone_is_removed_already() {
    let bench = bench([
        refused(TaskRefusal::NotManaged(name("gone"))),
        refused(TaskRefusal::NoSuchAccount(name("gone"))),
    ]);
    let done = bench.backend.remove(&identity("sub-9"), &name("gone")).await;
    assert_eq!(done, Ok(Removal::default()));
}

#[tokio::test]
async fn asking_for_sessions_adopts_nobody() {
    let bench = bench([
        answer(TaskDone::SessionList(AccountSessions { left_out: 3, ..Default::default() })),
        refused(TaskRefusal::NotManaged(name("jdoe"))),
    ]);
    let ask = || async { bench.backend.host.sessions(&identity("sub-1"), &name("jdoe")).await };
    assert_eq!(ask().await.unwrap().left_out, 3);
    assert!(matches!(ask().await, Err(BackendError::Refused(_))));
    assert_eq!(bench.helper.asked().len(), 2);
}

#[tokio::test]
async fn the_groups_that_motley_joined_are_told_apart_from_the_admins() {
    let managed = AccountFacts { managed_groups: groups(&["alpha"]), ..facts("jdoe", "sub-1") };
    let bench = bench([inspected(managed)]);
    assert_eq!(bench.backend.managed_groups(&name("jdoe")).await.unwrap(), groups(&["alpha"]));
}
