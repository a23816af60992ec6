//! The connection loop of REST: TCP and Unix sockets, with limits, time limits and a graceful end.

use super::{impatient::Impatient, listen::RestListener, live::Live, rest::RestService};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
};

/// Limits of the REST listeners.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Connections at a time; more wait in the backlog.
    pub connections: usize,
    /// Time for the head of a request, also the longest idle time of a kept connection, and the
    /// longest time in which a client takes nothing of its answer.
    pub head_time: Duration,
    /// Bytes of a request's head; a token of 70 KB has to fit.
    pub head_bytes: usize,
    /// Time for running requests when the daemon stops.
    pub grace: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            head_time: Duration::from_secs(10),
            head_bytes: 128 * 1024,
            grace: Duration::from_secs(10),
        }
    }
}

/// Serves one listener until told to stop, then lets running requests end.
pub async fn serve(
    listener: RestListener,
    service: Live<RestService>,
    limits: HttpLimits,
    mut stop: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        // Stopping must not wait until one of the clients gives its place back.
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            _ = stop.changed() => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = stop.changed() => break,
        };
        match accepted {
            Ok(stream) => {
                let connection = connect(stream, service.clone(), limits);
                let watched = graceful.watch(connection);
                tokio::spawn(async move {
                    let _place = place;
                    // What a client does to its own connection is of no interest here.
                    let _ = watched.await;
                });
            }
            Err(error) => {
                tracing::error!(%error, "REST listener");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(limits.grace, graceful.shutdown()).await;
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn accept(listener: &RestListener) -> std::io::Result<Box<dyn Stream>> {
    match listener {
        RestListener::Tcp(listener, _) => {
            let (stream, _) = listener.accept().await?;
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream))
        }
        RestListener::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
    }
}

type Answering = std::pin::Pin<
    Box<dyn Future<Output = Result<hyper::Response<Body>, std::convert::Infallible>> + Send>,
>;

/// The REST service as one connection calls it.
struct Answer(Live<RestService>);

impl hyper::service::Service<hyper::Request<Incoming>> for Answer {
    type Response = hyper::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Answering;

    fn call(&self, request: hyper::Request<Incoming>) -> Answering {
        let service = self.0.get();
        if request.headers().contains_key(header::TRANSFER_ENCODING) {
            return Box::pin(async { Ok(require_length()) });
        }
        Box::pin(async move { Ok(service.answer(request.map(Body::new)).await) })
    }
}

/// Refuses a body without a length. No request here needs a body, and of a request with both kinds of
/// length a proxy may have taken the other one, so that it sees the next request begin elsewhere
/// (RFC 9112 §6.3). The HTTP library hides that there were two.
fn require_length() -> hyper::Response<Body> {
    let mut response = hyper::Response::new(Body::empty());
    *response.status_mut() = StatusCode::LENGTH_REQUIRED;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn connect(
    stream: Box<dyn Stream>,
    service: Live<RestService>,
    limits: HttpLimits,
) -> hyper::server::conn::http1::Connection<TokioIo<Impatient<Box<dyn Stream>>>, Answer> {
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Impatient::new(stream, limits.head_time)), Answer(service))
}
