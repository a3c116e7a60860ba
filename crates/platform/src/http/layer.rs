//! The outermost layer: gives each request an id, logs and measures it, and writes the body of each error,
//! because only here the request id is known and the cause of an internal error may be logged.

use std::time::Instant;

use axum::{
    Json,
    extract::{MatchedPath, Request},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rand::Rng;
use rivergen_kernel::{Error, ErrorCode};
use tracing::Instrument;

use super::caller::write_allowance;
use crate::limits::Allowance;

/// The id of the request, as logged and as told to the caller.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl RequestId {
    /// A caller's own id is kept when it is a short plain word, so that traces join across systems.
    fn of(request: &Request) -> Self {
        let given = request.headers().get("x-request-id").and_then(|value| value.to_str().ok());
        match given {
            Some(text)
                if (8..=64).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') =>
            {
                Self(text.to_owned())
            }
            _ => {
                let mut bytes = [0u8; 12];
                rand::rng().fill_bytes(&mut bytes);
                Self(hex::encode(bytes))
            }
        }
    }
}

/// The layer itself, for `axum::middleware::from_fn`.
pub async fn surround(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(&request);
    let method = request.method().clone();
    let path = loggable(request.uri().path());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", |p| p.as_str()).to_owned();
    request.extensions_mut().insert(id.clone());

    let span = tracing::info_span!("request", id = %id.0, %method, %path);
    let mut response = next.run(request).instrument(span.clone()).await;

    let error = response.extensions_mut().remove::<Error>();
    if let Some(error) = error {
        response = write_error(response, &error, &id);
        if error.code.status() >= 500 {
            span.in_scope(|| tracing::error!(code = error.code.as_str(), cause = %causes(&error), "request failed"));
        }
    }
    let status = response.status().as_u16();
    let seconds = started.elapsed().as_secs_f64();
    span.in_scope(|| tracing::debug!(status, ms = seconds * 1000.0, "answered"));
    let labels = [("method", method.to_string()), ("route", route), ("status", status.to_string())];
    metrics::counter!("rivergen_http_requests_total", &labels).increment(1);
    metrics::histogram!("rivergen_http_request_seconds", &labels[..2]).record(seconds);

    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert("x-request-id", value);
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The path without what is long enough to be a token: a link in a mail opens something.
fn loggable(path: &str) -> String {
    const SHORTEST_TOKEN: usize = 40;
    let shown = path.split('/').map(|segment| if segment.len() < SHORTEST_TOKEN { segment } else { "…" });
    shown.collect::<Vec<_>>().join("/")
}

fn write_error(response: Response, error: &Error, id: &RequestId) -> Response {
    let headers = response.headers().clone();
    let mut written = (response.status(), Json(error.envelope(&id.0))).into_response();
    for (name, value) in &headers {
        if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
            // There may be several of one name: each says another way to authenticate.
            written.headers_mut().append(name.clone(), value.clone());
        }
    }
    if let Some(wait) = error.retry_after {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        written
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
    }
    // The limit that refused, over the general one that let the request in.
    if let Some(exhausted) = error.exhausted {
        let allowance = Allowance { limit: exhausted.limit, remaining: 0, reset_at: exhausted.reset_at };
        write_allowance(written.headers_mut(), &allowance);
    }
    // Whoever knows where tokens are given has said so.
    if error.code.status() == 401 && !headers.contains_key(header::WWW_AUTHENTICATE) {
        written.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    written
}

fn causes(error: &Error) -> String {
    let mut text = error.message.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// What a path answers that no operation has.
pub async fn not_found() -> Error {
    Error::new(ErrorCode::NotFound).with_message("There is nothing at this path; /docs lists the operations.")
}

/// What a known path answers to another method.
pub async fn method_not_allowed() -> Error {
    ErrorCode::MethodNotAllowed.into()
}

/// What a panic of a handler becomes; the panic itself is in the log.
pub fn panicked(cause: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text");
    let response = Error::internal(text.to_owned()).into_response();
    debug_assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    response
}

#[cfg(test)]
mod tests {
    use rivergen_kernel::Token;

    use super::loggable;

    #[test]
    fn no_token_is_logged() {
        let token = Token::random(&mut rand::rng());
        let path = format!("/api/v1/invitations/{}/accept", token.expose());
        assert_eq!(loggable(&path), "/api/v1/invitations/…/accept");
        assert_eq!(loggable("/api/v1/organizations/42"), "/api/v1/organizations/42");
    }
}
