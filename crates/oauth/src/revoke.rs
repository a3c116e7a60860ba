//! `POST /oauth/token/revoke` (RFC 7009): an application gives a token back.
//!
//! A refresh token takes its whole grant along, its access tokens too. What is not known, not good any more or another
//! application's is answered as if it had been revoked.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use rivergen_platform::{
    audit::{self, AuditRecord},
    http::RequestOrigin,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Oauth,
    access_token::Inspected,
    client_authentication::authenticate,
    error::{OauthErrorBody, Result},
    form::Form,
    grant::{self, refresh_token},
};

pub(crate) fn protocol() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new().routes(routes!(revoke))
}

/// The parameters, for the document: the handler reads them by name.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"token": "…", "token_type_hint": "refresh_token", "client_id": "…", "client_secret": "rgs_…"}))]
#[allow(dead_code, reason = "it describes the form")]
pub struct RevokeRequest {
    token: String,
    /// `access_token` or `refresh_token`; it is found without, too.
    token_type_hint: Option<String>,
    /// Here, or in the header with HTTP Basic.
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// Nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OauthNothing)]
pub struct Nothing {}

/// Revoke a token
#[utoipa::path(post, path = "/oauth/token/revoke", tag = "oauth2", security(()),
    request_body(content = RevokeRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It is no longer valid, or never was", body = Nothing),
        (status = 400, description = "`invalid_request`: the token is missing", body = OauthErrorBody),
        (status = 401, description = "`invalid_client`", body = OauthErrorBody)))]
pub async fn revoke(
    State(oauth): State<Oauth>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Form(form): Form,
) -> Result<Json<Nothing>> {
    let token = form.require("token")?;
    let client = authenticate(&oauth, &headers, &form).await?;
    let platform = oauth.platform();
    let (db, now) = (platform.db.read(), platform.clock.now());
    let record = |what: &'static str| {
        AuditRecord::new(Some(client.row.organization_id), origin.anonymous(), "oauth.revoke")
            .target("oauth_application", client.row.id.0)
            .details(json!({"name": client.row.name, "token": what}))
    };
    if let Some(shown) = refresh_token::find(db, token).await? {
        let grant = grant::Model::find(db, shown.grant_id).await?;
        if let Some(grant) = grant.filter(|grant| grant.application_id == client.row.id) {
            let tx = platform.db.begin().await?;
            if grant.end(&tx, "revoked_by_application", now).await? {
                audit::record(&tx, &platform.clock, record("refresh_token")).await?;
                tx.commit().await?;
            }
        }
    } else if let Some(inspected) = good(oauth.access.inspect(token, now).await)?
        && inspected.application_id == client.row.id
    {
        let tx = platform.db.begin().await?;
        oauth.access.revoke(&tx, &inspected).await?;
        audit::record(&tx, &platform.clock, record("access_token")).await?;
        tx.commit().await?;
    }
    Ok(Json(Nothing {}))
}

/// A token that is good still. That nobody could look is no answer: the application believes it revoked.
fn good(inspected: rivergen_kernel::Result<Arc<Inspected>>) -> Result<Option<Arc<Inspected>>> {
    match inspected {
        Ok(inspected) => Ok(Some(inspected)),
        Err(error) if error.code.status() < 500 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use rivergen_kernel::{Error, ErrorCode};

    use super::*;
    use crate::error::Code;

    #[test]
    fn what_is_not_good_is_revoked_and_what_is_not_known_is_not() {
        for code in [ErrorCode::Unauthorized, ErrorCode::TokenExpired, ErrorCode::UserDisabled] {
            assert!(good(Err(code.into())).unwrap().is_none());
        }
        assert_eq!(good(Err(Error::internal("the database is away"))).unwrap_err().code, Code::ServerError);
    }
}
