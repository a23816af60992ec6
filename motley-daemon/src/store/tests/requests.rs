//! Requests, mails and last uses, on both databases.

use super::*;
use crate::store::{
    Approval, ApprovalIntent, Idle, KeptClaims, Letter, NewApproval, Submitted, Use,
};
use motley_proto::{
    GroupName,
    approval::{ApprovalId, ApprovalKind, ApprovalRef, ApprovalStatus},
};
use std::collections::BTreeSet;

const END: Timestamp = Timestamp(NOW.0 + 1000);
const TAKE: (ApprovalStatus, ApprovalStatus) = (ApprovalStatus::Pending, ApprovalStatus::Accepting);

fn groups(names: &[&str]) -> BTreeSet<GroupName> {
    names.iter().map(|name| GroupName::new(*name).unwrap()).collect()
}

fn reference(id: &str, revision: u32) -> ApprovalRef {
    ApprovalRef { id: ApprovalId::new(id).unwrap(), revision }
}

fn intent(names: &[&str]) -> ApprovalIntent {
    let claims = serde_json::json!({"groups": names, "name": "Zoë 'quoted' \"twice\""});
    ApprovalIntent {
        taken_over: false,
        full_name: Some("Zoë".to_owned()),
        email: None,
        email_verified: false,
        preferred_username: None,
        primary_group: GroupName::new("a").unwrap(),
        groups: groups(names),
        tier: "full".to_owned(),
        claims: KeptClaims { userinfo: claims.as_object().cloned(), ..KeptClaims::default() },
    }
}

fn letter(id: &str) -> Letter {
    Letter {
        id: id.to_owned(),
        addressee: None,
        subject: "s".to_owned(),
        body: "b".to_owned(),
        created_at: NOW,
        failures: 0,
    }
}

async fn submit(store: &Store, who: &str, at: &ApprovalRef, seen: Option<&Approval>) -> bool {
    let identity = identity(who);
    let intent = intent(&["a", "b"]);
    let new = NewApproval {
        identity: &identity,
        reference: at,
        kind: ApprovalKind::Account,
        intent: &intent,
        requested_at: NOW,
        now: NOW,
        expires_at: END,
    };
    let letters = [letter(&format!("{who}{at}"))];
    let done = store.submit::<StoreError>(&new, seen, &letters, || Ok(())).await.unwrap();
    done == Submitted::Written
}

impl Store {
    /// Requests of that many people of a provider.
    pub(crate) async fn fill_approvals(&self, issuer: &str, count: i64) {
        let intent = serde_json::to_string(&intent(&["a"])).unwrap();
        sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
             INSERT INTO approval (issuer, subject, id, revision, kind, status, intent, requested_at,
               updated_at, expires_at)
             SELECT $2, 'filled' || i, 'filled' || i, 1, 'account', 'pending', $3, 0, 0, 9999999999 FROM n",
        )
        .bind(count)
        .bind(issuer.to_owned())
        .bind(intent)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Mails that wait, of that number.
    async fn fill_outbox(&self, count: i64) {
        sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
             INSERT INTO outbox (id, subject, body, created_at, retry_at)
             SELECT 'filled' || i, 's', 'b', 0, 0 FROM n",
        )
        .bind(count)
        .execute(&self.pool)
        .await
        .unwrap();
    }
}

on_both_databases! {
async fn requests_of_one_provider_fill_no_disk_and_one_that_can_not_be_read_hides_no_other(place: &Place) {
    let store = place.open().await;
    let mut large = intent(&["a"]);
    large.full_name = Some("x".repeat(1024 * 1024));
    let text = serde_json::to_string(&large).unwrap();
    for number in 0..7 {
        sqlx::query(
            "INSERT INTO approval (issuer, subject, id, revision, kind, status, intent, requested_at, updated_at, expires_at)
             VALUES ('https://op.example', $1, $3, 1, 'account', 'pending', $2, 0, 0, 9999999999)",
        )
        .bind(format!("large{number}"))
        .bind(text.clone())
        .bind(format!("0000000{number}"))
        .execute(&store.pool)
        .await
        .unwrap();
    }
    assert!(submit(&store, "small", &reference("0000000a", 1), None).await);
    let at = reference("0000000z", 1);
    let new = |who| NewApproval {
        identity: who,
        reference: &at,
        kind: ApprovalKind::Account,
        intent: &large,
        requested_at: NOW,
        now: NOW,
        expires_at: END,
    };
    let who = identity("one more");
    let done = store.submit::<StoreError>(&new(&who), None, &[], || Ok(())).await.unwrap();
    assert_eq!(done, Submitted::Full);
    sqlx::query("UPDATE approval SET accepted = 'ROOT!' WHERE subject = 'large0'")
        .execute(&store.pool)
        .await
        .unwrap();
    assert_eq!(store.approvals_after(None, NOW, 99).await.unwrap().len(), 7);
}

    async fn r40_where_too_many_mails_wait_none_goes_for_another_and_the_request_is_kept(place: &Place) {
        let store = place.open().await;
        store.fill_outbox(crate::store::outbox::MAX_LETTERS).await;
        assert!(submit(&store, "x", &reference("00000001", 1), None).await);
        let waiting = u64::try_from(crate::store::outbox::MAX_LETTERS).unwrap();
        assert_eq!(store.outbox().await.unwrap().waiting, waiting);
        assert!(store.letters_due(NOW, 9999).await.unwrap().iter().all(|it| it.id.starts_with("filled")));
        assert!(store.approval_of(&identity("x")).await.unwrap().is_some());
    }

    async fn r39_a_request_that_can_not_be_audited_is_not_written(place: &Place) {
        let store = place.open().await;
        let (identity, at, intent) = (identity("x"), reference("00000001", 1), intent(&["a"]));
        let new = NewApproval {
            identity: &identity,
            reference: &at,
            kind: ApprovalKind::Account,
            intent: &intent,
            requested_at: NOW,
            now: NOW,
            expires_at: END,
        };
        let refuse = || Err(StoreError::Corrupt("audit"));
        assert!(store.submit(&new, None, &[letter("l")], refuse).await.is_err());
        assert_eq!(store.approval_of(&identity).await.unwrap(), None);
        assert!(store.letters_due(NOW, 9).await.unwrap().is_empty());
    }

    async fn a_mail_that_changed_while_it_was_sent_is_sent_again(place: &Place) {
        let store = place.open().await;
        let at = reference("00000001", 1);
        submit(&store, "x", &at, None).await;
        let sent = store.letters_due(NOW, 9).await.unwrap().remove(0);
        store.forget_letter(&Letter { body: "another".to_owned(), ..sent.clone() }).await.unwrap();
        assert_eq!(store.letters_due(NOW, 9).await.unwrap().len(), 1);
        store.forget_letter(&sent).await.unwrap();
        assert!(store.letters_due(NOW, 9).await.unwrap().is_empty());
    }

    async fn r40_a_request_is_kept_whole_and_changed_only_by_who_has_seen_it(place: &Place) {
        let store = place.open().await;
        let first = reference("00000001", 1);
        assert!(submit(&store, "x", &first, None).await);
        assert!(!submit(&store, "x", &reference("00000002", 1), None).await, "there is one");
        let seen = store.approval(&first.id).await.unwrap().unwrap();
        assert_eq!((&seen.intent, seen.expires_at), (&intent(&["a", "b"]), END));
        assert!(submit(&store, "x", &reference("00000001", 2), Some(&seen)).await);
        assert!(!submit(&store, "x", &reference("00000001", 3), Some(&seen)).await, "it changed");
        assert_eq!(store.letters_due(NOW.plus(600), 9).await.unwrap().len(), 2, "one for each that was written");
        assert_eq!(store.approvals_waiting(NOW).await.unwrap(), 1);
        assert_eq!(store.approvals_after(None, NOW, 9).await.unwrap().len(), 1);
        assert_eq!(store.approvals_after(None, END, 9).await.unwrap().len(), 0);
        assert_eq!(store.sweep_approvals(END).await.unwrap(), 1);
        assert_eq!(store.approval_of(&identity("x")).await.unwrap(), None);
    }

    async fn r40_of_32_deciders_at_once_one_acts(place: &Place) {
        let store = place.open().await;
        let at = reference("00000001", 1);
        submit(&store, "x", &at, None).await;
        let deciding = (0..32).map(|number: i32| {
            let (store, at) = (store.clone(), at.clone());
            tokio::spawn(async move {
                let to = if number % 2 == 0 { ApprovalStatus::Accepting } else { ApprovalStatus::Rejected };
                store.decide(&at, (ApprovalStatus::Pending, to), "by", (NOW, END)).await.unwrap()
            })
        });
        let mut acted = 0;
        for decided in deciding.collect::<Vec<_>>() {
            acted += u32::from(decided.await.unwrap());
        }
        assert_eq!(acted, 1);
    }

    async fn what_was_accepted_outlives_requests_that_come_later(place: &Place) {
        let store = place.open().await;
        let at = reference("00000001", 1);
        submit(&store, "x", &at, None).await;
        assert!(store.decide(&at, TAKE, "by", (NOW, END)).await.unwrap());
        assert!(!store.withdraw(&at).await.unwrap(), "it is being carried out");
        assert_eq!(store.reopen_abandoned(NOW).await.unwrap(), 0);
        assert_eq!(store.reopen_abandoned(END).await.unwrap(), 1);
        assert!(store.decide(&at, TAKE, "by", (NOW, END)).await.unwrap());
        store.note_accepted(&identity("x"), &groups(&["a", "b"])).await.unwrap();
        let seen = store.approval_of(&identity("x")).await.unwrap().unwrap();
        let next = reference("00000002", 1);
        assert!(submit(&store, "x", &next, Some(&seen)).await);
        assert!(store.withdraw(&next).await.unwrap());
        let left = store.approval_of(&identity("x")).await.unwrap().unwrap();
        assert_eq!((left.status, left.accepted), (ApprovalStatus::Accepted, groups(&["a", "b"])));
        store.set_accepted(&identity("x"), &groups(&["b"])).await.unwrap();
        assert!(store.forget_approval(&identity("x")).await.unwrap());
        assert!(!store.forget_approval(&identity("x")).await.unwrap());
    }

    async fn a_mail_that_was_not_taken_waits(place: &Place) {
        let store = place.open().await;
        submit(&store, "x", &reference("00000001", 1), None).await;
        let id = store.letters_due(NOW, 9).await.unwrap().remove(0).id;
        store.note_letter_failed(&id, "down", END).await.unwrap();
        assert!(store.letters_due(NOW, 9).await.unwrap().is_empty());
        let status = store.outbox().await.unwrap();
        assert_eq!((status.waiting, status.failures, status.retry_at), (1, 1, Some(END.0)));
        assert_eq!(store.letters_due(END, 9).await.unwrap()[0].failures, 1);
        assert_eq!(store.sweep_letters(NOW).await.unwrap(), 0);
        assert_eq!(store.sweep_letters(END).await.unwrap(), 1);
    }

    async fn the_last_use_of_an_account_is_found_when_it_is_long_ago(place: &Place) {
        let store = place.open().await;
        let (who, name) = (identity("x"), UserName::new("x-name").unwrap());
        store.note_use(&who, Use::Login, Some("x@example.org"), NOW).await.unwrap();
        assert_eq!(store.last_use(&who).await.unwrap(), None, "there is no account");
        store.commit(&who, &name, Some(Uid::new(2001).unwrap()), NOW).await.unwrap();
        assert_eq!(store.begin_counting(NOW).await.unwrap(), 1);
        assert_eq!(store.begin_counting(NOW).await.unwrap(), 0);
        store.note_use(&who, Use::Login, Some("x@example.org"), NOW.plus(10)).await.unwrap();
        store.note_use(&who, Use::Key, None, NOW.plus(20)).await.unwrap();
        let last = store.last_use(&who).await.unwrap().unwrap();
        assert_eq!((last.used_at, last.how.as_str()), (NOW.plus(10), "login"));
        assert!(store.idle_since(NOW, Idle::Limited, (None, 9)).await.unwrap().is_empty());
        assert_eq!(store.idle_since(END, Idle::Limited, (None, 9)).await.unwrap().len(), 1);
        assert_eq!(store.to_be_warned(END, (None, 9)).await.unwrap().len(), 1);
        store.warn(&who, &letter("warning"), END).await.unwrap();
        assert!(store.to_be_warned(END, (None, 9)).await.unwrap().is_empty());
        store.limit(&who, IDLENESS, "/bin/sh", END).await.unwrap();
        assert_eq!(store.last_use(&who).await.unwrap().unwrap().acted, Some(Idle::Limited));
        assert!(store.idle_since(END, Idle::Limited, (None, 9)).await.unwrap().is_empty());
        assert_eq!(store.idle_since(END, Idle::Suspended, (None, 9)).await.unwrap().len(), 1);
        store.suspend(&who, "admin", END).await.unwrap();
        assert!(store.idle_since(END, Idle::Suspended, (None, 9)).await.unwrap().is_empty());
        store.count_anew(&who, END).await.unwrap();
        assert_eq!(store.last_use(&who).await.unwrap().unwrap().acted, None);
        store.forget_use(&who).await.unwrap();
        assert_eq!(store.last_use(&who).await.unwrap(), None);
    }
}
