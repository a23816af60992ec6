//! What holds while the server does not answer, and that nothing has to be restarted afterwards.

use super::*;
use std::time::Instant;

async fn deployed(store: &Store, who: &Identity, as_name: &str, id: u32) {
    store.commit(who, &name(as_name), uid(id), NOW).await.unwrap();
}

/// A server that was stopped, and a store that was opened with this window while it ran. `a` and
/// `suspended` were asked about, `cold` was not.
async fn stopped(window: Duration) -> Option<(Place, Store)> {
    let mut place = Place::server()?;
    let store = place.open_with("one", window).await;
    for (number, who) in (0..).zip(["a", "suspended", "cold"]) {
        deployed(&store, &identity(who), who, 2000 + number).await;
    }
    store.suspend(&identity("suspended"), "admin", NOW).await.unwrap();
    for who in ["a", "suspended"] {
        store.known_recently(&identity(who)).await.unwrap();
    }
    store.check_promises(&identity("a"), &name("a"), None).await.unwrap();
    place.stop();
    // What was just asked may be answered from memory.
    tokio::time::sleep(Duration::from_millis(300)).await;
    Some((place, store))
}

#[tokio::test(flavor = "multi_thread")]
async fn r41_without_an_offline_window_nobody_is_known_while_the_server_is_away() {
    let Some((mut place, store)) = stopped(Duration::ZERO).await else { return };
    let begin = Instant::now();
    for who in ["a", "suspended", "cold"] {
        let known = store.known_recently(&identity(who)).await;
        assert!(matches!(known, Err(StoreError::Unreachable(_))), "{who}: {known:?}");
    }
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
    assert!(!store.is_ready().await);
    place.resume();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!store.known_recently(&identity("a")).await.unwrap().suspended, "it heals by itself");
    assert!(store.known_recently(&identity("suspended")).await.unwrap().suspended);
}

#[tokio::test(flavor = "multi_thread")]
async fn r41_within_the_offline_window_the_last_answer_serves_and_no_longer() {
    let Some((_place, store)) = stopped(Duration::from_secs(6)).await else { return };
    let warm = store.known_recently(&identity("a")).await.unwrap();
    assert!(!warm.suspended);
    assert_eq!(warm.record.as_ref().unwrap().name, Some(name("a")));
    let named = store.account_named(&name("a")).await.unwrap().unwrap();
    assert_eq!(named.identity, identity("a"));
    assert!(store.known_recently(&identity("suspended")).await.unwrap().suspended);
    let cold = store.known_recently(&identity("cold")).await;
    assert!(matches!(cold, Err(StoreError::Unreachable(_))), "{cold:?}");
    assert!(store.account_named(&name("cold")).await.is_err());
    store.check_promises(&identity("a"), &name("a"), None).await.unwrap();
    assert!(store.check_promises(&identity("a"), &name("b"), None).await.is_err());
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(store.known_recently(&identity("a")).await.is_err(), "the window is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn r41_a_suspension_that_was_tried_or_seen_ends_what_would_serve_offline() {
    let Some((place, store)) = stopped(Duration::from_secs(600)).await else { return };
    assert!(!store.known_recently(&identity("a")).await.unwrap().suspended);
    // Nobody knows whether the mark came to the server.
    assert!(store.suspend(&identity("a"), "admin", NOW).await.is_err());
    assert!(store.known_recently(&identity("a")).await.is_err());
    let mut place = place;
    place.resume();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!store.known_recently(&identity("cold")).await.unwrap().suspended);
    let other = place.open_for("two").await;
    other.suspend(&identity("cold"), "admin", NOW).await.unwrap();
    assert_eq!(store.to_carry_out().await.unwrap().len(), 2, "this node sees the mark");
    place.stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let known = store.known_recently(&identity("cold")).await;
    assert!(known.is_err(), "{known:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let Some(mut place) = Place::server() else { return };
    place.stop();
    let url = place.url.clone();
    let opening = tokio::spawn(async move { Store::open(&url).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    place.resume();
    assert!(opening.await.unwrap().unwrap().is_ready().await);
}

#[tokio::test]
async fn a_server_that_refuses_is_not_waited_for() {
    let Some(place) = Place::server() else { return };
    let begin = Instant::now();
    let refused = Store::open(&place.url.replace("motley@", "nobody-here@")).await;
    assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}
