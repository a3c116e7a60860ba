//! `POST /oauth/par` (RFC 9126): an application sends its authorization request itself, beforehand and proved, and the browser
//! carries nothing but a reference to it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use rivergen_kernel::ErrorCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Oauth,
    application::known::Client,
    authorize::ticket,
    client_authentication::authenticate,
    dpop,
    error::{Code, OauthError, OauthErrorBody, Result},
    form::Form,
    request::{Pushed, Refusal, Request, client},
};

const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

pub(crate) fn protocol() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new().routes(routes!(push))
}

/// The reference to a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushedRequest {
    /// For `/oauth/authorize`, beside `client_id`.
    #[schema(examples("urn:ietf:params:oauth:request_uri:…"))]
    pub request_uri: String,
    /// Seconds that it is good.
    #[schema(examples(600))]
    pub expires_in: i64,
}

/// Push an authorization request
#[utoipa::path(post, path = "/oauth/par", tag = "oauth2", security(()),
    request_body(content = String, content_type = "application/x-www-form-urlencoded",
        description = "The parameters of `/oauth/authorize`, and the client's proof"),
    responses((status = 201, description = "The reference, valid for one decision", body = PushedRequest),
        (status = 400, description = "What is wrong with the request, or with the proof in the header `DPoP`", body = OauthErrorBody),
        (status = 401, description = "`invalid_client`", body = OauthErrorBody)))]
pub async fn push(State(oauth): State<Oauth>, headers: HeaderMap, Form(form): Form) -> Result<impl IntoResponse> {
    let client = authenticate(&oauth, &headers, &form).await?;
    if form.get("request_uri").is_some() {
        return Err(OauthError::new(Code::InvalidRequest, "Send the parameters themselves."));
    }
    let mut form = form.with("client_id", &client.row.client_id);
    // A proof that comes with it says the same as its thumbprint would (RFC 9449, section 10.1).
    if let Some(key) = dpop::shown(&oauth.access, &headers, "/oauth/par").await? {
        if form.get("dpop_jkt").is_some_and(|named| named != key) {
            return Err(OauthError::new(Code::InvalidDpopProof, "The proof is of another key than dpop_jkt names."));
        }
        form = form.with("dpop_jkt", &key);
    }
    let (request, client) = Request::of(&oauth, &form).await.map_err(|refusal| match refusal {
        Refusal::Page(code) => OauthError::new(Code::InvalidRequest, code.message()),
        Refusal::Redirect { error, .. } => error,
        Refusal::Failed(error) => error.into(),
    })?;
    let token = ticket::keep(&oauth, &client, None, &request).await?;
    let request_uri = format!("{PREFIX}{}", token.expose());
    let answer = PushedRequest { request_uri, expires_in: ticket::LIVES.num_seconds() };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)))
}

/// Whether it is a reference of this server's.
pub fn is_reference(uri: &str) -> bool {
    uri.starts_with(PREFIX)
}

/// The request that a reference stands for, of this application alone.
pub async fn find(oauth: &Oauth, uri: &str, client_id: Option<&str>) -> Result<(Request, Arc<Client>), Refusal> {
    let unknown = || Refusal::Page(ErrorCode::OauthInvalidRequest);
    let handle = uri.strip_prefix(PREFIX).ok_or_else(unknown)?;
    let (row, mut request) = ticket::find(oauth, handle, None).await?.ok_or_else(unknown)?;
    if client_id != Some(&*request.client_id) {
        return Err(unknown());
    }
    // Both may have changed since.
    let client = client(oauth, &request.client_id).await?;
    if !client.sends_to(&request.redirect_uri) {
        return Err(Refusal::Page(ErrorCode::OauthInvalidRedirectUri));
    }
    if !request.scope().is_within(&client.scopes) {
        return Err(Refusal::Page(ErrorCode::OauthInvalidScope));
    }
    request.pushed = Some(Pushed { id: row.id, at: row.created_at });
    Ok((request, client))
}
