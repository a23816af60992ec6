//! Two groups of a provider that become one local name are not one group.

use super::{membership::checking, *};
use motley_proto::GroupName;

/// Somebody with these groups.
fn member(subject: &str, groups: &[&str]) -> Verified {
    let person = person(subject, &format!("user{subject}"));
    let mut all = person.sources().userinfo.clone().unwrap();
    all.insert("groups".to_owned(), json!(groups));
    let sources = ClaimSources { userinfo: Some(all), ..ClaimSources::default() };
    Verified::attest(person.identity().clone(), sources, None)
}

/// All groups of somebody's account, the primary one first.
async fn groups_of(bench: &Bench, who: &Verified) -> Vec<String> {
    let account = bench.backend.find(who.identity()).await.unwrap().unwrap();
    let primary = bench.backend.primary_group(&account.name).await.unwrap();
    primary.map(|group| group.to_string()).into_iter().chain(account.groups).collect()
}

async fn deploy(bench: &Bench, who: &Verified) -> Vec<String> {
    bench.accounts.deploy(who, Tier::Full, "r").await.unwrap();
    groups_of(bench, who).await
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

#[tokio::test]
async fn r22_another_group_of_the_same_local_name_does_not_let_in_among_its_people() {
    let bench = bench(friendly()).await;
    let (ours, other) = (member("1", &["a.b"]), member("2", &["A-B", "lab"]));
    assert_eq!(deploy(&bench, &ours).await, ["a-b"]);
    assert_eq!(deploy(&bench, &other).await, ["lab"], "it exists, and is other people's");
    assert_eq!(deploy(&bench, &member("3", &["A.b"])).await, ["a-b"], "the case does not count");
    let alone = member("4", &["a-b"]);
    assert_eq!(deploy(&bench, &alone).await, ["nogroup"]);
    // The account that is there already is held to the same.
    assert_eq!(deploy(&bench, &member("2", &["a-b", "lab"])).await, ["lab"]);
    let preview = bench.accounts.preview(&other).await.unwrap().groups.unwrap().unwrap();
    assert_eq!(preview.supplementary, [group("lab")]);
    assert!(preview.dropped[0].reason.to_string().contains("`a.b`"), "{:?}", preview.dropped);
}

#[tokio::test]
async fn a_group_that_was_renamed_at_the_provider_is_the_new_ones_after_its_release() {
    let bench = bench(friendly()).await;
    assert_eq!(deploy(&bench, &member("1", &["a.b"])).await, ["a-b"]);
    assert_eq!(deploy(&bench, &member("2", &["a-b"])).await, ["nogroup"]);
    assert!(bench.accounts.store().release_group(&group("a-b")).await.unwrap());
    assert_eq!(deploy(&bench, &member("2", &["a-b"])).await, ["a-b"]);
    let kept = bench.accounts.store().group_text(&group("a-b")).await.unwrap().unwrap();
    assert_eq!(kept.text, "a-b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r22_of_two_groups_that_are_made_at_once_one_gets_the_name() {
    for _ in 0..10 {
        let bench = bench(friendly()).await;
        let tasks: Vec<_> = [member("1", &["a.b"]), member("2", &["a-b"])]
            .into_iter()
            .map(|who| {
                let accounts = bench.accounts.clone();
                tokio::spawn(async move {
                    accounts.deploy(&who, Tier::Full, "r").await.unwrap();
                    who
                })
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(groups_of(&bench, &task.await.unwrap()).await);
        }
        all.sort();
        assert_eq!(all, ["a-b", "nogroup"]);
    }
}

#[tokio::test]
async fn r22_a_login_leaves_a_group_that_is_made_from_another_text() {
    let bench = checking().await;
    let who = member("1", &["lab", "z.z"]);
    assert_eq!(deploy(&bench, &who).await, ["lab", "z-z"]);
    // As after an upgrade: members of both texts are in, and no text is on record.
    bench.accounts.store().release_group(&group("z-z")).await.unwrap();
    let both = member("2", &["lab", "z-z"]);
    assert_eq!(deploy(&bench, &both).await, ["lab", "z-z"]);
    bench.accounts.store().release_group(&group("z-z")).await.unwrap();
    // The first one who logs in with whole claims decides whose it is.
    assert_eq!(bench.accounts.leave_lost_groups(&who, "r").await.unwrap(), []);
    assert_eq!(bench.accounts.leave_lost_groups(&both, "r").await.unwrap(), [group("z-z")]);
    assert_eq!(groups_of(&bench, &both).await, ["lab"]);
    assert_eq!(groups_of(&bench, &who).await, ["lab", "z-z"]);
}

#[tokio::test]
async fn groups_that_the_site_names_are_everybodys_and_never_kept() {
    let bench = bench(friendly()).await;
    for (subject, text) in [("1", "no.group"), ("2", "nogroup"), ("3", "NOGROUP")] {
        bench.accounts.deploy(&member(subject, &[text]), Tier::Full, "r").await.unwrap();
    }
    let kept = bench.accounts.store().group_texts_after(None, 9).await.unwrap();
    let kept: Vec<_> = kept.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(kept, ["no-group"]);
}
