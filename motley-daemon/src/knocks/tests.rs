//! Who is counted, how many, and for how long.

use super::*;
use crate::verified::ClaimSources;
use motley_proto::{Issuer, Subject};
use serde_json::json;
use std::sync::atomic::{AtomicI64, Ordering};

struct SetClock(AtomicI64);
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

struct Bench {
    knocks: Knocks,
    clock: Arc<SetClock>,
    store: Store,
    _folder: tempfile::TempDir,
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite:{}/db", folder.path().display())).await.unwrap();
    let clock = Arc::new(SetClock(AtomicI64::new(1_000_000_000)));
    Bench { knocks: Knocks::new(clock.clone()), clock, store, _folder: folder }
}

fn person(subject: &str, claims: serde_json::Value) -> Verified {
    let issuer = Issuer::new("https://op.example").unwrap();
    let sources = ClaimSources { userinfo: claims.as_object().cloned(), ..Default::default() };
    Verified::attest(Identity::new(issuer, Subject::new(subject).unwrap()), sources, None)
}

impl Bench {
    async fn rows(&self) -> Vec<Knock> {
        self.store.knocks_after(None, 100_000).await.unwrap()
    }
}

#[tokio::test]
async fn attempts_are_counted_for_each_identity_from_the_first_to_the_last() {
    let bench = bench().await;
    let named = policy::NamedAudience::Others;
    let audience = policy::Missing::Audience { accepted: Vec::new(), named };
    let jane = person("jane", json!({"name": "Jane Doe", "email": "jane@example.org"}));
    bench.knocks.note(&jane, &[policy::Missing::Provider]);
    bench.clock.0.fetch_add(60, Ordering::Relaxed);
    bench.knocks.note(&jane, &[policy::Missing::UserListing]);
    bench.knocks.note(&person("john", json!({})), &[policy::Missing::AnyRule]);
    bench.knocks.write(&bench.store).await.unwrap();
    bench.clock.0.fetch_add(60, Ordering::Relaxed);
    bench.knocks.note(&jane, &[policy::Missing::UserListing, audience]);
    bench.knocks.write(&bench.store).await.unwrap();
    let rows = bench.rows().await;
    assert_eq!(rows.len(), 2);
    let row = &rows[0];
    assert_eq!(row.identity, *jane.identity());
    assert_eq!(row.missing, [Missing::Listing, Missing::Audience]);
    assert_eq!((row.first_at, row.last_at, row.count), (1_000_000_000, 1_000_000_120, 3));
    assert_eq!(row.name.as_deref(), Some("Jane Doe"));
    assert_eq!((row.preferred_username.as_deref(), row.mailed), (None, false));
    assert_eq!(rows[1].count, 1);
}

#[tokio::test]
async fn r31_names_from_outside_are_escaped_and_cut_before_they_are_kept() {
    let bench = bench().await;
    let claims = json!({
        "name": "a\r\nBcc: everybody@example.org\u{202e}",
        "email": "x".repeat(64 * 1024),
        "preferred_username": ["no", "text"],
    });
    bench.knocks.note(&person("jane", claims), &[policy::Missing::AnyRule]);
    bench.knocks.write(&bench.store).await.unwrap();
    let row = bench.rows().await.remove(0);
    let name = row.name.unwrap();
    assert_eq!(name, "a\\u{d}\\u{a}Bcc: everybody@example.org\\u{202e}");
    assert_eq!(row.email.unwrap().chars().count(), NAME_CHARS + 1);
    assert_eq!(row.preferred_username, None);
}

#[tokio::test]
async fn r30_a_flood_of_attempts_is_one_row_and_a_flood_of_identities_is_bounded() {
    let bench = bench().await;
    let jane = person("jane", json!({}));
    for _ in 0..50_000 {
        bench.knocks.note(&jane, &[policy::Missing::AnyRule]);
    }
    for number in 0..MOST_AT_ONCE + 500 {
        bench.knocks.note(&person(&number.to_string(), json!({})), &[policy::Missing::AnyRule]);
    }
    bench.knocks.write(&bench.store).await.unwrap();
    let rows = bench.rows().await;
    assert_eq!(rows.len(), MOST_AT_ONCE);
    assert_eq!(rows.iter().map(|row| row.count).max(), Some(50_000));
}

#[tokio::test]
async fn r30_beyond_the_cap_those_go_who_knocked_longest_ago() {
    let bench = bench().await;
    for number in 0..5 {
        bench.clock.0.fetch_add(1, Ordering::Relaxed);
        bench.knocks.note(&person(&number.to_string(), json!({})), &[policy::Missing::AnyRule]);
    }
    let rows: Vec<Knock> = std::mem::take(&mut *bench.knocks.fresh()).into_values().collect();
    bench.store.add_knocks(&rows, 3).await.unwrap();
    let left: Vec<String> =
        bench.rows().await.iter().map(|row| row.identity.subject.to_string()).collect();
    assert_eq!(left, ["2", "3", "4"]);
}

#[tokio::test]
async fn who_has_not_come_for_90_days_is_forgotten() {
    let bench = bench().await;
    bench.knocks.note(&person("jane", json!({})), &[policy::Missing::AnyRule]);
    bench.knocks.write(&bench.store).await.unwrap();
    bench.clock.0.fetch_add(KEPT_SECONDS, Ordering::Relaxed);
    bench.knocks.write(&bench.store).await.unwrap();
    assert_eq!(bench.rows().await.len(), 1);
    bench.clock.0.fetch_add(1, Ordering::Relaxed);
    bench.knocks.write(&bench.store).await.unwrap();
    assert!(bench.rows().await.is_empty());
}

#[tokio::test]
async fn what_the_store_did_not_take_is_kept_for_the_next_time() {
    let bench = bench().await;
    let jane = person("jane", json!({}));
    bench.knocks.note(&jane, &[policy::Missing::AnyRule]);
    let closed = bench.store.clone();
    let Bench { knocks, clock, store: _, _folder } = bench;
    closed.close().await;
    assert!(knocks.write(&closed).await.is_err());
    clock.0.fetch_add(9, Ordering::Relaxed);
    knocks.note(&jane, &[policy::Missing::AnyRule]);
    let again = Store::open(&format!("sqlite:{}/db", _folder.path().display())).await.unwrap();
    knocks.write(&again).await.unwrap();
    let rows = again.knocks_after(None, 9).await.unwrap();
    assert_eq!((rows[0].count, rows[0].last_at - rows[0].first_at), (2, 9));
}
