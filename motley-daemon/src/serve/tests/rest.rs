//! The connection loop of REST.

use super::{admission, config};
use crate::serve::{
    http::{HttpLimits, serve},
    listen::Listeners,
    live::Live,
    rest::{Rest, RestService},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

const SOON: Duration = Duration::from_secs(20);

struct Door {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    _bench: crate::account::tests::Bench,
}

async fn door(limits: HttpLimits) -> Door {
    let (admission, bench) = admission().await;
    let config = config("[server]\nlisten = 127.0.0.1:1\n");
    let service = RestService::new(Rest { admission, config, time_limit: SOON });
    let mut listeners = Listeners::default();
    listeners.add_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let listener = listeners.rest.remove(0);
    let address = listener.place().strip_prefix("http://").unwrap().parse().unwrap();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(serve(listener, Live::new(service), limits, stopped));
    Door { address, stop, task, _bench: bench }
}

const QUESTION: &[u8] = b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n";

async fn is_answered(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    stream.write_all(QUESTION).await.unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.is_ok() && &begin == b"HTTP/1.1 200"
}

#[tokio::test]
async fn the_service_stops_even_while_every_place_is_taken() {
    let limits = HttpLimits {
        connections: 1,
        head_time: Duration::from_secs(3600),
        grace: Duration::from_millis(50),
        ..HttpLimits::default()
    };
    let door = door(limits).await;
    let mut idle = TcpStream::connect(door.address).await.unwrap();
    idle.write_all(b"GET /info HTTP/1.1\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    door.stop.send_replace(true);
    assert!(timeout(SOON, door.task).await.is_ok(), "it waits for a place that nobody gives back");
}

#[tokio::test]
async fn r30_a_client_that_never_reads_its_answers_gives_its_place_back() {
    let limits = HttpLimits {
        connections: 1,
        head_time: Duration::from_millis(300),
        ..HttpLimits::default()
    };
    let door = door(limits).await;
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
async fn a_request_with_two_lengths_is_refused_and_nothing_behind_it_is_read() {
    let door = door(HttpLimits::default()).await;
    for lengths in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Content-Length: +5\r\n",
        "Content-Length : 5\r\n",
    ] {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        let head = format!("POST /user/deploy HTTP/1.1\r\nHost: x\r\n{lengths}\r\n0\r\n\r\n");
        stream.write_all(&[head.as_bytes(), QUESTION].concat()).await.unwrap();
        let mut all = Vec::new();
        let ended = timeout(SOON, stream.read_to_end(&mut all)).await;
        let all = String::from_utf8_lossy(&all);
        assert!(ended.is_ok(), "{lengths:?}: the connection stays open: {all}");
        let status = all.get(..12).unwrap_or_default();
        assert!(["HTTP/1.1 400", "HTTP/1.1 411"].contains(&status), "{lengths:?}: {all}");
        assert_eq!(all.matches("HTTP/1.1").count(), 1, "{lengths:?}: {all}");
    }
}
