//! A certificate authority made for one test run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

/// Signs the certificates of test servers; its own certificate lies in a file for clients.
#[derive(Debug)]
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    path: PathBuf,
    /// Removed with the authority.
    _dir: TempDir,
}

impl TestCa {
    /// Makes an authority with a key of its own; the file is readable by every local user.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = named("Test authority");
        let pem = params.self_signed(&key)?.pem();
        let dir = tempfile::Builder::new().prefix("test-ca-").tempdir()?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        let path = dir.path().join("ca.pem");
        fs::write(&path, &pem)?;
        Ok(Self { issuer: Issuer::new(params, key), pem, path, _dir: dir })
    }

    /// The authority's certificate as a PEM file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The authority's certificate as PEM text.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these host names and addresses, with its key, as PEM texts; for servers
    /// of other kinds.
    ///
    /// # Errors
    /// When a name is not one.
    pub fn issue_pem(&self, names: &[&str]) -> Result<(String, String)> {
        let (certificate, key) = self.issue(names)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// TLS settings of a server with a fresh certificate for these names.
    ///
    /// # Errors
    /// When a name is not one.
    pub fn server_config(&self, names: &[&str]) -> Result<Arc<rustls::ServerConfig>> {
        let (certificate, key) = self.issue(names)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn issue(&self, names: &[&str]) -> Result<(rcgen::Certificate, KeyPair)> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named("Test server");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok((params.signed_by(&key, &self.issuer)?, key))
    }
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}
