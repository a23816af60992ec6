//! The promises of the store: names, uids, suspensions and one-time passwords, on both databases.

mod groups;
mod killed;
mod nodes;
mod offline;
mod requests;
mod turns;

use super::*;
use crate::{clock::Timestamp, postgres::Postgres};
use motley_proto::{Identity, Issuer, Subject, Uid, UserName};

const NOW: Timestamp = Timestamp(1_800_000_000);

/// A database of one test.
pub(crate) struct Place {
    url: String,
    server: Option<Postgres>,
    _folder: tempfile::TempDir,
}

impl Place {
    fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/db", folder.path().display());
        Self { url, server: None, _folder: folder }
    }

    /// `None`: PostgreSQL is not installed, and the test is skipped.
    pub(crate) fn server() -> Option<Self> {
        match Postgres::start() {
            Ok(server) => {
                let folder = tempfile::tempdir().unwrap();
                Some(Self { url: server.url(), server: Some(server), _folder: folder })
            }
            Err(error) if std::env::var_os("REQUIRE_E2E").is_none() => {
                eprintln!("SKIPPED: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn stop(&mut self) {
        self.server.as_mut().unwrap().stop().unwrap();
    }

    /// Changes rows behind the back of whoever uses the server.
    pub(crate) fn change(&self, statement: &str) {
        self.server.as_ref().unwrap().psql("motley", statement).unwrap();
    }

    /// A node was not seen for an hour.
    pub(crate) fn age(&self, node: &str) {
        self.change(&format!("UPDATE node SET seen_at = seen_at - 3600 WHERE name = '{node}'"));
    }

    fn resume(&mut self) {
        self.server.as_mut().unwrap().resume().unwrap();
    }

    async fn open(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    pub(crate) async fn open_for(&self, node: &str) -> Store {
        self.open_with(node, Duration::ZERO).await
    }

    async fn open_with(&self, node: &str, offline_window: Duration) -> Store {
        let url = StoreUrl::new(&self.url).unwrap();
        let node = NodeName::new(node).unwrap();
        Store::open_for(&StoreSettings { url, node, offline_window }).await.unwrap()
    }
}

/// Runs each test on a file and on a server.
macro_rules! on_both_databases {
    ($(async fn $name:ident($place:ident: &Place) $body:block)*) => {
        $(async fn $name($place: &Place) $body)*

        mod sqlite {
            use super::Place;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    super::$name(&Place::file()).await;
                }
            )*
        }

        mod postgresql {
            use super::Place;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    let Some(place) = Place::server() else { return };
                    super::$name(&place).await;
                }
            )*
        }
    };
}

use on_both_databases;

fn identity(subject: &str) -> Identity {
    Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new(subject).unwrap())
}

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn uid(id: u32) -> Option<Uid> {
    Some(Uid::new(id).unwrap())
}

/// So many of one identity, and room for any number of others.
fn bounds(per_identity: i64) -> Bounds {
    Bounds { per_identity, total: i64::MAX, bytes: i64::MAX }
}

on_both_databases! {
async fn r23_a_name_or_uid_once_promised_never_goes_to_another_identity(place: &Place) {
    let store = place.open().await;
    let Reservation::Held(first) =
        store.reserve(&identity("a"), &name("jdoe"), uid(1001), NOW).await.unwrap()
    else {
        panic!("not held")
    };
    assert_eq!(
        store.reserve(&identity("b"), &name("jdoe"), uid(1002), NOW).await.unwrap(),
        Reservation::NameTaken
    );
    assert_eq!(
        store.reserve(&identity("b"), &name("other"), uid(1001), NOW).await.unwrap(),
        Reservation::UidTaken
    );
    store.release(&first, NOW).await.unwrap();
    assert_eq!(
        store.reserve(&identity("b"), &name("jdoe"), uid(1002), NOW).await.unwrap(),
        Reservation::NameTaken
    );
    assert_eq!(
        store.reserve(&identity("b"), &name("other"), uid(1001), NOW).await.unwrap(),
        Reservation::UidTaken
    );
    assert_eq!(store.next_uid(1000).await.unwrap(), 1002);
    assert!(store.promised_names().await.unwrap().contains("jdoe"));
}

async fn r23_a_name_that_an_account_had_before_it_was_renamed_stays_its_owners(place: &Place) {
    let store = place.open().await;
    store.commit(&identity("a"), &name("old"), uid(1001), NOW).await.unwrap();
    store.commit(&identity("a"), &name("new"), uid(1002), NOW).await.unwrap();
    store.commit(&identity("a"), &name("new"), uid(1002), NOW).await.unwrap();
    for taken in ["old", "new"] {
        let tried = store.reserve(&identity("b"), &name(taken), uid(1003), NOW).await.unwrap();
        assert_eq!(tried, Reservation::NameTaken, "{taken}");
    }
    for taken in [1001, 1002] {
        let tried = store.reserve(&identity("b"), &name("other"), uid(taken), NOW).await.unwrap();
        assert_eq!(tried, Reservation::UidTaken, "{taken}");
    }
}

async fn an_identity_keeps_its_first_reservation(place: &Place) {
    let store = place.open().await;
    store.reserve(&identity("a"), &name("jdoe"), uid(1001), NOW).await.unwrap();
    let Reservation::Held(again) =
        store.reserve(&identity("a"), &name("other"), uid(1002), NOW).await.unwrap()
    else {
        panic!("not held")
    };
    assert_eq!(again.name, Some(name("jdoe")));
}

async fn a_suspension_outlives_a_restart_even_of_somebody_without_an_account(place: &Place) {
    let store = place.open().await;
    store.suspend(&identity("a"), "admin", NOW).await.unwrap();
    store.close().await;
    let store = place.open().await;
    let record = store.account_of(&identity("a")).await.unwrap().unwrap();
    assert!(record.is_suspended() && record.mark_version > 0 && record.phase == Phase::None);
    let Reservation::Held(held) =
        store.reserve(&identity("a"), &name("jdoe"), uid(1001), NOW).await.unwrap()
    else {
        panic!("not held")
    };
    assert!(held.is_suspended(), "a reservation must not lift a suspension");
}

async fn r18_one_password_is_redeemed_once_by_64_racing_tasks_on_two_nodes(place: &Place) {
    let stores = [place.open_for("one").await, place.open_for("two").await];
    let token =
        SealedToken { identity: identity("a"), sealed: vec![1, 2, 3], expires_at: NOW.plus(60) };
    let put = stores[0].put_one_time_password(&[7; 32], &token, bounds(16)).await.unwrap();
    assert_eq!(put, Put::Done);
    let racing = (0..64).map(|i| {
        let store = stores[i % 2].clone();
        tokio::spawn(
            async move { store.take_one_time_password(&[7; 32], NOW).await.unwrap().is_some() },
        )
    });
    let mut winners = 0;
    for task in racing.collect::<Vec<_>>() {
        winners += u32::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
}

async fn r18_a_password_ends_and_its_number_per_identity_is_bounded(place: &Place) {
    let store = place.open().await;
    let token = SealedToken { identity: identity("a"), sealed: vec![1], expires_at: NOW.plus(60) };
    for digest in 0..3u8 {
        assert_eq!(
            store.put_one_time_password(&[digest; 32], &token, bounds(2)).await.unwrap(),
            if digest < 2 { Put::Done } else { Put::TooMany }
        );
    }
    assert_eq!(store.take_one_time_password(&[0; 32], NOW.plus(60)).await.unwrap(), None);
    assert_eq!(store.drop_one_time_passwords(&identity("b")).await.unwrap(), 0);
    assert_eq!(store.drop_one_time_passwords(&identity("a")).await.unwrap(), 1);
}

async fn r18_passwords_and_codes_of_all_people_together_fill_no_disk(place: &Place) {
    let store = place.open().await;
    let few = Bounds { per_identity: 9, total: 2, bytes: 1000 };
    let small = Bounds { per_identity: 9, total: 9, bytes: 250 };
    let token = |who: &str| SealedToken {
        identity: identity(who),
        sealed: vec![1; 100],
        expires_at: NOW.plus(60),
    };
    let code = |who: &str| SealedCode {
        kind: CodeKind::Token,
        identity: identity(who),
        name: name("jdoe"),
        sealed: vec![1; 100],
        expires_at: NOW.plus(60),
    };
    for (n, who) in (0..).zip(["a", "b"]) {
        let put = store.put_one_time_password(&[n; 32], &token(who), few).await.unwrap();
        assert_eq!(put, Put::Done);
        assert_eq!(store.put_code(&[n; 32], &code(who), few, NOW).await.unwrap(), Put::Done);
    }
    for bounds in [few, small] {
        let put = store.put_one_time_password(&[9; 32], &token("c"), bounds).await.unwrap();
        assert_eq!(put, Put::Full);
        let put = store.put_code(&[9; 32], &code("c"), bounds, NOW).await.unwrap();
        assert_eq!(put, Put::Full);
        let renewed = store.put_one_time_password(&[1; 32], &token("b"), bounds).await.unwrap();
        assert_eq!(renewed, Put::Done, "what takes its own place needs no room");
    }
}

async fn r23_who_had_an_account_is_promised_its_name_and_uid_again(place: &Place) {
    let store = place.open().await;
    store.commit(&identity("a"), &name("jdoe"), uid(1001), NOW).await.unwrap();
    let version = store.begin_removal(&identity("a"), "admin", NOW).await.unwrap();
    assert_eq!(store.unfinished().await.unwrap().len(), 1);
    assert_eq!(store.end_removal(&identity("a"), NOW).await.unwrap(), Ended::NotYet);
    let done = CarriedOut { version, ..CarriedOut::default() };
    store.note_carried_out(&identity("a"), &done).await.unwrap();
    assert_eq!(store.end_removal(&identity("a"), NOW).await.unwrap(), Ended::Everywhere);
    assert!(store.unfinished().await.unwrap().is_empty());
    for (taken, tried) in [("jdoe", 1002), ("other", 1001)] {
        let tried = store.reserve(&identity("b"), &name(taken), uid(tried), NOW).await.unwrap();
        assert!(!matches!(tried, Reservation::Held(_)), "{taken}");
    }
    let again = store.reserve(&identity("a"), &name("third"), uid(1003), NOW).await.unwrap();
    let Reservation::Held(held) = again else { panic!("not held") };
    assert_eq!((held.name, held.uid, held.phase), (Some(name("jdoe")), uid(1001), Phase::Reserved));
}

async fn rows_come_in_pages_whose_ends_meet(place: &Place) {
    let store = place.open().await;
    for number in 0..25u32 {
        store
            .commit(
                &identity(&format!("s{number:02}")),
                &name(&format!("n{number}")),
                uid(1001 + number),
                NOW,
            )
            .await
            .unwrap();
    }
    let other =
        Identity::new(Issuer::new("https://other.example/").unwrap(), Subject::new("s").unwrap());
    store.suspend(&other, "admin", NOW).await.unwrap();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.page(after.as_ref(), None, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.identity.clone());
        seen.extend(page.into_iter().map(|record| record.identity));
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (26, &sorted));
    let one_slash_less = Issuer::new("https://other.example").unwrap();
    let page = store.page(None, Some(&one_slash_less), 10).await.unwrap();
    assert_eq!(page.len(), 1);
}

}

#[tokio::test]
async fn tables_of_the_first_release_are_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/db", folder.path().display());
    let pool = sqlx::SqlitePool::connect(&format!("{url}?mode=rwc")).await.unwrap();
    let all = engine::migrator(Engine::Sqlite);
    let first = sqlx::migrate::Migrator::with_migrations(all.iter().take(1).cloned().collect());
    first.run(&pool).await.unwrap();
    sqlx::query("INSERT INTO account (issuer, subject, name, uid, phase, unsettled, created_at) VALUES ('https://op.example', 'a', 'jdoe', 1001, 'deployed', 1, 1)")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let record =
        Store::open(&url).await.unwrap().account_of(&identity("a")).await.unwrap().unwrap();
    assert!(!record.is_limited() && !record.is_leaving() && record.phase == Phase::Deployed);
    assert_eq!(record.mark_version, 1, "what was not settled is carried out again");
}
