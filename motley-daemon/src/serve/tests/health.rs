//! The listener for the machines that watch this one.

use super::{
    admission,
    door::{SOON, ask, is_answered, say, status},
};
use crate::{
    measure::Measures,
    serve::{
        crowd::{Crowd, CrowdLimits},
        gate::{Gate, GateLimits},
        health::{Health, Lasting, Listening},
        http::{Door, HttpLimits, serve},
        listen::HttpListener,
        live::Live,
    },
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::watch, time::timeout};

struct Watched {
    address: SocketAddr,
    listening: Listening,
    bench: crate::account::tests::Bench,
    _stop: watch::Sender<bool>,
}

async fn watched() -> Watched {
    let (admission, bench) = admission().await;
    let gate = Arc::new(Gate::new(GateLimits::new(10, 10)));
    let listening = Listening::default();
    let lasting = Lasting::new(
        listening.clone(),
        Measures::begin(crate::clock::Timestamp(1_700_000_000)).unwrap(),
        gate,
    );
    let health = Health { admission, lasting: Arc::new(lasting) };
    let place = crate::config::Listen::Tcp("127.0.0.1:0".parse().unwrap());
    let listener = HttpListener::open(&place).await.unwrap();
    let HttpListener::Tcp(_, address) = listener else { unreachable!() };
    let (stop, stopped) = watch::channel(false);
    let door = Door {
        listener,
        service: Live::new(health),
        limits: HttpLimits { head_time: Duration::from_secs(3600), ..HttpLimits::default() },
        crowd: Crowd::new(CrowdLimits { connections: 8, per_source: 4 }),
        tls: None,
    };
    tokio::spawn(serve(door, stopped));
    Watched { address, listening, bench, _stop: stop }
}

/// One process has one set of measurements, so this is one test.
#[tokio::test]
async fn health_tells_what_fails_and_nothing_about_people() {
    let watched = watched().await;
    let at = watched.address;
    assert!(ask(at, "/healthz", "").await.ends_with("ok\n"));
    assert_eq!(status(&ask(at, "/readyz", "").await), "200");
    assert_eq!(status(&ask(at, "/info", "").await), "404");
    assert_eq!(status(&ask(at, "/metrics?x=1", "").await), "200");

    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let head = format!("{method} /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = say(at, head.as_bytes()).await;
        assert_eq!(status(&answer), "405", "{answer}");
    }
    let head = "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = say(at, head.as_bytes()).await;
    assert!(status(&answer) == "200" && answer.ends_with("\r\n\r\n"), "{answer}");

    let ended = tokio::spawn(async {});
    watched.listening.add("http://[::1]:1".to_owned(), ended.abort_handle());
    ended.await.unwrap();
    watched.bench.accounts.store().close().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let answer = ask(at, "/readyz", "").await;
    assert_eq!(status(&answer), "503", "{answer}");
    assert!(answer.contains("store: ") && answer.contains("listeners: closed: http://[::1]:1\n"));
    assert!(!answer.contains("root_helper"), "what works is not named: {answer}");
    let answer = ask(at, "/readyz", "Accept: application/json\r\n").await;
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["ready"], &body["parts"]["providers"]), (&false.into(), &"ok".into()));
    assert_eq!(status(&ask(at, "/healthz", "").await), "200", "the process lives");

    let metrics = ask(at, "/metrics", "").await;
    for line in [
        "# HELP motley_audit_failures_total Events that could not",
        "motley_audit_failures_total 0",
        "motley_build_info{version=\"",
        "process_start_time_seconds 1700000000",
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "motley_http_connections 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    starve(at).await;
}

/// r30: who opens connections and says nothing keeps no one from looking.
async fn starve(at: SocketAddr) {
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        silent.push(stream);
    }
    let answer = timeout(SOON, ask(at, "/healthz", "")).await.unwrap();
    assert_eq!(status(&answer), "200");
    assert!(!timeout(SOON, is_answered(at)).await.unwrap(), "/info is not here");
}
