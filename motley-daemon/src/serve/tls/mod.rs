//! TLS on the listeners: the certificate that is served now, and the way to a newer one.

mod files;
mod validity;

pub use files::TlsError;

use crate::{
    clock::Clock,
    config::{Owners, TlsFiles},
};
use files::{Loaded, Stamp};
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often an end that is near is warned about.
const WARN_EVERY: Duration = Duration::from_secs(24 * 3600);
/// From when on it is near, in seconds.
const NEAR: i64 = 14 * 24 * 3600;

/// TLS of this daemon.
pub struct Tls {
    acceptor: TlsAcceptor,
    served: Arc<Served>,
    files: TlsFiles,
    owners: Owners,
    looked_at: Mutex<Stamp>,
    clock: Arc<dyn Clock>,
}

/// The certificate that new connections get.
struct Served(RwLock<Arc<Loaded>>);

impl Served {
    fn get(&self) -> Arc<Loaded> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Served")
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get().certified.clone())
    }
}

impl Tls {
    /// Reads certificate and key, and warns when they end soon by this clock.
    ///
    /// # Errors
    /// When they can't be read, don't belong together, or others could read or change them.
    pub fn load(files: &TlsFiles, owners: Owners, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let stamp = Stamp::of(files);
        let loaded = Loaded::read(files, owners)?;
        let served = Arc::new(Served(RwLock::new(Arc::new(loaded))));
        // RFC 9325 §3.1.1: nothing below 1.2.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| TlsError::unusable(files, &error))?
            .with_no_client_auth()
            .with_cert_resolver(served.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            served,
            files: files.clone(),
            owners,
            looked_at: Mutex::new(stamp),
            clock,
        };
        tls.tell_expiry();
        Ok(tls)
    }

    /// Takes TLS off a connection.
    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Serves the files as they are now, if they changed. A pair that is broken, or half of which is
    /// written, changes nothing: the log says so once, and the next change is tried again.
    pub fn refresh(&self) {
        let stamp = Stamp::of(&self.files);
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if *looked_at == stamp {
            return;
        }
        // The state before the reading: what is written meanwhile is a change for the next look.
        *looked_at = stamp;
        match Loaded::read(&self.files, self.owners) {
            Ok(loaded) => {
                *self.served.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
                tracing::warn!(certificate = %self.files.certificate.display(), "a new TLS certificate is served");
                metrics::counter!("motley_tls_reload_total", "outcome" => "ok").increment(1);
                self.tell_expiry();
            }
            Err(error) => {
                tracing::error!(%error, "certificate or key changed and can't be used; the old pair is served");
                metrics::counter!("motley_tls_reload_total", "outcome" => "failed").increment(1);
            }
        }
    }

    /// Looks after the files until told to stop.
    pub async fn watch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut timer = tokio::time::interval(LOOK_EVERY);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut warned = Instant::now();
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                _ = stop.changed() => return,
            }
            let this = self.clone();
            // The files may lie on something slow.
            let _ = tokio::task::spawn_blocking(move || this.refresh()).await;
            if warned.elapsed() >= WARN_EVERY {
                warned = Instant::now();
                self.tell_expiry();
            }
        }
    }

    fn tell_expiry(&self) {
        let Some(ends) = self.served.get().ends else { return };
        // Exact for all dates that a certificate may have.
        #[allow(clippy::cast_precision_loss)]
        metrics::gauge!("motley_tls_certificate_expiry_seconds").set(ends as f64);
        let left = ends.saturating_sub(self.clock.now().0);
        let certificate = self.files.certificate.display();
        if left <= 0 {
            tracing::error!(%certificate, "the TLS certificate has expired; clients refuse it: renew it");
        } else if left < NEAR {
            tracing::warn!(%certificate, days = left / 86_400, "the TLS certificate expires soon: renew it");
        }
    }
}
