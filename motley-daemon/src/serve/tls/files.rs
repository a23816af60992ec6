//! Reads a certificate chain and its key from their files, and tells when these changed.

use super::validity;
use crate::config::{Finding, Owners, TlsFiles, read_guarded, read_key};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{fs, os::unix::fs::MetadataExt, path::Path, sync::Arc};
use zeroize::Zeroizing;

/// Why certificate or key can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[server] {option}: {file} {what}; {cure}")]
pub struct TlsError {
    option: &'static str,
    file: String,
    what: String,
    cure: String,
}

const CERTIFICATE: &str = "tls_certificate";
const KEY: &str = "tls_key";

impl TlsError {
    fn new(option: &'static str, file: &Path, what: impl Into<String>, cure: &str) -> Self {
        let file = file.display().to_string();
        Self { option, file, what: what.into(), cure: cure.to_owned() }
    }

    fn found(option: &'static str, finding: Finding) -> Self {
        let Finding { file, what, cure, .. } = finding;
        Self { option, file: file.into(), what, cure }
    }

    /// TLS itself can't be set up.
    pub(super) fn unusable(files: &TlsFiles, error: &rustls::Error) -> Self {
        let cure = "check that it is the certificate of a server";
        Self::new(CERTIFICATE, &files.certificate, format!("can't be served: {error}"), cure)
    }
}

/// What tells that a file is not the one that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp([Option<[i128; 5]>; 2]);

impl Stamp {
    /// The state of both files. Links are followed: renewal often changes where a link leads.
    pub(super) fn of(files: &TlsFiles) -> Self {
        Self([&files.certificate, &files.key].map(|path| {
            let found = fs::metadata(path).ok()?;
            let times =
                |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
            Some([
                i128::from(found.dev()),
                i128::from(found.ino()),
                i128::from(found.size()),
                times(found.mtime(), found.mtime_nsec()),
                times(found.ctime(), found.ctime_nsec()),
            ])
        }))
    }
}

/// A pair that was read and belongs together.
pub(super) struct Loaded {
    /// For rustls.
    pub(super) certified: Arc<CertifiedKey>,
    /// End of the first certificate's validity, in seconds since 1970, if it can be told.
    pub(super) ends: Option<i64>,
}

impl Loaded {
    /// Reads both files.
    pub(super) fn read(files: &TlsFiles, owners: Owners) -> Result<Self, TlsError> {
        let chain = read_chain(&files.certificate, owners)?;
        let key = read_private_key(&files.key, owners)?;
        let ends = chain.first().and_then(|first| validity::end(first));
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::new(
                KEY,
                &files.key,
                format!(
                    "is not the key of the first certificate in {}",
                    files.certificate.display()
                ),
                "install the pair that belongs together; the server's certificate comes first",
            ),
            error => TlsError::unusable(files, &error),
        })?;
        Ok(Self { certified: Arc::new(certified), ends })
    }
}

fn read_chain(path: &Path, owners: Owners) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content = read_guarded(path, owners).map_err(|it| TlsError::found(CERTIFICATE, it))?;
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(content.text.as_bytes()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(TlsError::new(
            CERTIFICATE,
            path,
            "holds no whole certificate chain in PEM",
            "write the server's certificate and those that lead to its authority, each between \
             BEGIN CERTIFICATE and END CERTIFICATE",
        )),
    }
}

fn read_private_key(path: &Path, owners: Owners) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read_key(path, owners).map_err(|finding| TlsError::found(KEY, finding))?;
    let text = Zeroizing::new(text);
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
        TlsError::new(
            KEY,
            path,
            "holds no whole private key in PEM",
            "write one without a password (PKCS#8, PKCS#1 or SEC1)",
        )
    })
}
