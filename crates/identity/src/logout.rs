//! `POST /api/v1/auth/logout` and `…/logout-all`: sessions end at once, access tokens and all.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{ErrorCode, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Json, NoContent, RequestOrigin, SignedIn},
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    Identity,
    session::{self, EndReason},
};

errors! {
    pub LogoutErrors: LogoutFailed, Unauthorized, EmailNotVerified, ValidationError;
    pub LogoutAllErrors: InvalidRequest, Unauthorized, EmailNotVerified, Forbidden, ValidationError;
}

/// End the current session
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "authentication",
    responses((status = 204, description = "The session has ended"), LogoutErrors))]
pub async fn logout(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
) -> Result<NoContent> {
    let platform = &identity.platform;
    let tx = platform.db.begin().await?;
    let session = session::Model::find(tx.conn(), caller.session()?).await?.ok_or(ErrorCode::Unauthorized)?;
    session.end(&tx, EndReason::Logout, platform.clock.now()).await?;
    let record = AuditRecord::new(None, origin.actor(caller.user_id), "auth.logout").target("session", session.id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(NoContent)
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"except_current": false}))]
pub struct LogoutAllRequest {
    /// Keep the calling session.
    #[garde(skip)]
    #[schema(default = false)]
    pub except_current: Option<bool>,
}

/// End all of your sessions
#[utoipa::path(post, path = "/api/v1/auth/logout-all", tag = "authentication", request_body = LogoutAllRequest,
    responses((status = 204, description = "They have ended; personal access tokens stay"), LogoutAllErrors))]
pub async fn logout_all(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<LogoutAllRequest>,
) -> Result<NoContent> {
    let platform = &identity.platform;
    let current = caller.session()?;
    let kept = request.except_current.unwrap_or(false).then_some(current);
    let tx = platform.db.begin().await?;
    let ended = session::end_all(&tx, caller.user_id, kept, EndReason::Logout, platform.clock.now()).await?;
    let record = AuditRecord::new(None, origin.actor(caller.user_id), "auth.logout_all")
        .target("user", caller.user_id.0)
        .details(serde_json::json!({"sessions_ended": ended}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(NoContent)
}
