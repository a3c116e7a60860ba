//! Access tokens: signed JWTs (RFC 7519, RFC 9068's claims) that live an hour and name their session.
//!
//! The signature alone lets nobody in: each request also checks that the session is live
//! ([`crate::authenticate`]), so a logout works at once.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Validation, jwk::JwkSet};
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Result, SessionId, Token, UserId, WorkspaceId};
use rivergen_platform::signing::SigningKeys;
use serde::{Deserialize, Serialize};

use crate::session;

/// Issues and reads access tokens; cheap to clone.
#[derive(Clone)]
pub struct AccessTokens {
    keys: SigningKeys,
    issuer: Arc<str>,
    lifetime: Duration,
}

/// The claims of an access token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    /// The user's id, as text (RFC 7519, section 4.1.2).
    pub sub: String,
    pub sid: SessionId,
    pub jti: String,
    pub iat: i64,
    pub exp: i64,
    pub org: Option<OrganizationId>,
    pub ws: Option<WorkspaceId>,
    pub scope: String,
    pub amr: Vec<String>,
}

impl Claims {
    pub fn user_id(&self) -> Result<UserId> {
        self.sub.parse().map_err(|_| ErrorCode::Unauthorized.into())
    }

    pub fn issued_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.iat, 0).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    pub fn expires_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.exp, 0).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

impl AccessTokens {
    pub fn new(keys: SigningKeys, issuer: Arc<str>, lifetime: Duration) -> Self {
        Self { keys, issuer, lifetime }
    }

    /// The keys that verify them (RFC 7517).
    pub fn jwks(&self) -> JwkSet {
        self.keys.jwks()
    }

    /// How long they live where the session's organization asks for no less.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    pub fn issue(&self, session: &session::Model, lifetime: Duration, now: DateTime<Utc>) -> Result<String> {
        let claims = Claims {
            iss: self.issuer.to_string(),
            sub: session.user_id.to_string(),
            sid: session.id,
            jti: Token::random(&mut rand::rng()).expose()[..22].to_owned(),
            iat: now.timestamp(),
            exp: (now + lifetime).timestamp(),
            org: session.organization_id,
            ws: session.workspace_id,
            scope: "read write".to_owned(),
            amr: session.amr.split(' ').map(str::to_owned).collect(),
        };
        self.keys.sign("at+jwt", &claims).map_err(Error::internal)
    }

    /// The claims of a token that we signed and that has not expired.
    pub async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims> {
        let invalid = |_| Error::new(ErrorCode::Unauthorized);
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        let kid = header.kid.ok_or(ErrorCode::Unauthorized)?;
        let key = self.keys.verifying(&kid).await?.ok_or(ErrorCode::Unauthorized)?;
        // The algorithm is the key's, never the token's choice (RFC 8725, section 3.1).
        let mut validation = Validation::new(key.algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.validate_aud = false;
        // Checked below against the injected clock.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.key, &validation).map_err(invalid)?.claims;
        if now.timestamp() >= claims.exp { Err(ErrorCode::TokenExpired.into()) } else { Ok(claims) }
    }
}
