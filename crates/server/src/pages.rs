//! The few pages of the server itself: `/docs`, and, where the console is not built in, the way in and the pages behind the
//! links in mails.

use axum::{
    Json, Router,
    http::header,
    response::{Html, IntoResponse},
    routing::get,
};
use rivergen_identity::access_token::AccessTokens;
use utoipa_swagger_ui::SwaggerUi;

use crate::{console, openapi};

const INDEX: &str = include_str!("pages/index.html");

/// The page of a server that holds no demo: it does not speak of the demo's people.
fn without_demo(index: &str) -> String {
    match (index.split_once("<!-- demo -->"), index.split_once("<!-- /demo -->")) {
        (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
        _ => index.to_owned(),
    }
}

/// The pages. Their scripts and styles come with the binary; nothing is loaded from elsewhere.
pub fn routes(is_demo: bool, tokens: AccessTokens) -> Router {
    let docs: Router = SwaggerUi::new("/docs").url("/openapi.json", openapi::document()).into();
    let keys = get(move || jwks(tokens.clone()));
    let router = Router::new().route("/.well-known/jwks.json", keys).merge(docs);
    if console::is_built_in() {
        return router;
    }
    let index = if is_demo { INDEX.to_owned() } else { without_demo(INDEX) };
    router
        .route("/", get(move || page(index.clone())))
        .route("/verify-email", get(|| page(styled(include_str!("pages/verify_email.html")))))
        .route("/reset-password", get(|| page(styled(include_str!("pages/reset_password.html")))))
        .route("/invitation", get(|| page(styled(include_str!("pages/invitation.html")))))
}

/// A page behind a mailed link, with the style that these pages share.
fn styled(html: &str) -> String {
    html.replace("/* card.css */", include_str!("pages/card.css"))
}

/// The keys that verify access tokens (RFC 7517), for programs that check them themselves.
async fn jwks(tokens: AccessTokens) -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, Json(tokens.jwks()))
}

/// The token in the address of a mailed page must not travel on in a `Referer`, nor be kept.
async fn page(html: impl Into<String>) -> impl IntoResponse {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                  form-action 'none'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(html.into()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_a_demo_speaks_of_its_people() {
        assert!(super::INDEX.contains("owner@acme.example"));
        let page = super::without_demo(super::INDEX);
        assert!(page.contains("/docs") && page.ends_with("</html>\n") && !page.contains("acme"));
    }
}
