//! The certificates of a SAML provider: read, and shown by fingerprint and expiry.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use x509_parser::{parse_x509_certificate, pem::parse_x509_pem, prelude::X509Certificate, public_key::PublicKey};

/// Certificates of one provider: the new one, the old one, and a few to spare.
pub const MOST: usize = 10;
/// Shorter keys of RSA can be broken.
const SHORTEST_RSA: usize = 2048;

/// A certificate that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Base64 of DER, as it is kept.
    pub der: String,
    pub fingerprint: String,
    pub subject: String,
    pub starts_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// A certificate as administrators see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CertificateInfo {
    /// SHA-256 of the certificate, in hexadecimal.
    #[schema(examples("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"))]
    pub fingerprint: String,
    #[schema(examples("CN=acme.okta.com"))]
    pub subject: String,
    pub starts_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl From<Certificate> for CertificateInfo {
    fn from(read: Certificate) -> Self {
        let Certificate { fingerprint, subject, starts_at, expires_at, .. } = read;
        Self { fingerprint, subject, starts_at, expires_at }
    }
}

impl Certificate {
    /// From PEM, or from base64 of DER; the reason where it is neither or its key is too weak.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        const NO_CERTIFICATE: &str = "is not an X.509 certificate: send it as PEM, or as DER in base64";
        let der = if text.contains("-----BEGIN") {
            parse_x509_pem(text.trim().as_bytes()).map_err(|_| NO_CERTIFICATE)?.1.contents
        } else {
            let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            STANDARD.decode(compact).map_err(|_| NO_CERTIFICATE)?
        };
        let (rest, parsed) = parse_x509_certificate(&der).map_err(|_| NO_CERTIFICATE)?;
        if !rest.is_empty() {
            return Err(NO_CERTIFICATE);
        }
        refuse_weak_key(&parsed)?;
        let at = |time: x509_parser::time::ASN1Time| DateTime::from_timestamp(time.timestamp(), 0);
        Ok(Self {
            fingerprint: hex::encode(Sha256::digest(&der)),
            subject: parsed.subject().to_string().chars().take(255).collect(),
            starts_at: at(parsed.validity().not_before).ok_or(NO_CERTIFICATE)?,
            expires_at: at(parsed.validity().not_after).ok_or(NO_CERTIFICATE)?,
            der: STANDARD.encode(&der),
        })
    }

    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        now >= self.expires_at
    }
}

fn refuse_weak_key(certificate: &X509Certificate<'_>) -> Result<(), &'static str> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < SHORTEST_RSA => Err("has an RSA key of fewer than 2048 bits"),
        Ok(PublicKey::RSA(_) | PublicKey::EC(_)) => Ok(()),
        // Ed25519 and Ed448.
        Ok(PublicKey::Unknown(_)) => Ok(()),
        _ => Err("has a kind of key that cannot sign: use RSA, EC or EdDSA"),
    }
}

/// With one more in front; one that was there is not there twice, and of many the oldest go.
pub fn added(kept: &[String], new: &Certificate) -> Vec<String> {
    let others = kept.iter().filter(|der| **der != new.der).cloned();
    std::iter::once(new.der.clone()).chain(others).take(MOST).collect()
}
