//! Requests that another stack left: taken over once, completed by the person, decided like others.

use super::*;
use motley_proto::{
    admin::{LeftRequest, LeftState, RequestOutcome},
    approval::ApprovalKind,
};

/// As [`person`] would have been noted.
fn left(who: &Verified, kind: ApprovalKind, state: LeftState, groups: &[&str]) -> LeftRequest {
    let is_account = kind == ApprovalKind::Account;
    let subject = who.identity().subject.as_str();
    LeftRequest {
        identity: who.identity().clone(),
        kind,
        state,
        full_name: is_account.then(|| "Jane Doe".to_owned()),
        email: is_account.then(|| "jane@example.org".to_owned()),
        name: is_account.then(|| UserName::new(format!("user{subject}")).unwrap()),
        primary_group: is_account.then(|| GroupName::new(groups[0]).unwrap()),
        shell: is_account.then(|| "/bin/sh".to_owned()),
        groups: groups.iter().map(|name| GroupName::new(*name).unwrap()).collect(),
    }
}

async fn take_over(world: &World, left: &LeftRequest, apply: Apply) -> RequestOutcome {
    world.admission.take_over(left, apply, "r").await.unwrap()
}

#[tokio::test]
async fn r40_a_request_that_was_left_is_told_then_taken_over_once_and_nobody_is_mailed_again() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    let request = left(&jane, ApprovalKind::Account, LeftState::Told, &["lab"]);
    assert_eq!(take_over(&world, &request, Apply::Tell).await, RequestOutcome::New);
    assert_eq!(world.state(&jane).await, AccountState::NotDeployed, "nothing was changed");
    assert_eq!(take_over(&world, &request, Apply::Do).await, RequestOutcome::New);
    for apply in [Apply::Tell, Apply::Do] {
        assert_eq!(take_over(&world, &request, apply).await, RequestOutcome::Known);
    }
    assert_eq!(world.state(&jane).await, AccountState::Pending);
    let before = world.request(&jane).await;
    assert!(before.intent.taken_over && before.reference.revision == 1);
    for _ in 0..2 {
        assert_eq!(world.told(&jane).await, (AccountState::Pending, ALREADY.to_owned()));
    }
    let after = world.request(&jane).await;
    assert!(!after.intent.taken_over && after.intent.email_verified, "the provider's claims count");
    assert_eq!((after.reference.id, after.reference.revision), (before.reference.id, 2));
    assert!(world.mails().await.is_empty());
    assert_eq!(world.accept(&jane).await.unwrap().state, AccountState::Deployed);
    assert_eq!(take_over(&world, &request, Apply::Do).await, RequestOutcome::Known);
}

#[tokio::test]
async fn r40_admins_hear_of_a_request_that_was_left_before_anybody_told_them() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    let request = left(&jane, ApprovalKind::Account, LeftState::Untold, &["lab"]);
    take_over(&world, &request, Apply::Do).await;
    let mails = world.mails().await;
    assert_eq!(mails.len(), 1, "the address of the person was vouched for by nobody");
    assert!(mails[0].addressee.is_none());
    world.told(&jane).await;
    assert_eq!(world.mails().await.len(), 1);
}

#[tokio::test]
async fn r40_a_request_that_was_left_is_accepted_only_if_what_it_holds_satisfies_the_rules() {
    for (rule, accepted) in [(ALL, true), ("authorised_vos = [lab]\nvo_claim = x", false)] {
        let world = world(rule).await;
        let jane = person("1", &["lab"]);
        let request = left(&jane, ApprovalKind::Account, LeftState::Told, &["lab", "more"]);
        take_over(&world, &request, Apply::Do).await;
        let done = world.accept(&jane).await;
        assert_eq!(done.is_ok(), accepted, "{rule}: {done:?}");
        if accepted {
            assert_eq!(done.unwrap().name.unwrap().as_str(), "user1");
            assert_eq!(world.groups(&jane).await, ["more"], "beside the primary group");
        } else {
            assert!(matches!(done, Err(DecisionError::NotAllowed(_))), "{done:?}");
        }
    }
}

#[tokio::test]
async fn r40_other_claims_than_those_that_were_left_are_asked_for_anew() {
    let world = world(ALL).await;
    let jane = person("1", &["lab", "more"]);
    let request = left(&jane, ApprovalKind::Account, LeftState::Told, &["lab"]);
    take_over(&world, &request, Apply::Do).await;
    assert_eq!(world.told(&jane).await, (AccountState::Pending, UPDATED.to_owned()));
    assert_eq!(world.mails().await.len(), 2, "admins and person");
}

#[tokio::test]
async fn r40_who_was_refused_by_the_other_stack_stays_so() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    let request = left(&jane, ApprovalKind::Account, LeftState::Rejected, &["lab"]);
    take_over(&world, &request, Apply::Do).await;
    assert_eq!(world.state(&jane).await, AccountState::Rejected);
    assert_eq!(world.told(&jane).await.0, AccountState::Rejected);
    assert!(matches!(world.accept(&jane).await, Err(DecisionError::Rejected(_))));
    assert!(world.mails().await.is_empty());
}

#[tokio::test]
async fn r40_groups_of_an_account_that_were_asked_for_before_wait_and_only_they_are_joined() {
    let world = world(ALL).await;
    let jane = person("1", &["lab", "more"]);
    world.bench.backend.insert(Account {
        identity: Some(jane.identity().clone()),
        name: UserName::new("user1").unwrap(),
        uid: Some(2001),
        gid: Some(2001),
        home: "/home/user1".to_owned(),
        shell: "/bin/sh".to_owned(),
        state: AccountState::Deployed,
        groups: vec!["lab".to_owned()],
    });
    let request = left(&jane, ApprovalKind::Groups, LeftState::Told, &["lab", "more"]);
    take_over(&world, &request, Apply::Do).await;
    let asked: Vec<_> = world.request(&jane).await.intent.groups.into_iter().collect();
    assert_eq!(asked, [GroupName::new("more").unwrap()], "without those that the account has");
    world.deploy(&jane).await.unwrap();
    assert!(world.mails().await.is_empty(), "the admins know");
    assert!(!world.request(&jane).await.intent.taken_over);
    world.accept(&jane).await.unwrap();
    assert_eq!(world.groups(&jane).await, ["lab", "more"]);
    assert_eq!(take_over(&world, &request, Apply::Do).await, RequestOutcome::Known);
}

#[tokio::test]
async fn what_can_not_be_taken_over_is_told_with_the_reason() {
    let world = world(ALL).await;
    let (jane, kim) = (person("1", &["lab"]), person("2", &["lab"]));
    let mut strange = left(&jane, ApprovalKind::Account, LeftState::Told, &["lab"]);
    strange.identity = Identity::new(
        Issuer::new("https://elsewhere.example").unwrap(),
        jane.identity().subject.clone(),
    );
    world.bench.accounts.suspend(kim.identity(), by(0), "r").await.unwrap();
    for (request, part) in [
        (strange, "provider is not configured"),
        (left(&kim, ApprovalKind::Account, LeftState::Told, &["lab"]), "suspended"),
        (left(&jane, ApprovalKind::Groups, LeftState::Told, &["lab"]), "no account"),
    ] {
        for apply in [Apply::Tell, Apply::Do] {
            let outcome = take_over(&world, &request, apply).await;
            let is_it = matches!(&outcome, RequestOutcome::Conflict { why } if why.contains(part));
            assert!(is_it, "{part}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn r24_what_a_process_died_over_is_settled_at_the_start_of_the_next_one() {
    let world = world(ALL).await;
    let (jane, kim) = (person("1", &["a"]), person("2", &["a"]));
    let store = world.bench.accounts.store().clone();
    let change = |from, to| {
        let store = store.clone();
        async move {
            let seen = store.approvals_after(None, Timestamp(0), 9).await.unwrap();
            for it in seen {
                let times = (Timestamp(1), it.expires_at);
                store.decide(&it.reference, (from, to), "an admin", times).await.unwrap();
            }
        }
    };
    world.told(&jane).await;
    let request = world.request(&jane).await;
    world.accept(&jane).await.unwrap();
    // Jane's account came about, and the process died before it could note that.
    let again = (ApprovalStatus::Accepted, ApprovalStatus::Accepting);
    let times = (Timestamp(1), request.expires_at);
    assert!(store.decide(&request.reference, again, "an admin", times).await.unwrap());
    // Kim's did not.
    world.told(&kim).await;
    change(ApprovalStatus::Pending, ApprovalStatus::Accepting).await;
    world.bench.accounts.settle_accepted().await.unwrap();
    assert_eq!(world.request(&jane).await.status, ApprovalStatus::Accepted);
    let waits = world.request(&kim).await;
    assert_eq!(waits.status, ApprovalStatus::Pending);
    assert!(waits.last_error.is_some_and(|why| why.contains("stopped")));
    assert_eq!(world.state(&kim).await, AccountState::Pending);
    world.accept(&kim).await.unwrap();
    world.bench.accounts.settle_accepted().await.unwrap();
    assert_eq!(world.state(&kim).await, AccountState::Deployed);
}
