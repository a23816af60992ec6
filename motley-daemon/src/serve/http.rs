//! The connection loop of HTTP: TCP, TLS and Unix sockets, with limits, time limits and a graceful end.

use super::{
    crowd::{Crowd, Entry, Guest, Ticket},
    impatient::Impatient,
    listen::HttpListener,
    source::{Peer, Scheme},
    tls::Tls,
};
use axum::body::Body;
use hyper::{Request, Response, body::Incoming};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::watch,
};

/// Times and sizes of a listener.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Time for the head of a request, also the longest idle time of a kept connection, the time for
    /// a TLS handshake, and the longest time in which a client takes nothing of its answer.
    pub head_time: Duration,
    /// Bytes of a request's head; a token of 70 KB has to fit.
    pub head_bytes: usize,
    /// Time for running requests when the daemon stops.
    pub grace: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_time: Duration::from_secs(10),
            head_bytes: 128 * 1024,
            grace: Duration::from_secs(10),
        }
    }
}

/// How a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Who is at the other end of the connection.
    pub peer: Peer,
    /// Whether the connection itself is encrypted.
    pub scheme: Scheme,
}

/// What answers the requests of a listener.
pub trait Service: Clone + Send + Sync + 'static {
    /// Answers one.
    fn answer(
        &self,
        request: Request<Body>,
        arrival: Arrival,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// Whose connections these are, for the bound by source.
    fn guest(&self, peer: Peer) -> Guest;
}

/// A listener with everything that belongs to it.
pub struct Door<S> {
    /// Where connections come in.
    pub listener: HttpListener,
    /// What answers.
    pub service: S,
    /// Times and sizes.
    pub limits: HttpLimits,
    /// Who is connected; listeners may share it.
    pub crowd: Arc<Crowd>,
    /// TLS, where it is spoken. Never on Unix sockets.
    pub tls: Option<Arc<Tls>>,
}

/// Serves one listener until told to stop, then lets running requests end.
pub async fn serve<S: Service>(door: Door<S>, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = door.accept() => accepted,
            _ = stop.changed() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Stopping must not wait until one of the clients gives its place back.
                let ticket = tokio::select! {
                    ticket = door.seat(peer) => ticket,
                    _ = stop.changed() => break,
                };
                if let Some(ticket) = ticket {
                    door.spawn(stream, peer, ticket, graceful.watcher(), stop.clone());
                }
            }
            Err(error) => {
                tracing::error!(%error, "HTTP listener");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let grace = door.limits.grace;
    drop(door);
    let _ = tokio::time::timeout(grace, graceful.shutdown()).await;
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

type Connection<S> =
    hyper::server::conn::http1::Connection<TokioIo<Impatient<Box<dyn Stream>>>, Answer<S>>;

impl<S: Service> Door<S> {
    async fn accept(&self) -> std::io::Result<(Box<dyn Stream>, Peer)> {
        match &self.listener {
            HttpListener::Tcp(listener, _) => {
                let (stream, address) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Peer::of(address)))
            }
            HttpListener::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred()?.uid();
                Ok((Box::new(stream), Peer::User(uid)))
            }
        }
    }

    /// A place for a newcomer; `None` when there is none for its source.
    async fn seat(&self, peer: Peer) -> Option<Ticket> {
        loop {
            match self.crowd.admit(self.service.guest(peer)) {
                Entry::Admitted(ticket) => return Some(ticket),
                Entry::Refused => {
                    metrics::counter!("motley_http_connections_cut_total").increment(1);
                    return None;
                }
                Entry::Full => self.crowd.change().await,
            }
        }
    }

    /// Serves a connection in a task of its own, the handshake included: accepting never waits.
    fn spawn(
        &self,
        stream: Box<dyn Stream>,
        peer: Peer,
        ticket: Ticket,
        watcher: Watcher,
        mut stop: watch::Receiver<bool>,
    ) {
        let (service, limits) = (self.service.clone(), self.limits);
        let tls = self.tls.clone().filter(|_| matches!(self.listener, HttpListener::Tcp(..)));
        let ticket = Arc::new(ticket);
        tokio::spawn(async move {
            let work = async {
                let (stream, scheme) = match tls {
                    None => (stream, Scheme::Http),
                    Some(tls) => {
                        let stream = tokio::select! {
                            stream = shake_hands(&tls, stream, limits.head_time) => stream?,
                            _ = stop.changed() => return None,
                        };
                        (stream, Scheme::Https)
                    }
                };
                let arrival = Arrival { peer, scheme };
                let answer = Answer { service, arrival, ticket: ticket.clone() };
                // What a client does to its own connection is of no interest here.
                watcher.watch(connect(stream, answer, limits)).await.ok()
            };
            tokio::select! {
                _ = work => {}
                () = ticket.displaced() => {}
            }
        });
    }
}

/// Takes TLS off. A peer that speaks something else, or too slowly, is disconnected.
async fn shake_hands(
    tls: &Tls,
    stream: Box<dyn Stream>,
    limit: Duration,
) -> Option<Box<dyn Stream>> {
    let shaken = tokio::time::timeout(limit, tls.acceptor().accept(stream).into_fallible()).await;
    let outcome = match &shaken {
        Ok(Ok(_)) => "done",
        Ok(Err(_)) => "failed",
        Err(_) => "slow",
    };
    metrics::counter!("motley_tls_handshakes_total", "outcome" => outcome).increment(1);
    match shaken.ok()? {
        Ok(stream) => Some(Box::new(stream)),
        Err((error, mut stream)) => {
            tracing::debug!(%error, "TLS handshake");
            let _ = tokio::time::timeout(Duration::from_secs(1), stream.shutdown()).await;
            None
        }
    }
}

/// The service as one connection calls it.
struct Answer<S> {
    service: S,
    arrival: Arrival,
    ticket: Arc<Ticket>,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S: Service> hyper::service::Service<Request<Incoming>> for Answer<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let (service, arrival, work) = (self.service.clone(), self.arrival, self.ticket.work());
        Box::pin(async move {
            let response = service.answer(request.map(Body::new), arrival).await;
            drop(work);
            Ok(response)
        })
    }
}

fn connect<S: Service>(
    stream: Box<dyn Stream>,
    answer: Answer<S>,
    limits: HttpLimits,
) -> Connection<S> {
    // More than 100 header lines are answered 431 by the library's own limit.
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Impatient::new(stream, limits.head_time)), answer)
}
