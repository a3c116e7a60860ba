//! `DELETE /api/v1/sessions/{session_id}`: ends one session, one's own or a member's.

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{ErrorCode, Permission, Result, SessionId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{EndReason, Model};
use crate::Identity;

#[derive(Debug, Serialize, ToSchema)]
pub struct Revoked {
    pub session_id: SessionId,
    pub revoked_at: DateTime<Utc>,
}

errors! { pub RevokeSessionErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SessionNotFound; }

/// End one session by its id
#[utoipa::path(delete, path = "/api/v1/sessions/{session_id}", tag = "sessions",
    params(("session_id" = SessionId, Path, description = "From the list of sessions")),
    responses((status = 200, description = "Ended: its tokens no longer work", body = Envelope<Revoked>), RevokeSessionErrors))]
pub async fn revoke_session(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<SessionId>,
) -> Result<Reply<Revoked>> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let found = Model::find(tx.conn(), id).await?.filter(|session| session.is_live(now));
    let session = found.ok_or(ErrorCode::SessionNotFound)?;
    let (reason, organization) = if session.user_id == caller.user_id {
        caller.session()?;
        (EndReason::Revoked, None)
    } else {
        // An administrator ends what stands in their organization; everything else does not exist for them.
        let tenant = caller.require(Permission::SessionRevoke).map_err(|_| ErrorCode::SessionNotFound)?;
        if session.organization_id != Some(tenant.organization_id()) {
            return Err(ErrorCode::SessionNotFound.into());
        }
        (EndReason::RevokedByAdministrator, session.organization_id)
    };
    session.end(&tx, reason, now).await?;
    let record = AuditRecord::new(organization, origin.actor(caller.user_id), "session.revoke")
        .target("session", id.0)
        .details(serde_json::json!({"user_id": session.user_id}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(Revoked { session_id: id, revoked_at: now }, "The session has ended."))
}
