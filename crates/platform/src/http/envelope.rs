//! The answer of a handler that went well: `{"success": true, "data": …, "message": …}`.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// The body of every successful answer under `/api/v1`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Envelope<T> {
    /// Always `true`.
    #[schema(examples(true))]
    pub success: bool,
    pub data: T,
    /// What happened, as a sentence.
    pub message: &'static str,
}

/// A status with an [`Envelope`].
#[derive(Debug)]
pub struct Reply<T> {
    status: StatusCode,
    body: Envelope<T>,
}

impl<T> Reply<T> {
    pub fn ok(data: T, message: &'static str) -> Self {
        Self { status: StatusCode::OK, body: Envelope { success: true, data, message } }
    }

    /// Of work that goes on.
    pub fn accepted(data: T, message: &'static str) -> Self {
        Self { status: StatusCode::ACCEPTED, body: Envelope { success: true, data, message } }
    }

    pub fn created(data: T, message: &'static str) -> Self {
        Self { status: StatusCode::CREATED, body: Envelope { success: true, data, message } }
    }

    /// What is answered, for a page that calls the operation itself.
    pub fn into_data(self) -> T {
        self.body.data
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

/// 204 without a body.
#[derive(Debug, Clone, Copy)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}
