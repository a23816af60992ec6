//! The conversation with the PAM module.

use super::admission;
use crate::{
    account::tests::person,
    clock::SystemClock,
    serve::{
        exchange::Exchange,
        live::Live,
        login::{Conversation, Login, LoginLimits},
    },
    throttle::{Throttle, ThrottleLimits},
};
use feudal_plugins::{Backend, Tier};
use motley_proto::{
    LoginName, Secret, UserName,
    frame::Cap,
    login::{AccountQuestion, Hello, LoginRequest, LoginResult, Nonce, Step, Withheld},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::UnixStream,
    time::{Instant, timeout},
};

const SOON: Duration = Duration::from_secs(20);

async fn login(limits: LoginLimits, burst: u32) -> (Live<Login>, crate::account::tests::Bench) {
    let (admission, bench) = admission().await;
    let limits_of_sources = ThrottleLimits { burst, per_minute: burst, sources: 100 };
    let throttle = Arc::new(Throttle::new(limits_of_sources, Arc::new(SystemClock)));
    (Live::new(Login { admission, throttle, limits, own_uid: 990 }), bench)
}

fn hello(user: &str) -> Hello {
    Hello {
        service: "sshd".to_owned(),
        user: LoginName::new(user).unwrap(),
        known: true,
        rhost: Some("192.0.2.1".to_owned()),
        tty: None,
        nonce: Nonce::from_bytes([7; 16]),
    }
}

/// Says hello and withholds the answer; tells how it ended, and whether there was a prompt at all.
async fn fail_as(login: &Live<Login>, user: &str) -> (bool, LoginResult) {
    answer_as(login, user, LoginRequest::Withheld(Withheld::Shape)).await
}

/// The same with this answer at every prompt.
async fn answer_as(login: &Live<Login>, user: &str, answer: LoginRequest) -> (bool, LoginResult) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (login, hello) = (login.clone(), hello(user));
    let served = tokio::spawn(async move {
        Conversation::new(ours, login).log_in(hello).await.unwrap();
    });
    let mut module = Exchange::new(theirs, Cap::LOGIN);
    let deadline = Instant::now() + SOON;
    let mut prompted = false;
    let done = loop {
        match module.receive::<Step>(deadline).await.unwrap().unwrap() {
            Step::Prompt { .. } => prompted = true,
            Step::Done(done) => break done,
        }
        module.send(&answer.wire(), deadline).await.unwrap();
    };
    served.await.unwrap();
    (prompted, done.result)
}

#[tokio::test]
async fn r30_failures_under_one_name_do_not_keep_others_behind_the_same_address_out() {
    let (login, _bench) = login(LoginLimits::default(), 2).await;
    for _ in 0..2 {
        assert_eq!(fail_as(&login, "mallory").await, (true, LoginResult::Deny));
    }
    assert_eq!(fail_as(&login, "mallory").await, (false, LoginResult::TooManyTries));
    assert_eq!(fail_as(&login, "alice").await, (true, LoginResult::Deny));
}

#[tokio::test]
async fn r30_guessing_codes_is_throttled_like_guessing_tokens() {
    let (login, _bench) = login(LoginLimits::default(), 3).await;
    let guess = || LoginRequest::Answer(Secret::new("k7dm-3xqp-9rtw-h2vn".to_owned()));
    for _ in 0..3 {
        assert_eq!(answer_as(&login, "alice", guess()).await, (true, LoginResult::Deny));
    }
    // A part of a failure is forgiven with each second that the test takes.
    let mut kept_out = false;
    for _ in 0..3 {
        kept_out |= answer_as(&login, "alice", guess()).await == (false, LoginResult::TooManyTries);
    }
    assert!(kept_out);
}

/// The account phase for this name and uid.
async fn judge(login: &Live<Login>, user: &str, uid: u32) -> LoginResult {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let Hello { service, user, rhost, nonce, .. } = hello(user);
    let question = AccountQuestion { service, user, uid, rhost, nonce };
    Conversation::new(ours, login.clone()).judge_account(question).await.unwrap();
    let mut module = Exchange::new(theirs, Cap::LOGIN);
    match module.receive::<Step>(Instant::now() + SOON).await.unwrap().unwrap() {
        Step::Done(done) => done.result,
        Step::Prompt { .. } => panic!("nobody is to be asked"),
    }
}

#[tokio::test]
async fn r08_an_account_of_another_name_lets_nobody_in_under_the_promised_one() {
    let (login, bench) = login(LoginLimits::default(), 9).await;
    let jane = person("1", "jdoe");
    let name = bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap().name;
    let mut account = bench.backend.find(jane.identity()).await.unwrap().unwrap();
    let uid = account.uid.unwrap();
    assert_eq!(judge(&login, "jdoe", uid).await, LoginResult::Allow);
    assert_eq!(judge(&login, "jdoe", uid + 1).await, LoginResult::Deny);
    // An admin renames it; somebody else of that uid is not the person.
    bench.backend.remove(jane.identity(), &name).await.unwrap();
    account.name = UserName::new("jane").unwrap();
    bench.backend.insert(account);
    assert_eq!(judge(&login, "jdoe", uid).await, LoginResult::Deny);
    assert_eq!(judge(&login, "jane", uid).await, LoginResult::Allow);
}

#[tokio::test]
async fn r04_one_deadline_bounds_the_whole_conversation_typing_included() {
    let limits = LoginLimits { deadline: Duration::from_millis(300), ..LoginLimits::default() };
    let (login, _bench) = login(limits, 9).await;
    let (ours, theirs) = UnixStream::pair().unwrap();
    let began = Instant::now();
    let served =
        tokio::spawn(async move { Conversation::new(ours, login).log_in(hello("alice")).await });
    // The module is alive and says nothing.
    let ended = timeout(SOON, served).await;
    drop(theirs);
    assert!(ended.is_ok_and(|ended| ended.unwrap().is_err()));
    assert!(began.elapsed() < Duration::from_secs(5));
}
