//! An HTTP/1.1 server on loopback that can be stopped and started again on the same port.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The largest request body that is read.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// One request, read to its end.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What a server shows.
pub(crate) trait Site: Send + Sync + 'static {
    /// Called for every accepted connection, before TLS.
    fn connected(&self) {}

    /// Answers one request; `None` closes the connection without an answer.
    fn answer(&self, call: Call) -> impl Future<Output = Option<Response<Body>>> + Send;
}

/// A server in a thread of its own; dropping it closes its port and all connections.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `address` (port 0: any free one) and serves `site`, with TLS where settings are
    /// given.
    pub(crate) fn start(
        address: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
        site: Arc<impl Site>,
    ) -> Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen at {address}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name(format!("server {address}")).spawn(move || {
                runtime.block_on(async move {
                    tokio::select! {
                        () = accept(listener, tls, site) => {}
                        _ = stopped => {}
                    }
                });
                runtime.shutdown_timeout(Duration::from_millis(100));
            })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    site: Arc<impl Site>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let acceptor = tls.map(TlsAcceptor::from);
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _peer)) = listener.accept().await else { continue };
        site.connected();
        drop(stream.set_nodelay(true));
        let (site, acceptor) = (site.clone(), acceptor.clone());
        connections.spawn(async move {
            match acceptor {
                None => serve(stream, site).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, site).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, site: Arc<impl Site>) {
    let service = service_fn(move |request| {
        let site = site.clone();
        async move {
            let call = read(request).await.map_err(std::io::Error::other)?;
            site.answer(call).await.ok_or_else(|| std::io::Error::other("closed on purpose"))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .max_buf_size(256 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away in mid-answer is no concern of the provider.
    drop(connection.await);
}

async fn read(request: Request<Incoming>) -> Result<Call> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), BODY_LIMIT).await?.to_vec();
    let header = head.headers.get("authorization");
    Ok(Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: header.and_then(|value| value.to_str().ok()).map(str::to_owned),
        body,
    })
}
