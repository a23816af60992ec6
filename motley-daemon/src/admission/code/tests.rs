//! Codes on an admin's word: for whom they are given out, and what they open.

use super::*;
use crate::{
    account::tests::{Bench, bench, friendly, person},
    clock::SystemClock,
    config::OpConfig,
    identity::{HttpSettings, TokenVerifier},
    serve::tests::config,
};
use feudal_plugins::Tier;
use motley_proto::{Code, LoginName};
use std::sync::Arc;

const ONE: &str = "[authorisation.x]\nop_url = https://op.example\nauthorise_all = yes\n";

fn admission(bench: &Bench, ops: &[OpConfig], codes: Option<OneTimePasswords>) -> Admission {
    let verifier =
        TokenVerifier::new(Vec::new(), &HttpSettings::default(), Arc::new(SystemClock)).unwrap();
    Admission::new(Arc::new(verifier), ops, codes.map(Arc::new), bench.accounts.clone())
}

fn codes(bench: &Bench) -> OneTimePasswords {
    OneTimePasswords::new(bench.accounts.store().clone(), Arc::new(SystemClock), 600)
}

fn login(name: &str) -> LoginName {
    LoginName::new(name).unwrap()
}

fn typed(code: &Code) -> Secret {
    Secret::new(code.canonical().expose().to_uppercase())
}

/// An admission with one provider, whose person jdoe has an account.
async fn with_account() -> (Admission, Bench, Verified) {
    let bench = bench(friendly()).await;
    let jane = person("1", "jdoe");
    bench.accounts.deploy(&jane, Tier::Full, "r").await.unwrap();
    let admission = admission(&bench, &config(ONE).ops, Some(codes(&bench)));
    (admission, bench, jane)
}

#[tokio::test]
async fn r18_a_vouched_code_lets_its_person_in_once() {
    let (admission, _bench, jane) = with_account().await;
    let (new, identity, name) =
        admission.code_for_target(jane.identity(), 1000, "r").await.unwrap();
    assert_eq!((&identity, name.as_str()), (jane.identity(), "jdoe"));
    let admitted = admission.admit(&typed(&new.code), &login("jdoe")).await.unwrap();
    assert_eq!((admitted.identity(), admitted.proof()), (jane.identity(), Proof::VouchedCode));
    let again = admission.admit(&typed(&new.code), &login("jdoe")).await;
    assert!(matches!(again, Err(Refusal::OneTimePassword)));
}

#[tokio::test]
async fn r18_a_wrong_user_name_uses_a_code_up() {
    let (admission, bench, jane) = with_account().await;
    bench.accounts.deploy(&person("2", "other"), Tier::Full, "r").await.unwrap();
    let (new, ..) = admission.code_for_target(jane.identity(), 0, "r").await.unwrap();
    let wrong = admission.admit(&typed(&new.code), &login("other")).await;
    assert!(matches!(wrong, Err(Refusal::OtherName(_))));
    let right = admission.admit(&typed(&new.code), &login("jdoe")).await;
    assert!(matches!(right, Err(Refusal::OneTimePassword)));
}

#[tokio::test]
async fn r28_nobody_gets_or_uses_a_code_who_has_no_account_or_is_suspended() {
    let (admission, bench, jane) = with_account().await;
    let stranger = person("9", "stranger");
    let none = admission.code_for_target(stranger.identity(), 0, "r").await;
    assert!(matches!(none, Err(NoCode::State(AccountState::NotDeployed))));
    let (new, ..) = admission.code_for_target(jane.identity(), 0, "r").await.unwrap();
    // The mark alone, as if the process had died before it dropped the codes.
    let now = crate::clock::Clock::now(&SystemClock);
    bench.accounts.store().suspend(jane.identity(), "admin", now).await.unwrap();
    let refused = admission.admit(&typed(&new.code), &login("jdoe")).await;
    assert!(matches!(refused, Err(Refusal::State(AccountState::Suspended))));
    let none = admission.code_for_target(jane.identity(), 0, "r").await;
    assert!(matches!(none, Err(NoCode::State(AccountState::Suspended))));
    bench.accounts.resume(jane.identity(), Suspender::Host { uid: 0 }, "r").await.unwrap();
    let (new, ..) = admission.code_for_target(jane.identity(), 0, "r").await.unwrap();
    let by = Suspender::Host { uid: 0 };
    let receipt = bench.accounts.suspend(jane.identity(), by, "r").await.unwrap();
    assert_eq!(receipt.one_time_passwords, 1);
    let gone = admission.admit(&typed(&new.code), &login("jdoe")).await;
    assert!(matches!(gone, Err(Refusal::OneTimePassword)));
}

#[tokio::test]
async fn a_code_is_worth_nothing_once_its_provider_is_gone_or_codes_are_off() {
    let (admission_now, bench, jane) = with_account().await;
    let issue =
        || async { admission_now.code_for_target(jane.identity(), 0, "r").await.unwrap().0 };
    let new = issue().await;
    let without_op = admission(&bench, &[], Some(codes(&bench)));
    let refused = without_op.admit(&typed(&new.code), &login("jdoe")).await;
    assert!(matches!(refused, Err(Refusal::NotAuthorised(_))));
    let none = without_op.code_for_target(jane.identity(), 0, "r").await;
    assert!(matches!(none, Err(NoCode::Provider)));
    let new = issue().await;
    let ops = config(ONE).ops.clone();
    for off in [None, Some(codes(&bench).without_codes())] {
        let off = admission(&bench, &ops, off);
        let refused = off.admit(&typed(&new.code), &login("jdoe")).await;
        assert!(matches!(refused, Err(Refusal::OneTimePassword)));
        let none = off.code_for_target(jane.identity(), 0, "r").await;
        assert!(matches!(none, Err(NoCode::Off)));
    }
}

#[tokio::test]
async fn a_code_names_its_account_and_opens_no_other_one_of_the_same_person() {
    let (admission, bench, jane) = with_account().await;
    let (new, ..) = admission.code_for_target(jane.identity(), 0, "r").await.unwrap();
    let mut account = bench.accounts.standing(jane.identity()).await.unwrap().account.unwrap();
    account.name = UserName::new("ada").unwrap();
    bench.backend.insert(account);
    let refused = admission.admit(&typed(&new.code), &login("ada")).await;
    assert!(matches!(refused, Err(Refusal::OtherAccount(_))), "{refused:?}");
}
