//! Opens a connection to the directory server: protected, bound, and trusted only then.

use super::{LdapConfig, Protection, fault::Fault};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{path::Path, sync::Arc};

/// Opens one connection. The caller bounds the time.
///
/// # Errors
/// [`Fault::Lost`] when nobody answers, [`Fault::Unfit`] when the server can't be trusted or refuses
/// us.
pub(super) async fn open(config: &LdapConfig) -> Result<Ldap, Fault> {
    let mut settings =
        LdapConnSettings::new().set_starttls(config.protection == Protection::StartTls);
    if let Some(file) = config.ca_file.as_deref().filter(|_| is_protected(config)) {
        // Read at each connection, so that a renewed authority needs no restart.
        settings = settings.set_config(Arc::new(client_config(file).await?));
    }
    let opened = LdapConnAsync::with_settings(settings, &config.url()).await;
    let (connection, mut ldap) = opened.map_err(|error| unfit_or_lost(config, &error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.drive().await {
            tracing::debug!(%error, "a connection to the directory ended");
        }
    });
    if let Some(login) = &config.login {
        let bound = ldap.simple_bind(&login.dn, login.password.expose()).await;
        let bound = bound.map_err(|error| Fault::of(&error))?;
        if bound.rc != 0 {
            return Err(Fault::Unfit(format!("bind as {}: {bound}", login.dn)));
        }
    }
    Ok(ldap)
}

fn is_protected(config: &LdapConfig) -> bool {
    config.protection != Protection::Plain
}

/// A server that refuses StartTLS was reached, and must not be spoken to in the clear.
fn unfit_or_lost(config: &LdapConfig, error: &ldap3::LdapError) -> Fault {
    match Fault::of(error) {
        Fault::Refused { text, .. } if config.protection == Protection::StartTls => {
            Fault::Unfit(format!("StartTLS: {text}"))
        }
        fault => fault,
    }
}

/// Trusts the authorities of this file and no others.
async fn client_config(file: &Path) -> Result<ClientConfig, Fault> {
    let unfit = |what: String| Fault::Unfit(format!("ca_file {}: {what}", file.display()));
    let pem = tokio::fs::read(file).await.map_err(|error| unfit(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unfit(error.to_string()))?;
        roots.add(certificate).map_err(|error| unfit(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unfit("it holds no certificate in PEM".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| unfit(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
