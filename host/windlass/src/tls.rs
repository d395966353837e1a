//! The certificate of the APIs, read as a whole so that what is wrong with it is said at once.

use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::configuration::Configuration;

/// Reads the certificate chain and its key, when the APIs are served over TLS.
pub(crate) fn acceptor(configuration: &Configuration) -> anyhow::Result<Option<TlsAcceptor>> {
    let Some((certificate, key)) = &configuration.tls else { return Ok(None) };
    let certificates = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| {
            let file = certificate.display();
            format!("tls_certificate is {file}, which cannot be read; name a chain in PEM")
        })?;
    if certificates.is_empty() {
        let file = certificate.display();
        bail!("tls_certificate is {file}, which has no certificate in it; name a chain in PEM");
    }
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| {
        let file = key.display();
        format!("tls_key is {file}, which cannot be read; name a private key in PEM")
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .context("tls_certificate and tls_key do not fit each other; name a pair that does")?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(server))))
}
