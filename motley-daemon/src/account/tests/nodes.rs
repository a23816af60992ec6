//! Two nodes at one PostgreSQL, each with accounts of its own: what is ordered on one holds on both.

use super::*;
use crate::store::{Phase, tests::Place};
use motley_proto::admin::Receipt;
use std::time::Duration;

const HOST: Suspender = Suspender::Host { uid: 0 };

/// A node that carries out what the other orders, until it is dropped.
struct Node {
    bench: Bench,
    watching: Option<tokio::task::JoinHandle<()>>,
}

impl Node {
    async fn start(place: &Place, name: &str, strategy: Strategy) -> Self {
        let store = place.open_for(name).await;
        store.beat(name, SystemClock.now()).await.unwrap();
        let bench = bench_at(store, tempfile::tempdir().unwrap(), strategy);
        let mut node = Self { bench, watching: None };
        node.watch();
        node
    }

    fn watch(&mut self) {
        let accounts = self.bench.accounts.clone();
        self.watching = Some(tokio::spawn(async move {
            loop {
                accounts.carry_out_marks().await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }));
    }

    /// Goes away: it was not seen for long.
    async fn leave(&mut self) {
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
        let store = self.bench.accounts.store();
        store.beat(store.node().as_str(), SystemClock.now().plus(-3600)).await.unwrap();
    }

    async fn deploy(&self, who: &Verified) -> Deployment {
        self.bench.accounts.deploy(who, Tier::Full, "r").await.unwrap()
    }

    async fn account(&self, who: &Verified) -> Option<Account> {
        self.bench.backend.find(who.identity()).await.unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(watching) = &self.watching {
            watching.abort();
        }
    }
}

async fn two(place: &Place) -> [Node; 2] {
    [Node::start(place, "one", friendly()).await, Node::start(place, "two", friendly()).await]
}

fn is_done_on_two(receipt: &Receipt) -> bool {
    receipt.pending.is_empty()
        && receipt.nodes.len() == 1
        && receipt.nodes.iter().all(|node| node.done && node.node.as_str() == "two")
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_a_person_gets_the_same_name_and_uid_on_both_nodes_also_when_asked_at_once() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    for number in 0..6 {
        let who = person(&number.to_string(), &format!("jdoe{}", number % 2));
        let (first, second) = tokio::join!(one.deploy(&who), two.deploy(&who));
        assert_eq!(first.name, second.name, "{number}");
        let (here, there) = (one.account(&who).await.unwrap(), two.account(&who).await.unwrap());
        assert_eq!((here.uid, here.name), (there.uid, there.name), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_a_suspension_on_one_node_cuts_off_on_the_other_and_tells_what_ended_there() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let jane = person("1", "jdoe");
    let name = one.deploy(&jane).await.name;
    two.deploy(&jane).await;
    two.bench.backend.open_sessions(&name, 3);
    let receipt = one.bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    assert!(is_done_on_two(&receipt), "{receipt:?}");
    assert_eq!(receipt.nodes[0].sessions.sessions, 3);
    assert_eq!(two.account(&jane).await.unwrap().state, AccountState::Suspended);
    assert!(two.bench.forgotten.0.lock().unwrap().contains(jane.identity()));
    let receipt = two.bench.accounts.resume(jane.identity(), HOST, "r").await.unwrap();
    assert!(receipt.pending.is_empty() && receipt.nodes.iter().all(|it| it.done), "{receipt:?}");
    for node in [&one, &two] {
        assert_eq!(node.account(&jane).await.unwrap().state, AccountState::Deployed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_and_its_end_reach_the_other_node_which_keeps_its_own_shell() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let jane = person("1", "jdoe");
    let name = one.deploy(&jane).await.name;
    two.deploy(&jane).await;
    let zsh = AccountPath::new("/bin/zsh").unwrap();
    two.bench.backend.set_shell(jane.identity(), &name, &zsh).await.unwrap();
    let receipt = one.bench.accounts.limit(jane.identity(), HOST, "r").await.unwrap();
    assert!(is_done_on_two(&receipt), "{receipt:?}");
    let shells = Shells::standard().unwrap();
    assert_eq!(two.account(&jane).await.unwrap().shell, shells.limited.as_str());
    let receipt = one.bench.accounts.unlimit(jane.identity(), HOST, "r").await.unwrap();
    assert!(is_done_on_two(&receipt), "{receipt:?}");
    assert_eq!(one.account(&jane).await.unwrap().shell, shells.full.as_str());
    assert_eq!(two.account(&jane).await.unwrap().shell, "/bin/zsh");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_gone_when_it_is_gone_on_every_node_that_had_it() {
    let Some(place) = Place::server() else { return };
    let [one, mut two] = two(&place).await;
    let jane = person("1", "jdoe");
    let name = one.deploy(&jane).await.name;
    two.deploy(&jane).await;
    two.leave().await;
    let receipt = one.bench.accounts.undeploy(jane.identity(), HOST, "r").await.unwrap();
    assert!(receipt.pending.is_empty() && receipt.nodes.len() == 1, "{receipt:?}");
    assert!(!receipt.nodes[0].done && !receipt.nodes[0].lives, "{receipt:?}");
    assert!(one.account(&jane).await.is_none() && two.account(&jane).await.is_some());
    assert!(one.bench.accounts.deploy(&jane, Tier::Full, "r").await.is_err(), "still leaving");
    assert_eq!(two.bench.accounts.reconcile().await.unwrap().len(), 1);
    assert!(two.account(&jane).await.is_none());
    assert_eq!(one.deploy(&jane).await.name, name, "the promise outlives the account");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_forgotten_and_comes_back_removes_what_it_missed() {
    let Some(place) = Place::server() else { return };
    let [one, mut two] = two(&place).await;
    let jane = person("1", "jdoe");
    one.deploy(&jane).await;
    two.deploy(&jane).await;
    two.leave().await;
    one.bench.accounts.undeploy(jane.identity(), HOST, "r").await.unwrap();
    let store = one.bench.accounts.store();
    assert!(store.forget_node(two.bench.accounts.store().node()).await.unwrap());
    assert_eq!(one.bench.accounts.reconcile().await.unwrap().len(), 1, "nobody is waited for");
    assert_eq!(store.account_of(jane.identity()).await.unwrap().unwrap().phase, Phase::None);
    assert!(two.account(&jane).await.is_some());
    two.watch();
    for _ in 0..100 {
        if two.account(&jane).await.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the account is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_where_the_promised_name_is_somebody_elses_it_is_refused_and_stays_promised() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let jane = person("1", "jdoe");
    let name = one.deploy(&jane).await.name;
    two.bench.backend.occupy("jdoe");
    let refused = two.bench.accounts.deploy(&jane, Tier::Full, "r").await;
    let Err(DeployError::Rejected(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("jdoe") && why.contains("belongs to another account"), "{why}");
    assert_eq!(one.deploy(&jane).await.name, name);
    let record = two.bench.accounts.store().account_of(jane.identity()).await.unwrap().unwrap();
    assert_eq!((record.phase, record.name), (Phase::Deployed, Some(name)));
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_a_node_that_fails_is_named_and_does_it_later() {
    let Some(place) = Place::server() else { return };
    let [one, mut two] = two(&place).await;
    let jane = person("1", "jdoe");
    one.deploy(&jane).await;
    two.deploy(&jane).await;
    if let Some(watching) = two.watching.take() {
        watching.abort();
    }
    two.bench.backend.fail_next(BackendError::Busy);
    let receipt = one.bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    assert!(!receipt.nodes[0].done && receipt.nodes[0].lives, "{receipt:?}");
    let standing = two.bench.accounts.standing(jane.identity()).await.unwrap();
    assert_eq!(standing.state, AccountState::Suspended, "the mark holds before it is carried out");
    two.bench.accounts.carry_out_marks().await.unwrap();
    assert_eq!(two.account(&jane).await.unwrap().state, AccountState::Deployed, "it failed");
    assert_eq!(two.bench.accounts.reconcile().await.unwrap().len(), 1);
    assert_eq!(two.account(&jane).await.unwrap().state, AccountState::Suspended);
}
