//! Requests for further groups: what waits, what is joined on acceptance, and what never comes back.

use super::*;

#[tokio::test]
async fn r40_further_groups_wait_while_the_account_works_and_groups_that_are_gone_are_left_at_once()
{
    let world = world(ALL).await;
    let jane = person("1", &["a", "b", "c"]);
    world.told(&jane).await;
    world.accept(&jane).await.unwrap();
    let mails = world.mails().await.len();
    let jane = person("1", &["a", "b", "new"]);
    let done = world.deploy(&jane).await.unwrap();
    assert_eq!(done.state, AccountState::Deployed);
    assert_eq!(
        done.message,
        "User already existed and was removed from groups c. \
         A request for updating user groups was submitted for approval."
    );
    assert_eq!(world.groups(&jane).await, ["b"]);
    assert_eq!(world.deploy(&jane).await.unwrap().message, "User already existed.");
    let letters = world.mails().await;
    assert_eq!(letters.len(), mails, "in the place of those that were not sent yet");
    let about = |subject: &str, to: Option<&str>| {
        let fits = |letter: &&Letter| {
            letter.subject.starts_with(subject) && letter.addressee.as_deref() == to
        };
        letters.iter().filter(fits).count()
    };
    assert_eq!(about("Request for update for user", None), 1);
    assert_eq!(
        about("Request for account update on", Some("jane@example.org")),
        1,
        "not to the admins"
    );
    let receipt = world.accept(&jane).await.unwrap();
    assert_eq!(receipt.message, "User already existed and was added to groups new.");
    assert_eq!(world.groups(&jane).await, ["b", "new"]);
    // What was given up has to be asked for again.
    world.deploy(&person("1", &["a", "b"])).await.unwrap();
    assert_eq!(world.groups(&jane).await, ["b"]);
    let again = world.deploy(&jane).await.unwrap();
    assert!(again.message.contains("submitted for approval"), "{again:?}");
}

#[tokio::test]
async fn r40_groups_that_were_rejected_are_not_joined_and_not_asked_for_again() {
    let world = world(ALL).await;
    world.told(&person("1", &["a"])).await;
    world.accept(&person("1", &["a"])).await.unwrap();
    let jane = person("1", &["a", "b"]);
    world.deploy(&jane).await.unwrap();
    let seen = world.request(&jane).await;
    world.admission.decide(&seen, ApprovalDecision::Reject, &by(0), "r").await.unwrap();
    let mails = world.mails().await.len();
    assert_eq!(world.deploy(&jane).await.unwrap().message, "User already existed.");
    assert_eq!(world.mails().await.len(), mails);
    assert_eq!(world.state(&jane).await, AccountState::Deployed);
    assert!(world.groups(&jane).await.is_empty());
    let more = world.deploy(&person("1", &["a", "b", "c"])).await.unwrap();
    assert!(more.message.contains("submitted for approval"), "{more:?}");
}

#[tokio::test]
async fn r40_a_group_does_not_come_in_as_the_primary_one_without_being_asked_for() {
    let world = world(ALL).await;
    world.told(&person("1", &["lab"])).await;
    world.accept(&person("1", &["lab"])).await.unwrap();
    let jane = person("1", &["another"]);
    let done = world.deploy(&jane).await.unwrap();
    assert!(done.message.contains("submitted for approval"), "{done:?}");
    let asked = world.request(&jane).await.intent.groups;
    assert_eq!(asked.iter().map(ToString::to_string).collect::<Vec<_>>(), ["another"]);
    // The one that is gone goes all the same, for one that nobody is asked about.
    let gone = "was added to groups nogroup and was removed from groups lab.";
    assert!(done.message.contains(gone), "{done:?}");
    assert_eq!(world.primary().await, "nogroup");
    assert_eq!(world.deploy(&jane).await.unwrap().message, "User already existed.");
    world.accept(&jane).await.unwrap();
    world.deploy(&jane).await.unwrap();
    assert_eq!(world.primary().await, "another");
}

#[tokio::test]
async fn r40_a_group_that_the_account_has_becomes_the_primary_one_without_being_asked_for() {
    let world = world(ALL).await;
    world.told(&person("1", &["a", "b"])).await;
    world.accept(&person("1", &["a", "b"])).await.unwrap();
    let done = world.deploy(&person("1", &["b"])).await.unwrap();
    assert_eq!(done.message, "User already existed and was removed from groups a.");
    assert_eq!(world.primary().await, "b");
}

#[tokio::test]
async fn r40_a_node_that_lacks_the_account_makes_it_with_what_was_accepted_and_no_more() {
    let world = world(ALL).await;
    world.told(&person("1", &["a", "b"])).await;
    world.accept(&person("1", &["a", "b"])).await.unwrap();
    // As on another node: the database knows what was accepted, the host has no account.
    let name = UserName::new("user1").unwrap();
    let identity = person("1", &[]).identity().clone();
    world.bench.backend.remove(&identity, &name).await.unwrap();
    let more = person("1", &["a", "b", "more"]);
    assert!(world.deploy(&more).await.unwrap().message.starts_with("User was created"));
    assert_eq!(world.groups(&more).await, ["b"]);
    assert!(world.deploy(&more).await.unwrap().message.contains("submitted for approval"));
    world.bench.backend.remove(&identity, &name).await.unwrap();
    let other = person("1", &["another"]);
    assert_eq!(world.told(&other).await.0, AccountState::Pending);
}

impl World {
    async fn primary(&self) -> String {
        let name = UserName::new("user1").unwrap();
        self.bench.backend.primary_group(&name).await.unwrap().unwrap().to_string()
    }

    /// An account with the groups b and c, and a request for d.
    async fn asking_for_d(&self) -> Verified {
        let jane = person("1", &["a", "b", "c"]);
        self.told(&jane).await;
        self.accept(&jane).await.unwrap();
        let jane = person("1", &["a", "b", "c", "d"]);
        assert!(self.deploy(&jane).await.unwrap().message.contains("submitted for approval"));
        jane
    }
}

#[tokio::test]
async fn r40_acceptance_does_not_bring_back_a_group_that_the_provider_has_withdrawn_since() {
    let world = world(ALL).await;
    let seen = {
        let jane = world.asking_for_d().await;
        world.request(&jane).await
    };
    let jane = person("1", &["a", "b", "d"]);
    world.deploy(&jane).await.unwrap();
    assert_eq!(world.groups(&jane).await, ["b"]);
    let now = world.request(&jane).await;
    assert_eq!(
        now.reference.revision,
        seen.reference.revision + 1,
        "other claims, another revision"
    );
    assert!(!now.accepted.iter().any(|group| group.as_str() == "c"), "{:?}", now.accepted);
    world.accept(&jane).await.unwrap();
    assert_eq!(world.groups(&jane).await, ["b", "d"]);
}

#[tokio::test]
async fn r40_acceptance_adds_the_groups_that_were_asked_for_and_nothing_else() {
    let world = world(ALL).await;
    let jane = world.asking_for_d().await;
    // As a login does that finds a group gone: the request itself knows nothing of it.
    let store = world.bench.accounts.store();
    let name = UserName::new("user1").unwrap();
    let b = GroupName::new("b").unwrap();
    world.bench.backend.set_groups(jane.identity(), &name, std::slice::from_ref(&b)).await.unwrap();
    let kept = ["a", "b"].map(|name| GroupName::new(name).unwrap()).into();
    store.set_accepted(jane.identity(), &kept).await.unwrap();
    let receipt = world.accept(&jane).await.unwrap();
    assert_eq!(receipt.message, "User already existed and was added to groups d.");
    assert_eq!(world.groups(&jane).await, ["b", "d"]);
    let again = world.deploy(&jane).await.unwrap();
    assert!(again.message.contains("submitted for approval"), "c has to be asked for: {again:?}");
    assert_eq!(world.groups(&jane).await, ["b", "d"]);
}

#[tokio::test]
async fn r40_acceptance_gives_no_tier_back_that_was_lost() {
    let world = world(ALL).await;
    let jane = world.asking_for_d().await;
    let shell = |account: Account| account.shell;
    let shells = &world.bench.accounts.rules.shells;
    let before = world.request(&jane).await;
    world.bench.accounts.deploy(&jane, feudal_plugins::Tier::Restricted, "r").await.unwrap();
    let now = world.request(&jane).await;
    assert_eq!(now.reference.revision, before.reference.revision + 1);
    assert_eq!(now.intent.tier, "restricted");
    // An admin who accepts the request with what it kept.
    let accounts = &world.bench.accounts;
    accounts.accept(&now, feudal_plugins::Tier::Restricted, &by(0), "r").await.unwrap();
    let account = world.bench.backend.find(jane.identity()).await.unwrap().unwrap();
    assert_eq!(account.groups, ["b", "c", "d"]);
    assert_eq!(shell(account), shells.restricted.as_str());
    let record = accounts.store().account_of(jane.identity()).await.unwrap().unwrap();
    assert_eq!(record.tier, Some(feudal_plugins::Tier::Restricted));
}

#[tokio::test]
async fn r40_a_request_from_before_a_tier_was_lost_leaves_the_tier_of_today() {
    let world = world(ALL).await;
    let jane = world.asking_for_d().await;
    // As on a node that has not told the others of a request yet.
    world
        .bench
        .accounts
        .store()
        .set_tier(jane.identity(), feudal_plugins::Tier::Limited)
        .await
        .unwrap();
    let shell = world.bench.accounts.rules.shells.limited.clone();
    let name = UserName::new("user1").unwrap();
    world.bench.backend.set_shell(jane.identity(), &name, &shell).await.unwrap();
    world.accept(&jane).await.unwrap();
    let account = world.bench.backend.find(jane.identity()).await.unwrap().unwrap();
    assert_eq!(account.shell, shell.as_str());
    let record = world.bench.accounts.store().account_of(jane.identity()).await.unwrap().unwrap();
    assert_eq!(record.tier, Some(feudal_plugins::Tier::Limited));
}

#[tokio::test]
async fn r40_who_loses_a_group_while_a_request_waits_and_gets_it_back_asks_again() {
    let world = world(ALL).await;
    world.asking_for_d().await;
    let jane = person("1", &["a", "b", "d"]);
    world.deploy(&jane).await.unwrap();
    let jane = person("1", &["a", "b", "c", "d"]);
    let again = world.deploy(&jane).await.unwrap();
    assert!(again.message.contains("submitted for approval"), "{again:?}");
    assert_eq!(world.groups(&jane).await, ["b"]);
    let asked = world.request(&jane).await.intent.groups;
    assert_eq!(asked.iter().map(ToString::to_string).collect::<Vec<_>>(), ["c", "d"]);
}

#[tokio::test]
async fn r40_an_outage_of_userinfo_withdraws_no_request_and_nothing_that_was_accepted() {
    let world = world(ALL).await;
    let jane = world.asking_for_d().await;
    let before = world.request(&jane).await;
    let done = world.deploy(&person("1", &["a"]).with_gap()).await.unwrap();
    assert_eq!(done.message, "User already existed.");
    assert_eq!(world.groups(&jane).await, ["b", "c"]);
    let now = world.request(&jane).await;
    assert_eq!((now.reference, now.status), (before.reference, ApprovalStatus::Pending));
    assert_eq!(now.accepted, before.accepted);
}

#[tokio::test]
async fn r40_people_of_one_provider_fill_no_more_than_their_share_and_nothing_is_audited_for_the_rest()
 {
    let world = world(ALL).await;
    let store = world.bench.accounts.store();
    store.fill_approvals("https://op.example", crate::store::MAX_APPROVALS_OF_ISSUER - 1).await;
    let (jane, joe) = (person("jane", &["lab"]), person("joe", &["lab"]));
    assert_eq!(world.told(&jane).await, (AccountState::Pending, SUBMITTED.to_owned()));
    let (state, message) = world.told(&joe).await;
    assert_eq!(state, AccountState::NotDeployed);
    assert!(message.contains("can't be taken now"), "{message}");
    assert_eq!(store.approval_of(joe.identity()).await.unwrap(), None);
    assert_eq!(world.mails().await.len(), 2, "about the one that was taken");
    let audit = std::fs::read_to_string(world.bench.audit_file()).unwrap();
    assert!(audit.contains("jane") && !audit.contains("joe"), "{audit}");
    // Who is in already may change his request.
    assert_eq!(world.told(&person("jane", &["lab", "b"])).await.1, UPDATED);
    // Another provider's people are not kept out.
    let identity =
        Identity::new(Issuer::new("https://other.example").unwrap(), Subject::new("1").unwrap());
    let other = Verified::attest(identity, jane.sources().clone(), None);
    assert_eq!(world.told(&other).await.1, SUBMITTED);
}

#[tokio::test]
async fn r40_admins_get_a_mail_about_one_person_every_ten_minutes_at_most() {
    let world = world(ALL).await;
    let post = Box::default();
    let outbox =
        Outbox::new(world.bench.accounts.store().clone(), world.clock.clone(), "one".into());
    let to_admins = || {
        let mails = post.mails.lock().unwrap();
        mails.iter().filter(|mail| matches!(mail.to, crate::notify::Addressee::Admins)).count()
    };
    for round in 0..60 {
        let groups = ["lab", if round % 2 == 0 { "a" } else { "b" }];
        world.told(&person("1", &groups)).await;
        outbox.post(&post).await.unwrap();
        world.later(30);
    }
    assert_eq!(to_admins(), 3, "in half an hour of a revision each half minute");
    world.later(600);
    outbox.post(&post).await.unwrap();
    assert_eq!(to_admins(), 4);
    let last = world.request(&person("1", &[])).await.reference.to_string();
    assert!(
        post.mails.lock().unwrap().iter().any(|mail| mail.body.contains(&last)),
        "the last form"
    );
}

#[tokio::test]
async fn r40_who_asked_is_told_what_was_decided_at_a_verified_address_only() {
    let world = world(ALL).await;
    let (jane, joe) = (person("1", &["lab"]), person("2", &["lab"]));
    let mut claims = jane.sources().userinfo.clone().unwrap();
    claims.insert("preferred_username".to_owned(), "user3".into());
    claims.insert("email_verified".to_owned(), false.into());
    let sources = ClaimSources { userinfo: Some(claims), ..ClaimSources::default() };
    let mallory = Verified::attest(person("3", &[]).identity().clone(), sources, None);
    for who in [&jane, &joe, &mallory] {
        world.told(who).await;
    }
    world.accept(&jane).await.unwrap();
    world.accept(&mallory).await.unwrap();
    let seen = world.request(&joe).await;
    world.admission.decide(&seen, ApprovalDecision::Reject, &by(0), "r").await.unwrap();
    let mails = world.mails().await;
    let mut told: Vec<_> =
        mails.iter().filter(|it| it.subject.starts_with("Your request on")).collect();
    told.sort_by(|one, other| one.subject.cmp(&other.subject));
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].subject, "Your request on 'ssh.example' was accepted");
    assert!(told[0].body.contains("account  user1"), "{}", told[0].body);
    assert_eq!(told[1].subject, "Your request on 'ssh.example' was rejected");
    assert!(told.iter().all(|it| it.addressee.as_deref() == Some("jane@example.org")));
}

#[tokio::test]
async fn r22_a_request_keeps_no_group_from_others_until_it_is_accepted() {
    let world = world(ALL).await;
    let (jane, kim) = (person("1", &["a.b", "lab"]), person("2", &["a-b", "lab"]));
    world.told(&jane).await;
    let kept = |name: &str| {
        let (store, name) = (world.bench.accounts.store().clone(), GroupName::new(name).unwrap());
        async move { store.group_text(&name).await.unwrap().map(|it| it.text) }
    };
    assert_eq!(kept("a-b").await, None, "who only asks has nothing");
    world.told(&kim).await;
    world.accept(&kim).await.unwrap();
    assert_eq!(kept("a-b").await.as_deref(), Some("a-b"));
    // Meanwhile the group became another one's: the request of before does not let in.
    let refused = world.accept(&jane).await.unwrap_err().to_string();
    assert!(refused.contains("ask again"), "{refused}");
    world.told(&jane).await;
    let asked = world.request(&jane).await.intent.groups;
    assert_eq!(asked.iter().map(ToString::to_string).collect::<Vec<_>>(), ["lab"]);
    world.accept(&jane).await.unwrap();
    assert!(world.groups(&jane).await.is_empty(), "lab is the primary group");
}
