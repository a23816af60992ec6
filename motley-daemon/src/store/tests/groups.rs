//! Which text a local group is made from, on both databases.

use super::{NOW, Place, identity, on_both_databases};
use crate::store::GroupText;
use motley_proto::GroupName;
use std::{collections::BTreeMap, time::Duration};

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<GroupName, String> {
    pairs.iter().map(|(name, text)| (group(name), (*text).to_owned())).collect()
}

on_both_databases! {
async fn the_first_text_of_a_group_stays_until_it_is_released(place: &Place) {
    let (store, issuer) = (place.open().await, identity("1").issuer);
    let (a, b) = (group("a-b"), group("lab"));
    store.note_group_texts(&texts(&[("a-b", "a.b")]), &issuer, NOW).await.unwrap();
    let later = NOW.plus(60);
    store.note_group_texts(&texts(&[("a-b", "a-b"), ("lab", "lab")]), &issuer, later).await.unwrap();
    let kept = store.group_texts(&[&a, &b, &group("other")]).await.unwrap();
    assert_eq!(kept, texts(&[("a-b", "a.b"), ("lab", "lab")]));
    let first = GroupText { name: a.clone(), text: "a.b".to_owned(), issuer, noted_at: NOW };
    assert_eq!(store.group_text(&a).await.unwrap(), Some(first.clone()));
    assert_eq!(store.group_texts_after(None, 1).await.unwrap(), [first]);
    let second = store.group_texts_after(Some(&a), 9).await.unwrap();
    assert_eq!(second.iter().map(|it| &it.name).collect::<Vec<_>>(), [&b]);
    assert!(store.release_group(&a).await.unwrap());
    assert!(!store.release_group(&a).await.unwrap());
    assert_eq!(store.group_texts(&[&a]).await.unwrap(), BTreeMap::new());
    assert_eq!(store.group_texts(&[]).await.unwrap(), BTreeMap::new());
    store.close().await;
    // What is kept outlives the process.
    assert_eq!(place.open().await.group_texts(&[&b]).await.unwrap(), texts(&[("lab", "lab")]));
}

async fn of_many_who_name_a_group_at_once_one_wins(place: &Place) {
    let (store, issuer) = (place.open_with("a", Duration::ZERO).await, identity("1").issuer);
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (store, issuer) = (store.clone(), issuer.clone());
            tokio::spawn(async move {
                let own = texts(&[("lab", &format!("lab{n}"))]);
                store.note_group_texts(&own, &issuer, NOW).await.unwrap();
                store.group_texts(&[&group("lab")]).await.unwrap()
            })
        })
        .collect();
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.unwrap());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
}
}
