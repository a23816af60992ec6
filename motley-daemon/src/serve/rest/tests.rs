//! What an admin's token is good for, and what anybody is told.

use super::{Rest, RestService, Shared, handlers::admin::change_as_admin};
use crate::{
    account::{
        Suspender,
        tests::{Bench, person},
    },
    serve::tests::{admission_for, config},
    verified::Verified,
};
use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
};
use feudal_plugins::{Backend, BackendError, Tier, message::Change};
use motley_proto::rest::AccountState;
use serde_json::Value;
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
async fn r28_a_suspension_that_is_not_complete_says_so_over_rest_and_is_retried() {
    let (rest, bench) = rest().await;
    let (carol, dave) = (person("carol", "carol"), person("dave", "dave"));
    let name = bench.accounts.deploy(&dave, Tier::Full, "r").await.unwrap().name;
    bench.backend.open_sessions(&name, 2);
    let hidden = BackendError::Unavailable {
        what: "ldap://inside.example: refused".to_owned(),
        cure: "start it".to_owned(),
    };
    bench.backend.fail_next(hidden);
    let told = async |change| match change_as_admin(&rest, &carol, ("dave", ISSUER), change).await {
        Ok(answer) | Err(answer) => json_of(answer).await,
    };
    let body = told(Change::Suspend).await;
    // What is established stays as it is: the person is out by the mark.
    assert_eq!(body["state"], "suspended", "{body}");
    assert!(body["message"].as_str().unwrap().ends_with("was suspended."), "{body}");
    let receipt = &body["receipt"];
    assert_eq!(receipt["pending"], serde_json::json!(["lock the account"]), "{body}");
    assert_eq!(receipt["ended"]["sessions"], 2, "{body}");
    assert!(!body.to_string().contains("inside.example"), "{body}");
    assert!(bench.accounts.is_suspended(dave.identity()).await.unwrap());
    assert_eq!(bench.accounts.reconcile().await.unwrap().len(), 1, "it is retried");
    let locked = bench.backend.find(dave.identity()).await.unwrap().unwrap();
    assert_eq!(locked.state, AccountState::Suspended);
    let again = told(Change::Suspend).await;
    assert!(again.get("receipt").is_none(), "nothing was done: {again}");
    bench.backend.fail_next(BackendError::Busy);
    let shut = told(Change::Resume).await;
    assert_eq!(shut["state"], "suspended", "{shut}");
    assert_eq!(shut["receipt"]["pending"], serde_json::json!(["resume the account"]), "{shut}");
    let open = told(Change::Resume).await;
    assert_eq!(
        (&open["state"], &open["receipt"]["pending"]),
        (&"deployed".into(), &Value::Array(vec![]))
    );
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

#[tokio::test]
async fn an_admin_who_may_not_learns_why() {
    let (rest, _bench) = rest().await;
    let told = async |who: &str, issuer: &str| {
        let who = person(who, who);
        match change_as_admin(&rest, &who, ("dave", issuer), Change::Suspend).await {
            Ok(answer) | Err(answer) => json_of(answer).await["explanation"][0].clone(),
        }
    };
    assert!(told("mallory", ISSUER).await.as_str().unwrap().contains("not an admin"));
    let other = told("carol", "https://other.example").await;
    assert!(other.as_str().unwrap().contains("your own home organisation only"));
    assert!(told("carol", "").await.as_str().unwrap().contains("does not say"));
}

async fn json_of(answer: Response<Body>) -> Value {
    let bytes = axum::body::to_bytes(answer.into_body(), 100_000).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn clients_are_told_keys_of_the_host_and_public_clients_where_there_are_any() {
    let folder = tempfile::tempdir().unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    std::fs::write(folder.path().join("ssh_host_ed25519_key.pub"), format!("{key} me@x\n"))
        .unwrap();
    let ask = async |keys: &str, path: &str| {
        let config = config(&format!(
            "[server]\nssh_host_keys = {keys}\n[authorisation.a]\nop_url = https://a.example\n\
             client_id = public\n[authorisation.b]\nop_url = https://b.example\n"
        ));
        let (admission, _bench) = admission_for(&config.ops).await;
        let rest = Rest { admission, config, time_limit: Duration::from_secs(9) };
        let request = Request::get(path).body(Body::empty()).unwrap();
        json_of(RestService::new(rest).answer(request).await).await
    };
    let info = ask(&folder.path().display().to_string(), "/info").await;
    let told = &info["ssh_host_keys"][0];
    assert_eq!(
        format!("{} {}", told["type"].as_str().unwrap(), told["key"].as_str().unwrap()),
        key
    );
    assert!(told["fingerprint"].as_str().unwrap().starts_with("SHA256:"));
    assert_eq!(info["ops_info"]["https://a.example"]["client_id"], "public");
    assert!(info["ops_info"]["https://b.example"].get("client_id").is_none());
    let one = ask("", "/info/op?url=https://a.example").await;
    assert_eq!(one["client_id"], "public");
    assert!(ask("", "/info").await.get("ssh_host_keys").is_none());
    assert!(ask("/missing", "/info").await.get("ssh_host_keys").is_none());
}

#[tokio::test]
async fn r29_what_changes_something_takes_post_and_get_only_while_that_is_wanted() {
    for (get_mutations, allow) in [("yes", "GET, POST, OPTIONS"), ("no", "POST, OPTIONS")] {
        let config = config(&format!("[server]\nget_mutations = {get_mutations}\n"));
        let (admission, _bench) = admission_for(&[]).await;
        let rest = Rest { admission, config, time_limit: Duration::from_secs(9) };
        let service = RestService::new(rest);
        let ask = async |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path);
            service.answer(request.body(Body::empty()).unwrap()).await
        };
        for path in [
            "/user/deploy",
            "/user/suspend",
            "/user/generate_otp",
            "/admin/suspend",
            "/admin/resume",
        ] {
            let told =
                |answer: &Response<Body>| answer.headers()["allow"].to_str().unwrap().to_owned();
            for mount in ["", "/api", "/api/v1"] {
                let path = &format!("{mount}{path}");
                assert_eq!(ask("POST", path).await.status(), 401, "{path}");
                let get = ask("GET", path).await;
                assert_eq!(get.status(), if get_mutations == "yes" { 401 } else { 405 }, "{path}");
                for method in ["HEAD", "PUT", "DELETE", "PATCH", "TRACE"] {
                    let refused = ask(method, path).await;
                    assert_eq!((refused.status().as_u16(), told(&refused).as_str()), (405, allow));
                }
                let options = ask("OPTIONS", path).await;
                assert_eq!((options.status().as_u16(), told(&options).as_str()), (204, allow));
            }
        }
    }
}
