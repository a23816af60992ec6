//! When a digest is sent, by whom, and what happens when it can't be.

use super::*;
use crate::{
    knocks::Knocks,
    policy::Missing,
    verified::{ClaimSources, Verified},
};
use motley_proto::{Issuer, Subject};
use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

struct SetClock(AtomicI64);
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// Takes mail, or says that it can't.
#[derive(Default)]
struct Box {
    down: AtomicBool,
    mails: Mutex<Vec<Mail>>,
}

impl Courier for Box {
    async fn send(&self, mail: &Mail) -> Result<String, MailError> {
        // Long enough for another process to try meanwhile.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if self.down.load(Ordering::Relaxed) {
            return Err(MailError::Nobody);
        }
        self.mails.lock().unwrap().push(mail.clone());
        Ok("250 queued".to_owned())
    }
}

struct Bench {
    store: Store,
    clock: Arc<SetClock>,
    knocks: Knocks,
    post: Box,
    _folder: tempfile::TempDir,
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite:{}/db", folder.path().display())).await.unwrap();
    let clock = Arc::new(SetClock(AtomicI64::new(1_000_000_000)));
    let knocks = Knocks::new(clock.clone());
    Bench { store, clock, knocks, post: Box::default(), _folder: folder }
}

impl Bench {
    fn desk(&self, holder: &str) -> Desk {
        Desk::new(self.store.clone(), self.clock.clone(), holder.to_owned())
    }

    async fn knock(&self, subject: &str) {
        let issuer = Issuer::new("https://op.example").unwrap();
        let identity = Identity::new(issuer, Subject::new(subject).unwrap());
        let who = Verified::attest(identity, ClaimSources::default(), None);
        self.knocks.note(&who, &[Missing::AnyRule]);
        self.knocks.write(&self.store).await.unwrap();
    }

    async fn look(&self, how: Digest) -> Looked {
        self.desk("one").look(how, &self.post).await.unwrap()
    }

    fn later(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn mails(&self) -> usize {
        self.post.mails.lock().unwrap().len()
    }
}

#[tokio::test]
async fn there_is_at_most_one_mail_in_a_period_and_none_without_somebody_new() {
    let bench = bench().await;
    assert_eq!(bench.look(Digest::Daily).await, Looked::NotDue);
    bench.knock("a").await;
    assert_eq!(bench.look(Digest::Off).await, Looked::NotDue);
    assert_eq!(bench.look(Digest::Daily).await, Looked::Sent(1));
    bench.knock("a").await;
    bench.knock("b").await;
    bench.later(24 * 3600 - 1);
    assert_eq!(bench.look(Digest::Daily).await, Looked::NotDue);
    bench.later(1);
    assert_eq!(bench.look(Digest::Daily).await, Looked::Sent(1));
    bench.later(24 * 3600);
    bench.knock("b").await;
    assert_eq!(bench.look(Digest::Daily).await, Looked::NotDue);
    assert_eq!(bench.mails(), 2);
}

#[tokio::test]
async fn a_failure_is_noted_and_tried_again_after_longer_and_longer_waits_even_by_another_process()
{
    let bench = bench().await;
    bench.knock("a").await;
    bench.post.down.store(true, Ordering::Relaxed);
    for wait in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
        assert_eq!(bench.look(Digest::Hourly).await, Looked::Failed);
        bench.later(wait - 1);
        let other = bench.desk("reborn").look(Digest::Hourly, &bench.post).await.unwrap();
        assert_eq!(other, Looked::NotDue, "{wait}");
        bench.later(1);
    }
    let notice = bench.store.notice(UNAUTHORISED).await.unwrap();
    assert_eq!(notice.failures, 9);
    assert!(notice.last_error.unwrap().contains("admin_email"));
    bench.post.down.store(false, Ordering::Relaxed);
    assert_eq!(bench.look(Digest::Hourly).await, Looked::Sent(1));
    let notice = bench.store.notice(UNAUTHORISED).await.unwrap();
    assert_eq!((notice.failures, notice.last_error, notice.retry_at), (0, None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_processes_one_sends() {
    let bench = Arc::new(bench().await);
    bench.knock("a").await;
    let looks = (0..8).map(|number| {
        let bench = bench.clone();
        tokio::spawn(async move {
            bench.desk(&number.to_string()).look(Digest::Hourly, &bench.post).await.unwrap()
        })
    });
    let mut sent = 0;
    for look in looks.collect::<Vec<_>>() {
        sent += u32::from(look.await.unwrap() == Looked::Sent(1));
    }
    assert_eq!((sent, bench.mails()), (1, 1));
}

#[tokio::test]
async fn a_process_that_dies_over_a_mail_is_followed_by_another_one() {
    let bench = bench().await;
    bench.knock("a").await;
    let now = bench.clock.now();
    let dead = Lease { kind: UNAUTHORISED, holder: "dead" };
    assert!(bench.store.take_lease(dead, now, now.plus(LEASE_SECONDS)).await.unwrap());
    assert_eq!(bench.look(Digest::Hourly).await, Looked::Elsewhere);
    bench.later(LEASE_SECONDS);
    assert_eq!(bench.look(Digest::Hourly).await, Looked::Sent(1));
}

#[tokio::test]
async fn a_clock_that_was_wrong_does_not_end_the_mails() {
    let bench = bench().await;
    bench.knock("a").await;
    bench.later(1_000_000_000);
    assert_eq!(bench.look(Digest::Weekly).await, Looked::Sent(1));
    bench.later(-1_000_000_000);
    bench.knock("b").await;
    assert_eq!(bench.look(Digest::Weekly).await, Looked::Sent(1));
}
