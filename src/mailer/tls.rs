//! Whom a relay's certificate must come from.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_rustls::TlsConnector;

use super::MailerError;

/// What it takes to begin TLS with one relay.
#[derive(Clone)]
pub(super) struct Tls {
    /// Makes the handshake.
    pub(super) connector: TlsConnector,
    /// The name that the certificate must have.
    pub(super) name: ServerName<'static>,
}

impl Tls {
    /// TLS with `host`, whose certificate must lead to one of `ca_file`, or to one that this machine trusts where there
    /// is no such file. Fails where the host is no name, the file holds no certificate or the machine trusts none.
    pub(super) fn new(host: &str, ca_file: Option<&Path>) -> Result<Self, MailerError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| MailerError::SmtpUrl("TLS needs a host that is a server name or an address"))?;
        let config = match ca_file {
            Some(path) => builder()?.with_root_certificates(roots(path)?),
            None => builder()?
                .with_platform_verifier()
                .map_err(|_| MailerError::SmtpUrl("TLS cannot be set up: are CA certificates installed?"))?,
        };
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config.with_no_client_auth())),
            name,
        })
    }
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, MailerError> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| MailerError::SmtpUrl("TLS cannot be set up"))
}

fn roots(path: &Path) -> Result<RootCertStore, MailerError> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|_| MailerError::CaFile("it cannot be read"))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|_| MailerError::CaFile("it is not PEM"))?;
        roots
            .add(certificate)
            .map_err(|_| MailerError::CaFile("it holds a certificate that cannot be used"))?;
    }
    if roots.is_empty() {
        return Err(MailerError::CaFile("it holds no certificate"));
    }
    Ok(roots)
}
