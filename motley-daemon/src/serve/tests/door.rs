//! A listener of the REST interface for tests, and raw ways to talk to it.

use super::{admission, config};
use crate::serve::{
    crowd::{Crowd, CrowdLimits},
    front::Front,
    gate::{Gate, GateLimits},
    http::{Door, HttpLimits, serve},
    listen::HttpListener,
    live::Live,
    rest::{Rest, RestService},
    tls::Tls,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

pub(super) const SOON: Duration = Duration::from_secs(20);
pub(super) const QUESTION: &[u8] = b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n";

pub(super) struct OpenDoor {
    pub(super) address: SocketAddr,
    pub(super) stop: watch::Sender<bool>,
    pub(super) task: JoinHandle<()>,
    pub(super) gate: Arc<Gate>,
    _bench: crate::account::tests::Bench,
}

/// What is not the default.
pub(super) struct Plan {
    pub(super) limits: HttpLimits,
    pub(super) crowd: CrowdLimits,
    pub(super) gate: GateLimits,
    pub(super) config: &'static str,
    pub(super) tls: Option<Arc<Tls>>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            limits: HttpLimits::default(),
            crowd: CrowdLimits { connections: 512, per_source: 128 },
            gate: GateLimits::new(1200, 600),
            config: "[server]\nlisten = 127.0.0.1:1\n",
            tls: None,
        }
    }
}

pub(super) async fn open(plan: Plan) -> OpenDoor {
    let (admission, bench) = admission().await;
    let rest = RestService::new(Rest { admission, config: config(plan.config), time_limit: SOON });
    let gate = Arc::new(Gate::new(plan.gate));
    let listener =
        HttpListener::open(&crate::config::Listen::Tcp("127.0.0.1:0".parse().unwrap())).await;
    let listener = listener.unwrap();
    let HttpListener::Tcp(_, address) = listener else { unreachable!() };
    let (stop, stopped) = watch::channel(false);
    let door = Door {
        listener,
        service: Front { rest: Live::new(rest), gate: gate.clone() },
        limits: plan.limits,
        crowd: Crowd::new(plan.crowd),
        tls: plan.tls,
    };
    let task = tokio::spawn(serve(door, stopped));
    OpenDoor { address, stop, task, gate, _bench: bench }
}

/// Sends these bytes and reads until the other side closes.
pub(super) async fn say(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may close before all is said.
    let _ = stream.write_all(bytes).await;
    let mut all = Vec::new();
    let ended = timeout(SOON, stream.read_to_end(&mut all)).await;
    let all = String::from_utf8_lossy(&all).into_owned();
    assert!(ended.is_ok(), "the connection stays open: {all}");
    all
}

/// The answer to one request with these header lines, on a connection of its own.
pub(super) async fn ask(address: SocketAddr, path: &str, lines: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n");
    say(address, head.as_bytes()).await
}

pub(super) fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}

pub(super) async fn is_answered(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    if stream.write_all(QUESTION).await.is_err() {
        return false;
    }
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.is_ok() && &begin == b"HTTP/1.1 200"
}
