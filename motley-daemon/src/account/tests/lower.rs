//! Jobs of an account are held while it is limited or has the shell of a lower tier.

use super::*;
use motley_proto::task::AccountPath;

const HOST: Suspender = Suspender::Host { uid: 0 };

/// An account of tier full with three jobs.
async fn with_jobs() -> (Bench, Verified, UserName) {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let name = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap().name;
    bench.backend.give_jobs(&name, 3);
    (bench, jane, name)
}

/// What was asked of the host about jobs since `before`.
fn asked(bench: &Bench, before: usize) -> Vec<String> {
    let calls = bench.backend.calls().split_off(before);
    calls.into_iter().filter(|it| it.starts_with("hold ") || it.starts_with("release ")).collect()
}

#[tokio::test]
async fn r28_a_limit_holds_jobs_and_its_end_puts_them_back() {
    let (bench, jane, name) = with_jobs().await;
    let receipt = bench.accounts.limit(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!((receipt.sessions.jobs_held, receipt.pending), (3, Vec::new()));
    assert!(bench.backend.is_held(&name));
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert!(bench.backend.is_held(&name), "a deployment lifts no limit");
    let receipt = bench.accounts.unlimit(jane.identity(), HOST, "r").await.unwrap();
    assert!(receipt.pending.is_empty() && !bench.backend.is_held(&name), "{receipt:?}");
    assert!(bench.accounts.reconcile().await.unwrap().is_empty());
}

#[tokio::test]
async fn r28_what_suspension_and_limit_hold_is_put_back_with_the_end_of_the_last() {
    for resumed_first in [true, false] {
        let (bench, jane, name) = with_jobs().await;
        bench.accounts.limit(jane.identity(), HOST, "r").await.unwrap();
        bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
        let before = bench.backend.calls().len();
        for resume in [resumed_first, !resumed_first] {
            assert!(bench.backend.is_held(&name), "resumed first: {resumed_first}");
            assert!(!asked(&bench, before).contains(&format!("release {name}")));
            let done = match resume {
                true => bench.accounts.resume(jane.identity(), HOST, "r").await,
                false => bench.accounts.unlimit(jane.identity(), HOST, "r").await,
            };
            assert_eq!(done.unwrap().pending, Vec::<String>::new());
        }
        assert!(!bench.backend.is_held(&name), "resumed first: {resumed_first}");
    }
}

#[tokio::test]
async fn r28_a_fall_to_a_lower_tier_holds_jobs_once_and_a_rise_puts_them_back() {
    for tier in [Tier::Limited, Tier::Restricted] {
        let (bench, jane, name) = with_jobs().await;
        let before = bench.backend.calls().len();
        for _ in 0..3 {
            bench.accounts.deploy(&jane, tier, "r").await.unwrap();
            assert!(bench.backend.is_held(&name), "{tier}");
        }
        for _ in 0..3 {
            bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
            assert!(!bench.backend.is_held(&name), "{tier}");
        }
        assert_eq!(asked(&bench, before), ["hold jdoe", "release jdoe"], "{tier}");
    }
}

#[tokio::test]
async fn r28_jobs_of_a_lower_tier_stay_held_when_suspension_or_limit_end() {
    let (bench, jane, name) = with_jobs().await;
    bench.accounts.deploy(&jane, Tier::Limited, "r").await.unwrap();
    bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    bench.accounts.resume(jane.identity(), HOST, "r").await.unwrap();
    assert!(bench.backend.is_held(&name));
    bench.accounts.limit(jane.identity(), HOST, "r").await.unwrap();
    bench.accounts.unlimit(jane.identity(), HOST, "r").await.unwrap();
    assert!(bench.backend.is_held(&name));
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert!(!bench.backend.is_held(&name));
}

#[tokio::test]
async fn r28_jobs_that_could_not_be_held_or_put_back_are_tried_again() {
    let (bench, jane, name) = with_jobs().await;
    bench.backend.fail_next_of("hold", BackendError::Busy);
    let receipt = bench.accounts.limit(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!(receipt.pending.len(), 1, "{receipt:?}");
    assert_eq!(bench.accounts.reconcile().await.unwrap().len(), 1);
    assert!(bench.backend.is_held(&name));
    bench.backend.fail_next_of("release", BackendError::Busy);
    let receipt = bench.accounts.unlimit(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!(receipt.pending.len(), 1, "{receipt:?}");
    bench.accounts.reconcile().await.unwrap();
    assert!(!bench.backend.is_held(&name));

    bench.backend.fail_next_of("hold", BackendError::Busy);
    bench.accounts.deploy(&jane, Tier::Limited, "r").await.unwrap();
    assert!(!bench.backend.is_held(&name));
    bench.accounts.reconcile().await.unwrap();
    assert!(bench.backend.is_held(&name));
    bench.backend.fail_next_of("release", BackendError::Busy);
    let risen = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert_eq!(risen.state, AccountState::Deployed, "a job keeps nobody out");
    assert!(bench.backend.is_held(&name));
    bench.accounts.reconcile().await.unwrap();
    assert!(!bench.backend.is_held(&name));
    let before = bench.backend.calls().len();
    assert!(bench.accounts.reconcile().await.unwrap().is_empty());
    assert!(asked(&bench, before).is_empty());
}

#[tokio::test]
async fn a_shell_that_an_admin_set_holds_no_jobs_whatever_the_tier() {
    let (bench, jane, name) = with_jobs().await;
    let zsh = AccountPath::new("/bin/zsh").unwrap();
    bench.backend.set_shell(jane.identity(), &name, &zsh).await.unwrap();
    bench.accounts.deploy(&jane, Tier::Limited, "r").await.unwrap();
    assert!(!bench.backend.is_held(&name));
}
