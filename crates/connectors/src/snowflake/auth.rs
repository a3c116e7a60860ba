//! How requests are signed: with a token that was given, or with one made from a private key for each.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::RequestBuilder;
use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{ConnectorError, Credentials, SourceConfig};

/// Of a token made from a key, in seconds; Snowflake takes up to an hour.
const LIFETIME: i64 = 600;

pub(super) enum Access {
    OAuth(Secret),
    Programmatic(Secret),
    Key { pem: Secret, issuer: String, subject: String },
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
}

impl Access {
    pub fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Self, FieldError> {
        let given = |secret: &Option<Secret>| secret.clone().filter(|secret| !secret.is_empty());
        if let Some(token) = given(&credentials.oauth_token) {
            return Ok(Self::OAuth(token));
        }
        let (field, secret) = match given(&credentials.ssh_private_key) {
            Some(key) => ("credentials.ssh_private_key", key),
            None => {
                let missing = || FieldError::new("credentials.password", "is required, or an oauth_token");
                ("credentials.password", given(&credentials.password).ok_or_else(missing)?)
            }
        };
        if !secret.expose().trim_start().starts_with("-----BEGIN") {
            return Ok(Self::Programmatic(secret));
        }
        let wrong = || FieldError::new(field, "is not an RSA key in PEM form (PKCS #8, without a passphrase)");
        let fingerprint = fingerprint(secret.expose()).ok_or_else(wrong)?;
        // An account's first label is its name, whatever the region or cloud behind it.
        let host = config.host.as_deref().unwrap_or_default();
        let account = host.split('.').next().unwrap_or_default().to_uppercase();
        let user = credentials.username.as_deref().unwrap_or_default().to_uppercase();
        let subject = format!("{account}.{user}");
        Ok(Self::Key { pem: secret, issuer: format!("{subject}.SHA256:{fingerprint}"), subject })
    }

    pub fn sign(&self, request: RequestBuilder) -> Result<RequestBuilder, ConnectorError> {
        let (token, kind) = match self {
            Self::OAuth(token) => (token.clone(), "OAUTH"),
            Self::Programmatic(token) => (token.clone(), "PROGRAMMATIC_ACCESS_TOKEN"),
            Self::Key { pem, issuer, subject } => {
                let now = chrono::Utc::now().timestamp();
                let claims = Claims { iss: issuer, sub: subject, iat: now, exp: now + LIFETIME };
                let key = EncodingKey::from_rsa_pem(pem.expose().as_bytes()).map_err(ConnectorError::internal)?;
                let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key);
                (Secret::new(token.map_err(ConnectorError::internal)?), "KEYPAIR_JWT")
            }
        };
        Ok(request.bearer_auth(token.expose()).header("X-Snowflake-Authorization-Token-Type", kind))
    }
}

/// As Snowflake shows it in `RSA_PUBLIC_KEY_FP`.
fn fingerprint(pem: &str) -> Option<String> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    let pair = KeyPair::from_pkcs8(key.secret_pkcs8_der()).ok()?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    Some(BASE64_STANDARD.encode(Sha256::digest(public.as_ref())))
}
