//! TLS in front of a plain HTTP service, as nginx stands in front of the daemon on a login node.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::op::TestCa;

/// Takes TLS off and passes the bytes on; dropping it closes its port.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TlsFront {
    /// Listens at `address` with a certificate for `names` besides that address, and passes
    /// everything on to `inner`.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn start(
        ca: &TestCa,
        address: SocketAddr,
        names: &[&str],
        inner: SocketAddr,
    ) -> Result<Self> {
        let ip: IpAddr = address.ip();
        let ip = ip.to_string();
        let mut all = names.to_vec();
        all.push(&ip);
        let acceptor = TlsAcceptor::from(ca.server_config(&all)?);
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen at {address}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = pass_on(listener, acceptor, inner) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_timeout(Duration::from_millis(100));
        });
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// TLS at port 8443 of `localhost`, where clients look for a service, in front of the daemon's usual
    /// address.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn of_the_login_node(ca: &TestCa) -> Result<Self> {
        let [outer, inner] = [8443, 8080].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        Self::start(ca, outer, &["localhost"], inner)
    }

    /// Its base URL by address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for TlsFront {
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

async fn pass_on(listener: TcpListener, acceptor: TlsAcceptor, inner: SocketAddr) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        let Ok((stream, _peer)) = listener.accept().await else { continue };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(mut outer) = acceptor.accept(stream).await else { return };
            let Ok(mut inner) = TcpStream::connect(inner).await else { return };
            // Either side may hang up at any time.
            drop(tokio::io::copy_bidirectional(&mut outer, &mut inner).await);
        });
    }
}
