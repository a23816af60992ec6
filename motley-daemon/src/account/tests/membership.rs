//! Groups that are gone are left at the login.

use super::*;
use crate::{clock::SystemClock, config::LifecycleConfig};
use motley_proto::GroupName;

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
    assert_eq!(left(&bench, &member(json!({"groups": []}))).await, ["c", "a"]);
    assert_eq!(primary(&bench).await, "nogroup");
    assert!(left(&bench, &member(json!({"groups": []}))).await.is_empty());
}

async fn primary(bench: &Bench) -> String {
    let jdoe = UserName::new("jdoe").unwrap();
    bench.backend.primary_group(&jdoe).await.unwrap().unwrap().to_string()
}

fn trail(bench: &Bench) -> String {
    std::fs::read_to_string(bench.audit_file()).unwrap()
}

#[tokio::test]
async fn r34_a_primary_group_that_is_gone_is_left_at_the_login_for_one_that_the_account_has() {
    let bench = deployed().await;
    // `aa` would be the primary group of a new account, and is joined by the next deployment only.
    assert_eq!(left(&bench, &member(json!({"groups": ["aa", "b", "c"]}))).await, ["a"]);
    assert_eq!(primary(&bench).await, "nogroup");
    assert!(trail(&bench).contains(r#""groups":"a""#), "{}", trail(&bench));
    assert!(left(&bench, &member(json!({"groups": ["aa", "b", "c"]}))).await.is_empty(), "once");
    let all = member(json!({"groups": ["aa", "b", "c"]}));
    let done = bench.accounts.deploy(&all, Tier::Full, "r").await.unwrap();
    let moved =
        "User already existed and was added to groups aa and was removed from groups nogroup.";
    assert_eq!((done.message.as_str(), primary(&bench).await.as_str()), (moved, "aa"));
    assert_eq!(left(&bench, &member(json!({"groups": ["b", "c"]}))).await, ["aa"]);
    assert_eq!(primary(&bench).await, "b");
    let account = bench.backend.find(all.identity()).await.unwrap().unwrap();
    assert_eq!(account.groups, ["c"], "b is the primary group alone");
}

#[tokio::test]
async fn r34_a_deployment_replaces_a_primary_group_that_is_gone_and_says_so() {
    let bench = deployed().await;
    let jane = member(json!({"groups": ["b", "new"]}));
    let done = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    let told = "User already existed and was added to groups new and was removed from groups a,c.";
    assert_eq!((done.message.as_str(), primary(&bench).await.as_str()), (told, "b"));
    // Claims with a gap may lack what is claimed all the same.
    let outage = member(json!({"groups": ["new"]})).with_gap();
    let done = bench.accounts.deploy(&outage, Tier::Full, "r").await.unwrap();
    assert_eq!(
        (done.message.as_str(), primary(&bench).await.as_str()),
        ("User already existed.", "b")
    );
}

#[tokio::test]
async fn a_primary_group_that_the_host_does_not_allow_gives_way_to_the_fallback_group() {
    let bench = deployed().await;
    let group = GroupName::new("b").unwrap();
    let refused = BackendError::GroupRefused { group, why: "local".to_owned() };
    bench.backend.fail_next_of("set_primary_group", refused);
    assert_eq!(left(&bench, &member(json!({"groups": ["b", "c"]}))).await, ["a"]);
    assert_eq!(primary(&bench).await, "nogroup");
    // What can't be done at all is no group that was left.
    let bench = deployed().await;
    bench.backend.fail_next_of("set_primary_group", BackendError::Busy);
    let fewer = member(json!({"groups": ["c"]}));
    assert_eq!(left(&bench, &fewer).await, ["b"]);
    assert_eq!(primary(&bench).await, "a");
    assert_eq!(left(&bench, &fewer).await, ["a"], "tried again");
}

/// Rules by which nobody gets an account who brings no group.
fn no_fallback() -> GroupRules {
    GroupRules { fallback_group: None, ..rules(friendly()).groups }
}

#[tokio::test]
async fn r34_whoever_loses_all_groups_leaves_all_where_no_group_stands_in_for_them() {
    let all = member(json!({"groups": ["a", "b", "c"]}));
    let none = member(json!({"groups": []}));
    let bench = bench_grouping(no_fallback()).await;
    let refused = bench.accounts.deploy(&none, Tier::Full, "r").await.unwrap_err();
    assert!(refused.to_string().contains("no usable group"), "{refused}");
    assert_eq!(bench.backend.find(none.identity()).await.unwrap(), None);
    bench.accounts.deploy(&all, Tier::Full, "r").await.unwrap();
    let done = bench.accounts.deploy(&none, Tier::Full, "r").await.unwrap();
    let told =
        "User already existed and was added to groups nogroup and was removed from groups a,b,c.";
    assert_eq!((done.message.as_str(), primary(&bench).await.as_str()), (told, "nogroup"));
    assert!(bench.backend.find(all.identity()).await.unwrap().unwrap().groups.is_empty());

    let bench = bench_grouping(no_fallback()).await;
    bench.accounts.deploy(&all, Tier::Full, "r").await.unwrap();
    assert_eq!(left(&bench, &none).await, ["b", "c", "a"]);
    assert_eq!(primary(&bench).await, "nogroup");
    assert!(left(&bench, &none).await.is_empty());
    // A source that gave no answer takes nobody out here either.
    let bench = bench_grouping(no_fallback()).await;
    bench.accounts.deploy(&all, Tier::Full, "r").await.unwrap();
    bench.accounts.deploy(&none.with_gap(), Tier::Full, "r").await.unwrap();
    assert_eq!(primary(&bench).await, "a");
}

#[tokio::test]
async fn a_pattern_that_needs_too_many_steps_takes_nobody_out_of_a_group() {
    let pattern = feudal_plugins::pattern::Pattern::new(r"^[ab]$|(?:(a+)(?=a*)\1*)+c").unwrap();
    let policy = Policy::Listed { entitlements: Vec::new(), groups: vec![pattern] };
    let bench = bench_grouping(GroupRules { policy, ..no_fallback() }).await;
    let all = member(json!({"groups": ["a", "b"]}));
    bench.accounts.deploy(&all, Tier::Full, "r").await.unwrap();
    let long = member(json!({"groups": ["a".repeat(200)]}));
    assert!(left(&bench, &long).await.is_empty());
    let refused = bench.accounts.deploy(&long, Tier::Full, "r").await.unwrap_err();
    assert!(refused.to_string().contains("too many steps"), "{refused}");
    let account = bench.backend.find(all.identity()).await.unwrap().unwrap();
    assert_eq!((account.groups, primary(&bench).await), (vec!["b".to_owned()], "a".to_owned()));
}
