//! What an admin's token is good for.

use super::{Rest, Shared, handlers::admin::change_as_admin};
use crate::{
    account::{
        Suspender,
        tests::{Bench, person},
    },
    serve::tests::{admission_for, config},
    verified::Verified,
};
use axum::http::StatusCode;
use feudal_plugins::{Tier, message::Change};
use std::{sync::Arc, time::Duration};

const ISSUER: &str = "https://op.example";
const HOST: Suspender = Suspender::Host { uid: 0 };

async fn rest() -> (Shared, Bench) {
    let config = config(
        "[authorisation.x]\nop_url = https://op.example\nauthorise_all = yes\nauthorised_admins = [carol]\n",
    );
    let (admission, bench) = admission_for(&config.ops).await;
    (Arc::new(Rest { admission, config, time_limit: Duration::from_secs(9) }), bench)
}

async fn status(rest: &Shared, who: &Verified, target: &str, change: Change) -> StatusCode {
    match change_as_admin(rest, who, (target, ISSUER), change).await {
        Ok(answer) | Err(answer) => answer.status(),
    }
}

#[tokio::test]
async fn r28_an_admin_who_is_suspended_can_resume_nobody_least_of_all_himself() {
    let (rest, bench) = rest().await;
    let (carol, dave) = (person("carol", "carol"), person("dave", "dave"));
    bench.accounts.deploy(&dave, Tier::Full, "r").await.unwrap();
    for who in [&carol, &dave] {
        bench.accounts.suspend(who.identity(), HOST, "r").await.unwrap();
    }
    for target in ["carol", "dave"] {
        let refused = status(&rest, &carol, target, Change::Resume).await;
        assert_eq!(refused, StatusCode::FORBIDDEN, "{target}");
    }
    for who in [&carol, &dave] {
        assert!(bench.accounts.is_suspended(who.identity()).await.unwrap());
    }
    bench.accounts.resume(carol.identity(), HOST, "r").await.unwrap();
    assert_eq!(status(&rest, &carol, "dave", Change::Resume).await, StatusCode::OK);
    assert!(!bench.accounts.is_suspended(dave.identity()).await.unwrap());
}

#[tokio::test]
async fn r32_what_failed_inside_is_told_to_the_log_and_not_to_the_client() {
    let (rest, bench) = rest().await;
    let dave = person("dave", "dave");
    bench.accounts.store().close().await;
    let error = bench.accounts.standing(dave.identity()).await.unwrap_err();
    let refusal = crate::admission::Refusal::Account(error);
    let inside = refusal.to_string();
    let answer = super::answer::refused(&refusal);
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("Reached state 'failed'") && !body.contains(&inside), "{body}");
    drop(rest);
}
