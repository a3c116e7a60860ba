//! The web console: its files, which the binary carries, and the one page that all its addresses show.
//!
//! Files under `assets/` have the hash of their content in their names, so that browsers keep them for good. They lie in the
//! binary compressed; the build of the console made a `.br` and a `.gz` beside each.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use rand::Rng;
use rivergen_platform::http::layer;

use crate::demo;

include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// The start, and the pages behind links in mails.
const PAGES: [&str; 4] = ["/", "/verify-email", "/reset-password", "/invitation"];

/// Whether the console had been built when this binary was.
pub fn is_built_in() -> bool {
    find("index.html").is_some()
}

fn find(name: &str) -> Option<&'static [u8]> {
    FILES.binary_search_by(|(each, _)| (*each).cmp(name)).ok().and_then(|at| FILES.get(at)).map(|(_, bytes)| *bytes)
}

/// Answers every path that no operation has: with a file of the console, or with its page where somebody's browser asks.
pub fn router(is_demo: bool) -> Router {
    let page = find("index.html").map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    let people = if is_demo { escaped(&demo::people_of_page().to_string()) } else { String::new() };
    Router::new().fallback(answer).with_state(page.replace("__DEMO__", &people))
}

async fn answer(State(page): State<String>, request: Request) -> Response {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads || path.starts_with("/api/") || path.starts_with("/scim/") {
        return layer::not_found().await.into_response();
    }
    let name = path.trim_start_matches('/');
    if name != "index.html" && find(name).is_some() {
        return file(name, request.headers());
    }
    let wants_a_page = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let wants_a_page = wants_a_page.is_some_and(|accept| accept.contains("text/html"));
    // The start and what mails link to are the console's for everybody; other paths for whoever can show a page.
    if PAGES.contains(&path) || (wants_a_page && !name.starts_with("assets/")) {
        return index(&page);
    }
    layer::not_found().await.into_response()
}

/// The page, with a nonce of its own for the styles that its scripts make.
fn index(page: &str) -> Response {
    let mut bytes = [0u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    let nonce = hex::encode(bytes);
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; connect-src 'self'; \
         font-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // The token in the address of a mailed page must not travel on.
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let mut response = (headers, page.replace("__NONCE__", &nonce)).into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A file, in the smallest form that the browser takes.
fn file(name: &str, headers: &HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes = |encoding: &str| {
        let mut offers = accepted.split(',').map(|offer| offer.split(';').next().unwrap_or_default().trim());
        offers.any(|offer| offer.eq_ignore_ascii_case(encoding))
    };
    let forms = [("br", ".br"), ("gzip", ".gz")];
    let mut offered = forms.iter().filter(|(encoding, _)| takes(encoding));
    let compressed = offered.find_map(|(encoding, ending)| Some((*encoding, find(&format!("{name}{ending}"))?)));
    let (encoding, bytes) = match compressed {
        Some((encoding, bytes)) => (Some(encoding), Some(bytes)),
        None => (None, find(name)),
    };
    let Some(bytes) = bytes else { return StatusCode::NOT_FOUND.into_response() };
    let lasting =
        if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "public, max-age=300" };
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(lasting));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

/// For the inside of an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_so_that_they_are_found() {
        assert!(FILES.is_sorted_by_key(|(name, _)| *name));
        assert!(FILES.iter().all(|(name, _)| find(name).is_some()));
    }

    #[test]
    fn the_page_lets_no_script_of_its_own_run() {
        let response = index("<meta nonce=\"__NONCE__\">");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn what_stands_in_an_attribute_cannot_leave_it() {
        assert_eq!(escaped(r#"{"a": "<&"}"#), "{&quot;a&quot;: &quot;&lt;&amp;&quot;}");
    }
}
