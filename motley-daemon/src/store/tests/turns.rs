//! Who writes takes turns, and nobody keeps a turn that nobody waits for any more.

use super::*;
use sqlx::{AnyConnection, Connection, Executor};
use std::{future::Future, time::Instant};

/// Somebody else who has the turn, until asked to give it back.
async fn rival(place: &Place) -> AnyConnection {
    let mut rival = AnyConnection::connect(&place.url).await.unwrap();
    rival.execute("SELECT pg_advisory_lock(7163551022)").await.unwrap();
    rival
}

async fn give_back(rival: &mut AnyConnection) {
    rival.execute("SELECT pg_advisory_unlock(7163551022)").await.unwrap();
}

async fn holders(connection: &mut AnyConnection) -> i64 {
    let query = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'";
    sqlx::query_scalar(query).fetch_one(connection).await.unwrap()
}

/// Lets a question be asked, and goes away before the answer.
async fn ask_and_go<T>(question: impl Future<Output = T>) {
    assert!(tokio::time::timeout(Duration::from_millis(300), question).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_caller_went_away_keeps_no_lock() {
    let Some(place) = Place::server() else { return };
    let store = place.open().await;
    let mut rival = rival(&place).await;
    let who = identity("a");
    for _ in 0..6 {
        ask_and_go(store.suspend(&who, "admin", NOW)).await;
    }
    assert!(store.account_of(&who).await.unwrap().is_none(), "readers are served meanwhile");
    give_back(&mut rival).await;
    // What the server was asked before comes to its end.
    let deadline = Instant::now() + Duration::from_secs(4);
    while holders(&mut rival).await > 0 {
        assert!(Instant::now() < deadline, "a lock that nobody uses");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.suspend(&who, "admin", NOW).await.unwrap();
    assert_eq!(holders(&mut rival).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_vain_for_other_writers_is_told_so_and_readers_go_on() {
    let Some(place) = Place::server() else { return };
    let store = place.open().await;
    let mut rival = rival(&place).await;
    let writing: Vec<_> = (0..12)
        .map(|number| {
            let store = store.clone();
            let who = identity(&format!("s{number}"));
            tokio::spawn(async move { store.suspend(&who, "admin", NOW).await })
        })
        .collect();
    let begin = Instant::now();
    while !writing.iter().all(tokio::task::JoinHandle::is_finished) {
        assert!(store.account_of(&identity("a")).await.is_ok(), "readers see no outage");
        assert!(begin.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for write in writing {
        let done = write.await.unwrap();
        assert!(matches!(done, Err(StoreError::Busy)), "{done:?}");
    }
    give_back(&mut rival).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(store.suspend(&identity("a"), "admin", NOW).await.is_ok());
}

#[tokio::test]
async fn what_a_server_gives_up_by_itself_counts_as_an_outage() {
    let Some(place) = Place::server() else { return };
    let mut connection = AnyConnection::connect(&open_first(&place).await).await.unwrap();
    for (session, statement) in [
        ("SET statement_timeout = '50ms'", "SELECT pg_sleep(5)"),
        ("SET default_transaction_read_only = on", "UPDATE mark_counter SET value = value"),
    ] {
        connection.execute(session).await.unwrap();
        let error = StoreError::from(connection.execute(statement).await.unwrap_err());
        assert!(matches!(error, StoreError::Unreachable(_)), "{statement}: {error}");
    }
}

/// The tables are there once a store was opened.
async fn open_first(place: &Place) -> String {
    place.open().await.close().await;
    place.url.clone()
}
