//! Refresh tokens of browsers. A page that asks for it (`x-session-cookie: 1`) never holds one: the answer's token moves into a
//! cookie that scripts do not read and other sites do not send, and `auth/refresh` takes it from there.
//!
//! Nothing changes for other clients. Another site cannot send the header without being asked whether it may, and the cookie is
//! `SameSite=Strict` beside that.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rivergen_identity::cookies;
use rivergen_kernel::Error;
use serde_json::{Value, json};

const ASKED_FOR: &str = "x-session-cookie";
const COOKIE: &str = "rivergen_session";
const REFRESH: &str = "/api/v1/auth/refresh";

/// What answers tokens, below `/api/v1/`.
const OPENS: [&str; 9] = [
    "auth/login",
    "auth/mfa/verify",
    "auth/oauth/handover",
    "auth/oauth/login",
    "auth/oauth/signup",
    "auth/refresh",
    "auth/switch-workspace",
    "sso/token",
    "webauthn/authenticate/complete",
];

/// What ends this session for certain. After any other end the next refresh is refused, and the cookie goes then.
const ENDS: [&str; 3] = ["auth/logout", "auth/me", "sso/logout"];

/// An answer with tokens is a few kilobytes.
const LARGEST_ANSWER: usize = 256 * 1024;

/// How the cookie is set: over HTTPS alone, where the server is reached so.
#[derive(Debug, Clone)]
pub struct SessionCookie {
    attributes: Arc<str>,
}

impl SessionCookie {
    pub fn new(public_url: &str) -> Self {
        let secure = if public_url.starts_with("https:") { "; Secure" } else { "" };
        Self { attributes: format!("; Path=/api/v1/auth; HttpOnly; SameSite=Strict{secure}").into() }
    }

    /// The session itself ends sooner, by the server's own settings.
    fn holding(&self, token: &str) -> String {
        format!("{COOKIE}={token}; Max-Age=2592000{}", self.attributes)
    }

    fn gone(&self) -> String {
        format!("{COOKIE}=; Max-Age=0{}", self.attributes)
    }
}

/// The layer itself, for `axum::middleware::from_fn_with_state`.
pub async fn keep_refresh_tokens(State(cookie): State<SessionCookie>, mut request: Request, next: Next) -> Response {
    if request.headers().get(ASKED_FOR).is_none_or(|value| value != "1") {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    let operation = path.strip_prefix("/api/v1/").unwrap_or_default();
    let is_refresh = path == REFRESH;
    if is_refresh {
        let Some(token) = cookies::read(request.headers(), COOKIE).filter(|token| !token.is_empty()) else {
            // Nobody is signed in here, which is no error.
            return StatusCode::NO_CONTENT.into_response();
        };
        let body = json!({"refresh_token": token}).to_string();
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        *request.body_mut() = Body::from(body);
    }
    let is_reading = request.method() == Method::GET;
    let response = next.run(request).await;
    let ok = response.status().is_success();
    if ok && OPENS.contains(&operation) {
        return moved(response, &cookie).await.unwrap_or_else(IntoResponse::into_response);
    }
    let refused = is_refresh && response.status() == StatusCode::UNAUTHORIZED;
    if refused || (ok && !is_reading && ENDS.contains(&operation)) {
        return with_cookie(response, &cookie.gone());
    }
    response
}

/// The answer with its refresh token taken out of the body and put into the cookie.
async fn moved(response: Response, cookie: &SessionCookie) -> Result<Response, Error> {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, LARGEST_ANSWER).await.map_err(Error::internal)?;
    let Ok(mut answer) = serde_json::from_slice::<Value>(&bytes) else {
        return Ok(Response::from_parts(parts, Body::from(bytes)));
    };
    let held = answer.pointer_mut("/data/refresh_token");
    let Some(Value::String(token)) = held.map(Value::take) else {
        return Ok(Response::from_parts(parts, Body::from(bytes)));
    };
    if let Some(data) = answer.get_mut("data").and_then(Value::as_object_mut) {
        data.remove("refresh_token");
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    let response = Response::from_parts(parts, Body::from(answer.to_string()));
    Ok(with_cookie(response, &cookie.holding(&token)))
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, middleware, routing::post};
    use tower::ServiceExt;

    use super::*;

    fn app(public_url: &str) -> Router {
        let login = || async { Json(json!({"success": true, "data": {"access_token": "a", "refresh_token": "r1"}})) };
        let refresh = |Json(body): Json<Value>| async move {
            Json(json!({"data": {"refresh_token": "r2", "was": body["refresh_token"]}}))
        };
        Router::new()
            .route("/api/v1/auth/login", post(login))
            .route("/api/v1/auth/logout", post(|| async { "{}" }))
            .route(REFRESH, post(refresh))
            .layer(middleware::from_fn_with_state(SessionCookie::new(public_url), keep_refresh_tokens))
    }

    async fn ask(path: &str, asks: bool, cookie: &str) -> (StatusCode, String, Value) {
        let mut request =
            Request::post(path).header(header::CONTENT_TYPE, "application/json").header(header::COOKIE, cookie);
        if asks {
            request = request.header(ASKED_FOR, "1");
        }
        let response = app("https://x.example").oneshot(request.body(Body::from("{}")).unwrap()).await.unwrap();
        let set = response
            .headers()
            .get(header::SET_COOKIE)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let status = response.status();
        let body = to_bytes(response.into_body(), LARGEST_ANSWER).await.unwrap();
        (status, set, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_page_never_holds_the_refresh_token() {
        let (_, set, body) = ask("/api/v1/auth/login", true, "").await;
        assert!(set.starts_with("rivergen_session=r1;"), "{set}");
        for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/api/v1/auth"] {
            assert!(set.contains(attribute), "{set}");
        }
        assert_eq!(body, json!({"success": true, "data": {"access_token": "a"}}));

        let (_, set, body) = ask(REFRESH, true, "x=1; rivergen_session=r1").await;
        assert!(set.starts_with("rivergen_session=r2;"), "{set}");
        assert_eq!(body, json!({"data": {"was": "r1"}}));

        let (_, set, _) = ask("/api/v1/auth/logout", true, "rivergen_session=r2").await;
        assert!(set.starts_with("rivergen_session=; Max-Age=0"), "{set}");
    }

    #[tokio::test]
    async fn nobody_signed_in_is_no_error() {
        let (status, set, _) = ask(REFRESH, true, "").await;
        assert_eq!((status, set.as_str()), (StatusCode::NO_CONTENT, ""));
    }

    #[tokio::test]
    async fn other_clients_are_answered_as_ever() {
        let (_, set, body) = ask("/api/v1/auth/login", false, "").await;
        assert_eq!((set.as_str(), &body["data"]["refresh_token"]), ("", &json!("r1")));
        let (_, _, body) = ask(REFRESH, false, "rivergen_session=stolen").await;
        assert_eq!(body["data"]["was"], Value::Null);
    }
}
