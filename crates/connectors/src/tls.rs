//! TLS as PostgreSQL's `sslmode` names its modes, and whose certificates are trusted.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::ConnectorError;

pub(crate) const SSL_MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

/// As `sslmode` of libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Tls {
    pub fn parse(mode: &str) -> Option<Self> {
        Some(match mode {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// The certificates of a PEM text, as roots.
pub(crate) fn parse_roots(pem: &str) -> Result<RootCertStore, &'static str> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|_| "holds a certificate that cannot be a root")?;
    }
    if roots.is_empty() { Err("holds no certificate") } else { Ok(roots) }
}

pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| "is not a certificate in PEM form")
}

/// The given roots, or the system's.
pub(crate) fn roots(pem: Option<&str>) -> Result<RootCertStore, ConnectorError> {
    if let Some(pem) = pem {
        return parse_roots(pem).map_err(untrusted);
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(untrusted("this system trusts no certificates")) } else { Ok(roots) }
}

pub(crate) fn untrusted(reason: &'static str) -> ConnectorError {
    ConnectorError::Untrusted { cause: Some(reason.into()) }
}

/// TLS for the servers of one source, in the given mode.
pub(crate) fn client_config(tls: Tls, root_certificate: Option<&str>) -> Result<Arc<ClientConfig>, ConnectorError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(ConnectorError::internal)?;
    let chain = match tls {
        Tls::VerifyCa | Tls::VerifyFull => {
            let roots = Arc::new(roots(root_certificate)?);
            let chain = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
            Some(chain.build().map_err(ConnectorError::internal)?)
        }
        Tls::Disable | Tls::Prefer | Tls::Require => None,
    };
    let given = root_certificate.map(certificates).transpose().map_err(untrusted)?.unwrap_or_default();
    let verifier = Verifier { chain, given, name: tls == Tls::VerifyFull, provider };
    let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(Arc::new(config))
}

/// Checks a server's certificate as far as the mode asks: not at all (`prefer`, `require`: encryption without
/// identity, as libpq has it), that a root vouches for it (`verify-ca`), and that it is for the name
/// (`verify-full`).
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// The roots that the source's owner gave. A server's own certificate may be among them, as PostgreSQL's manual
    /// has people make it; no chain leads to it, so it is recognised as it is.
    given: Vec<CertificateDer<'static>>,
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        if self.given.iter().any(|given| given == end_entity) {
            if self.name {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match chain.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The chain is checked before the name is.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
