//! `POST /api/v1/organizations/{org_id}/oauth-applications/{app_id}/revoke`

use axum::extract::State;
use rivergen_kernel::{OauthApplicationId, OrganizationId, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde_json::json;

use super::{Status, view::Done};
use crate::Oauth;

errors! { pub RevokeErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ApplicationNotFound; }

/// Suspend an application
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}/revoke", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("app_id" = OauthApplicationId, Path, description = "From the list of applications")),
    responses((status = 200, description = "Suspended, and all of its tokens revoked, immediately", body = Envelope<Done>), RevokeErrors))]
pub async fn revoke(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, app_id)): Path<(OrganizationId, OauthApplicationId)>,
) -> Result<Reply<Done>> {
    let platform = oauth.platform();
    let now = platform.clock.now();
    let (caller, tenant) = super::enter(&oauth, &caller, org_id, Permission::OauthAppManage).await?;
    let tx = platform.db.begin().await?;
    let row = super::find(tx.conn(), tenant, app_id).await?;
    let mut changed = row.clone().into_active_model();
    changed.status = Set(Status::Revoked);
    changed.updated_at = Set(now);
    changed.update(tx.conn()).await?;
    row.void_tokens(&tx, "application_revoked", now).await?;
    let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), "oauth_application.revoke")
        .target("oauth_application", row.id.0)
        .details(json!({"name": row.name}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The application was suspended, and all of its tokens were revoked.";
    Ok(Reply::ok(Done { message }, message))
}
