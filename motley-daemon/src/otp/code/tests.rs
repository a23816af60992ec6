//! What a code is good for, how often, and for whom.

use super::*;
use crate::{
    chance::{Chance, NoChance},
    clock::Clock,
    otp::password_of,
    store::Store,
    verified::ClaimSources,
};
use motley_proto::{Issuer, Subject};
use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU8, Ordering},
};

struct SetClock(AtomicI64);
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// Draws 1, 1, 1 …, then 2, 2, 2 …
struct Counting(AtomicU8);
impl Chance for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoChance> {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(())
    }
}

struct Broken;
impl Chance for Broken {
    fn fill(&self, _bytes: &mut [u8]) -> Result<(), NoChance> {
        Err(NoChance)
    }
}

fn identity(subject: &str) -> Identity {
    Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new(subject).unwrap())
}

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn token() -> Secret {
    Secret::new("eyJcanary.canary.canary".to_owned())
}

fn verified(expires: Option<i64>) -> Verified {
    Verified::attest(identity("a"), ClaimSources::default(), expires.map(Timestamp))
}

struct Bench {
    codes: OneTimePasswords,
    clock: Arc<SetClock>,
    folder: tempfile::TempDir,
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock(AtomicI64::new(1000)));
    let codes = OneTimePasswords::new(open(&folder).await, clock.clone(), 600);
    Bench { codes, clock, folder }
}

async fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(&format!("sqlite:{}/db", folder.path().display())).await.unwrap()
}

async fn for_holder(codes: &OneTimePasswords, expires: Option<i64>) -> Result<NewCode, OtpError> {
    let (token, verified) = (token(), verified(expires));
    codes.issue_code(CodeFor::Holder { token: &token, verified: &verified }, &name("jdoe")).await
}

async fn vouched(codes: &OneTimePasswords) -> Result<NewCode, OtpError> {
    let identity = identity("a");
    codes.issue_code(CodeFor::Vouched { identity: &identity, by: 1000 }, &name("jdoe")).await
}

#[tokio::test]
async fn r18_a_code_opens_its_token_once_and_names_its_identity_and_account() {
    let bench = bench().await;
    let new = for_holder(&bench.codes, None).await.unwrap();
    let redeemed = bench.codes.redeem_code(&new.code).await.unwrap().unwrap();
    assert_eq!((redeemed.identity, redeemed.name), (identity("a"), name("jdoe")));
    assert!(matches!(redeemed.behind, Behind::Token(it) if it == token()));
    assert!(bench.codes.redeem_code(&new.code).await.unwrap().is_none());
}

#[tokio::test]
async fn r18_a_vouched_code_holds_no_token_and_says_who_vouched() {
    let bench = bench().await;
    let new = vouched(&bench.codes).await.unwrap();
    let redeemed = bench.codes.redeem_code(&new.code).await.unwrap().unwrap();
    assert!(matches!(redeemed.behind, Behind::Vouched { by: 1000 }));
    assert!(bench.codes.redeem_code(&new.code).await.unwrap().is_none());
}

#[tokio::test]
async fn r18_a_code_ends_with_its_token_or_after_its_lifetime() {
    let bench = bench().await;
    let short = for_holder(&bench.codes, Some(1100)).await.unwrap();
    assert_eq!((short.expires_at, short.lifetime), (Timestamp(1100), 100));
    let long = for_holder(&bench.codes, Some(9999)).await.unwrap();
    assert_eq!((long.expires_at, long.lifetime), (Timestamp(1600), 600));
    bench.clock.0.store(1100, Ordering::Relaxed);
    assert!(bench.codes.redeem_code(&short.code).await.unwrap().is_none());
    bench.clock.0.store(1600, Ordering::Relaxed);
    assert!(bench.codes.redeem_code(&long.code).await.unwrap().is_none());
    assert!(matches!(for_holder(&bench.codes, Some(1600)).await, Err(OtpError::Expired)));
}

#[tokio::test]
async fn r18_a_process_that_dies_between_taking_and_using_a_code_leaves_none_behind() {
    let bench = bench().await;
    let new = for_holder(&bench.codes, None).await.unwrap();
    let taken = bench.codes.redeem_code(&new.code).await.unwrap();
    // The process ends here: nothing that it meant to do with it happens.
    drop(taken);
    let Bench { codes, clock, folder } = bench;
    drop(codes);
    let reborn = OneTimePasswords::new(open(&folder).await, clock, 600);
    assert!(reborn.redeem_code(&new.code).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_one_code_is_redeemed_once_by_64_racing_tasks_of_two_processes() {
    let bench = bench().await;
    let second = OneTimePasswords::new(open(&bench.folder).await, bench.clock.clone(), 600);
    let new = for_holder(&bench.codes, None).await.unwrap();
    let both = [Arc::new(bench.codes), Arc::new(second)];
    let racing = (0..64).map(|i| {
        let (codes, code) = (both[i % 2].clone(), new.code.clone());
        tokio::spawn(async move { codes.redeem_code(&code).await.unwrap().is_some() })
    });
    let mut winners = 0;
    for task in racing.collect::<Vec<_>>() {
        winners += u32::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn r06_the_database_holds_neither_token_nor_code() {
    let bench = bench().await;
    let new = for_holder(&bench.codes, None).await.unwrap();
    let other = vouched(&bench.codes).await.unwrap();
    let needles = [
        "canary".to_owned(),
        new.code.canonical().expose().to_owned(),
        new.code.shown().expose().to_owned(),
        other.code.canonical().expose().to_owned(),
        other.code.shown().expose().to_owned(),
    ];
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for needle in &needles {
            assert!(!bytes.windows(needle.len()).any(|w| w == needle.as_bytes()), "{needle}");
        }
    }
}

#[tokio::test]
async fn r18_who_can_write_the_database_can_not_turn_a_code_into_one_for_somebody_else() {
    for change in [
        "name = 'root2'",
        "subject = 'b'",
        "issuer = 'https://other.example'",
        "kind = 'vouched', vouched_by = 0",
        "expires_at = expires_at + 1",
    ] {
        let bench = bench().await;
        let new = for_holder(&bench.codes, None).await.unwrap();
        let path = format!("sqlite:{}/db", bench.folder.path().display());
        let pool = sqlx::SqlitePool::connect(&path).await.unwrap();
        let statement = format!("UPDATE login_code SET {change}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
        assert!(
            matches!(bench.codes.redeem_code(&new.code).await, Err(OtpError::Seal)),
            "{change}"
        );
    }
}

#[tokio::test]
async fn r30_codes_are_bounded_for_each_identity_and_swept_when_past_their_time() {
    let bench = bench().await;
    for _ in 0..LIMIT_PER_IDENTITY {
        for_holder(&bench.codes, None).await.unwrap();
    }
    assert!(matches!(for_holder(&bench.codes, None).await, Err(OtpError::TooMany)));
    assert!(matches!(vouched(&bench.codes).await, Err(OtpError::TooMany)));
    bench.clock.0.store(1600, Ordering::Relaxed);
    for_holder(&bench.codes, None).await.unwrap();
    let swept = bench.codes.sweep().await.unwrap();
    assert_eq!(i64::try_from(swept).unwrap(), LIMIT_PER_IDENTITY);
}

#[tokio::test]
async fn r28_a_suspension_drops_codes_and_lets_no_new_one_be_made() {
    let bench = bench().await;
    let new = for_holder(&bench.codes, None).await.unwrap();
    let store = open(&bench.folder).await;
    store.suspend(&identity("a"), "admin", Timestamp(1000)).await.unwrap();
    assert_eq!(bench.codes.drop_all_of(&identity("a")).await.unwrap(), 1);
    assert!(bench.codes.redeem_code(&new.code).await.unwrap().is_none());
    assert!(matches!(for_holder(&bench.codes, None).await, Err(OtpError::Suspended)));
    assert!(matches!(vouched(&bench.codes).await, Err(OtpError::Suspended)));
}

#[tokio::test]
async fn a_code_is_what_was_drawn_and_without_chance_there_is_none() {
    let Bench { codes, clock, folder } = bench().await;
    let codes = codes.with_chance(Arc::new(Counting(AtomicU8::new(0))));
    let first = for_holder(&codes, None).await.unwrap().code;
    assert_eq!(first, Code::from_bytes(&[1; CODE_BYTES]));
    let second = for_holder(&codes, None).await.unwrap().code;
    assert_eq!(second, Code::from_bytes(&[2; CODE_BYTES]));
    let store = open(&folder).await;
    let broken = OneTimePasswords::new(store, clock, 600).with_chance(Arc::new(Broken));
    assert!(matches!(for_holder(&broken, None).await, Err(OtpError::Chance(NoChance))));
}

#[tokio::test]
async fn passwords_and_codes_do_not_open_each_other() {
    let bench = bench().await;
    let new = for_holder(&bench.codes, None).await.unwrap();
    let as_password = bench.codes.redeem(new.code.canonical()).await.unwrap();
    assert!(as_password.is_none());
    bench.codes.issue(&token(), &verified(None)).await.unwrap();
    assert!(bench.codes.redeem(&password_of(&token())).await.unwrap().is_some());
    assert!(bench.codes.redeem_code(&new.code).await.unwrap().is_some());
}
