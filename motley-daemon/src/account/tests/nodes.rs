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
    async fn leave(&mut self, place: &Place) {
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
        place.age(self.bench.accounts.store().node().as_str());
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
    two.leave(&place).await;
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
    two.leave(&place).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_follows_a_tier_that_changed_while_the_person_was_on_another_node() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let jane = person("1", "jdoe");
    one.deploy(&jane).await;
    let name = two.deploy(&jane).await.name;
    let shells = Shells::standard().unwrap();
    for node in [&one, &two] {
        node.bench.accounts.deploy(&jane, Tier::Limited, "r").await.unwrap();
        assert_eq!(node.account(&jane).await.unwrap().shell, shells.limited.as_str());
    }
    let zsh = AccountPath::new("/bin/zsh").unwrap();
    two.bench.backend.set_shell(jane.identity(), &name, &zsh).await.unwrap();
    for node in [&one, &two] {
        node.bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    }
    assert_eq!(two.account(&jane).await.unwrap().shell, "/bin/zsh", "an admin set it");
}

#[tokio::test(flavor = "multi_thread")]
async fn r21_where_a_promised_name_is_somebody_elses_a_suspension_leaves_that_account_alone() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let jane = person("1", "jdoe");
    one.deploy(&jane).await;
    two.bench.backend.occupy("jdoe");
    let receipt = one.bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    assert!(is_done_on_two(&receipt), "{receipt:?}");
    let calls = two.bench.backend.calls();
    assert!(!calls.iter().any(|call| call.contains("suspend")), "{calls:?}");
}

/// An account on one node, by hand.
fn by_hand(owner: Option<&Verified>, name: &str, uid: u32) -> Account {
    Account {
        identity: owner.map(|who| who.identity().clone()),
        name: UserName::new(name).unwrap(),
        uid: Some(uid),
        gid: Some(uid),
        home: format!("/home/{name}"),
        shell: "/bin/bash".to_owned(),
        state: AccountState::Deployed,
        groups: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_a_promise_of_another_node_keeps_no_local_person_of_that_name_out() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let jane = person("1", "jdoe");
    let name = one.deploy(&jane).await.name;
    two.bench.backend.insert(by_hand(None, "jdoe", 1500));
    let here = &two.bench.accounts;
    assert_eq!(here.standing_of_name(&name).await.unwrap(), None);
    // The name still means the person to whom it is promised.
    let named = here.identity_of_name(&name).await.unwrap().unwrap();
    here.suspend(&named, HOST, "r").await.unwrap();
    assert_eq!(here.standing_of_name(&name).await.unwrap(), None);
    let there = one.bench.accounts.standing_of_name(&name).await.unwrap().unwrap();
    assert_eq!(there.1.state, AccountState::Suspended);
    assert_eq!(two.account(&jane).await, None);
    let local = two.bench.backend.by_name(&name).await.unwrap().unwrap();
    assert_eq!(local.state, AccountState::Deployed);
}

#[tokio::test(flavor = "multi_thread")]
async fn r08_wiping_the_owner_out_of_an_account_makes_it_nobodys_on_no_node() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let jane = person("1", "jdoe");
    let name = one.deploy(&jane).await.name;
    two.deploy(&jane).await;
    let uid = two.account(&jane).await.unwrap().uid.unwrap();
    for uid in [uid, 1500] {
        two.bench.backend.insert(by_hand(None, "jdoe", uid));
        let standing = two.bench.accounts.standing_of_name(&name).await.unwrap();
        assert!(!standing.unwrap().1.admits(), "{uid}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_another_person_under_a_promised_name_is_judged_by_that_person() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let (jane, kim) = (person("1", "jdoe"), person("2", "kim"));
    let name = one.deploy(&jane).await.name;
    two.bench.backend.insert(by_hand(Some(&kim), "jdoe", 1500));
    one.bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    let (who, standing) = two.bench.accounts.standing_of_name(&name).await.unwrap().unwrap();
    assert_eq!((&who, standing.state), (kim.identity(), AccountState::Deployed));
    one.bench.accounts.suspend(kim.identity(), HOST, "r").await.unwrap();
    let (_, standing) = two.bench.accounts.standing_of_name(&name).await.unwrap().unwrap();
    assert_eq!(standing.state, AccountState::Suspended);
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_an_account_whose_uid_another_person_was_promised_lets_nobody_in() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let (jane, kim) = (person("1", "jdoe"), person("2", "kim"));
    one.deploy(&jane).await;
    let uid = one.account(&jane).await.unwrap().uid.unwrap();
    // Made on this node before the database was put back to a state that knows nothing of it.
    two.bench.backend.insert(by_hand(Some(&kim), "kim", uid));
    let standing = two.bench.accounts.standing(kim.identity()).await.unwrap();
    assert!(!standing.admits(), "{standing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_found_counts_as_held_also_after_marks_were_carried_out() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let jane = person("1", "jdoe");
    one.deploy(&jane).await;
    let uid = one.account(&jane).await.unwrap().uid.unwrap();
    // Made by hand, or noted by no release yet.
    two.bench.backend.insert(by_hand(Some(&jane), "jdoe", uid));
    let store = two.bench.accounts.store();
    assert!(!store.may_hold(jane.identity()).await.unwrap());
    let receipt = one.bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    assert!(is_done_on_two(&receipt), "{receipt:?}");
    assert!(store.may_hold(jane.identity()).await.unwrap());
    assert_eq!(two.account(&jane).await.unwrap().state, AccountState::Suspended);
}

#[tokio::test(flavor = "multi_thread")]
async fn r08_what_a_node_still_has_of_a_removed_account_lets_nobody_in_and_goes() {
    let Some(place) = Place::server() else { return };
    let [one, mut two] = two(&place).await;
    let jane = person("1", "jdoe");
    one.deploy(&jane).await;
    let uid = one.account(&jane).await.unwrap().uid.unwrap();
    two.leave(&place).await;
    let two_store = two.bench.accounts.store();
    one.bench.accounts.store().forget_node(two_store.node()).await.unwrap();
    one.bench.accounts.undeploy(jane.identity(), HOST, "r").await.unwrap();
    // It comes back with the account, of which it had noted nothing.
    two.bench.backend.insert(by_hand(Some(&jane), "jdoe", uid));
    assert!(!two_store.may_hold(jane.identity()).await.unwrap());
    let standing = two.bench.accounts.standing(jane.identity()).await.unwrap();
    assert_eq!((standing.state, standing.admits()), (AccountState::NotDeployed, false));
    two.bench.accounts.carry_out_marks().await.unwrap();
    assert_eq!(two.account(&jane).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_that_can_not_be_put_in_order_does_not_keep_others_waiting() {
    let Some(place) = Place::server() else { return };
    let [one, mut two] = two(&place).await;
    let people: Vec<_> = (0..3).map(|n| person(&n.to_string(), &format!("jdoe{n}"))).collect();
    for who in &people {
        one.deploy(who).await;
        two.deploy(who).await;
    }
    two.leave(&place).await;
    for who in &people {
        one.bench.accounts.suspend(who.identity(), HOST, "r").await.unwrap();
    }
    place.change("UPDATE account SET uid = 7 WHERE subject = '0'");
    two.bench.accounts.reconcile().await.unwrap();
    for who in &people[1..] {
        assert_eq!(two.account(who).await.unwrap().state, AccountState::Suspended);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_under_way_on_one_node_is_not_settled_by_another_that_sees_its_entry() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let jane = person("1", "jdoe");
    let (name, uid) = (UserName::new("jdoe").unwrap(), motley_proto::Uid::new(2000).unwrap());
    let store = one.bench.accounts.store();
    store.reserve(jane.identity(), &name, Some(uid), SystemClock.now()).await.unwrap();
    let phase = async || store.account_of(jane.identity()).await.unwrap().unwrap().phase;
    // The directory that both read has the entry already.
    for node in [&one, &two] {
        node.bench.backend.insert(by_hand(Some(&jane), "jdoe", 2000));
    }
    assert_eq!(two.bench.accounts.reconcile().await.unwrap(), Vec::<String>::new());
    assert_eq!(phase().await, Phase::Reserved);
    assert_eq!(one.bench.accounts.reconcile().await.unwrap().len(), 1);
    assert_eq!(phase().await, Phase::Deployed);
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_a_shell_that_the_admin_of_a_host_set_is_not_taken_for_the_shell_of_a_tier() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let jane = person("1", "jdoe");
    let name = one.deploy(&jane).await.name;
    two.deploy(&jane).await;
    let nologin = two.bench.accounts.rules.shells.limited.clone();
    two.bench.backend.set_shell(jane.identity(), &name, &nologin).await.unwrap();
    two.deploy(&jane).await;
    assert_eq!(two.account(&jane).await.unwrap().shell, nologin.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_tier_reaches_each_node_with_the_next_deployment_there() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let jane = person("1", "jdoe");
    one.deploy(&jane).await;
    two.deploy(&jane).await;
    for tier in [Tier::Limited, Tier::Restricted] {
        one.bench.accounts.deploy(&jane, tier, "r").await.unwrap();
    }
    two.bench.accounts.deploy(&jane, Tier::Restricted, "r").await.unwrap();
    let own = &two.bench.accounts.rules.shells;
    assert_eq!(two.account(&jane).await.unwrap().shell, own.restricted.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_off_drops_nothing_for_all() {
    let Some(place) = Place::server() else { return };
    let node = Node::start(&place, "one", friendly()).await;
    let (store, passwords) = (node.bench.accounts.store(), &node.bench.accounts.passwords);
    let now = SystemClock.now();
    let token = crate::store::SealedToken {
        identity: person("1", "jdoe").identity().clone(),
        sealed: vec![1],
        expires_at: now.plus(-60),
    };
    store.put_one_time_password(&[7; 32], &token, ROOM).await.unwrap();
    store.beat("one", now.plus(3600)).await.unwrap();
    assert_eq!(passwords.sweep().await.unwrap(), 0);
    store.beat("one", SystemClock.now()).await.unwrap();
    assert_eq!(passwords.sweep().await.unwrap(), 1);
}
