//! What surrounds the protocol's operations: where a request comes from, how many there may be, and who may read the answers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use rivergen_platform::{
    http::{ClientIp, TrustedProxies, layer},
    limits::{Rule, ip_key},
};

use crate::{Oauth, error::OauthError};

/// Requests from one address. A service asks for tokens often, and many of them stand behind one address.
const OAUTH_BY_IP: Rule = Rule::new("oauth_by_ip", 1200, Duration::from_secs(60));

/// More than any request of the protocol needs.
const LARGEST_BODY: usize = 64 * 1024;

#[derive(Clone)]
struct Gate {
    oauth: Oauth,
    proxies: Arc<TrustedProxies>,
}

pub(crate) fn surrounded(oauth: Oauth, proxies: Arc<TrustedProxies>) -> Router {
    let gate = Gate { oauth: oauth.clone(), proxies };
    Router::from(crate::protocol().with_state(oauth))
        // Here already, that `surround` sees what asks whether it may (OPTIONS).
        .method_not_allowed_fallback(layer::method_not_allowed)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(gate, surround))
}

async fn surround(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let ip = gate.proxies.client_ip(peer, request.headers());
    request.extensions_mut().insert(ClientIp(ip));
    let key = ip.map(ip_key).unwrap_or_default();
    let is_open = is_open(request.uri().path());
    let mut response = match gate.oauth.platform().limits.check(&OAUTH_BY_IP, &key) {
        Err(limited) => OauthError::from(rivergen_kernel::Error::from(limited)).into_response(),
        Ok(_) if is_open && request.method() == Method::OPTIONS => preflight(),
        Ok(_) => next.run(request).await,
    };
    if is_open {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        // A program reads there who gives tokens, and what was wrong with its own.
        let exposed = HeaderValue::from_static("www-authenticate, retry-after, dpop-nonce");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

/// Programs in browsers come to these from their own addresses. None of them looks at a cookie.
fn is_open(path: &str) -> bool {
    path.starts_with("/.well-known/")
        || matches!(
            path,
            "/oauth/token"
                | "/oauth/token/revoke"
                | "/oauth/userinfo"
                | "/oauth/jwks"
                | "/oauth/par"
                | "/oauth/device_authorization"
                | "/oauth/register"
                | "/oauth/registration"
        )
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE"));
    // The last two are sent by clients of MCP and of DPoP, whatever the server makes of them.
    let allowed = HeaderValue::from_static("authorization, content-type, mcp-protocol-version, dpop");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}
