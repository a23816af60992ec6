//! Certificate authorities that servers are verified with: the system's, and those of one file.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{io, path::Path};

/// The system's, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` put in their place.
///
/// Where the system has all of them in one bundle, only that is read: its folder holds each one again
/// in a file of its own, and reading hundreds of files takes longer than all the rest of a start.
pub(crate) fn of_the_system() -> Vec<CertificateDer<'static>> {
    let redirected = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let bundle = if redirected { None } else { openssl_probe::probe().cert_file };
    let found = match &bundle {
        Some(file) => rustls_native_certs::load_certs_from_paths(Some(file), None).certs,
        None => Vec::new(),
    };
    if found.is_empty() { rustls_native_certs::load_native_certs().certs } else { found }
}

/// Those in a PEM file.
///
/// # Errors
/// When it can't be read, or holds none.
pub(crate) fn in_file(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = std::fs::read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(io::Error::other("no certificates in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(io::Error::other(format!("no certificates: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "nothing").unwrap();
        assert!(in_file(file.path()).is_err());
        let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/double/tls/ca.pem");
        assert_eq!(in_file(Path::new(ca)).unwrap().len(), 1);
    }
}
