//! A back end that can't do it: the mark holds, the receipt tells the truth, and nobody retries for ever.

use super::*;
use motley_proto::Identity;

fn unable() -> BackendError {
    BackendError::Unsupported("nothing is written here".to_owned())
}

fn admin() -> Suspender {
    Suspender::Host { uid: 0 }
}

async fn unfinished(bench: &Bench, identity: &Identity) -> bool {
    let rows = bench.accounts.store().unfinished().await.unwrap();
    rows.iter().any(|row| row.identity == *identity)
}

#[tokio::test]
async fn r28_a_suspension_that_the_back_end_can_not_show_settles_and_keeps_the_person_out() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    bench.backend.fail_next(unable());
    let receipt = bench.accounts.suspend(jane.identity(), admin(), "r").await.unwrap();
    assert_eq!(receipt.pending, Vec::<String>::new());
    assert!(receipt.not_done[0].contains("nothing is written here"), "{receipt:?}");
    assert_eq!(receipt.not_done.len(), 1);
    assert!(!unfinished(&bench, jane.identity()).await);
    let state = bench.accounts.standing(jane.identity()).await.unwrap().state;
    assert_eq!(state, AccountState::Suspended);
    bench.backend.fail_next(unable());
    let receipt = bench.accounts.resume(jane.identity(), admin(), "r").await.unwrap();
    assert_eq!((receipt.state, receipt.not_done.len()), (AccountState::Deployed, 1));
}

#[tokio::test]
async fn a_limit_that_the_back_end_can_not_show_is_a_mark_that_settles() {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    bench.backend.fail_next(unable());
    let receipt = bench.accounts.limit(jane.identity(), admin(), "r").await.unwrap();
    assert_eq!((receipt.state, receipt.pending.len()), (AccountState::Limited, 0));
    assert!(receipt.not_done[0].starts_with("set the shell: "), "{receipt:?}");
    assert!(!unfinished(&bench, jane.identity()).await);
}

#[tokio::test]
async fn who_gets_no_name_is_told_for_ever_the_same_and_what_helps() {
    let bench = bench(friendly()).await;
    bench.backend.occupy("jdoe");
    let with = |claims: serde_json::Value| {
        let sources = ClaimSources { userinfo: claims.as_object().cloned(), ..Default::default() };
        Verified::attest(person("1", "jdoe").identity().clone(), sources, None)
    };
    let taken = with(json!({"sub": "1", "preferred_username": "jdoe"}));
    let nothing = with(json!({"sub": "1"}));
    for who in [&taken, &taken, &nothing] {
        let refused = bench.accounts.deploy(who, Tier::Full, "r").await.unwrap_err().to_string();
        assert!(refused.starts_with("I cannot create usernames."), "{refused}");
        for cure in ["Trying again does not help", "pooled", "preferred_username"] {
            assert!(refused.contains(cure), "{cure}: {refused}");
        }
    }
    assert_eq!(bench.accounts.store().accounts().await.unwrap(), [], "nothing is promised");
    let counted = super::bench(pooled()).await;
    assert!(counted.accounts.deploy(&nothing, Tier::Full, "r").await.is_ok(), "the cure works");
}
