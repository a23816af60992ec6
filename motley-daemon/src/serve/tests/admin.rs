//! The admin socket: paging, refusals, and what is written down before anything is done.

use super::{admission_for, config};
use crate::{
    account::tests::{Bench, person},
    clock::{Clock, SystemClock},
    daemon::reload_channel,
    identity::{HttpSettings, TokenVerifier},
    serve::{
        admin::{self, Admin},
        live::Live,
    },
};
use feudal_plugins::{BackendError, Tier};
use motley_proto::{
    GroupName, Identity, Issuer, Secret, Subject, Uid, UserName,
    admin::{
        AccountQuery, AdminAnswer, AdminRequest, Change, HeldToken, Reason, Target, TrailFilter,
        TrailStart,
    },
    client::Connection,
    frame::Cap,
    rest::AccountState,
};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::UnixListener, sync::watch};

const SECTION: &str = "[authorisation.x]\nop_url = https://op.example\nauthorised_users = [7, kim]\naudience = here\n";

/// A served socket, what is behind it, and the way to end it.
struct Desk {
    socket: PathBuf,
    bench: Bench,
    _folder: tempfile::TempDir,
    _stop: watch::Sender<bool>,
}

async fn desk() -> Desk {
    let config = config(SECTION);
    let (admission, bench) = admission_for(&config.ops).await;
    let verifier =
        TokenVerifier::new(Vec::new(), &HttpSettings::default(), Arc::new(SystemClock)).unwrap();
    let admin = Admin {
        admission,
        verifier: Arc::new(verifier),
        config,
        reload: reload_channel().0,
        listening: vec!["admin unix:here".to_owned()],
        own_uid: 990,
        started: Instant::now(),
        configured_at: SystemClock.now(),
    };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    let (stop, stopped) = watch::channel(false);
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(admin::serve(listener, Live::new(admin), stopped));
    Desk { socket, bench, _folder: folder, _stop: stop }
}

impl Desk {
    async fn ask(&self, request: AdminRequest) -> AdminAnswer {
        let socket = self.socket.clone();
        let ask = move || {
            let deadline = Instant::now() + Duration::from_secs(60);
            let mut connection = Connection::open(&socket, Cap::ADMIN, deadline).unwrap();
            connection.send(&request).unwrap();
            connection.receive().unwrap()
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    async fn trail(&self, event: &str) -> Vec<String> {
        let filter = TrailFilter { event: Some(event.to_owned()), whom: None };
        match self.ask(AdminRequest::Trail { filter, start: TrailStart::Last(100) }).await {
            AdminAnswer::Trail(page) => page.lines,
            other => panic!("{other:?}"),
        }
    }
}

fn identity(subject: &str) -> Identity {
    Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new(subject).unwrap())
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

fn named(name: &str) -> Target {
    Target::Name(UserName::new(name).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn r03_five_thousand_accounts_come_in_pages_that_fit_into_frames() {
    let desk = desk().await;
    let store = desk.bench.accounts.store();
    let long = "x".repeat(200);
    for number in 0..5000u32 {
        let who = identity(&format!("{number:04}-{long}"));
        let name = UserName::new(format!("n{number}")).unwrap();
        store.commit(&who, &name, Uid::new(10_000 + number).ok(), SystemClock.now()).await.unwrap();
    }
    let mut query = AccountQuery::default();
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let answer = desk.ask(AdminRequest::Accounts(query.clone())).await;
        let AdminAnswer::Accounts(page) = answer else { panic!("{answer:?}") };
        pages += 1;
        seen.extend(page.rows.into_iter().map(|row| row.identity));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    let mut distinct = seen.clone();
    distinct.dedup();
    assert_eq!((seen.len(), distinct.len()), (5000, 5000));
    assert!(pages > 20, "{pages} pages");
    let query = AccountQuery { matching: Some("N4711".to_owned()), ..AccountQuery::default() };
    let mut query = query;
    let mut found = Vec::new();
    loop {
        let answer = desk.ask(AdminRequest::Accounts(query.clone())).await;
        let AdminAnswer::Accounts(page) = answer else { panic!("{answer:?}") };
        found.extend(page.rows);
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    assert_eq!(found.len(), 1);
    let AdminAnswer::Status(status) = desk.ask(AdminRequest::Status).await else { panic!() };
    assert_eq!((status.accounts, status.states["not_deployed"]), (5000, 5000));
}

#[tokio::test(flavor = "multi_thread")]
async fn r39_who_asks_for_a_change_and_why_is_written_down_before_it_is_told() {
    let desk = desk().await;
    desk.bench.accounts.deploy(&person("kim", "kim"), Tier::Full, "r").await.unwrap();
    let reason = Some(Reason::new("ticket 7").unwrap());
    for (change, event, state) in [
        (Change::Limit, "limited", AccountState::Limited),
        (Change::Unlimit, "unlimited", AccountState::Deployed),
        (Change::Suspend, "suspended", AccountState::Suspended),
        (Change::Resume, "resumed", AccountState::Deployed),
        (Change::Undeploy, "undeployed", AccountState::NotDeployed),
    ] {
        let request = AdminRequest::Change { change, target: named("kim"), reason: reason.clone() };
        let answer = desk.ask(request).await;
        let AdminAnswer::Receipt(receipt) = answer else { panic!("{change:?}: {answer:?}") };
        assert_eq!((receipt.state, receipt.pending.len()), (state, 0), "{change:?}");
        let lines = desk.trail(event).await;
        let uid = nix::unistd::geteuid();
        let by = format!("admin on the host, uid {uid}: ticket 7");
        assert!(lines.len() == 1 && lines[0].contains(&by), "{event}: {lines:?}");
    }
    assert_eq!(desk.trail("account_removed").await.len(), 1);
    desk.ask(AdminRequest::Reconcile).await;
    desk.ask(AdminRequest::ClearKnocks).await;
    desk.ask(AdminRequest::TestNotify).await;
    let asked = desk.trail("admin_asked").await;
    for (line, what) in asked.iter().zip(["reconcile", "clear knocks", "test notify"]) {
        assert!(line.contains(what), "{what}: {asked:?}");
    }
    assert_eq!(asked.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn r39_groups_come_in_pages_that_fit_into_frames_and_a_release_is_written_down() {
    let desk = desk().await;
    let store = desk.bench.accounts.store();
    let long = "\u{202e}".repeat(5000);
    let texts = (0..250).map(|n| (group(&format!("g{n:03}")), format!("g{n:03}.{long}")));
    let issuer = Issuer::new(format!("https://op.example/{}", "x".repeat(200))).unwrap();
    store.note_group_texts(&texts.collect(), &issuer, SystemClock.now()).await.unwrap();
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let AdminAnswer::Groups(page) = desk.ask(AdminRequest::Groups { after }).await else {
            panic!()
        };
        seen.extend(page.rows);
        after = seen.last().map(|row| row.name.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(seen.len(), 250);
    assert!(seen.iter().all(|row| !row.text.contains('\u{202e}')), "nothing acts on a terminal");
    let released = desk.ask(AdminRequest::ReleaseGroup { name: group("g007") }).await;
    assert!(
        matches!(&released, AdminAnswer::GroupReleased(row) if *row == seen[7]),
        "{released:?}"
    );
    let again = desk.ask(AdminRequest::ReleaseGroup { name: group("g007") }).await;
    assert!(matches!(&again, AdminAnswer::Refused(why) if why.contains("g007")), "{again:?}");
    let asked = desk.trail("admin_asked").await;
    assert!(
        asked.len() == 1 && asked[0].contains("release group g007, made from g007."),
        "{asked:?}"
    );
    assert_eq!(store.group_text(&group("g007")).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_of_a_name_is_told_apart_from_a_refusal() {
    let desk = desk().await;
    for request in [
        AdminRequest::Account { target: named("nobody-here") },
        AdminRequest::Account { target: Target::Identity(identity("unknown")) },
        AdminRequest::Change {
            change: Change::Suspend,
            target: named("nobody-here"),
            reason: None,
        },
        AdminRequest::Change {
            change: Change::Limit,
            target: Target::Identity(identity("unknown")),
            reason: None,
        },
        AdminRequest::Sessions { target: Target::Identity(identity("unknown")) },
        AdminRequest::Why { target: named("nobody-here") },
    ] {
        let answer = desk.ask(request.clone()).await;
        assert!(matches!(answer, AdminAnswer::Nobody(_)), "{request:?}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_shown_with_marks_groups_and_the_last_login() {
    let desk = desk().await;
    let kim = person("kim", "kim");
    desk.bench.accounts.deploy(&kim, Tier::Full, "r").await.unwrap();
    desk.bench.backend.open_sessions(&UserName::new("kim").unwrap(), 2);
    let login = crate::audit::Event::LoginGranted {
        request: "r".to_owned(),
        identity: kim.identity().clone(),
        name: UserName::new("kim").unwrap(),
        rhost: Some("192.0.2.7".to_owned()),
        by: "token".to_owned(),
    };
    desk.bench.accounts.record(login).unwrap();
    let request =
        AdminRequest::Change { change: Change::Suspend, target: named("kim"), reason: None };
    desk.ask(request).await;
    desk.bench.backend.open_sessions(&UserName::new("kim").unwrap(), 2);
    let AdminAnswer::Account(shown) =
        desk.ask(AdminRequest::Account { target: named("kim") }).await
    else {
        panic!()
    };
    assert_eq!((shown.state, shown.sessions), (AccountState::Suspended, Some(2)));
    assert!(shown.suspended.unwrap().by.starts_with("admin on the host"));
    assert_eq!(shown.last_login.unwrap().from.as_deref(), Some("192.0.2.7"));
    assert_eq!((shown.tier.as_deref(), shown.uid), (Some("full"), Some(2000)));
    let all = desk.ask(AdminRequest::AllSessions { after: None }).await;
    let AdminAnswer::Sessions(all) = all else { panic!("{all:?}") };
    assert_eq!((all.rows.len(), all.next), (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_it_is_told_what_is_certain_and_what_depends_on_one() {
    let desk = desk().await;
    let verdict = async |identity: Identity| {
        let answer = desk.ask(AdminRequest::Why { target: Target::Identity(identity) }).await;
        let AdminAnswer::Why(why) = answer else { panic!("{answer:?}") };
        (why.verdict.let_in, why.verdict.because)
    };
    let (let_in, because) = verdict(identity("kim")).await;
    assert_eq!(let_in, None, "an audience is configured: {because}");
    let (let_in, because) = verdict(identity("stranger")).await;
    assert!(let_in == Some(false) && because.contains("authorised_users"), "{because}");
    let elsewhere = Issuer::new("https://other.example").unwrap();
    let (let_in, because) = verdict(Identity::new(elsewhere, Subject::new("kim").unwrap())).await;
    assert!(let_in == Some(false) && because.contains("not configured"), "{because}");
    let by = crate::account::Suspender::Host { uid: 0 };
    desk.bench.accounts.suspend(&identity("kim"), by, "r").await.unwrap();
    let (let_in, because) = verdict(identity("kim")).await;
    assert!(let_in == Some(false) && because.contains("suspended"), "{because}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_a_token_that_is_asked_about_is_neither_told_back_nor_written_down() {
    let desk = desk().await;
    let canary = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2Vsc2V3aGVyZS5leGFtcGxlIn0.Y2FuYXJ5LWNhbmFyeS1jYW5hcnk";
    let token = || HeldToken(Secret::new(canary.to_owned()));
    for request in
        [AdminRequest::Token { token: token() }, AdminRequest::WhyToken { token: token() }]
    {
        let answer = serde_json::to_string(&desk.ask(request).await).unwrap();
        assert!(!answer.contains("Y2FuYXJ5") && answer.contains("elsewhere.example"), "{answer}");
    }
    let lines = desk.trail("admin_asked").await;
    assert_eq!(lines.len(), 2);
    assert!(!lines.concat().contains("eyJ"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r39_the_trail_is_verified_and_put_aside_by_the_daemon() {
    let desk = desk().await;
    let AdminAnswer::TrailRotated(aside) = desk.ask(AdminRequest::RotateTrail).await else {
        panic!()
    };
    let AdminAnswer::TrailChecked(check) = desk.ask(AdminRequest::VerifyTrail).await else {
        panic!()
    };
    assert_eq!((check.files, check.lines, check.broken), (2, 2, None));
    let text = std::fs::read_to_string(&aside).unwrap();
    std::fs::write(&aside, text.replace("rotate", "r0tate")).unwrap();
    let AdminAnswer::TrailChecked(check) = desk.ask(AdminRequest::VerifyTrail).await else {
        panic!()
    };
    assert_eq!(check.broken.map(|broken| broken.line), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_to_be_done_is_named() {
    let desk = desk().await;
    desk.bench.accounts.deploy(&person("kim", "kim"), Tier::Full, "r").await.unwrap();
    desk.bench.backend.fail_next(BackendError::Busy);
    let request =
        AdminRequest::Change { change: Change::Undeploy, target: named("kim"), reason: None };
    let AdminAnswer::Receipt(receipt) = desk.ask(request).await else { panic!() };
    assert!(receipt.pending[0].contains("remove the account"), "{receipt:?}");
}
