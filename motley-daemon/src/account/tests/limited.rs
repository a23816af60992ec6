//! A limit holds until an admin lifts it, whatever else happens to the account.

use super::*;
use motley_proto::{admin::Reason, task::AccountPath};

const HOST: Suspender = Suspender::Host { uid: 0 };

async fn account(bench: &Bench, who: &Verified) -> Account {
    bench.backend.find(who.identity()).await.unwrap().unwrap()
}

async fn state(bench: &Bench, who: &Verified) -> AccountState {
    bench.accounts.standing(who.identity()).await.unwrap().state
}

#[tokio::test]
async fn a_limit_outlives_deployments_and_its_end_gives_the_shell_that_is_earned_by_then() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let own = Shells::standard().unwrap();
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    let order = Order { by: HOST, reason: Some(Reason::new("ticket 7").unwrap()) };
    let receipt = bench.accounts.limit(jane.identity(), order, "r").await.unwrap();
    assert_eq!((receipt.state, receipt.pending.len()), (AccountState::Limited, 0));
    assert_eq!(account(&bench, &jane).await.shell, own.limited.as_str());
    let again = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    assert_eq!(again.state, AccountState::Limited);
    assert_eq!(account(&bench, &jane).await.shell, own.limited.as_str());
    assert!(!bench.accounts.standing(jane.identity()).await.unwrap().admits());
    let marks = bench.accounts.store().marks_of(jane.identity()).await.unwrap().unwrap();
    assert_eq!(marks.limited.unwrap().by, "admin on the host, uid 0: ticket 7");
    let receipt = bench.accounts.unlimit(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!(receipt.state, AccountState::Deployed);
    assert_eq!(account(&bench, &jane).await.shell, own.full.as_str());
    assert_eq!(bench.accounts.reconcile().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_shell_that_an_admin_had_set_comes_back() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let deployment = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    let zsh = AccountPath::new("/bin/zsh").unwrap();
    bench.backend.set_shell(jane.identity(), &deployment.name, &zsh).await.unwrap();
    for _ in 0..2 {
        bench.accounts.limit(jane.identity(), HOST, "r").await.unwrap();
    }
    bench.accounts.unlimit(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!(account(&bench, &jane).await.shell, "/bin/zsh");
}

#[tokio::test]
async fn r28_a_limit_that_the_back_end_does_not_take_is_retried() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    bench.backend.fail_next(BackendError::Busy);
    let receipt = bench.accounts.limit(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!((receipt.state, receipt.pending.len()), (AccountState::Limited, 1));
    assert_eq!(state(&bench, &jane).await, AccountState::Limited, "the mark holds already");
    assert_eq!(bench.accounts.reconcile().await.unwrap().len(), 1);
    assert_eq!(account(&bench, &jane).await.state, AccountState::Limited);
    bench.backend.fail_next(BackendError::Busy);
    let receipt = bench.accounts.unlimit(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!((receipt.state, receipt.pending.len()), (AccountState::Limited, 1));
}

#[tokio::test]
async fn suspension_and_limit_hold_and_end_apart_from_one_another() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    bench.accounts.limit(jane.identity(), HOST, "r").await.unwrap();
    bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!(state(&bench, &jane).await, AccountState::Suspended);
    bench.accounts.resume(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!(state(&bench, &jane).await, AccountState::Limited);
    bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
    bench.accounts.unlimit(jane.identity(), HOST, "r").await.unwrap();
    assert_eq!(state(&bench, &jane).await, AccountState::Suspended);
}

#[tokio::test]
async fn r28_a_limit_that_was_not_applied_is_applied_with_the_next_change() {
    for resumed in [false, true] {
        let bench = bench(friendly()).await;
        let jane = person("1", "jdoe");
        bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
        bench.backend.fail_next(BackendError::Busy);
        bench.accounts.limit(jane.identity(), HOST, "r").await.unwrap();
        let receipt = bench.accounts.suspend(jane.identity(), HOST, "r").await.unwrap();
        assert!(receipt.pending.is_empty(), "{receipt:?}");
        if resumed {
            bench.accounts.resume(jane.identity(), HOST, "r").await.unwrap();
        }
        let limited = Shells::standard().unwrap().limited;
        assert_eq!(account(&bench, &jane).await.shell, limited.as_str(), "resumed: {resumed}");
        assert!(bench.accounts.reconcile().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn nobody_without_an_account_is_limited() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    let refused = bench.accounts.limit(jane.identity(), HOST, "r").await;
    assert!(matches!(refused, Err(AccountError::NoAccount)), "{refused:?}");
}
