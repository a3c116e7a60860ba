//! What this server says of itself, so that clients need no configuration but its address: RFC 8414, OpenID Connect Discovery,
//! RFC 9728, and the keys (RFC 7517).

use axum::{
    Json,
    extract::State,
    http::{
        HeaderValue,
        header::{self, InvalidHeaderValue},
    },
    response::IntoResponse,
};
use rivergen_kernel::Permission;
use rivergen_platform::http::Challenge;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Oauth, authentication_context, client_document, registration, scope::Item};

pub(crate) fn protocol() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new()
        .routes(routes!(authorization_server))
        .routes(routes!(openid))
        .routes(routes!(protected_resource))
        .route("/.well-known/oauth-protected-resource/api/v1", axum::routing::get(api))
        .routes(routes!(jwks))
}

/// The answer may be kept as long: keys stay published a month after they sign no more.
fn kept() -> (header::HeaderName, &'static str) {
    (header::CACHE_CONTROL, "public, max-age=300")
}

/// How applications prove themselves; the last is for those that cannot.
const WITH_PUBLIC: &[&str] = &["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
/// With what clients sign, to prove themselves and keys of their own.
pub(crate) const SIGNED_BY_CLIENTS: &[&str] = &["ES256", "ES384", "EdDSA", "RS256", "PS256"];

/// The document, in the words of its standard.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
pub struct Metadata(Value);

fn scopes() -> Vec<String> {
    let identity = Item::IDENTITY.iter().map(|(_, name)| (*name).to_owned());
    let broad = ["read", "write", "admin"].map(str::to_owned);
    identity.chain(broad).chain(Permission::ALL.iter().map(|permission| permission.as_str().to_owned())).collect()
}

fn document(oauth: &Oauth) -> Value {
    let mut document = always(oauth);
    if let Some(endpoint) = registration::endpoint(oauth) {
        document["registration_endpoint"] = json!(endpoint);
    }
    if client_document::is_supported(oauth) {
        document["client_id_metadata_document_supported"] = json!(true);
    }
    document
}

/// What is said whatever the operator set.
fn always(oauth: &Oauth) -> Value {
    let issuer = oauth.issuer();
    let at = |path: &str| format!("{issuer}{path}");
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "pushed_authorization_request_endpoint": at("/oauth/par"),
        "device_authorization_endpoint": at("/oauth/device_authorization"),
        "token_endpoint": at("/oauth/token"),
        "revocation_endpoint": at("/oauth/token/revoke"),
        "introspection_endpoint": at("/oauth/introspect"),
        "userinfo_endpoint": at("/oauth/userinfo"),
        "end_session_endpoint": at("/oauth/logout"),
        "jwks_uri": at("/oauth/jwks"),
        "scopes_supported": scopes(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", crate::device::GRANT_TYPE,
            crate::token::TOKEN_EXCHANGE],
        "token_endpoint_auth_methods_supported": WITH_PUBLIC,
        "token_endpoint_auth_signing_alg_values_supported": SIGNED_BY_CLIENTS,
        "revocation_endpoint_auth_methods_supported": WITH_PUBLIC,
        "revocation_endpoint_auth_signing_alg_values_supported": SIGNED_BY_CLIENTS,
        "introspection_endpoint_auth_methods_supported": WITH_PUBLIC[..3],
        "introspection_endpoint_auth_signing_alg_values_supported": SIGNED_BY_CLIENTS,
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": SIGNED_BY_CLIENTS,
        "authorization_response_iss_parameter_supported": true,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": oauth.access.keys().of_id_tokens(),
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "amr", "acr", "nonce", "at_hash", "name", "picture",
            "email", "email_verified", "org"],
        "acr_values_supported": authentication_context::SUPPORTED,
        "claims_parameter_supported": false,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "require_pushed_authorization_requests": false,
        "service_documentation": at("/docs"),
    })
}

/// Describe the authorization server
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "oauth2", security(()),
    responses((status = 200, description = "RFC 8414", body = Metadata)))]
pub async fn authorization_server(State(oauth): State<Oauth>) -> impl IntoResponse {
    ([kept()], Json(Metadata(document(&oauth))))
}

/// Describe the OpenID provider
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "oauth2", security(()),
    responses((status = 200, description = "OpenID Connect Discovery", body = Metadata)))]
pub async fn openid(State(oauth): State<Oauth>) -> impl IntoResponse {
    ([kept()], Json(Metadata(document(&oauth))))
}

/// What the API tells somebody without a good token: where it says who gives them (RFC 9728, section 5.1). Programs that know
/// nothing but the address of the API begin there.
pub fn challenge(public_url: &str) -> Result<Challenge, InvalidHeaderValue> {
    let metadata = format!("resource_metadata=\"{public_url}/.well-known/oauth-protected-resource\"");
    Ok(Challenge {
        unasked: HeaderValue::from_str(&format!("Bearer {metadata}"))?,
        refused: HeaderValue::from_str(&format!("Bearer error=\"invalid_token\", {metadata}"))?,
        metadata: metadata.into(),
    })
}

/// Describe the API as a protected resource
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource", tag = "oauth2", security(()),
    responses((status = 200, description = "RFC 9728: which server gives tokens for the API", body = Metadata)))]
pub async fn protected_resource(State(oauth): State<Oauth>) -> impl IntoResponse {
    ([kept()], Json(resource(&oauth, oauth.issuer())))
}

/// The same for whoever knows the API by its own address: what is described must be what was asked for (RFC 9728, section 3.3).
async fn api(State(oauth): State<Oauth>) -> impl IntoResponse {
    ([kept()], Json(resource(&oauth, &oauth.api())))
}

fn resource(oauth: &Oauth, address: &str) -> Metadata {
    let issuer = oauth.issuer();
    Metadata(json!({
        "resource": address,
        "authorization_servers": [issuer],
        "jwks_uri": format!("{issuer}/oauth/jwks"),
        // Programs that speak MCP ask for all that stands here: it is what every application may ask for that came by itself.
        "scopes_supported": ["read"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": SIGNED_BY_CLIENTS,
        "dpop_bound_access_tokens_required": false,
        "resource_name": "RiverGen",
        "resource_documentation": format!("{issuer}/docs"),
    }))
}

/// Get the keys that verify applications' tokens
#[utoipa::path(get, path = "/oauth/jwks", tag = "oauth2", security(()),
    responses((status = 200, description = "RFC 7517", content_type = "application/jwk-set+json", body = Metadata)))]
pub async fn jwks(State(oauth): State<Oauth>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/jwk-set+json"), kept()], Json(oauth.access.jwks()))
}
