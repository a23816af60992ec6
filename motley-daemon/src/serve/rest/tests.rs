//! What an admin's token is good for.

use super::{Rest, Shared, handlers::change_as_admin};
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
use motley_proto::rest::AccountState;
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
async fn r28_an_admin_who_is_suspended_can_change_nobody_not_even_himself() {
    let (rest, bench) = rest().await;
    let (carol, dave) = (person("carol", "carol"), person("dave", "dave"));
    bench.accounts.deploy(&dave, Tier::Full, "r").await.unwrap();
    bench.accounts.suspend(carol.identity(), HOST, "r").await.unwrap();
    for target in ["carol", "dave"] {
        for change in [Change::Suspend, Change::Resume] {
            let refused = status(&rest, &carol, target, change).await;
            assert_eq!(refused, StatusCode::FORBIDDEN, "{target}");
        }
    }
    assert!(bench.accounts.is_suspended(carol.identity()).await.unwrap());
    let standing = bench.accounts.standing(dave.identity()).await.unwrap();
    assert_eq!(standing.state, AccountState::Deployed);
    bench.accounts.resume(carol.identity(), HOST, "r").await.unwrap();
    assert_eq!(status(&rest, &carol, "dave", Change::Suspend).await, StatusCode::OK);
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
