//! What SCIM answers when something fails: a body of its own (RFC 7644, section 3.12).

use std::{borrow::Cow, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rivergen_kernel::{Error, ErrorCode};
use rivergen_platform::db;
use sea_orm::DbErr;
use serde_json::json;

use super::http::MEDIA_TYPE;

const URN: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

pub type Result<T, E = ScimError> = std::result::Result<T, E>;

/// `scimType`: what of a request is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    InvalidFilter,
    TooMany,
    Uniqueness,
    Mutability,
    InvalidSyntax,
    InvalidPath,
    NoTarget,
    InvalidValue,
    InvalidVersion,
    InvalidCursor,
    InvalidCount,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVersion => "invalidVers",
            Self::InvalidCursor => "invalidCursor",
            Self::InvalidCount => "invalidCount",
        }
    }

    const fn status(self) -> u16 {
        match self {
            Self::Uniqueness => 409,
            _ => 400,
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone)]
pub struct ScimError {
    pub status: u16,
    pub kind: Option<Kind>,
    pub detail: Cow<'static, str>,
    pub retry_after: Option<Duration>,
    /// For the log only.
    pub cause: Option<Box<Error>>,
}

impl ScimError {
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: Some(kind), ..Self::of_status(kind.status(), detail) }
    }

    pub fn of_status(status: u16, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind: None, detail: detail.into(), retry_after: None, cause: None }
    }

    pub fn value(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InvalidValue, detail)
    }

    pub fn taken(what: &'static str) -> Self {
        Self::new(Kind::Uniqueness, format!("This {what} belongs to another resource of the organization."))
    }

    /// Whether something was to be written that refers to what is not there any more.
    pub fn refers_to_what_is_gone(&self) -> bool {
        self.cause.as_deref().is_some_and(db::refers_to_what_is_gone)
    }

    /// The body.
    pub fn document(&self) -> serde_json::Value {
        let mut body = json!({"schemas": [URN], "status": self.status.to_string(), "detail": self.detail});
        if let Some(kind) = self.kind {
            body["scimType"] = kind.as_str().into();
        }
        body
    }
}

impl From<Error> for ScimError {
    fn from(error: Error) -> Self {
        let detail = match error.details.first() {
            Some(field) => Cow::Owned(format!("{} {}.", field.field, field.reason)),
            None => error.message.clone(),
        };
        let (status, kind) = match error.code {
            ErrorCode::ValidationError => (400, Some(Kind::InvalidValue)),
            ErrorCode::InvalidRequest => (400, Some(Kind::InvalidSyntax)),
            code => (code.status(), None),
        };
        Self { status, kind, detail, retry_after: error.retry_after, cause: Some(Box::new(error)) }
    }
}

impl From<ErrorCode> for ScimError {
    fn from(code: ErrorCode) -> Self {
        Error::from(code).into()
    }
}

impl From<DbErr> for ScimError {
    fn from(error: DbErr) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for ScimError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.document().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        // For whoever logs it and keeps it.
        response.extensions_mut().insert(self);
        response
    }
}
