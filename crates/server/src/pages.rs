//! The few pages of the server itself: the way in, the page behind a verification link, and `/docs`.

use axum::{
    Router,
    http::header,
    response::{Html, IntoResponse},
    routing::get,
};
use utoipa_swagger_ui::SwaggerUi;

use crate::openapi;

/// The pages. Their scripts and styles come with the binary; nothing is loaded from elsewhere.
pub fn routes() -> Router {
    let docs: Router = SwaggerUi::new("/docs").url("/openapi.json", openapi::document()).into();
    Router::new()
        .route("/", get(|| page(include_str!("pages/index.html"))))
        .route("/verify-email", get(|| page(include_str!("pages/verify_email.html"))))
        .merge(docs)
}

/// The token in the address of a verification page must not travel on in a `Referer`, nor be kept.
async fn page(html: &'static str) -> impl IntoResponse {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                  form-action 'none'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(html))
}
