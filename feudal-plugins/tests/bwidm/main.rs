//! The back end bwidm against a double of the registration service.

#[macro_use]
#[path = "../behaviour/mod.rs"]
mod behaviour;
mod double;

use async_trait::async_trait;
use behaviour::{Abilities, Rig, Someone, groups};
use double::{Fault, Shared};
use feudal_plugins::{
    Backend, BackendError,
    bwidm::{BaseUrl, BwIdm, BwIdmConfig, Organisation, ServiceName},
    groups::GroupLimits,
    local_unix::NameService,
};
use motley_proto::{GroupName, Identity, Secret, Uid, UniqueId, UserName, rest::AccountState};
use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Names that this host has besides those of the service.
#[derive(Default)]
struct HostNames {
    users: Mutex<Vec<UserName>>,
    members: Mutex<Vec<UserName>>,
}

impl NameService for HostNames {
    fn has_user(&self, name: &UserName) -> io::Result<bool> {
        Ok(self.users.lock().unwrap().contains(name))
    }
    fn has_uid(&self, _: Uid) -> io::Result<bool> {
        Ok(false)
    }
    fn is_member(&self, name: &UserName) -> io::Result<bool> {
        Ok(self.members.lock().unwrap().contains(name))
    }
}

struct Bench {
    backend: BwIdm,
    service: Shared,
    host: Arc<HostNames>,
}

fn config(url: &str, password: &str) -> BwIdmConfig {
    BwIdmConfig {
        url: BaseUrl::parse(url).unwrap(),
        organisation: Organisation::parse("fdl").unwrap(),
        service: ServiceName::parse("sshtest").unwrap(),
        user: "user".to_owned(),
        password: Secret::new(password.to_owned()),
        timeout: Duration::from_secs(2),
        patience: Duration::from_secs(2),
        groups: GroupLimits::default(),
    }
}

/// The time in these tests, in seconds since 1970-01-01.
const NOW: u64 = 1_800_000_000;

async fn bench() -> Bench {
    let (url, service) = double::start().await;
    let host = Arc::new(HostNames::default());
    let clock = Arc::new(|| NOW);
    let backend = BwIdm::with_sources(config(&url, "pass"), host.clone(), clock).unwrap();
    Bench { backend, service, host }
}

fn key(identity: &Identity) -> String {
    identity.unique_id().as_str().to_owned()
}

#[async_trait]
impl Rig for Bench {
    fn backend(&self) -> &dyn Backend {
        &self.backend
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            suspends: true,
            groups: true,
            removes: true,
            keeps_names: true,
            ..Abilities::NONE
        }
    }

    fn name_prefix(&self) -> &str {
        "fdl_"
    }

    async fn foreign_account(&self, name: &UserName) -> bool {
        self.host.users.lock().unwrap().push(name.clone());
        true
    }

    async fn list_in_group(&self, name: &UserName) -> bool {
        self.host.members.lock().unwrap().push(name.clone());
        true
    }

    async fn give_membership(&self, name: &UserName, group: &GroupName) -> bool {
        let account = self.backend.by_name(name).await.unwrap().unwrap();
        let mut service = self.service.lock().unwrap();
        let user = service.users[&key(&account.identity.unwrap())]["id"].as_i64().unwrap();
        service.groups.insert(group.as_str().to_owned(), 77_000);
        service.members.push((77_000, user));
        true
    }
}

behaviour_tests!(bench);

fn someone(word: &str) -> Someone {
    Someone::named("fdl_", word)
}

#[tokio::test]
async fn a_record_says_what_the_service_demands_and_keeps_what_others_wrote() {
    let bench = bench().await;
    let ada = someone("record");
    ada.deploy(&bench).await;
    let id = key(&ada.identity);
    let ssh_key = serde_json::json!("ssh-ed25519 AAAA");
    {
        let mut service = bench.service.lock().unwrap();
        let user = service.users.get_mut(&id).unwrap();
        user["genericStore"]["ssh_key"] = ssh_key.clone();
        user.insert("note".to_owned(), "of the operators".into());
    }
    let group = behaviour::new_group("kept");
    bench.backend.deploy(&ada.intent_with_groups(&bench, &[&group])).await.unwrap();
    let service = bench.service.lock().unwrap();
    let user = &service.users[&id];
    let login = ada.name.as_str().strip_prefix("fdl_").unwrap();
    assert_eq!(user["attributeStore"]["urn:oid:0.9.2342.19200300.100.1.1"], login);
    assert_eq!(user["attributeStore"]["http://bwidm.de/bwidmOrgId"], "fdl");
    assert_eq!(user["givenName"], "Ada");
    assert_eq!(user["eppn"], format!("{}@op.example-", ada.identity.subject));
    assert_eq!(user["genericStore"]["ssh_key"], ssh_key);
    assert_eq!(user["note"], "of the operators");
    assert_eq!(user["genericStore"]["motley_groups_sshtest"], group);
}

#[tokio::test]
async fn a_suspension_takes_the_registration_away_and_a_resumption_gives_it_back() {
    let bench = bench().await;
    let ada = someone("off");
    ada.deploy(&bench).await;
    let registered = || bench.service.lock().unwrap().registered.contains_key(&key(&ada.identity));
    assert!(registered());
    bench.backend.suspend(&ada.identity, &ada.name).await.unwrap();
    assert!(!registered());
    bench.backend.resume(&ada.identity, &ada.name).await.unwrap();
    assert!(registered());
}

#[tokio::test]
async fn who_was_put_on_hold_by_the_operators_is_suspended_and_stays_so() {
    let bench = bench().await;
    let ada = someone("held");
    ada.deploy(&bench).await;
    let hold = |status: &str| {
        let mut service = bench.service.lock().unwrap();
        service.users.get_mut(&key(&ada.identity)).unwrap()["userStatus"] = status.into();
    };
    hold("ON_HOLD");
    assert_eq!(ada.account(&bench).await.state, AccountState::Suspended);
    let done = bench.backend.deploy(&ada.intent(&bench)).await.unwrap();
    assert_eq!(done.account.state, AccountState::Suspended);
    let error = bench.backend.resume(&ada.identity, &ada.name).await.unwrap_err();
    assert!(matches!(error, BackendError::Refused(_)), "{error}");
    hold("ACTIVE");
    assert_eq!(ada.account(&bench).await.state, AccountState::Deployed);
}

#[tokio::test]
async fn a_registration_is_waited_for_but_not_for_ever() {
    let bench = bench().await;
    bench.service.lock().unwrap().slowness = 3;
    let ada = someone("slow");
    assert_eq!(ada.deploy(&bench).await.account.state, AccountState::Deployed);
    bench.service.lock().unwrap().slowness = u32::MAX;
    let bob = someone("never");
    let begun = Instant::now();
    let error = bench.backend.deploy(&bob.intent(&bench)).await.unwrap_err();
    assert!(matches!(&error, BackendError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("register"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    // What was begun is finished by the next attempt.
    bench.service.lock().unwrap().registered.insert(key(&bob.identity), 0);
    assert_eq!(bob.deploy(&bench).await.account.name, bob.name);
}

#[tokio::test]
async fn a_service_that_fails_is_unavailable_and_nobody_is_taken_for_absent() {
    let bench = bench().await;
    let ada = someone("faulty");
    ada.deploy(&bench).await;
    let faults = [
        Fault::Status(500),
        Fault::Status(403),
        Fault::Status(404),
        Fault::Slow,
        Fault::Garbage,
        Fault::Redirect,
        Fault::Huge,
    ];
    for fault in faults {
        bench.service.lock().unwrap().faults.push_back(fault);
        let error = bench.backend.find(&ada.identity).await.unwrap_err();
        assert!(matches!(error, BackendError::Unavailable { .. }), "{fault:?}: {error}");
        let said = error.to_string();
        assert!(!said.contains('\u{1b}') && !said.contains("pass"), "{fault:?}: {said}");
        assert!(ada.found(&bench).await.is_some(), "{fault:?} does not last");
    }
}

#[tokio::test]
async fn a_deployment_that_breaks_off_anywhere_is_finished_by_the_next() {
    // After how many requests that go well the service fails.
    for good in 0..20_usize {
        let bench = bench().await;
        let ada = someone("broken");
        let well = bench.service.lock().unwrap().calls.len();
        assert_eq!(well, 0);
        let group = behaviour::new_group("broken");
        let intent = ada.intent_with_groups(&bench, &[&group]);
        let stop = async {
            while bench.service.lock().unwrap().calls.len() < good {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = bench.backend.deploy(&intent) => {}
            () = stop => {}
        }
        let done = bench.backend.deploy(&intent).await.unwrap();
        assert_eq!(done.account.state, AccountState::Deployed, "{good}");
        assert_eq!(ada.account(&bench).await.groups, [group.as_str()], "{good}");
        let done = bench.backend.deploy(&ada.intent(&bench)).await.unwrap();
        assert_eq!(done.left, groups(&[&group]), "{good}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_as_such_and_not_shown() {
    let (url, _service) = double::start().await;
    let config = config(&url, "wrong-canary");
    assert!(!format!("{config:?}").contains("canary"));
    let backend =
        BwIdm::with_sources(config, Arc::new(HostNames::default()), Arc::new(|| NOW)).unwrap();
    let error = backend.check().await.unwrap_err().to_string();
    assert!(error.contains("http_pass") && !error.contains("canary"), "{error}");
}

#[tokio::test]
async fn of_two_records_with_one_name_the_older_keeps_it() {
    let bench = bench().await;
    let (ada, bob) = (someone("older"), someone("younger"));
    ada.deploy(&bench).await;
    bob.deploy(&bench).await;
    // As if another client had written at the same moment.
    {
        let mut service = bench.service.lock().unwrap();
        let login = ada.name.as_str().strip_prefix("fdl_").unwrap();
        let user = service.users.get_mut(&key(&bob.identity)).unwrap();
        user["attributeStore"]["urn:oid:0.9.2342.19200300.100.1.1"] = login.into();
    }
    let error = bench.backend.by_name(&ada.name).await.unwrap_err();
    assert!(matches!(error, BackendError::Refused(_)), "{error}");
    let intent = feudal_plugins::Intent { name: ada.name.clone(), ..bob.intent(&bench) };
    let error = bench.backend.deploy(&intent).await.unwrap_err();
    assert_eq!(error, BackendError::NameTaken(ada.name.clone()));
}

#[tokio::test]
async fn an_identity_is_encoded_so_that_it_can_name_nobody_else() {
    let bench = bench().await;
    let ada = someone("plain");
    let hostile = Identity::new(
        ada.identity.issuer.clone(),
        motley_proto::Subject::new("../../create?x=/#%2F@é").unwrap(),
    );
    let mallory = Someone { identity: hostile.clone(), ..ada };
    mallory.deploy(&bench).await;
    let users: Vec<_> = bench.service.lock().unwrap().users.keys().cloned().collect();
    assert_eq!(users, [key(&hostile)]);
    assert_eq!(UniqueId::parse(&users[0]).unwrap(), hostile);
}

/// The service has a group of its own.
fn foreign_group(bench: &Bench, name: &str) {
    bench.service.lock().unwrap().groups.insert(name.to_owned(), 88_000);
}

#[tokio::test]
async fn r22_a_group_that_others_made_is_not_joined_by_its_name() {
    let bench = bench().await;
    foreign_group(&bench, "operators");
    let ada = someone("r22");
    ada.deploy(&bench).await;
    let joins = ada.intent_with_groups(&bench, &["operators"]);
    let mut leads = ada.intent(&bench);
    leads.groups.primary = GroupName::new("operators").unwrap();
    for intent in [joins, leads] {
        let error = bench.backend.deploy(&intent).await.unwrap_err();
        assert!(
            matches!(&error, BackendError::GroupRefused { group, .. } if group.as_str() == "operators"),
            "{error}"
        );
    }
    let error = bench.backend.set_groups(&ada.identity, &ada.name, &groups(&["operators"])).await;
    assert!(matches!(error, Err(BackendError::GroupRefused { .. })), "{error:?}");
    assert!(ada.account(&bench).await.groups.is_empty());
    // A note about another group of that name, as one that was removed since, does not count.
    {
        let mut service = bench.service.lock().unwrap();
        let user = service.users.get_mut(&key(&ada.identity)).unwrap();
        user["attributeStore"]["motley_made_sshtest_operators"] = "87999".into();
    }
    let intent = ada.intent_with_groups(&bench, &["operators"]);
    assert!(bench.backend.deploy(&intent).await.is_err());
}

#[tokio::test]
async fn r22_a_group_that_we_made_for_one_person_is_joined_by_another() {
    let bench = bench().await;
    let (ada, bob) = (someone("first"), someone("second"));
    let group = behaviour::new_group("shared");
    for who in [&ada, &bob] {
        let intent = who.intent_with_groups(&bench, &[&group]);
        bench.backend.deploy(&intent).await.unwrap();
        assert_eq!(who.account(&bench).await.groups, [group.as_str()]);
    }
}

#[tokio::test]
async fn r22_with_a_prefix_or_a_list_such_groups_are_joined_and_no_others() {
    let (url, service) = double::start().await;
    let host = Arc::new(HostNames::default());
    let limits = GroupLimits {
        prefix: "vo-".to_owned(),
        allowed: [GroupName::new("operators").unwrap(), GroupName::new("people").unwrap()].into(),
    };
    let config = BwIdmConfig { groups: limits, ..config(&url, "pass") };
    let backend = BwIdm::with_sources(config, host.clone(), Arc::new(|| NOW)).unwrap();
    let bench = Bench { backend, service, host };
    foreign_group(&bench, "operators");
    bench.service.lock().unwrap().groups.insert("vo-lab".to_owned(), 88_001);
    let ada = someone("prefix");
    let mut intent = ada.intent_with_groups(&bench, &["operators", "vo-lab"]);
    bench.backend.deploy(&intent).await.unwrap();
    assert_eq!(ada.account(&bench).await.groups, ["operators", "vo-lab"]);
    intent.groups.supplementary.push(GroupName::new("lab").unwrap());
    let error = bench.backend.deploy(&intent).await.unwrap_err();
    assert!(matches!(error, BackendError::GroupRefused { .. }), "{error}");
}

#[tokio::test]
async fn r23_who_comes_back_gets_a_name_that_groups_list() {
    let bench = bench().await;
    let ada = someone("back");
    bench.list_in_group(&ada.name).await;
    assert!(bench.backend.is_taken(&ada.name).await.unwrap());
    let intent = feudal_plugins::Intent { uid: Some(ada.uid), ..ada.intent(&bench) };
    assert_eq!(bench.backend.deploy(&intent).await.unwrap().account.name, ada.name);
}

/// Writes into the record of a person that we were about to make a group.
fn note_making(bench: &Bench, who: &Someone, group: &str, note: &str) {
    let mut service = bench.service.lock().unwrap();
    let user = service.users.get_mut(&key(&who.identity)).unwrap();
    user["attributeStore"][&format!("motley_made_sshtest_{group}")] = note.into();
}

#[tokio::test]
async fn r22_a_note_that_outlived_its_attempt_opens_no_group_that_others_made() {
    let bench = bench().await;
    let ada = someone("stale");
    ada.deploy(&bench).await;
    foreign_group(&bench, "operators");
    let intent = ada.intent_with_groups(&bench, &["operators"]);
    for note in
        ["making".to_owned(), format!("making {}", NOW - 3600), format!("making {}", NOW + 3600)]
    {
        note_making(&bench, &ada, "operators", &note);
        let error = bench.backend.deploy(&intent).await.unwrap_err();
        assert!(matches!(error, BackendError::GroupRefused { .. }), "{note}: {error}");
    }
    // One of this very moment is what a crash leaves.
    note_making(&bench, &ada, "operators", &format!("making {NOW}"));
    bench.backend.deploy(&intent).await.unwrap();
}

#[tokio::test]
async fn r22_a_group_that_the_service_would_not_make_leaves_no_note() {
    let bench = bench().await;
    let ada = someone("unmade");
    ada.deploy(&bench).await;
    bench.service.lock().unwrap().makes_no_groups = true;
    let group = behaviour::new_group("unmade");
    let intent = ada.intent_with_groups(&bench, &[&group]);
    let error = bench.backend.deploy(&intent).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
    foreign_group(&bench, &group);
    let error = bench.backend.deploy(&intent).await.unwrap_err();
    assert!(matches!(error, BackendError::GroupRefused { .. }), "{error}");
}
