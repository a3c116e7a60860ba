//! Access tokens: given, or made with a service account's key (RFC 7523).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rivergen_kernel::secret::Secret;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::ConnectorError;
use crate::http::HttpSource;

const SCOPE: &str = "https://www.googleapis.com/auth/bigquery";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// A token is asked for again after so many seconds, whatever is said of it.
const LONGEST_TOKEN: u64 = 86_400;
/// A token with less time left is replaced.
const SPARE: Duration = Duration::from_secs(120);

/// How the source signs in.
pub(super) enum Access {
    Token(Secret),
    Key { key: Box<ServiceAccount>, token: Mutex<Option<(Secret, Instant)>> },
}

/// A service account's key file, as far as it counts.
#[derive(Deserialize)]
pub(super) struct ServiceAccount {
    client_email: String,
    private_key: Secret,
    private_key_id: Option<String>,
    token_uri: Url,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    expires_in: u64,
}

impl Access {
    /// From a token or a key file. Where all else is encrypted, the way to the key's tokens is as well.
    pub fn read(secret: &Secret, endpoint: &Url) -> Result<Self, &'static str> {
        if !secret.expose().trim_start().starts_with('{') {
            return Ok(Self::Token(secret.clone()));
        }
        let key: ServiceAccount =
            serde_json::from_str(secret.expose()).map_err(|_| "is not the key file of a service account")?;
        if key.token_uri.scheme() != "https" && endpoint.scheme() == "https" {
            return Err("names a token_uri that is not https");
        }
        EncodingKey::from_rsa_pem(key.private_key.expose().as_bytes())
            .map_err(|_| "holds a private key that is not RSA in PEM form")?;
        Ok(Self::Key { key: Box::new(key), token: Mutex::new(None) })
    }

    /// A token that is good for a while.
    pub async fn token(&self, http: &HttpSource) -> Result<Secret, ConnectorError> {
        let (key, kept) = match self {
            Self::Token(token) => return Ok(token.clone()),
            Self::Key { key, token } => (key, token),
        };
        let good = |(_, until): &&(Secret, Instant)| Instant::now() + SPARE < *until;
        let known = kept.lock().unwrap_or_else(PoisonError::into_inner).as_ref().filter(good).cloned();
        if let Some((token, _)) = known {
            return Ok(token);
        }
        let form = [("grant_type", GRANT.to_owned()), ("assertion", key.assertion()?)];
        let request = http.request_url(reqwest::Method::POST, key.token_uri.clone());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let granted: Granted = http.json(request.body(body)).await.map_err(|error| match error {
            // The token endpoint answers a refusal with 400.
            ConnectorError::QueryFailed { cause } => ConnectorError::AuthenticationFailed { cause },
            other => other,
        })?;
        let until = Instant::now() + Duration::from_secs(granted.expires_in.min(LONGEST_TOKEN));
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((granted.access_token.clone(), until));
        Ok(granted.access_token)
    }
}

impl ServiceAccount {
    fn assertion(&self) -> Result<String, ConnectorError> {
        let now = chrono::Utc::now().timestamp();
        let claims =
            Claims { iss: &self.client_email, scope: SCOPE, aud: self.token_uri.as_str(), iat: now, exp: now + 3_600 };
        let header = Header { kid: self.private_key_id.clone(), ..Header::new(Algorithm::RS256) };
        let key = EncodingKey::from_rsa_pem(self.private_key.expose().as_bytes()).map_err(ConnectorError::internal)?;
        jsonwebtoken::encode(&header, &claims, &key).map_err(ConnectorError::internal)
    }
}
