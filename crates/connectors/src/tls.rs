//! TLS as PostgreSQL's `sslmode` names its modes, and whose certificates are trusted.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

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
    Ok(roots)
}

pub(crate) fn untrusted(reason: &'static str) -> ConnectorError {
    ConnectorError::Untrusted { cause: Some(reason.into()) }
}
