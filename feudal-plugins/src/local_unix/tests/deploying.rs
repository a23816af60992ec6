//! Making an intent true.

use super::*;
use crate::host::Host;
use motley_proto::task::SessionsEnded;

#[tokio::test]
async fn a_new_account_is_created_with_everything_the_intent_says() {
    let mut made = facts("newbie", "sub-7");
    made.groups = vec!["alpha".to_owned(), "beta".to_owned()];
    let bench = bench([answer(TaskDone::Inspected(None)), answer(TaskDone::Account(made))]);
    let done = bench.backend.deploy(&intent("sub-7", "newbie")).await.unwrap();
    assert!(done.created);
    assert_eq!(done.message(), "User was created and was added to groups alpha,beta.");
    assert_eq!(done.account.state, AccountState::Deployed);
    let expected = Task::Create(NewAccount {
        identity: identity("sub-7"),
        name: name("newbie"),
        uid: Uid::new(3000).unwrap(),
        primary_group: GroupName::new("wlcg").unwrap(),
        groups: groups(&["alpha", "beta"]),
        shell: AccountPath::new("/bin/sh").unwrap(),
        home_base: AccountPath::new("/home").unwrap(),
    });
    assert_eq!(bench.helper.asked()[1], expected);
}

#[tokio::test]
async fn an_existing_account_joins_what_is_new_and_leaves_only_what_we_joined() {
    let mut before = facts("jdoe", "sub-1");
    before.groups = vec!["alpha".to_owned(), "old".to_owned(), "zeta".to_owned()];
    before.managed_groups = groups(&["alpha", "old"]);
    let done = TaskDone::Groups {
        joined: groups(&["beta"]),
        left: groups(&["old"]),
        account: facts("jdoe", "sub-1"),
    };
    let bench = bench([inspected(before), answer(done)]);
    let done = bench.backend.deploy(&intent("sub-1", "jdoe")).await.unwrap();
    assert_eq!(
        done.message(),
        "User already existed and was added to groups beta and was removed from groups old."
    );
    let asked = bench.helper.asked();
    let Task::SetGroups { join, leave, .. } = &asked[1] else { panic!("{asked:?}") };
    // `zeta` was given by the local admin.
    assert_eq!((join.clone(), leave.clone()), (groups(&["beta"]), groups(&["old"])));
}

#[tokio::test]
async fn deploying_what_is_as_it_should_be_changes_nothing() {
    let mut now = facts("jdoe", "sub-1");
    now.groups = vec!["alpha".to_owned(), "beta".to_owned()];
    let bench = bench([inspected(now)]);
    let done = bench.backend.deploy(&intent("sub-1", "jdoe")).await.unwrap();
    assert_eq!(done.message(), "User already existed.");
    assert_eq!(bench.helper.asked().len(), 1);
}

#[tokio::test]
async fn an_account_of_the_python_stack_is_adopted() {
    let mut now = facts("jdoe", "sub-1");
    now.identity = None;
    now.groups = vec!["alpha".to_owned(), "beta".to_owned()];
    let bench = bench([inspected(now.clone()), answer(TaskDone::Account(facts("jdoe", "sub-1")))]);
    assert!(!bench.backend.deploy(&intent("sub-1", "jdoe")).await.unwrap().created);
    let adopt = Task::Adopt { identity: identity("sub-1"), name: name("jdoe") };
    assert_eq!(bench.helper.asked()[1], adopt);
}

#[tokio::test]
async fn a_suspended_account_is_left_as_it_is() {
    let bench = bench([inspected(AccountFacts { expired: true, ..facts("jdoe", "sub-1") })]);
    let done = bench.backend.deploy(&intent("sub-1", "jdoe")).await.unwrap();
    assert_eq!(done.account.state, AccountState::Suspended);
    assert!(done.joined.is_empty() && done.left.is_empty());
    assert_eq!(bench.helper.asked().len(), 1);
}

#[tokio::test]
async fn a_tier_sets_the_shell_but_not_one_that_the_operator_chose() {
    for (shell, changes) in [("/sbin/nologin", 1), ("/bin/zsh", 0)] {
        let mut now = facts("jdoe", "sub-1");
        now.groups = vec!["alpha".to_owned(), "beta".to_owned()];
        now.shell = shell.to_owned();
        let set = answer(TaskDone::Account(facts("jdoe", "sub-1")));
        let bench = bench([inspected(now), set]);
        bench.backend.deploy(&intent("sub-1", "jdoe")).await.unwrap();
        let asked = bench.helper.asked();
        let set = asked.iter().filter(|task| matches!(task, Task::SetShell { .. })).count();
        assert_eq!(set, changes, "{shell}");
    }
}

#[tokio::test]
async fn r23_a_name_of_somebody_else_is_taken_and_an_identity_keeps_its_own() {
    let bench = bench([inspected(facts("local", "sub-99"))]);
    let error = bench.backend.deploy(&intent("sub-7", "local")).await.unwrap_err();
    assert_eq!(error, BackendError::NameTaken(name("local")));
    let error = bench.backend.deploy(&intent("sub-1", "other")).await.unwrap_err();
    assert_eq!(error, BackendError::HasAccount(name("jdoe")));
}

#[tokio::test]
async fn refusals_of_the_helper_keep_their_meaning() {
    let uid = Uid::new(3000).unwrap();
    for (refusal, expected) in [
        (TaskRefusal::NameTaken(name("x")), BackendError::NameTaken(name("x"))),
        (TaskRefusal::UidTaken(uid), BackendError::UidTaken(uid)),
        (TaskRefusal::IdentityHasAccount(name("x")), BackendError::HasAccount(name("x"))),
        (TaskRefusal::Busy, BackendError::Busy),
        (
            TaskRefusal::Forbidden("uid".to_owned()),
            BackendError::Refused("not allowed: uid".to_owned()),
        ),
    ] {
        let bench = bench([answer(TaskDone::Inspected(None)), refused(refusal)]);
        let error = bench.backend.deploy(&intent("sub-7", "newbie")).await.unwrap_err();
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn suspending_an_account_that_nobody_adopted_adopts_it_first() {
    let account = || answer(TaskDone::Account(facts("jdoe", "sub-1")));
    let not_managed = refused(TaskRefusal::NotManaged(name("jdoe")));
    let bench = bench([not_managed, account(), account()]);
    bench.backend.suspend(&identity("sub-1"), &name("jdoe")).await.unwrap();
    let kinds: Vec<bool> =
        bench.helper.asked().iter().map(|task| matches!(task, Task::Expire { .. })).collect();
    assert_eq!(kinds, [true, false, true]);
}

#[tokio::test]
async fn every_operation_sends_its_task() {
    let account = || answer(TaskDone::Account(facts("jdoe", "sub-1")));
    let ended =
        SessionsEnded { sessions: 2, processes: 5, remaining: 0, ..SessionsEnded::default() };
    let bench = bench([
        account(),
        account(),
        account(),
        answer(TaskDone::Sessions(ended)),
        answer(TaskDone::RolledBack),
        answer(TaskDone::Inspected(None)),
    ]);
    let (id, jdoe) = (identity("sub-1"), name("jdoe"));
    let shell = AccountPath::new("/bin/sh").unwrap();
    bench.backend.resume(&id, &jdoe).await.unwrap();
    bench.backend.limit(&id, &jdoe).await.unwrap();
    bench.backend.unlimit(&id, &jdoe, &shell).await.unwrap();
    assert_eq!(bench.backend.host.end_sessions(&id, &jdoe).await.unwrap(), ended);
    bench.backend.roll_back(&id, &jdoe).await.unwrap();
    bench.backend.check().await.unwrap();
    let set_shell = |path: &str| Task::SetShell {
        identity: id.clone(),
        name: jdoe.clone(),
        shell: AccountPath::new(path).unwrap(),
    };
    let asked = bench.helper.asked();
    assert_eq!(
        asked[0],
        Task::Unexpire {
            identity: id.clone(),
            name: jdoe.clone(),
            marks: ExpiryMarks::OfSuspensions
        }
    );
    assert_eq!(asked[1], set_shell("/sbin/nologin"));
    assert_eq!(asked[2], set_shell("/bin/sh"));
    assert_eq!(asked[3], Task::EndSessions { identity: id.clone(), name: jdoe.clone() });
    assert_eq!(asked[4], Task::RollBack { identity: id.clone(), name: jdoe.clone() });
}

#[tokio::test]
async fn rolling_back_leaves_what_was_completed_and_tells_what_can_not_be_removed() {
    let forbidden = || refused(TaskRefusal::Forbidden("jdoe was completed".to_owned()));
    let (id, jdoe) = (identity("sub-1"), name("jdoe"));
    let complete = bench([forbidden(), answer(TaskDone::Account(facts("jdoe", "sub-1")))]);
    complete.backend.roll_back(&id, &jdoe).await.unwrap();
    let stuck = bench([forbidden(), refused(TaskRefusal::NoSuchAccount(jdoe.clone()))]);
    let error = stuck.backend.roll_back(&id, &jdoe).await.unwrap_err();
    assert_eq!(error.to_string(), "refused: not allowed: jdoe was completed");
}

#[tokio::test]
async fn r28_where_only_our_lock_shall_go_the_helper_is_told_so() {
    let account = || answer(TaskDone::Account(facts("jdoe", "sub-1")));
    let bench = bench([account(), account()]);
    let (identity, name) = (identity("sub-1"), name("jdoe"));
    bench.backend.lift_own_lock(&identity, &name).await.unwrap();
    bench.backend.resume(&identity, &name).await.unwrap();
    let unexpire = |marks| Task::Unexpire { identity: identity.clone(), name: name.clone(), marks };
    let expected = [unexpire(ExpiryMarks::Own), unexpire(ExpiryMarks::OfSuspensions)];
    assert_eq!(bench.helper.asked(), expected);
}
