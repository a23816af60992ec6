//! Deployment, suspension and repair over the in-memory back end.

mod greeting;
mod groups;
mod idle;
mod importing;
mod known;
mod leaving;
mod limited;
mod lower;
mod membership;
mod nodes;
mod states;
mod suspended;
mod unable;

use super::*;
use crate::{
    audit::Audit,
    clock::SystemClock,
    otp::OneTimePasswords,
    verified::{ClaimSources, Verified},
};
use feudal_plugins::{
    LoginInfo, Shells, Tier,
    groups::{GroupRules, Method, Policy, SubGroups},
    memory::MemoryBackend,
    names::{NameRules, ShadowVariant, Strategy},
};
use motley_proto::{
    Issuer, Subject,
    rest::{AccountState, StateAnswer},
    task::AccountPath,
};
use serde_json::json;
use std::sync::Mutex;

/// Room for one-time passwords.
const ROOM: crate::store::Bounds = crate::store::Bounds { per_identity: 9, total: 99, bytes: 9999 };

#[derive(Default)]
struct Forgotten(Mutex<Vec<Identity>>);
impl Forget for Forgotten {
    fn forget(&self, identity: &Identity) {
        self.0.lock().unwrap().push(identity.clone());
    }
}

pub(crate) struct Bench {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) backend: Arc<MemoryBackend>,
    forgotten: Arc<Forgotten>,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn audit_file(&self) -> std::path::PathBuf {
        self._folder.path().join("audit.log")
    }
}

pub(crate) fn rules(strategy: Strategy) -> AccountRules {
    AccountRules {
        names: NameRules { strategy, shadow: ShadowVariant::Default, prefix: String::new() },
        groups: GroupRules {
            policy: Policy::All,
            method: Method::Classic,
            sub_groups: SubGroups::Keep,
            primary_group: None,
            fallback_group: Some("nogroup".to_owned()),
            additional_groups: Vec::new(),
            shadow: ShadowVariant::Default,
        },
        shells: Shells::standard().unwrap(),
        home_base: AccountPath::new("/home").unwrap(),
        deploy_keys: false,
        login_info: LoginInfo::default(),
        first_uid: 2000,
    }
}

pub(crate) fn friendly() -> Strategy {
    Strategy::Friendly
}

fn pooled() -> Strategy {
    Strategy::Pooled { prefix: Some("pool".to_owned()), digits: 3 }
}

pub(crate) async fn bench(strategy: Strategy) -> Bench {
    bench_with(strategy, Arc::new(SystemClock), None).await
}

/// The same with another clock, and where admins are asked.
pub(crate) async fn bench_with(
    strategy: Strategy,
    clock: Arc<dyn Clock>,
    approval: Option<ApprovalRules>,
) -> Bench {
    bench_living(strategy, clock, approval, Lifecycle::default()).await
}

/// The same where something becomes of accounts that nobody uses.
pub(crate) async fn bench_living(
    strategy: Strategy,
    clock: Arc<dyn Clock>,
    approval: Option<ApprovalRules>,
    lifecycle: Lifecycle,
) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite:{}/db", folder.path().display())).await.unwrap();
    let groups = rules(friendly()).groups;
    bench_of(store, folder, strategy, Ways { clock, approval, lifecycle, groups })
}

/// The same where groups are made otherwise and held against each login.
async fn bench_grouping(groups: GroupRules) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite:{}/db", folder.path().display())).await.unwrap();
    let config = crate::config::LifecycleConfig { check_groups: true, ..Default::default() };
    let lifecycle = Lifecycle { config, ..Lifecycle::default() };
    let ways = Ways { clock: Arc::new(SystemClock), approval: None, lifecycle, groups };
    bench_of(store, folder, friendly(), ways)
}

/// One node with this store.
fn bench_at(store: Store, folder: tempfile::TempDir, strategy: Strategy) -> Bench {
    let ways = Ways {
        clock: Arc::new(SystemClock),
        approval: None,
        lifecycle: Lifecycle::default(),
        groups: rules(friendly()).groups,
    };
    bench_of(store, folder, strategy, ways)
}

/// What differs from bench to bench.
struct Ways {
    clock: Arc<dyn Clock>,
    approval: Option<ApprovalRules>,
    lifecycle: Lifecycle,
    groups: GroupRules,
}

fn bench_of(store: Store, folder: tempfile::TempDir, strategy: Strategy, ways: Ways) -> Bench {
    let Ways { clock, approval, lifecycle, groups } = ways;
    let backend = Arc::new(MemoryBackend::new());
    let forgotten = Arc::new(Forgotten::default());
    let accounts = Accounts::new(AccountParts {
        passwords: Arc::new(OneTimePasswords::new(store.clone(), clock.clone(), 600)),
        audit: Arc::new(Audit::open(&folder.path().join("audit.log"), clock.clone()).unwrap()),
        store,
        backend: backend.clone(),
        host: backend.clone(),
        clock,
        forget: forgotten.clone(),
        locks: Arc::default(),
        rules: AccountRules { groups, ..rules(strategy) },
        approval,
        lifecycle,
    });
    Bench { accounts: Arc::new(accounts), backend, forgotten, _folder: folder }
}

pub(crate) fn person(subject: &str, preferred: &str) -> Verified {
    let identity =
        Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new(subject).unwrap());
    let claims = json!({ "sub": subject, "preferred_username": preferred, "given_name": "Jane", "family_name": "Doe" });
    let sources = ClaimSources { userinfo: claims.as_object().cloned(), ..ClaimSources::default() };
    Verified::attest(identity, sources, None)
}

#[tokio::test]
async fn a_first_deployment_makes_the_account_and_a_second_finds_it() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let first = bench.accounts.deploy(&jane, Tier::Full, "r1").await.unwrap();
    assert_eq!((first.message.as_str(), first.name.as_str()), ("User was created.", "jdoe"));
    let second = bench.accounts.deploy(&jane, Tier::Full, "r2").await.unwrap();
    assert_eq!((second.message.as_str(), second.name.as_str()), ("User already existed.", "jdoe"));
    assert_eq!(
        bench.accounts.standing(jane.identity()).await.unwrap().state,
        AccountState::Deployed
    );
}

#[tokio::test]
async fn a_name_of_somebody_else_is_passed_over() {
    let bench = bench(friendly()).await;
    bench.backend.occupy("jdoe");
    let deployment = bench.accounts.deploy(&person("1", "jdoe"), Tier::Full, "r").await.unwrap();
    assert_eq!(deployment.name.as_str(), "jane");
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_twenty_people_at_once_get_twenty_names_and_uids() {
    let bench = bench(pooled()).await;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let accounts = bench.accounts.clone();
            tokio::spawn(async move {
                accounts.deploy(&person(&n.to_string(), "x"), Tier::Full, "r").await.unwrap()
            })
        })
        .collect();
    let mut names = std::collections::BTreeSet::new();
    for task in tasks {
        names.insert(task.await.unwrap().name);
    }
    assert_eq!(names.len(), 20);
    let uids: std::collections::BTreeSet<_> = bench
        .accounts
        .store()
        .accounts()
        .await
        .unwrap()
        .into_iter()
        .map(|record| record.uid)
        .collect();
    assert_eq!(uids.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_twenty_first_deployments_of_one_person_give_one_account() {
    let bench = bench(pooled()).await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let accounts = bench.accounts.clone();
            tokio::spawn(async move {
                accounts.deploy(&person("1", "x"), Tier::Full, "r").await.unwrap()
            })
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        let deployment = task.await.unwrap();
        assert_eq!(deployment.name.as_str(), "pool001");
        created += u32::from(deployment.message.starts_with("User was created"));
    }
    assert_eq!(created, 1);
}

#[tokio::test]
async fn r28_a_suspension_holds_and_is_retried_when_the_back_end_fails_half_way() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    bench.backend.fail_next(BackendError::Busy);
    let receipt =
        bench.accounts.suspend(jane.identity(), Suspender::Host { uid: 0 }, "r").await.unwrap();
    assert!(!receipt.pending.is_empty(), "{receipt:?}");
    assert_eq!(
        bench.accounts.standing(jane.identity()).await.unwrap().state,
        AccountState::Suspended
    );
    assert!(bench.forgotten.0.lock().unwrap().contains(jane.identity()));
    let deployment = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert_eq!(deployment.state, AccountState::Suspended);
    assert_eq!(bench.accounts.reconcile().await.unwrap().len(), 1);
    assert_eq!(bench.accounts.reconcile().await.unwrap().len(), 0);
}

#[tokio::test]
async fn r28_somebody_without_an_account_can_be_suspended_and_gets_none() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.suspend(jane.identity(), Suspender::Host { uid: 0 }, "r").await.unwrap();
    assert!(matches!(
        bench.accounts.deploy(&jane, Tier::Full, "r").await,
        Err(DeployError::Rejected(_))
    ));
    bench.accounts.resume(jane.identity(), Suspender::Host { uid: 0 }, "r").await.unwrap();
    assert!(bench.accounts.deploy(&jane, Tier::Full, "r").await.is_ok());
}

#[tokio::test]
async fn over_rest_only_an_existing_account_is_suspended_and_only_a_suspended_one_resumed() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let ask = |change: &'static str| {
        let (accounts, identity) = (bench.accounts.clone(), jane.identity().clone());
        async move {
            let done = match change {
                "suspend" => accounts.suspend_account(&identity, Suspender::Oneself, "r").await,
                _ => accounts.resume_account(&identity, Suspender::Oneself, "r").await,
            };
            done.unwrap().message
        }
    };
    assert!(ask("suspend").await.contains("not possible from the 'not_deployed' state"));
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert!(ask("resume").await.contains("not possible from the 'deployed' state"));
    assert!(ask("suspend").await.ends_with("was suspended."));
    assert!(ask("suspend").await.contains("not possible from the 'suspended' state"));
    assert!(ask("resume").await.ends_with("was resumed."));
    assert_eq!(
        bench.accounts.standing(jane.identity()).await.unwrap().state,
        AccountState::Deployed
    );
}

#[tokio::test]
async fn the_shell_follows_the_tier_but_not_when_an_admin_set_another() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let shell = || async { bench.backend.find(jane.identity()).await.unwrap().unwrap().shell };
    let own = Shells::standard().unwrap();
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert_eq!(shell().await, own.full.as_str());
    bench.accounts.deploy(&jane, Tier::Limited, "r").await.unwrap();
    assert_eq!(shell().await, own.limited.as_str());
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert_eq!(shell().await, own.full.as_str());
    let name = UserName::new("jdoe").unwrap();
    let zsh = motley_proto::task::AccountPath::new("/bin/zsh").unwrap();
    bench.backend.set_shell(jane.identity(), &name, &zsh).await.unwrap();
    bench.accounts.deploy(&jane, Tier::Limited, "r").await.unwrap();
    assert_eq!(shell().await, "/bin/zsh");
}

#[tokio::test]
async fn a_group_that_the_host_refuses_is_left_out_and_keeps_nobody_out() {
    let bench = bench(friendly()).await;
    let group = motley_proto::GroupName::new("nogroup").unwrap();
    bench
        .backend
        .fail_next(BackendError::GroupRefused { group: group.clone(), why: "no".to_owned() });
    // The refused group is the configured fallback, which nothing can stand in for.
    assert!(bench.accounts.deploy(&person("1", "jdoe"), Tier::Full, "r").await.is_ok());
    let mut verified = person("2", "other");
    let mut sources = verified.sources().clone();
    sources
        .userinfo
        .as_mut()
        .unwrap()
        .insert("groups".to_owned(), json!(["lab", "local-admins", "zeta"]));
    verified = Verified::attest(verified.identity().clone(), sources, None);
    let refused = motley_proto::GroupName::new("local-admins").unwrap();
    bench.backend.fail_next(BackendError::GroupRefused { group: refused, why: "local".to_owned() });
    let deployment = bench.accounts.deploy(&verified, Tier::Full, "r").await.unwrap();
    assert!(
        deployment.message.contains("zeta") && !deployment.message.contains("local-admins"),
        "{deployment:?}"
    );
}

#[tokio::test]
async fn r23_an_account_found_at_a_suspension_keeps_its_name_and_uid_for_its_identity() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.backend.insert(Account {
        identity: Some(jane.identity().clone()),
        name: UserName::new("jane-by-hand").unwrap(),
        uid: Some(4711),
        gid: Some(4711),
        home: "/home/jane-by-hand".to_owned(),
        shell: "/bin/bash".to_owned(),
        state: AccountState::Deployed,
        groups: Vec::new(),
    });
    bench.accounts.suspend_account(jane.identity(), Suspender::Oneself, "r").await.unwrap();
    let noted = bench.accounts.store().account_of(jane.identity()).await.unwrap().unwrap();
    assert_eq!(noted.name.as_ref().map(UserName::as_str), Some("jane-by-hand"));
    assert_eq!(noted.uid.map(|uid| uid.get()), Some(4711));
    assert!(noted.is_suspended());
}

#[tokio::test]
async fn r28_nobody_is_told_to_be_resumed_who_is_still_suspended() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    bench.accounts.suspend_account(jane.identity(), Suspender::Oneself, "r").await.unwrap();
    bench.backend.fail_next(BackendError::Busy);
    let by = Suspender::Host { uid: 0 };
    let answer = bench.accounts.resume_account(jane.identity(), by, "r").await.unwrap();
    assert_eq!(answer.state, AccountState::Suspended);
    assert!(answer.message.contains("not possible from the 'suspended' state"), "{answer:?}");
}
