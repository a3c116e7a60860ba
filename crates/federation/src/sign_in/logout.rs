//! `POST /api/v1/sso/logout`: ends the session, and tells where to sign out at the identity provider too.

use axum::extract::State;
use garde::Validate;
use rivergen_identity::session::{self, EndReason};
use rivergen_kernel::{ErrorCode, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{arrive::default_target, login, protocol};
use crate::{Federation, provider};

#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"redirect_uri": "https://app.acme.example/signed-in"}))]
pub struct SsoLogoutRequest {
    /// Where the browser goes when it has signed out at the provider: one of the addresses that the operator allows, or
    /// one below it; the first of them, if absent.
    #[garde(inner(length(max = 2000)))]
    pub redirect_uri: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SsoLogout {
    /// To be opened in the browser; null if the provider offers no sign-out, or did not start the session.
    #[schema(examples("https://acme.okta.com/oauth2/v1/logout?id_token_hint=…"))]
    pub logout_url: Option<String>,
    pub message: &'static str,
}

errors! { pub LogoutErrors: InvalidRequest, InvalidRedirectUri, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ValidationError; }

/// End the session, and get the address to sign out at the identity provider
#[utoipa::path(post, path = "/api/v1/sso/logout", tag = "sso", request_body = SsoLogoutRequest,
    responses((status = 200, description = "The session has ended", body = Envelope<SsoLogout>), LogoutErrors))]
pub async fn logout(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<SsoLogoutRequest>,
) -> Result<Reply<SsoLogout>> {
    let platform = federation.platform();
    let id = caller.session()?;
    let back = match &request.redirect_uri {
        Some(address) => {
            let target = federation.tenancy.identity.settings.social.target(address);
            target.map(String::from).ok_or(ErrorCode::InvalidRedirectUri)?
        }
        None => default_target(&federation),
    };
    let db = platform.db.read();
    let session = session::Model::find(db, id).await?.ok_or(ErrorCode::Unauthorized)?;
    let logout_url = match session.federated_login_id {
        Some(login) => at_provider(&federation, login, &back).await?,
        None => None,
    };
    let tx = platform.db.begin().await?;
    session.end(&tx, EndReason::Logout, platform.clock.now()).await?;
    let record = AuditRecord::new(None, origin.actor(caller.user_id), "auth.logout").target("session", id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The session has ended.";
    Ok(Reply::ok(SsoLogout { logout_url, message }, message))
}

async fn at_provider(federation: &Federation, login: i64, back: &str) -> Result<Option<String>> {
    let db = federation.platform().db.read();
    let Some(login) = login::Entity::find_by_id(login).one(db).await? else { return Ok(None) };
    let Some(provider) = provider::active(db, login.provider_id).await? else { return Ok(None) };
    protocol::sign_out(federation, &provider, &login, back).await
}
