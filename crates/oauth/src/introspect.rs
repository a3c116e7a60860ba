//! `POST /oauth/introspect` (RFC 7662): what a token says, for the servers that it is shown to.
//!
//! A confidential client of the organization asks. Tokens of other organizations read as if they were not good, as everything
//! does that is not.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::IntoResponse,
};
use rivergen_kernel::ErrorCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Oauth,
    access_token::{Actor, Inspected, Since},
    application::{self, ClientType},
    client_authentication::authenticate,
    dpop::Confirmation,
    error::{Code, OauthError, OauthErrorBody, Result},
    form::Form,
    grant::{self, refresh_token},
};

pub(crate) fn protocol() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new().routes(routes!(introspect))
}

/// The parameters, for the document: the handler reads them by name.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"token": "…", "client_id": "…", "client_secret": "rgs_…"}))]
#[allow(dead_code, reason = "it describes the form")]
pub struct IntrospectRequest {
    token: String,
    token_type_hint: Option<String>,
    /// Here, or in the header with HTTP Basic.
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// What a token says; only `active` if it is not valid.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Introspection {
    pub active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("read"))]
    pub scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The key that it is bound to, which must be proved to everyone it is shown to (RFC 9449, section 6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// The service that acts with it, and inside it those that acted before (RFC 8693, section 4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub act: Option<Actor>,
}

/// Introspect a token
#[utoipa::path(post, path = "/oauth/introspect", tag = "oauth2", security(()),
    request_body(content = IntrospectRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "What it says, or that it is not valid", body = Introspection),
        (status = 400, description = "`invalid_request`: the token is missing", body = OauthErrorBody),
        (status = 401, description = "`invalid_client`: also of a public client", body = OauthErrorBody)))]
pub async fn introspect(State(oauth): State<Oauth>, headers: HeaderMap, Form(form): Form) -> Result<impl IntoResponse> {
    let token = form.require("token")?;
    let client = authenticate(&oauth, &headers, &form).await?;
    if client.row.client_type == ClientType::Public {
        return Err(OauthError::new(Code::InvalidClient, "A public client cannot prove that it may ask."));
    }
    let (organization, now) = (client.row.organization_id, oauth.platform().clock.now());
    let answer = match oauth.access.inspect(token, now).await {
        Ok(inspected) if inspected.claims.org == organization && may_ask(&client.row, &inspected) => {
            let claims = &inspected.claims;
            Introspection {
                active: true,
                scope: Some(inspected.scope.to_string()),
                client_id: Some(claims.client_id.clone()),
                token_type: Some(if claims.cnf.is_some() { "DPoP" } else { "Bearer" }),
                sub: Some(claims.sub.clone()),
                aud: Some(claims.aud.clone()),
                iss: Some(claims.iss.clone()),
                exp: Some(claims.exp),
                iat: Some(claims.iat),
                jti: Some(claims.jti.clone()),
                cnf: claims.cnf.clone(),
                act: claims.act.clone(),
            }
        }
        Ok(_) => Introspection::default(),
        Err(error) if error.code.status() < 500 && error.code != ErrorCode::RateLimited => {
            refresh(&oauth, &client.row, token).await?
        }
        Err(error) => return Err(error.into()),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)))
}

/// A program that nobody has checked is told of its own tokens alone: anybody may be one.
fn may_ask(asking: &application::Model, inspected: &Inspected) -> bool {
    !asking.is_unverified() || asking.id == inspected.application_id
}

/// A refresh token is nobody's business but the application's own.
async fn refresh(oauth: &Oauth, asking: &application::Model, token: &str) -> Result<Introspection> {
    let (db, now) = (oauth.platform().db.read(), oauth.platform().clock.now());
    let Some(shown) = refresh_token::find(db, token).await? else { return Ok(Introspection::default()) };
    let grant = grant::Model::find(db, shown.grant_id).await?;
    let is_live = shown.spent_at.is_none() && now < shown.expires_at;
    let grant = grant.filter(|grant| is_live && grant.ended_at.is_none() && grant.application_id == asking.id);
    // What was taken from the application since, it gives no more.
    let grant = grant.filter(|grant| asking.grant_types().contains(&grant.grant_type()));
    let Some(grant) = grant else { return Ok(Introspection::default()) };
    // It gives nothing while its person is not there.
    let (user, organization, since) = (grant.user_id, grant.organization_id, Since::Agreed(grant.created_at));
    if !oauth.access.has_person(user, organization, since, grant.proofs()).await? {
        return Ok(Introspection::default());
    }
    Ok(Introspection {
        active: true,
        scope: Some(grant.scope().limited_to(&asking.scopes()).to_string()),
        client_id: Some(asking.client_id.clone()),
        sub: Some(grant.user_id.to_string()),
        iss: Some(oauth.issuer().to_owned()),
        exp: Some(shown.expires_at.timestamp()),
        iat: Some(shown.issued_at.timestamp()),
        ..Introspection::default()
    })
}
