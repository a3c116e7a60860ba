//! `POST /api/v1/auth/switch-workspace`: the same session, in another workspace and perhaps another organization.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Result, WorkspaceId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Identity, login::TokenSet, session};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"workspace_id": 7}))]
pub struct SwitchRequest {
    #[garde(skip)]
    pub workspace_id: WorkspaceId,
}

/// Tokens for the other place; the old ones are dead.
#[derive(Debug, Serialize, ToSchema)]
pub struct Switched {
    #[serde(flatten)]
    pub tokens: TokenSet,
    pub organization_id: OrganizationId,
    pub workspace_id: WorkspaceId,
}

errors! { pub SwitchErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, NotFound, ValidationError; }

/// Switch to another workspace without a new login
#[utoipa::path(post, path = "/api/v1/auth/switch-workspace", tag = "authentication", request_body = SwitchRequest,
    responses((status = 200, description = "Tokens for the other workspace", body = Envelope<Switched>), SwitchErrors))]
pub async fn switch_workspace(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<SwitchRequest>,
) -> Result<Reply<Switched>> {
    let platform = &identity.platform;
    let session = caller.session()?;
    let now = platform.clock.now();
    let place = identity.directory.reach(caller.user_id, request.workspace_id).await?.ok_or(ErrorCode::NotFound)?;
    let security = identity.directory.security(caller.user_id).await?;
    if let Some(closed) = security.closes(place.organization_id, caller.proofs, now) {
        return Err(Error::new(ErrorCode::Forbidden).with_message(Error::from(closed).message));
    }

    let tx = platform.db.begin().await?;
    let mut session = session::Model::find(tx.conn(), session).await?.ok_or(ErrorCode::Unauthorized)?;
    if session.organization_id != Some(place.organization_id) {
        identity.directory.signed_in(&tx, caller.user_id, place.organization_id, now).await?;
    }
    session.move_to(&tx, place).await?;
    session::spend_refresh_tokens(&tx, session.id, now).await?;
    let refresh_token = session::issue_refresh_token(&tx, session.id, now).await?;
    let tokens = TokenSet::of(&identity, &session, &refresh_token, now).await?;
    let record = AuditRecord::new(Some(place.organization_id), origin.actor(caller.user_id), "auth.switch_workspace")
        .target("workspace", request.workspace_id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let switched = Switched { tokens, organization_id: place.organization_id, workspace_id: request.workspace_id };
    Ok(Reply::ok(switched, "Switched."))
}
