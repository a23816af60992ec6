//! The connection loop of REST.

use super::door::{Plan, QUESTION, SOON, ask, is_answered, open, say, status};
use crate::serve::{crowd::CrowdLimits, http::HttpLimits};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

const ONE: CrowdLimits = CrowdLimits { connections: 1, per_source: 1 };

#[tokio::test]
async fn the_service_stops_even_while_every_place_is_taken() {
    let limits = HttpLimits {
        head_time: Duration::from_secs(3600),
        grace: Duration::from_millis(50),
        ..HttpLimits::default()
    };
    let door = open(Plan { limits, crowd: ONE, ..Plan::default() }).await;
    let mut idle = TcpStream::connect(door.address).await.unwrap();
    idle.write_all(b"GET /info HTTP/1.1\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    door.stop.send_replace(true);
    assert!(timeout(SOON, door.task).await.is_ok(), "it waits for a place that nobody gives back");
}

#[tokio::test]
async fn r30_a_client_that_never_reads_its_answers_gives_its_place_back() {
    let limits = HttpLimits { head_time: Duration::from_millis(300), ..HttpLimits::default() };
    let door = open(Plan { limits, crowd: ONE, ..Plan::default() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stuck = socket.connect(door.address).await.unwrap();
    // Asks until the answers no longer fit anywhere.
    while let Ok(Ok(())) =
        timeout(Duration::from_millis(200), stuck.write_all(&QUESTION.repeat(64))).await
    {}
    let other = timeout(SOON, is_answered(door.address)).await;
    assert!(other.is_ok_and(|answered| answered), "one stuck client keeps everybody else out");
}

#[tokio::test]
async fn r30_silent_connections_give_way_to_whoever_asks_something() {
    let limits = HttpLimits { head_time: Duration::from_secs(3600), ..HttpLimits::default() };
    let crowd = CrowdLimits { connections: 4, per_source: 4 };
    let door = open(Plan { limits, crowd, ..Plan::default() }).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(b"GET /info HTTP/1.1\r\nX-Slow: ").await.unwrap();
        silent.push(stream);
    }
    // Until they count as silent, and not as about to ask.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for _ in 0..8 {
        assert!(timeout(SOON, is_answered(door.address)).await.unwrap());
    }
    let mut rest = Vec::new();
    let oldest = timeout(SOON, silent[0].read_to_end(&mut rest)).await;
    assert!(oldest.is_ok(), "the oldest silent one was cut off");
}

#[tokio::test]
async fn r30_a_body_that_never_comes_holds_no_place() {
    let limits = HttpLimits { head_time: Duration::from_millis(500), ..HttpLimits::default() };
    let door = open(Plan { limits, ..Plan::default() }).await;
    let head = "POST /user/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{";
    let answer = say(door.address, head.as_bytes()).await;
    assert_eq!(status(&answer), "401", "{answer}");
}

#[tokio::test]
async fn heads_and_bodies_have_a_greatest_size() {
    let limits = HttpLimits { head_bytes: 16 * 1024, ..HttpLimits::default() };
    let door = open(Plan { limits, ..Plan::default() }).await;
    let many = "X-More: 1\r\n".repeat(200);
    let long = format!("X-Long: {}\r\n", "x".repeat(40_000));
    for lines in [many, long] {
        let answer = ask(door.address, "/info", &lines).await;
        assert_eq!(status(&answer), "431", "{answer}");
    }
    let fitting = "X-More: 1\r\n".repeat(90);
    assert_eq!(status(&ask(door.address, "/info", &fitting).await), "200");
    let large = "POST /user/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n";
    let answer = say(door.address, large.as_bytes()).await;
    assert_eq!(status(&answer), "413", "{answer}");
    assert!(answer.ends_with("{\"detail\":\"The body is too long\"}"), "{answer}");
}

#[tokio::test]
async fn r32_every_answer_names_its_request() {
    let door = open(Plan::default()).await;
    let mut ids = std::collections::HashSet::new();
    for path in ["/info", "/nowhere", "/user/status", "/api", "/info/op"] {
        let answer = ask(door.address, path, "X-Request-Id: mine\r\n").await.to_lowercase();
        let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
        assert!(id.len() == 12 && id != "mine", "{answer}");
        assert!(ids.insert(id.to_owned()), "{id} twice");
    }
}

#[tokio::test]
async fn a_redirect_names_https_only_if_a_trusted_proxy_says_so() {
    let trusting = open(Plan::default()).await;
    let lines = "X-Forwarded-Proto: https\r\n";
    let answer = ask(trusting.address, "/api", lines).await;
    assert!(answer.contains("location: https://x/api/"), "{answer}");
    let config = "[server]\nlisten = 127.0.0.1:1\ntrusted_proxies =\n";
    let other = open(Plan { config, ..Plan::default() }).await;
    let answer = ask(other.address, "/api", lines).await;
    assert!(answer.contains("location: http://x/api/"), "{answer}");
}

#[tokio::test]
async fn health_and_metrics_are_not_on_the_public_listener() {
    let door = open(Plan::default()).await;
    for path in ["/metrics", "/healthz", "/readyz", "/api/metrics"] {
        assert_eq!(status(&ask(door.address, path, "").await), "404", "{path}");
    }
}
