//! What goes wrong in the protocol, as its standards have it: a code, a sentence, no envelope.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rivergen_kernel::ErrorCode;
use rivergen_platform::http::KeyFault;
use serde::Serialize;
use utoipa::ToSchema;

pub type Result<T, E = OauthError> = std::result::Result<T, E>;

macro_rules! codes {
    ($($variant:ident $name:literal;)+) => {
        /// The codes of RFC 6749, 6750, 7591, 8628, 8707, 9449 and of OpenID Connect that this server answers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($variant),+ }

        impl Code {
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

codes! {
    InvalidRequest "invalid_request";
    InvalidClient "invalid_client";
    InvalidGrant "invalid_grant";
    InvalidScope "invalid_scope";
    InvalidTarget "invalid_target";
    InvalidToken "invalid_token";
    InsufficientScope "insufficient_scope";
    InvalidDpopProof "invalid_dpop_proof";
    UseDpopNonce "use_dpop_nonce";
    InvalidRedirectUri "invalid_redirect_uri";
    InvalidClientMetadata "invalid_client_metadata";
    UnauthorizedClient "unauthorized_client";
    UnsupportedGrantType "unsupported_grant_type";
    UnsupportedResponseType "unsupported_response_type";
    AccessDenied "access_denied";
    LoginRequired "login_required";
    ConsentRequired "consent_required";
    RequestNotSupported "request_not_supported";
    RequestUriNotSupported "request_uri_not_supported";
    AuthorizationPending "authorization_pending";
    SlowDown "slow_down";
    ExpiredToken "expired_token";
    TemporarilyUnavailable "temporarily_unavailable";
    ServerError "server_error";
}

/// What a client is answered that did something wrong.
#[derive(Debug, Clone)]
pub struct OauthError {
    pub code: Code,
    pub description: String,
    /// A failure of our own, for the log alone.
    pub cause: Option<Box<rivergen_kernel::Error>>,
    /// How to authenticate, where the code does not say it: as the client tried to (RFC 6749, section 5.2), or without a fault
    /// for who did not try (RFC 6750, section 3.1). Whoever is told it is answered 401, but for one whose token's scope is too
    /// narrow.
    pub challenge: Option<&'static str>,
    /// What the next proof of a key is to have (RFC 9449, section 8).
    pub nonce: Option<String>,
    /// After how many seconds to come back.
    pub retry_after: Option<u32>,
}

/// The body of such an answer (RFC 6749, section 5.2).
#[derive(Debug, Serialize, ToSchema)]
pub struct OauthErrorBody {
    #[schema(examples("invalid_grant"))]
    pub error: &'static str,
    /// A sentence for the developer of the client.
    pub error_description: String,
}

impl OauthError {
    pub fn new(code: Code, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), cause: None, challenge: None, nonce: None, retry_after: None }
    }

    /// A fault of a key where tokens are used, and not given: the challenge says what was wrong (RFC 9449, section 7.1).
    pub fn at_resource(fault: &KeyFault) -> Self {
        let nonce = fault.nonce().map(str::to_owned);
        let challenge = Some(fault.challenge());
        Self { challenge, nonce, ..Self::new(Code::InvalidToken, fault.to_string()) }
    }

    pub fn status(&self) -> StatusCode {
        match self.code {
            Code::InsufficientScope => StatusCode::FORBIDDEN,
            _ if self.challenge.is_some() => StatusCode::UNAUTHORIZED,
            Code::InvalidClient | Code::InvalidToken => StatusCode::UNAUTHORIZED,
            Code::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            // It is us, and not that they come too often.
            Code::TemporarilyUnavailable if self.cause.is_some() => StatusCode::SERVICE_UNAVAILABLE,
            Code::TemporarilyUnavailable => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// What the rooms below say: refusals by their meaning, all else is a failure of ours.
impl From<rivergen_kernel::Error> for OauthError {
    fn from(error: rivergen_kernel::Error) -> Self {
        let text = error.message.to_string();
        if let Some(fault) = KeyFault::of(&error) {
            let code = if fault.nonce().is_some() { Code::UseDpopNonce } else { Code::InvalidDpopProof };
            return Self { nonce: fault.nonce().map(str::to_owned), ..Self::new(code, text) };
        }
        match error.code {
            ErrorCode::Unauthorized | ErrorCode::TokenExpired => Self::new(Code::InvalidToken, text),
            ErrorCode::Forbidden | ErrorCode::UserDisabled | ErrorCode::EmailNotVerified => {
                Self::new(Code::AccessDenied, text)
            }
            ErrorCode::RateLimited | ErrorCode::ServiceUnavailable => {
                // Rounded up: whoever obeys must not come too early.
                let seconds = |wait: Duration| u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
                let retry_after = error.retry_after.map(seconds);
                let cause = (error.code == ErrorCode::ServiceUnavailable).then(|| Box::new(error));
                Self { retry_after, cause, ..Self::new(Code::TemporarilyUnavailable, text) }
            }
            _ => Self {
                cause: Some(Box::new(error)),
                ..Self::new(Code::ServerError, "Something went wrong on our side; try again shortly.")
            },
        }
    }
}

impl From<ErrorCode> for OauthError {
    fn from(code: ErrorCode) -> Self {
        rivergen_kernel::Error::from(code).into()
    }
}

impl From<sea_orm::DbErr> for OauthError {
    fn from(error: sea_orm::DbErr) -> Self {
        rivergen_kernel::Error::from(error).into()
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            tracing::error!(?cause, "a request of the protocol failed");
        }
        let challenge = match (self.challenge, self.code) {
            (Some(challenge), _) => Some(challenge.to_owned()),
            (None, Code::InvalidToken) => Some(r#"Bearer error="invalid_token""#.to_owned()),
            (None, _) => None,
        };
        let challenge = challenge.and_then(|text| HeaderValue::from_str(&text).ok());
        let body = OauthErrorBody { error: self.code.as_str(), error_description: self.description.clone() };
        let mut response = (self.status(), [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(nonce) = self.nonce.and_then(|nonce| HeaderValue::from_str(&nonce).ok()) {
            response.headers_mut().insert(KeyFault::NONCE_HEADER, nonce);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_again_says_when_and_whose_fault_it_was() {
        for (code, status) in [
            (ErrorCode::ServiceUnavailable, StatusCode::SERVICE_UNAVAILABLE),
            (ErrorCode::RateLimited, StatusCode::TOO_MANY_REQUESTS),
        ] {
            let error = rivergen_kernel::Error::new(code).with_retry_after(Duration::from_millis(1500));
            let error = OauthError::from(error);
            assert_eq!(error.code.as_str(), "temporarily_unavailable");
            let response = error.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        }
    }
}
