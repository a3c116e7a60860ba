//! `POST /api/v1/auth/logout`: the session ends at once, access token and all.

use axum::extract::State;
use rivergen_kernel::{ErrorCode, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{NoContent, RequestOrigin, SignedIn},
};

use crate::{
    Identity,
    session::{self, EndReason},
};

errors! { pub LogoutErrors: LogoutFailed, Unauthorized, EmailNotVerified, ValidationError; }

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
    let session = session::Model::find(tx.conn(), caller.session_id).await?.ok_or(ErrorCode::Unauthorized)?;
    session.end(&tx, EndReason::Logout, platform.clock.now()).await?;
    let record = AuditRecord::new(None, origin.actor(caller.user_id), "auth.logout").target("session", session.id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(NoContent)
}
