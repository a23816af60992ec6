//! Accounts that nobody uses, under a clock that is set by hand.

use super::*;
use crate::{
    clock::Timestamp,
    config::LifecycleConfig,
    store::{Idle, Use},
};
use sqlx::Connection;
use std::sync::atomic::{AtomicI64, Ordering};

const DAY: i64 = 24 * 3600;
const HOST: Suspender = Suspender::Host { uid: 0 };
const ALL: LifecycleConfig = LifecycleConfig {
    limit_after: Some(60),
    suspend_after: Some(90),
    warn_before: Some(10),
    reactivate: true,
    check_groups: false,
};

struct SetClock(AtomicI64);
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

struct Years {
    bench: Bench,
    clock: Arc<SetClock>,
}

async fn years(config: LifecycleConfig) -> Years {
    let clock = Arc::new(SetClock(AtomicI64::new(1_000_000_000)));
    let lifecycle = Lifecycle { config, ..Lifecycle::default() };
    let bench = bench_living(friendly(), clock.clone(), None, lifecycle).await;
    Years { bench, clock }
}

impl Years {
    fn later(&self, days: i64) {
        self.clock.0.fetch_add(days * DAY, Ordering::Relaxed);
    }

    async fn look(&self) -> IdleLook {
        self.bench.accounts.look_for_idle("one").await.unwrap()
    }

    async fn state(&self, who: &Verified) -> AccountState {
        self.bench.accounts.standing(who.identity()).await.unwrap().state
    }

    async fn used(&self, who: &Verified, address: Option<&str>) {
        let store = self.bench.accounts.store();
        store.note_use(who.identity(), Use::Login, address, self.clock.now()).await.unwrap();
    }

    async fn account(&self, subject: &str) -> Verified {
        let who = person(subject, &format!("user{subject}"));
        self.bench.accounts.deploy(&who, Tier::Full, "r").await.unwrap();
        // The deployment is a use, which is noted in the background; these tests begin without one.
        let store = self.bench.accounts.store();
        while store.last_use(who.identity()).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        store.forget_use(who.identity()).await.unwrap();
        who
    }
}

fn look(warned: usize, limited: usize, suspended: usize) -> IdleLook {
    IdleLook { warned, limited, suspended }
}

#[tokio::test]
async fn an_account_that_nobody_uses_is_warned_about_then_limited_then_suspended() {
    let years = years(ALL).await;
    let jane = years.account("1").await;
    years.used(&jane, Some("jane@example.org")).await;
    years.later(49);
    assert_eq!(years.look().await, look(0, 0, 0));
    years.later(1);
    assert_eq!(years.look().await, look(1, 0, 0));
    assert_eq!(years.look().await, look(0, 0, 0), "one warning");
    let store = years.bench.accounts.store();
    let letters = store.letters_due(years.clock.now(), 9).await.unwrap();
    assert_eq!(letters[0].addressee.as_deref(), Some("jane@example.org"));
    assert!(letters[0].body.contains("user1") && letters[0].body.contains("In 10 days"));
    assert_eq!(years.state(&jane).await, AccountState::Deployed);
    years.later(10);
    assert_eq!(years.look().await, look(0, 1, 0));
    assert_eq!(years.state(&jane).await, AccountState::Limited);
    years.later(30);
    assert_eq!(years.look().await, look(0, 0, 1));
    assert_eq!(years.state(&jane).await, AccountState::Suspended);
    assert_eq!(years.look().await, look(0, 0, 0));
    let acted = store.last_use(jane.identity()).await.unwrap().unwrap().acted;
    assert_eq!(acted, Some(Idle::Suspended));
}

#[tokio::test]
async fn an_account_whose_use_is_not_known_counts_from_the_first_look() {
    let years = years(ALL).await;
    let jane = years.account("1").await;
    years.later(1000);
    assert_eq!(years.look().await, look(0, 0, 0));
    years.later(59);
    assert_eq!(years.look().await, look(0, 0, 0), "nobody can be warned without an address");
    years.later(1);
    assert_eq!(years.look().await, look(0, 1, 0));
    assert_eq!(years.state(&jane).await, AccountState::Limited);
}

#[tokio::test]
async fn a_use_voids_the_warning_and_begins_the_count_again() {
    let years = years(ALL).await;
    let jane = years.account("1").await;
    years.used(&jane, Some("jane@example.org")).await;
    years.later(50);
    assert_eq!(years.look().await, look(1, 0, 0));
    years.used(&jane, None).await;
    years.later(49);
    assert_eq!(years.look().await, look(0, 0, 0));
    years.later(1);
    assert_eq!(years.look().await, look(1, 0, 0), "the address was kept");
}

#[tokio::test]
async fn nothing_happens_where_it_is_off() {
    let years = years(LifecycleConfig::default()).await;
    let jane = years.account("1").await;
    years.used(&jane, None).await;
    years.later(10_000);
    assert_eq!(years.look().await, look(0, 0, 0));
    assert_eq!(years.state(&jane).await, AccountState::Deployed);
}

#[tokio::test]
async fn the_persons_own_deployment_ends_what_idleness_led_to() {
    for days in [60, 90] {
        let years = years(ALL).await;
        let jane = years.account("1").await;
        years.used(&jane, None).await;
        years.later(60);
        years.look().await;
        years.later(days - 60);
        years.look().await;
        assert_ne!(years.state(&jane).await, AccountState::Deployed);
        let done = years.bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
        assert_eq!(done.state, AccountState::Deployed, "{days}");
        assert_eq!(years.state(&jane).await, AccountState::Deployed, "{days}");
        assert_eq!(years.look().await, look(0, 0, 0), "{days}");
    }
}

#[tokio::test]
async fn r28_a_deployment_ends_no_limit_and_no_suspension_that_an_admin_ordered_on_top() {
    let years = years(ALL).await;
    let (jane, joe) = (years.account("1").await, years.account("2").await);
    for who in [&jane, &joe] {
        years.used(who, None).await;
    }
    years.later(60);
    assert_eq!(years.look().await, look(0, 2, 0));
    let accounts = &years.bench.accounts;
    accounts.limit(jane.identity(), HOST, "r").await.unwrap();
    accounts.suspend(joe.identity(), HOST, "r").await.unwrap();
    for who in [&jane, &joe] {
        accounts.deploy(who, Tier::Full, "r").await.unwrap();
    }
    assert_eq!(years.state(&jane).await, AccountState::Limited);
    assert_eq!(years.state(&joe).await, AccountState::Suspended);
}

#[tokio::test]
async fn without_reactivation_an_admin_lets_in_again_and_the_count_begins_anew() {
    let years = years(LifecycleConfig { reactivate: false, limit_after: None, ..ALL }).await;
    let jane = years.account("1").await;
    years.used(&jane, None).await;
    years.later(90);
    assert_eq!(years.look().await, look(0, 0, 1));
    let done = years.bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert_eq!(done.state, AccountState::Suspended);
    years.bench.accounts.resume(jane.identity(), HOST, "r").await.unwrap();
    years.later(89);
    assert_eq!(years.look().await, look(0, 0, 0));
    years.later(1);
    assert_eq!(years.look().await, look(0, 0, 1));
}

#[tokio::test]
async fn of_two_processes_one_looks() {
    let years = years(ALL).await;
    let jane = years.account("1").await;
    years.used(&jane, None).await;
    years.later(60);
    let now = years.clock.now();
    let lease = crate::store::Lease { kind: "lifecycle", holder: "another" };
    assert!(years.bench.accounts.store().take_lease(lease, now, now.plus(600)).await.unwrap());
    assert_eq!(years.look().await, look(0, 0, 0));
    years.clock.0.fetch_add(600, Ordering::Relaxed);
    assert_eq!(years.look().await, look(0, 1, 0));
}

#[tokio::test]
async fn what_was_noted_about_a_use_goes_with_the_account_and_strangers_leave_nothing() {
    let years = years(ALL).await;
    let jane = years.account("1").await;
    years.used(&jane, Some("jane@example.org")).await;
    years.bench.accounts.undeploy(jane.identity(), HOST, "r").await.unwrap();
    let store = years.bench.accounts.store();
    assert_eq!(store.last_use(jane.identity()).await.unwrap(), None);
    years.used(&person("9", "stranger"), Some("x@example.org")).await;
    assert_eq!(store.last_use(person("9", "stranger").identity()).await.unwrap(), None);
}

#[tokio::test]
async fn a_use_is_written_at_most_once_an_hour() {
    let years = years(ALL).await;
    let jane = years.account("1").await;
    let store = years.bench.accounts.store();
    let at = || async { store.last_use(jane.identity()).await.unwrap().unwrap().used_at.0 };
    let begin = years.clock.now().0;
    for (seconds, noted) in [(0, 0), (3599, 0), (3600, 3600), (3700, 3600)] {
        years.clock.0.store(begin + seconds, Ordering::Relaxed);
        years.used(&jane, None).await;
        assert_eq!(at().await - begin, noted, "{seconds}");
    }
}

#[tokio::test]
async fn r28_an_admins_order_on_top_of_idleness_is_in_the_marks_and_outlasts_the_persons_return() {
    let years = years(ALL).await;
    let (jane, joe) = (years.account("1").await, years.account("2").await);
    for who in [&jane, &joe] {
        years.used(who, None).await;
    }
    years.later(60);
    years.look().await;
    years.later(30);
    assert_eq!(years.look().await, look(0, 0, 2));
    let accounts = &years.bench.accounts;
    accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    accounts.limit(joe.identity(), HOST, "r").await.unwrap();
    let marks = |who: &Verified| {
        let identity = who.identity().clone();
        async move { accounts.store().marks_of(&identity).await.unwrap().unwrap() }
    };
    assert!(marks(&jane).await.suspended.unwrap().by.starts_with("admin"));
    assert!(marks(&joe).await.limited.unwrap().by.starts_with("admin"));
    // Idleness does not take over what an admin ordered.
    accounts.suspend(jane.identity(), Suspender::Idleness, "r").await.unwrap();
    assert!(marks(&jane).await.suspended.unwrap().by.starts_with("admin"));
    for who in [&jane, &joe] {
        accounts.reactivate(who.identity(), "r").await.unwrap();
    }
    assert_eq!(years.state(&jane).await, AccountState::Suspended);
    assert!(marks(&joe).await.limited.is_some());
}

#[tokio::test]
async fn r28_a_limit_that_the_host_has_set_is_not_taken_over_by_idleness_and_outlives_a_return() {
    let years = years(LifecycleConfig { suspend_after: None, ..ALL }).await;
    let jane = years.account("1").await;
    years.used(&jane, None).await;
    // The admin has limited it on the host, which the store does not know.
    let name = UserName::new("user1").unwrap();
    years.bench.backend.limit(jane.identity(), &name).await.unwrap();
    years.later(61);
    assert_eq!(years.look().await, look(0, 0, 0));
    years.bench.accounts.reactivate(jane.identity(), "r").await.unwrap();
    assert_eq!(years.state(&jane).await, AccountState::Limited);
}

#[tokio::test]
async fn r28_the_persons_return_lifts_marks_of_idleness_only_whatever_was_noted_about_uses() {
    let years = years(ALL).await;
    let (jane, joe) = (years.account("1").await, years.account("2").await);
    let (accounts, store) = (&years.bench.accounts, years.bench.accounts.store());
    for who in [&jane, &joe] {
        years.used(who, None).await;
        // As if the admin of another node had been a moment faster than what notes the cause.
        accounts.suspend(who.identity(), Suspender::Idleness, "r").await.unwrap();
        if who.identity() == joe.identity() {
            let file = format!("sqlite:{}/db", years.bench._folder.path().display());
            let mut database = sqlx::AnyConnection::connect(&file).await.unwrap();
            let by = "UPDATE account SET suspended_by = 'admin' WHERE subject = '2'";
            sqlx::query(by).execute(&mut database).await.unwrap();
        }
    }
    for who in [&jane, &joe] {
        accounts.reactivate(who.identity(), "r").await.unwrap();
    }
    assert_eq!(years.state(&jane).await, AccountState::Deployed);
    assert_eq!(years.state(&joe).await, AccountState::Suspended);
    store.resume_idle(joe.identity()).await.unwrap();
    assert_eq!(years.state(&joe).await, AccountState::Suspended);
}

#[tokio::test]
async fn a_return_that_the_back_end_does_not_carry_out_is_carried_out_by_the_next() {
    let years = years(ALL).await;
    let jane = years.account("1").await;
    years.used(&jane, None).await;
    years.later(60);
    years.look().await;
    years.later(30);
    assert_eq!(years.look().await, look(0, 0, 1));
    years.bench.backend.fail_next(BackendError::Busy);
    let accounts = &years.bench.accounts;
    let _ = accounts.reactivate(jane.identity(), "r").await;
    assert_eq!(years.state(&jane).await, AccountState::Suspended);
    accounts.reactivate(jane.identity(), "r").await.unwrap();
    assert_eq!(years.state(&jane).await, AccountState::Deployed);
}

#[tokio::test]
async fn accounts_with_which_nothing_can_be_done_keep_nobody_from_his_turn() {
    let years = years(LifecycleConfig { warn_before: None, suspend_after: None, ..ALL }).await;
    for number in 0..60 {
        let who = years.account(&format!("{number}")).await;
        years.used(&who, None).await;
        // An admin has locked it on the host, which the store does not know.
        let name = UserName::new(format!("user{number}")).unwrap();
        years.bench.backend.suspend(who.identity(), &name).await.unwrap();
    }
    years.later(1);
    let jane = years.account("jane").await;
    years.used(&jane, None).await;
    years.later(60);
    assert_eq!(years.look().await, look(0, 1, 0));
    assert_eq!(years.state(&jane).await, AccountState::Limited);
}

#[tokio::test(flavor = "multi_thread")]
async fn r41_while_the_database_is_away_a_return_lifts_nothing_and_keeps_nobody_out() {
    let Some(mut place) = crate::store::tests::Place::server() else { return };
    let store = place.open_for("one").await;
    let ways = Ways {
        clock: Arc::new(SetClock(AtomicI64::new(1_000_000_000))),
        approval: None,
        lifecycle: Lifecycle { config: ALL, ..Lifecycle::default() },
        groups: rules(friendly()).groups,
    };
    let bench = bench_of(store, tempfile::tempdir().unwrap(), friendly(), ways);
    let jane = person("1", "jane");
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    place.stop();
    bench.accounts.reactivate(jane.identity(), "login").await.unwrap();
}

#[tokio::test]
async fn r28_a_lock_that_an_admin_set_on_the_host_outlasts_the_persons_return() {
    let years = years(LifecycleConfig { limit_after: None, ..ALL }).await;
    let jane = years.account("1").await;
    years.used(&jane, None).await;
    years.later(90);
    assert_eq!(years.look().await, look(0, 0, 1));
    years.bench.backend.lock_by_hand(&UserName::new("user1").unwrap());
    years.bench.accounts.reactivate(jane.identity(), "r").await.unwrap();
    assert_eq!(years.state(&jane).await, AccountState::Suspended);
    // An admin who resumes means that lock, too.
    years.bench.accounts.resume(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!(years.state(&jane).await, AccountState::Deployed);
}
