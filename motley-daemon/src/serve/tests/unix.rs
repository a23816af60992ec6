//! Who is at the other end of a Unix socket is what the kernel says.

use super::door::SOON;
use crate::serve::{
    crowd::{Crowd, CrowdLimits, Guest},
    http::{Arrival, Door, HttpLimits, Service, serve},
    listen::HttpListener,
    source::Peer,
};
use axum::body::Body;
use hyper::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::watch,
    time::timeout,
};

#[derive(Clone)]
struct Mirror;

impl Service for Mirror {
    async fn answer(&self, _: Request<Body>, arrival: Arrival) -> Response<Body> {
        Response::new(Body::from(format!("{:?}", arrival.peer)))
    }

    fn guest(&self, _: Peer) -> Guest {
        Guest::Uncounted
    }
}

#[tokio::test]
async fn r30_a_connection_over_the_unix_socket_is_that_of_its_user() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rest.sock");
    let listener = HttpListener::open(&crate::config::Listen::Unix(path.clone())).await.unwrap();
    let (_stop, stopped) = watch::channel(false);
    let door = Door {
        listener,
        service: Mirror,
        limits: HttpLimits::default(),
        crowd: Crowd::new(CrowdLimits { connections: 9, per_source: 9 }),
        tls: None,
    };
    tokio::spawn(serve(door, stopped));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let question = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(question).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let own = Peer::User(nix::unistd::Uid::effective().as_raw());
    assert!(answer.ends_with(&format!("{own:?}")), "{answer}");
}
