//! Two nodes at one database: what one promises or marks holds for the other.

use super::*;
use crate::clock::{Clock, SystemClock};
use motley_proto::knock::{Knock, Missing};
use sqlx::{Connection, Executor};
use std::collections::BTreeSet;

async fn two(place: &Place) -> [Store; 2] {
    let stores = [place.open_for("one").await, place.open_for("two").await];
    for store in &stores {
        store.beat(store.node().as_str(), NOW).await.unwrap();
    }
    stores
}

async fn show(store: &Store, who: &Identity, version: i64) {
    let done = CarriedOut { version, ..store.carried_out(who).await.unwrap() };
    store.note_carried_out(who, &done).await.unwrap();
}

async fn stay_within_the_bounds(place: &Place) {
    let stores = two(place).await;
    let racing = (0..64u8).map(|number| {
        let store = stores[usize::from(number % 2)].clone();
        let token =
            SealedToken { identity: identity("a"), sealed: vec![1], expires_at: NOW.plus(60) };
        tokio::spawn(async move {
            let put = store.put_one_time_password(&[number; 32], &token, bounds(5)).await.unwrap();
            put == Put::Done
        })
    });
    let mut stored = 0;
    for task in racing.collect::<Vec<_>>() {
        stored += u32::from(task.await.unwrap());
    }
    assert_eq!(stored, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_bounds_hold_on_a_server_whose_transactions_see_the_past_by_default() {
    let Some(place) = Place::server() else { return };
    place.change("ALTER DATABASE motley SET default_transaction_isolation = 'repeatable read'");
    stay_within_the_bounds(&place).await;
}

on_both_databases! {
async fn r23_64_people_at_once_on_two_nodes_get_64_names_and_uids(place: &Place) {
    let stores = two(place).await;
    let racing = (0..64u32).map(|number| {
        let store = stores[usize::try_from(number % 2).unwrap()].clone();
        tokio::spawn(async move {
            let who = identity(&format!("s{number}"));
            // Everybody wants the same, and takes the next one when somebody was quicker.
            for wanted in 0..64 {
                let (own, id) = (name(&format!("n{wanted}")), uid(2000 + wanted));
                if let Reservation::Held(record) = store.reserve(&who, &own, id, NOW).await.unwrap() {
                    let own = record.name.clone().unwrap();
                    store.commit(&who, &own, record.uid, NOW).await.unwrap();
                    return (own, record.uid.unwrap());
                }
            }
            panic!("{number} got nothing")
        })
    });
    let (mut names, mut uids) = (BTreeSet::new(), BTreeSet::new());
    for task in racing.collect::<Vec<_>>() {
        let (name, uid) = task.await.unwrap();
        names.insert(name);
        uids.insert(uid.get());
    }
    assert_eq!((names.len(), uids.len()), (64, 64));
}

async fn r23_one_person_at_once_on_two_nodes_gets_one_name_and_uid(place: &Place) {
    let stores = two(place).await;
    let racing = (0..64u32).map(|number| {
        let store = stores[usize::try_from(number % 2).unwrap()].clone();
        tokio::spawn(async move {
            let (own, id) = (name(&format!("n{number}")), uid(2000 + number));
            match store.reserve(&identity("a"), &own, id, NOW).await.unwrap() {
                Reservation::Held(record) => (record.name.unwrap(), record.uid.unwrap().get()),
                other => panic!("{other:?}"),
            }
        })
    });
    let mut given = BTreeSet::new();
    for task in racing.collect::<Vec<_>>() {
        given.insert(task.await.unwrap());
    }
    assert_eq!(given.len(), 1, "{given:?}");
}

async fn r18_64_tasks_on_two_nodes_stay_within_the_bounds_of_passwords(place: &Place) {
    stay_within_the_bounds(place).await;
}

async fn r18_no_password_is_stored_beside_a_suspension_on_the_other_node(place: &Place) {
    let stores = two(place).await;
    let token = SealedToken { identity: identity("a"), sealed: vec![1], expires_at: NOW.plus(60) };
    let putting: Vec<_> = (0..64u8)
        .map(|number| {
            let (store, token) = (stores[0].clone(), token.clone());
            tokio::spawn(async move {
                store.put_one_time_password(&[number; 32], &token, bounds(64)).await.unwrap()
            })
        })
        .collect();
    stores[1].suspend(&identity("a"), "admin", NOW).await.unwrap();
    // What came before the mark is dropped; nothing comes after it.
    stores[1].drop_one_time_passwords(&identity("a")).await.unwrap();
    for task in putting {
        task.await.unwrap();
    }
    assert_eq!(stores[0].drop_one_time_passwords(&identity("a")).await.unwrap(), 0);
}

async fn r18_one_code_is_redeemed_once_by_64_racing_tasks_on_two_nodes(place: &Place) {
    let stores = two(place).await;
    let code = SealedCode {
        kind: CodeKind::Vouched { by: 0 },
        identity: identity("a"),
        name: name("jdoe"),
        sealed: vec![1, 2, 3],
        expires_at: NOW.plus(60),
    };
    assert_eq!(stores[0].put_code(&[7; 32], &code, bounds(9), NOW).await.unwrap(), Put::Done);
    let racing = (0..64usize).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move { store.take_code(&[7; 32], NOW).await.unwrap() })
    });
    let mut taken = Vec::new();
    for task in racing.collect::<Vec<_>>() {
        taken.extend(task.await.unwrap());
    }
    assert_eq!(taken, [code]);
}

async fn one_of_64_tasks_on_two_nodes_may_send_the_digest(place: &Place) {
    let stores = two(place).await;
    let racing = (0..64usize).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move {
            let lease = Lease { kind: "digest", holder: &format!("holder {number}") };
            store.take_lease(lease, NOW, NOW.plus(60)).await.unwrap()
        })
    });
    let mut holders = 0;
    for task in racing.collect::<Vec<_>>() {
        holders += u32::from(task.await.unwrap());
    }
    assert_eq!(holders, 1);
    let late = Lease { kind: "digest", holder: "late" };
    assert!(stores[1].take_lease(late, NOW.plus(60), NOW.plus(120)).await.unwrap(), "it ended");
    stores[1].note_not_sent(late, "no route", NOW.plus(300)).await.unwrap();
    let notice = stores[0].notice("digest").await.unwrap();
    assert_eq!((notice.failures, notice.retry_at), (1, Some(NOW.plus(300))));
}

async fn knocks_of_two_nodes_come_into_one_bounded_table(place: &Place) {
    let stores = two(place).await;
    let knock = |number: i64| Knock {
        identity: identity(&format!("s{number}")),
        missing: vec![Missing::Membership],
        preferred_username: None,
        email: None,
        name: Some("Jane".to_owned()),
        first_at: NOW.0 + number,
        last_at: NOW.0 + number,
        count: 2,
        mailed: false,
    };
    for number in 0..6 {
        let store = &stores[usize::try_from(number % 2).unwrap()];
        store.add_knocks(&[knock(number), knock(5)], 4).await.unwrap();
    }
    let kept = stores[0].knocks_after(None, 10).await.unwrap();
    let subjects: Vec<_> = kept.iter().map(|it| it.identity.subject.as_str()).collect();
    assert_eq!(subjects, ["s2", "s3", "s4", "s5"], "the oldest go");
    assert_eq!(kept[3].count, 14);
    let lease = Lease { kind: "digest", holder: "one" };
    assert!(stores[0].take_lease(lease, NOW, NOW.plus(60)).await.unwrap());
    stores[0].note_sent(lease, &[identity("s5")], NOW).await.unwrap();
    assert_eq!(stores[1].knocks_to_mail().await.unwrap().len(), 3);
    assert_eq!(stores[1].clear_knocks().await.unwrap(), 4);
}

async fn r28_each_node_has_to_carry_out_each_change_of_marks(place: &Place) {
    let [one, two] = two(place).await;
    let who = identity("a");
    let version = one.suspend(&who, "admin", NOW).await.unwrap();
    for store in [&one, &two] {
        assert_eq!(store.to_carry_out().await.unwrap().len(), 1, "{}", store.node());
        assert_eq!(store.latest_mark().await.unwrap(), version);
        show(store, &who, version).await;
        assert!(store.to_carry_out().await.unwrap().is_empty());
    }
    let lifted = two.resume(&who).await.unwrap();
    assert!(lifted > version);
    assert_eq!(one.to_carry_out().await.unwrap().len(), 1);
    // A node that is late does not take back what it noted since.
    show(&one, &who, lifted).await;
    one.note_carried_out(&who, &CarriedOut { version, ..CarriedOut::default() }).await.unwrap();
    assert!(one.to_carry_out().await.unwrap().is_empty());
}

async fn r23_a_former_name_or_uid_is_nobody_elses_and_may_come_back(place: &Place) {
    let [one, two] = two(place).await;
    let (ann, kim) = (identity("ann"), identity("kim"));
    one.commit(&ann, &name("ann"), uid(2001), NOW).await.unwrap();
    one.commit(&ann, &name("annie"), uid(2002), NOW).await.unwrap();
    for (wanted, id) in [("ann", 2009), ("annie", 2009)] {
        let done = two.commit(&kim, &name(wanted), uid(id), NOW).await;
        assert!(matches!(&done, Err(StoreError::NamePromised(it)) if *it == name(wanted)), "{done:?}");
    }
    for id in [2001, 2002] {
        let done = two.commit(&kim, &name("kim"), uid(id), NOW).await;
        assert!(matches!(&done, Err(StoreError::UidPromised(it)) if Some(*it) == uid(id)), "{done:?}");
    }
    assert!(two.account_of(&kim).await.unwrap().is_none());
    two.commit(&ann, &name("ann"), uid(2001), NOW).await.unwrap();
    two.commit(&kim, &name("kim"), uid(2003), NOW).await.unwrap();
    assert_eq!(one.next_uid_in(&(2000..=2002)).await.unwrap(), 2003);
    assert_eq!(one.next_uid_in(&(3000..=4000)).await.unwrap(), 3000);
}

async fn r28_who_was_seen_suspended_stays_so_when_the_database_is_put_back(place: &Place) {
    let [one, two] = two(place).await;
    let people = [identity("a"), identity("b")];
    for (number, who) in (0..).zip(&people) {
        one.commit(who, &name(who.subject.as_str()), uid(2000 + number), NOW).await.unwrap();
    }
    let latest = one.suspend(&people[0], "admin", NOW).await.unwrap();
    one.suspend(&identity("stranger"), "admin", NOW).await.unwrap();
    // Each node learns of it; what is resumed in order is forgotten.
    for store in [&one, &two] {
        store.latest_mark().await.unwrap();
        store.to_carry_out().await.unwrap();
    }
    two.suspend(&people[1], "admin", NOW).await.unwrap();
    assert!(one.known_of(&people[1]).await.unwrap().suspended);
    two.resume(&people[1]).await.unwrap();
    assert!(!one.known_of(&people[1]).await.unwrap().suspended);
    put_back(place, latest).await;
    for store in [&one, &two] {
        assert!(store.known_recently(&people[0]).await.unwrap().suspended, "{}", store.node());
        store.latest_mark().await.unwrap();
        assert!(store.known_of(&people[0]).await.unwrap().suspended, "{}", store.node());
        assert!(store.known_of(&identity("stranger")).await.unwrap().suspended, "its row is gone");
        assert!(!store.known_of(&people[1]).await.unwrap().suspended, "{}", store.node());
        let record = store.account_of(&people[0]).await.unwrap().unwrap();
        assert!(record.is_suspended());
    }
    // A process that starts now knows what the database says.
    assert!(!place.open_for("two").await.known_of(&people[0]).await.unwrap().suspended);
}

async fn two_processes_of_one_name_are_found_out(place: &Place) {
    let [one, _] = two(place).await;
    assert!(one.beat("one", NOW).await.unwrap());
    assert!(!one.beat("another process", NOW).await.unwrap());
    assert!(!one.beat("one", NOW).await.unwrap());
}

async fn rows_sort_by_their_bytes_on_both_databases(place: &Place) {
    let store = place.open().await;
    for (number, subject) in (0..).zip(["b", "B", "_", "a", "ä", "A"]) {
        let name = name(&format!("n{number}"));
        store.commit(&identity(subject), &name, uid(2000 + number), NOW).await.unwrap();
    }
    let page = store.page(None, None, 10).await.unwrap();
    let subjects: Vec<_> = page.iter().map(|record| record.identity.subject.as_str()).collect();
    assert_eq!(subjects, ["A", "B", "_", "a", "b", "ä"]);
}
}

/// What a database says that is restored from a backup from before any suspension.
async fn put_back(place: &Place, latest: i64) {
    let mut connection = sqlx::AnyConnection::connect(&place.url).await.unwrap();
    for statement in [
        "UPDATE account SET suspended_at = NULL, suspended_by = NULL, mark_version = 0",
        "DELETE FROM account WHERE subject = 'stranger'",
    ] {
        connection.execute(statement).await.unwrap();
    }
    let query = sqlx::query("UPDATE mark_counter SET value = $1").bind(latest - 1);
    query.execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn nodes_are_seen_by_the_clock_of_the_database_whatever_their_own_says() {
    let Some(place) = Place::server() else { return };
    let [right, wrong] = two(&place).await;
    let now = SystemClock.now();
    assert!(right.beat("one", now).await.unwrap());
    assert!(wrong.beat("two", now.plus(-600)).await.unwrap());
    assert!(right.clock_off().is_none() && right.may_sweep());
    let off = wrong.clock_off().unwrap();
    assert!((-610..=-590).contains(&off) && !wrong.may_sweep(), "{off}");
    for (store, now) in [(&right, now), (&wrong, now.plus(-600))] {
        let rows = store.nodes(now).await.unwrap();
        assert!(rows.iter().all(|row| row.lives), "{rows:?}");
        assert!(rows.iter().all(|row| (now.0 - 30..now.0 + 630).contains(&row.seen_at)));
        let told: Vec<_> = rows.iter().map(|row| row.clock_ahead < -500).collect();
        assert_eq!(told, [false, true]);
    }
    place.age("two");
    let rows = wrong.nodes(now.plus(-600)).await.unwrap();
    assert!(rows.iter().all(|row| row.lives), "one lives, and this node answers: {rows:?}");
    assert!(!right.nodes(now).await.unwrap()[1].lives);
}

#[tokio::test]
async fn a_lease_is_held_by_the_clock_of_the_database_whatever_those_of_the_nodes_say() {
    let Some(place) = Place::server() else { return };
    let [right, fast] = two(&place).await;
    let now = SystemClock.now();
    assert!(right.beat("one", now).await.unwrap());
    assert!(fast.beat("two", now.plus(600)).await.unwrap());
    let [one, two] = ["one", "two"].map(|holder| Lease { kind: "digest", holder });
    assert!(right.take_lease(one, now, now.plus(60)).await.unwrap());
    let theirs = now.plus(600);
    assert!(!fast.take_lease(two, theirs, theirs.plus(60)).await.unwrap(), "it has not ended");
    let later = theirs.plus(120);
    assert!(fast.take_lease(two, later, later.plus(60)).await.unwrap(), "it ended");
    let after = now.plus(240);
    assert!(right.take_lease(one, after, after.plus(60)).await.unwrap(), "this one did too");
}

async fn removal_on_two(place: &Place) -> ([Store; 2], Identity, i64) {
    let stores = two(place).await;
    let who = identity("a");
    for store in &stores {
        store.reserve(&who, &name("jdoe"), uid(2000), NOW).await.unwrap();
        store.commit(&who, &name("jdoe"), uid(2000), NOW).await.unwrap();
    }
    let version = stores[0].begin_removal(&who, "admin", NOW).await.unwrap();
    show(&stores[0], &who, version).await;
    (stores, who, version)
}

#[tokio::test]
async fn a_removal_waits_for_the_other_node_and_tells_how_it_stands() {
    let Some(place) = Place::server() else { return };
    let ([one, two], who, version) = removal_on_two(&place).await;
    assert_eq!(one.end_removal(&who, NOW).await.unwrap(), Ended::NotYet);
    let outcomes = one.outcomes(&who, version, NOW).await.unwrap();
    assert_eq!(outcomes.len(), 1);
    assert!(outcomes[0].node.as_str() == "two" && !outcomes[0].done && outcomes[0].lives);
    show(&two, &who, version).await;
    assert!(one.outcomes(&who, version, NOW).await.unwrap()[0].done);
    assert_eq!(two.end_removal(&who, NOW).await.unwrap(), Ended::Everywhere);
    let record = one.account_of(&who).await.unwrap().unwrap();
    assert!(record.phase == Phase::None && !record.is_leaving());
    assert_eq!((record.name, record.uid), (Some(name("jdoe")), uid(2000)), "they stay promised");
}

#[tokio::test]
async fn a_node_that_never_comes_back_holds_up_a_removal_until_it_is_forgotten() {
    let Some(place) = Place::server() else { return };
    let ([one, two], who, _) = removal_on_two(&place).await;
    let later = NOW;
    place.age("two");
    assert_eq!(one.end_removal(&who, later).await.unwrap(), Ended::NotYet, "it has the account");
    let rows = one.nodes(later).await.unwrap();
    let row = rows.iter().find(|row| row.node == *two.node()).unwrap();
    assert_eq!((row.lives, row.behind, row.accounts), (false, 1, 1));
    assert!(one.forget_node(two.node()).await.unwrap());
    assert!(!one.forget_node(two.node()).await.unwrap());
    assert_eq!(one.end_removal(&who, later).await.unwrap(), Ended::Everywhere);
    // It comes back after all: it still knows what it has to do.
    two.beat("two", later).await.unwrap();
    assert_eq!(two.to_carry_out().await.unwrap().len(), 1);
    assert!(two.carried_out(&who).await.unwrap().holds);
}

#[tokio::test]
async fn a_node_that_is_away_and_never_had_the_account_holds_up_nothing() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let who = identity("a");
    one.commit(&who, &name("jdoe"), uid(2000), NOW).await.unwrap();
    let version = one.begin_removal(&who, "admin", NOW).await.unwrap();
    show(&one, &who, version).await;
    assert_eq!(one.end_removal(&who, NOW).await.unwrap(), Ended::NotYet, "{} lives", two.node());
    let later = NOW.plus(DEAD_AFTER + 1);
    assert_eq!(one.end_removal(&who, later).await.unwrap(), Ended::Everywhere);
}

#[tokio::test]
async fn r23_a_promise_that_another_node_uses_is_not_retired() {
    let Some(place) = Place::server() else { return };
    let [one, two] = two(&place).await;
    let who = identity("a");
    let held = one.reserve(&who, &name("jdoe"), uid(2000), NOW).await.unwrap();
    let Reservation::Held(promise) = held else { panic!("{held:?}") };
    let held = two.reserve(&who, &name("other"), uid(2001), NOW).await.unwrap();
    assert_eq!(held, Reservation::Held(promise.clone()), "the same on both");
    assert!(!two.release(&promise, NOW).await.unwrap(), "the first node is about to use it");
    one.commit(&who, &name("jdoe"), uid(2000), NOW).await.unwrap();
    assert!(!one.release(&promise, NOW).await.unwrap(), "it was used");
    let record = two.account_of(&who).await.unwrap().unwrap();
    assert_eq!((record.name, record.phase), (Some(name("jdoe")), Phase::Deployed));
}
