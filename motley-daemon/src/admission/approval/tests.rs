//! Requests for accounts and groups, from the first deployment to the decision.

mod groups;
mod left;

use super::*;
use crate::{
    account::{
        AccountParts, AccountRules, Accounts, ApprovalRules, DeployError, Deployment, Lifecycle,
        Suspender,
        tests::{Bench, bench_with, friendly, rules},
    },
    chance::SystemChance,
    clock::{Clock, SystemClock, Timestamp},
    config::{Config, OpConfig, Owners, Source, validate},
    identity::{HttpSettings, TokenVerifier},
    notify::{Courier, Letters, Mail, MailError, Outbox},
    store::Letter,
    verified::{ClaimSources, Verified},
};
use feudal_plugins::{Account, Backend, BackendError};
use motley_proto::{
    GroupName, Identity, Issuer, Subject, UserName,
    approval::{ApprovalRef, ApprovalStatus},
    rest::AccountState,
};
use serde_json::json;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

const DAY: i64 = 24 * 3600;
const ALL: &str = "authorise_all = yes";

struct SetClock(AtomicI64);
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

struct World {
    bench: Bench,
    clock: Arc<SetClock>,
    admission: Admission,
}

fn config(rule: &str) -> Config {
    let text = format!("[authorisation.a]\nop_url = https://op.example\n{rule}\n");
    let source = |name: &str, text: String| Source { path: name.into(), text, is_public: false };
    let files = (source("motley_cue.conf", text), source("feudal_adapter.conf", String::new()));
    validate(files.0, files.1, Owners { service: 0 }).unwrap().0
}

fn asking(config: &Config) -> ApprovalRules {
    let owners = Owners { service: nix::unistd::geteuid().as_raw() };
    let mut email = config.adapter.email.clone();
    email.templates = "/nonexistent".into();
    ApprovalRules {
        claims: config.claims_kept(),
        expires_seconds: 30 * DAY,
        by_mail: true,
        letters: Letters::load(&email, "ssh.example", owners).0,
        chance: Arc::new(SystemChance),
    }
}

fn admission(ops: &[OpConfig], accounts: Arc<Accounts>) -> Admission {
    let verifier =
        TokenVerifier::new(Vec::new(), &HttpSettings::default(), Arc::new(SystemClock)).unwrap();
    Admission::new(Arc::new(verifier), ops, None, accounts)
}

async fn world(rule: &str) -> World {
    let config = config(rule);
    let clock = Arc::new(SetClock(AtomicI64::new(1_000_000_000)));
    let bench = bench_with(friendly(), clock.clone(), Some(asking(&config))).await;
    let admission = admission(&config.ops, bench.accounts.clone());
    World { bench, clock, admission }
}

fn person(subject: &str, groups: &[&str]) -> Verified {
    let identity =
        Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new(subject).unwrap());
    let claims = json!({
        "sub": subject, "preferred_username": format!("user{subject}"), "groups": groups,
        "name": "Jane\nDoe", "email": "jane@example.org", "email_verified": true,
        "secret": "never kept",
    });
    let sources = ClaimSources { userinfo: claims.as_object().cloned(), ..ClaimSources::default() };
    Verified::attest(identity, sources, None)
}

fn by(uid: u32) -> Order {
    Order::from(Suspender::Host { uid })
}

impl World {
    async fn deploy(&self, who: &Verified) -> Result<Deployment, DeployError> {
        let tier = self.admission.tier(who);
        self.bench.accounts.deploy(who, tier, "r").await
    }

    /// The sentence of a deployment that has to wait.
    async fn told(&self, who: &Verified) -> (AccountState, String) {
        match self.deploy(who).await {
            Err(DeployError::Waits { state, message }) => (state, message),
            other => panic!("{other:?}"),
        }
    }

    async fn request(&self, who: &Verified) -> Approval {
        self.bench.accounts.store().approval_of(who.identity()).await.unwrap().unwrap()
    }

    async fn accept(&self, who: &Verified) -> Result<ApprovalReceipt, DecisionError> {
        let seen = self.request(who).await;
        self.admission.decide(&seen, ApprovalDecision::Accept, &by(0), "r").await
    }

    async fn state(&self, who: &Verified) -> AccountState {
        self.bench.accounts.standing(who.identity()).await.unwrap().state
    }

    async fn mails(&self) -> Vec<Letter> {
        let store = self.bench.accounts.store();
        store.letters_due(self.clock.now(), 1000).await.unwrap()
    }

    async fn groups(&self, who: &Verified) -> Vec<String> {
        self.bench.backend.find(who.identity()).await.unwrap().unwrap().groups
    }

    fn later(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    /// The same store and accounts under another configuration.
    fn under(&self, rule: &str, rules: AccountRules) -> Admission {
        let config = config(rule);
        let old = &self.bench.accounts;
        let accounts = Accounts::new(AccountParts {
            store: old.store.clone(),
            backend: self.bench.backend.clone(),
            host: self.bench.backend.clone(),
            passwords: old.passwords.clone(),
            audit: old.audit.clone(),
            clock: old.clock.clone(),
            forget: old.forget.clone(),
            locks: Arc::default(),
            rules,
            approval: Some(asking(&config)),
            lifecycle: Lifecycle::default(),
        });
        admission(&config.ops, Arc::new(accounts))
    }
}

const SUBMITTED: &str = "Request for deployment was submitted for approval.";
const ALREADY: &str =
    "Request for deployment was already submitted for approval. No new request was sent.";
const UPDATED: &str = "Updated request for deployment was submitted for approval.";

#[tokio::test]
async fn r40_a_first_account_waits_for_an_admin_who_is_mailed_once() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    assert_eq!(world.told(&jane).await, (AccountState::Pending, SUBMITTED.to_owned()));
    assert_eq!(world.told(&jane).await, (AccountState::Pending, ALREADY.to_owned()));
    assert_eq!(world.mails().await.len(), 2, "admins and person");
    assert!(world.bench.backend.find(jane.identity()).await.unwrap().is_none());
    let changed = person("1", &["lab", "more"]);
    assert_eq!(world.told(&changed).await, (AccountState::Pending, UPDATED.to_owned()));
    assert_eq!(world.mails().await.len(), 2, "in the place of those that were not sent yet");
    let receipt = world.accept(&changed).await.unwrap();
    assert_eq!(receipt.state, AccountState::Deployed);
    assert_eq!(receipt.name.unwrap().as_str(), "user1");
    assert_eq!(world.groups(&changed).await, ["more"], "beside the primary group");
    assert_eq!(world.deploy(&changed).await.unwrap().message, "User already existed.");
    assert_eq!(
        world.mails().await.len(),
        3,
        "with the one about the decision; nothing is asked again"
    );
}

#[tokio::test]
async fn r40_a_request_holds_no_more_than_the_claims_that_rules_read() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    world.told(&jane).await;
    let request = world.request(&jane).await;
    let kept = request.intent.claims.userinfo.clone().unwrap();
    assert!(kept.contains_key("groups") && !kept.contains_key("secret"), "{kept:?}");
    assert_eq!(request.intent.full_name.as_deref(), Some("Jane\\u{a}Doe"));
}

#[tokio::test(flavor = "multi_thread")]
async fn r40_of_many_admins_at_once_exactly_one_acts() {
    let world = Arc::new(world(ALL).await);
    let jane = person("1", &["lab"]);
    world.told(&jane).await;
    let seen = world.request(&jane).await;
    let deciding = (0..16u32).map(|uid| {
        let (world, seen) = (world.clone(), seen.clone());
        tokio::spawn(async move {
            // Each has a process of his own, which shares no lock with the others.
            let admission = world.under(ALL, rules(friendly()));
            let decision =
                if uid % 2 == 0 { ApprovalDecision::Accept } else { ApprovalDecision::Reject };
            admission.decide(&seen, decision, &by(uid), "r").await.is_ok()
        })
    });
    let mut acted = 0;
    for decided in deciding.collect::<Vec<_>>() {
        acted += u32::from(decided.await.unwrap());
    }
    assert_eq!(acted, 1);
}

#[tokio::test]
async fn r40_what_changed_since_the_admin_looked_is_not_accepted() {
    let world = world(ALL).await;
    world.told(&person("1", &["lab"])).await;
    let seen = world.request(&person("1", &[])).await;
    world.told(&person("1", &["lab", "wheel-of-time"])).await;
    for decision in [ApprovalDecision::Accept, ApprovalDecision::Reject, ApprovalDecision::Forget] {
        let refused = world.admission.decide(&seen, decision, &by(0), "r").await;
        assert!(matches!(refused, Err(DecisionError::Changed(_))), "{refused:?}");
    }
    let now = world.request(&person("1", &[])).await;
    assert_eq!((now.reference.id, now.reference.revision), (seen.reference.id, 2));
}

#[tokio::test]
async fn r40_the_rules_of_today_are_held_against_a_request_before_it_is_accepted() {
    let world = world("authorised_vos = [lab]\nvo_claim = groups").await;
    let jane = person("1", &["lab"]);
    world.told(&jane).await;
    let seen = world.request(&jane).await;
    let mut other_groups = rules(friendly());
    other_groups.groups.additional_groups = vec!["everybody".to_owned()];
    let mut no_groups = rules(friendly());
    no_groups.groups.primary_group = Some("nobodies".to_owned());
    for (what, admission) in [
        (
            "other members",
            world.under("authorised_vos = [a]\nvo_claim = groups", rules(friendly())),
        ),
        ("another claim", world.under("authorised_vos = [lab]\nvo_claim = x", rules(friendly()))),
        ("nobody", world.under("", rules(friendly()))),
        ("audience", world.under("authorise_all = yes\naudience = here", rules(friendly()))),
        ("more groups", world.under(ALL, other_groups)),
        ("other primary group", world.under(ALL, no_groups)),
        (
            "less shell",
            world.under(
                "authorise_all = yes\nassurance_based_shell_default_tier = limited",
                rules(friendly()),
            ),
        ),
    ] {
        let refused = admission.decide(&seen, ApprovalDecision::Accept, &by(0), "r").await;
        assert!(matches!(refused, Err(DecisionError::NotAllowed(_))), "{what}: {refused:?}");
        assert_eq!(world.request(&jane).await.status, ApprovalStatus::Pending, "{what}");
    }
    world.bench.accounts.suspend(jane.identity(), by(0), "r").await.unwrap();
    assert!(matches!(world.accept(&jane).await, Err(DecisionError::NotAllowed(_))));
    world.bench.accounts.resume(jane.identity(), by(0), "r").await.unwrap();
    assert!(world.accept(&jane).await.is_ok());
}

#[tokio::test]
async fn r40_a_provider_that_is_gone_makes_a_request_void() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    world.told(&jane).await;
    let admission = admission(&[], world.bench.accounts.clone());
    let seen = world.request(&jane).await;
    let refused = admission.decide(&seen, ApprovalDecision::Accept, &by(0), "r").await;
    assert!(matches!(refused, Err(DecisionError::NotAllowed(_))), "{refused:?}");
}

#[tokio::test]
async fn r40_a_request_ends_by_itself_and_repetition_does_not_prolong_it() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    world.told(&jane).await;
    world.later(29 * DAY);
    world.told(&jane).await;
    let seen = world.request(&jane).await;
    world.later(DAY);
    assert_eq!(world.state(&jane).await, AccountState::NotDeployed);
    let refused = world.admission.decide(&seen, ApprovalDecision::Accept, &by(0), "r").await;
    assert!(matches!(refused, Err(DecisionError::Unknown)), "{refused:?}");
    assert_eq!(world.told(&jane).await.1, SUBMITTED);
    assert_ne!(world.request(&jane).await.reference.id, seen.reference.id);
    world.later(30 * DAY);
    world.bench.accounts.tidy_approvals().await.unwrap();
    assert_eq!(world.bench.accounts.store().approval_of(jane.identity()).await.unwrap(), None);
}

#[tokio::test]
async fn r40_who_is_rejected_stays_so_until_that_ends_or_is_lifted() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    world.told(&jane).await;
    let seen = world.request(&jane).await;
    world.admission.decide(&seen, ApprovalDecision::Reject, &by(0), "r").await.unwrap();
    let refused = "User deployment was rejected. No new deployment request will be sent.";
    for who in [&jane, &person("1", &["others"])] {
        assert_eq!(world.told(who).await, (AccountState::Rejected, refused.to_owned()));
    }
    assert!(matches!(world.accept(&jane).await, Err(DecisionError::Rejected(_))));
    world.later(30 * DAY);
    assert_eq!(world.told(&jane).await.1, SUBMITTED);
    let seen = world.request(&jane).await;
    world.admission.decide(&seen, ApprovalDecision::Reject, &by(0), "r").await.unwrap();
    world.admission.decide(&seen, ApprovalDecision::Forget, &by(0), "r").await.unwrap();
    assert_eq!(world.told(&jane).await.1, SUBMITTED);
    world.bench.accounts.undeploy(jane.identity(), by(0), "r").await.unwrap();
    assert_eq!(world.state(&jane).await, AccountState::NotDeployed);
}

#[tokio::test]
async fn r40_no_word_of_a_sentence_is_taken_for_the_name_of_who_waits_or_was_rejected() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    world.told(&jane).await;
    let standing = world.bench.accounts.standing(jane.identity()).await.unwrap();
    assert_eq!(standing.answer().message, "User deployment is pending approval.");
    assert_eq!((standing.name(), standing.admits()), (None, false));
    let seen = world.request(&jane).await;
    world.admission.decide(&seen, ApprovalDecision::Reject, &by(0), "r").await.unwrap();
    let standing = world.bench.accounts.standing(jane.identity()).await.unwrap();
    assert_eq!(standing.answer().message, "User deployment was rejected.");
    assert_eq!((standing.name(), standing.admits()), (None, false));
}

#[tokio::test]
async fn r40_rejecting_one_of_two_requests_for_the_same_group_leaves_the_other_whole() {
    let world = world(ALL).await;
    let (jane, joe) = (person("1", &["lab"]), person("2", &["lab"]));
    world.told(&jane).await;
    world.told(&joe).await;
    let seen = world.request(&jane).await;
    world.admission.decide(&seen, ApprovalDecision::Reject, &by(0), "r").await.unwrap();
    assert_eq!(world.accept(&joe).await.unwrap().state, AccountState::Deployed);
}

#[tokio::test]
async fn an_account_that_was_made_by_hand_meanwhile_is_taken_over() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    world.told(&jane).await;
    let name = UserName::new("by-hand").unwrap();
    world.bench.backend.insert(Account {
        identity: Some(jane.identity().clone()),
        name: name.clone(),
        uid: Some(4711),
        gid: Some(4711),
        home: "/home/by-hand".to_owned(),
        shell: "/bin/bash".to_owned(),
        state: AccountState::Deployed,
        groups: Vec::new(),
    });
    assert_eq!(world.accept(&jane).await.unwrap().name, Some(name));
    assert_eq!(world.bench.backend.accounts().await.unwrap().len(), 1);
}

#[tokio::test]
async fn r40_a_back_end_that_fails_leaves_the_request_waiting() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    world.told(&jane).await;
    world.bench.backend.fail_next(BackendError::Busy);
    assert!(world.accept(&jane).await.is_err());
    assert_eq!(world.request(&jane).await.status, ApprovalStatus::Pending);
    assert!(world.accept(&jane).await.is_ok());
}

#[tokio::test]
async fn r40_an_acceptance_that_a_crash_cut_off_waits_again() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    world.told(&jane).await;
    let reference = world.request(&jane).await.reference;
    let store = world.bench.accounts.store();
    let change = (ApprovalStatus::Pending, ApprovalStatus::Accepting);
    let now = world.clock.now();
    assert!(store.decide(&reference, change, "dead", (now, now.plus(DAY))).await.unwrap());
    assert!(matches!(world.accept(&jane).await, Err(DecisionError::Taken)));
    assert_eq!(world.state(&jane).await, AccountState::Pending);
    world.later(601);
    world.bench.accounts.tidy_approvals().await.unwrap();
    assert!(world.accept(&jane).await.is_ok());
}

/// Takes mail, or says that it can't.
#[derive(Default)]
struct Box {
    down: AtomicBool,
    mails: Mutex<Vec<Mail>>,
}

impl Courier for Box {
    async fn send(&self, mail: &Mail) -> Result<String, MailError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(MailError::Time { server: "mail server".to_owned() });
        }
        self.mails.lock().unwrap().push(mail.clone());
        Ok("250 queued".to_owned())
    }
}

#[tokio::test]
async fn r40_a_mail_server_that_is_down_loses_no_mail_and_fails_no_request() {
    let world = world(ALL).await;
    let post = Box::default();
    post.down.store(true, Ordering::Relaxed);
    let store = world.bench.accounts.store();
    let outbox = |holder: &str| Outbox::new(store.clone(), world.clock.clone(), holder.to_owned());
    assert_eq!(world.told(&person("1", &["lab"])).await.0, AccountState::Pending);
    for _ in 0..4 {
        outbox("one").post(&post).await.unwrap();
        world.later(40);
    }
    let status = store.outbox().await.unwrap();
    assert_eq!(status.waiting, 2);
    assert!(status.failures >= 1 && status.last_error.unwrap().contains("25 seconds"));
    post.down.store(false, Ordering::Relaxed);
    world.later(3600);
    assert_eq!(outbox("reborn").post(&post).await.unwrap().sent, 2);
    assert_eq!(outbox("reborn").post(&post).await.unwrap().sent, 0);
    assert_eq!(store.outbox().await.unwrap(), Default::default());
    assert_eq!(post.mails.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn r40_only_the_form_that_was_seen_can_be_named() {
    let world = world(ALL).await;
    let jane = person("1", &["lab"]);
    world.told(&jane).await;
    let reference = world.request(&jane).await.reference;
    let other = ApprovalRef { id: reference.id.clone(), revision: reference.revision + 1 };
    assert!(matches!(
        world.bench.accounts.approval_seen(&other).await,
        Err(DecisionError::Changed(now)) if now == reference
    ));
}
