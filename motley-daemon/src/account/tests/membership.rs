//! Groups that are gone are left at the login.

use super::*;
use crate::{clock::SystemClock, config::LifecycleConfig};

pub(super) async fn checking() -> Bench {
    let config = LifecycleConfig { check_groups: true, ..LifecycleConfig::default() };
    let lifecycle = Lifecycle { config, ..Lifecycle::default() };
    bench_living(friendly(), Arc::new(SystemClock), None, lifecycle).await
}

fn member(claims: serde_json::Value) -> Verified {
    let jane = person("1", "jdoe");
    let mut all = jane.sources().userinfo.clone().unwrap();
    all.extend(claims.as_object().cloned().unwrap());
    let sources = ClaimSources { userinfo: Some(all), ..ClaimSources::default() };
    Verified::attest(jane.identity().clone(), sources, None)
}

async fn deployed() -> Bench {
    let bench = checking().await;
    let jane = member(json!({"groups": ["a", "b", "c"]}));
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    bench
}

async fn left(bench: &Bench, who: &Verified) -> Vec<String> {
    let left = bench.accounts.leave_lost_groups(who, "r").await.unwrap();
    left.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_login_leaves_groups_that_are_gone_and_joins_none() {
    let bench = deployed().await;
    let jane = member(json!({"groups": ["a", "c", "new"]}));
    assert_eq!(left(&bench, &jane).await, ["b"]);
    assert!(left(&bench, &jane).await.is_empty());
    let account = bench.backend.find(jane.identity()).await.unwrap().unwrap();
    assert_eq!(account.groups, ["c"], "a is the primary group");
    assert_eq!(left(&bench, &member(json!({"groups": []}))).await, ["c"]);
}

#[tokio::test]
async fn a_source_that_could_not_be_asked_and_a_token_without_the_claim_take_nobody_out() {
    let bench = deployed().await;
    let outage = member(json!({"groups": ["a"]})).with_gap();
    assert!(left(&bench, &outage).await.is_empty());
    assert!(left(&bench, &member(json!({}))).await.is_empty());
    assert!(left(&bench, &member(json!({"groups": null}))).await.is_empty());
}

#[tokio::test]
async fn nothing_is_left_where_that_is_off() {
    let bench = bench(friendly()).await;
    bench.accounts.deploy(&member(json!({"groups": ["a", "b"]})), Tier::Full, "r").await.unwrap();
    assert!(left(&bench, &member(json!({"groups": ["a"]}))).await.is_empty());
}

#[tokio::test]
async fn a_deployment_with_a_source_that_could_not_be_asked_takes_nobody_out() {
    let bench = deployed().await;
    let outage = member(json!({"groups": ["a", "new"]})).with_gap();
    let done = bench.accounts.deploy(&outage, Tier::Full, "r").await.unwrap();
    assert_eq!(done.message, "User already existed and was added to groups new.");
    let account = bench.backend.find(outage.identity()).await.unwrap().unwrap();
    assert_eq!(account.groups, ["b", "c", "new"]);
    let whole = member(json!({"groups": ["a"]}));
    bench.accounts.deploy(&whole, Tier::Full, "r").await.unwrap();
    let account = bench.backend.find(whole.identity()).await.unwrap().unwrap();
    assert!(account.groups.is_empty(), "{:?}", account.groups);
}
