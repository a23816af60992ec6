//! A process that is killed in the middle of its work loses nothing that it was told to be done.

use super::*;
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

/// What the worker says after the store has told it that something is done.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Deployed(u32),
    Taken(u32),
    Suspended(u32),
}

impl Done {
    fn read(line: &str) -> Option<Self> {
        let (word, number) = line.split_once(' ')?;
        let number = number.parse().ok()?;
        match word {
            "deployed" => Some(Self::Deployed(number)),
            "taken" => Some(Self::Taken(number)),
            "suspended" => Some(Self::Suspended(number)),
            _ => None,
        }
    }
}

fn digest(number: u32) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&number.to_be_bytes());
    digest
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the worker of the tests below, which tell it the database on standard input"]
async fn worker() {
    let mut url = String::new();
    std::io::stdin().read_line(&mut url).unwrap();
    let Some((url, first)) = url.trim().split_once(' ') else { return };
    let (store, first) = (Store::open(url).await.unwrap(), first.parse::<u32>().unwrap());
    for number in first.. {
        let who = identity(&format!("s{number}"));
        let own = name(&format!("n{number}"));
        store.reserve(&who, &own, uid(2000 + number), NOW).await.unwrap();
        store.commit(&who, &own, uid(2000 + number), NOW).await.unwrap();
        println!("deployed {number}");
        let token = SealedToken { identity: who.clone(), sealed: vec![1], expires_at: NOW.plus(9) };
        store.put_one_time_password(&digest(number), &token, bounds(9)).await.unwrap();
        assert!(store.take_one_time_password(&digest(number), NOW).await.unwrap().is_some());
        println!("taken {number}");
        store.suspend(&who, "admin", NOW).await.unwrap();
        println!("suspended {number}");
    }
}

/// Kills a worker after so many of its reports, and returns them.
fn work_and_die(url: &str, first: u32, reports: usize) -> Vec<Done> {
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::killed::worker", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(worker.stdin.take().unwrap(), "{url} {first}").unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut done: Vec<_> =
        lines.by_ref().filter_map(|line| Done::read(&line)).take(reports).collect();
    worker.kill().unwrap();
    worker.wait().unwrap();
    done.extend(lines.filter_map(|line| Done::read(&line)));
    done
}

on_both_databases! {
async fn r24_what_a_killed_process_reported_is_there_after_it(place: &Place) {
    let mut done = Vec::new();
    for round in 0..4u32 {
        let url = place.url.clone();
        let reports = 5 + usize::try_from(round).unwrap();
        done.extend(
            tokio::task::spawn_blocking(move || work_and_die(&url, round * 1000, reports))
                .await
                .unwrap(),
        );
    }
    assert!(done.len() >= 26, "{done:?}");
    let store = place.open().await;
    for report in &done {
        match *report {
            Done::Deployed(number) => {
                let record = store.account_of(&identity(&format!("s{number}"))).await.unwrap().unwrap();
                assert_eq!((record.phase, record.uid), (Phase::Deployed, uid(2000 + number)));
            }
            Done::Taken(number) => {
                let again = store.take_one_time_password(&digest(number), NOW).await.unwrap();
                assert_eq!(again, None, "{number}");
            }
            Done::Suspended(number) => {
                let known = store.known_of(&identity(&format!("s{number}"))).await.unwrap();
                assert!(known.suspended, "{number}");
            }
        }
    }
    let records = store.accounts().await.unwrap();
    let names: std::collections::BTreeSet<_> =
        records.iter().filter_map(|record| record.name.clone()).collect();
    assert_eq!(names.len(), records.len(), "each row has its own name");
    // Whatever the killed ones left open holds nobody up.
    let free = store.reserve(&identity("new"), &name("new"), uid(99_999), NOW).await.unwrap();
    assert!(matches!(free, Reservation::Held(_)), "{free:?}");
}
}
