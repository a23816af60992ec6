//! What a flood of requests may and may not do.

use super::door::{OpenDoor, Plan, ask, open, status};
use crate::serve::gate::GateLimits;

/// The answer to a request with an opaque token that nobody knows, from behind a trusted proxy.
async fn try_token(door: &OpenDoor, client: &str, token: &str) -> String {
    let lines = format!("X-Forwarded-For: {client}\r\nAuthorization: Bearer {token}\r\n");
    ask(door.address, "/user/get_status", &lines).await
}

#[tokio::test]
async fn r30_a_flood_of_bad_tokens_is_turned_away_and_others_notice_nothing() {
    let plan = Plan { gate: GateLimits::new(60, 60), ..Plan::default() };
    let door = open(plan).await;
    let mut last = String::new();
    for i in 0..12 {
        // What the client itself claims to the left of the proxy's word does not help.
        last = try_token(&door, &format!("10.0.0.{i}, 198.51.100.1"), &format!("t{i}")).await;
    }
    assert_eq!(status(&last), "429", "{last}");
    let head = last.to_lowercase();
    assert!(head.contains("retry-after: ") && head.contains("content-type: application/json"));
    assert!(last.ends_with(" s\"}") && last.contains("{\"detail\":\"Too many requests"), "{last}");
    assert_eq!(status(&try_token(&door, "198.51.100.2", "other").await), "401");
    let public = ask(door.address, "/info", "X-Forwarded-For: 198.51.100.1\r\n").await;
    assert_eq!(status(&public), "200", "what costs nothing is never refused");
    let own = ask(door.address, "/user/get_status", "Authorization: Bearer host\r\n").await;
    assert_eq!(status(&own), "401", "the host itself is not counted");
}

#[tokio::test]
async fn r30_nobody_but_a_trusted_proxy_can_have_others_counted() {
    let config = "[server]\nlisten = 127.0.0.1:1\ntrusted_proxies = 192.0.2.1\n";
    let door = open(Plan { gate: GateLimits::new(20, 60), config, ..Plan::default() }).await;
    for i in 0..12 {
        let answer = try_token(&door, "198.51.100.1", &format!("t{i}")).await;
        assert_eq!(status(&answer), "401", "{answer}");
    }
    assert_eq!(door.gate.sizes(), (0, 0), "the peer is this host, whatever it says");
}

#[tokio::test]
async fn r30_the_tables_stay_as_small_as_they_are_meant_to_be() {
    let gate = GateLimits { remembered: 16, ..GateLimits::new(60, 60) };
    let door = open(Plan { gate, ..Plan::default() }).await;
    for i in 0..200 {
        try_token(&door, &format!("198.51.100.{i}"), "t").await;
        assert!(door.gate.sizes().0 <= 16);
    }
}
