//! `DELETE /api/v1/organizations/{org_id}/oauth-applications/{app_id}`

use axum::extract::State;
use rivergen_kernel::{OauthApplicationId, OrganizationId, Permission, Result};
use rivergen_platform::{
    audit::{self, Actor, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::EntityTrait;
use serde_json::json;

use super::{Entity, Model, view::Done};
use crate::Oauth;

errors! { pub DeleteErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ApplicationNotFound; }

/// Delete an application permanently
#[utoipa::path(delete, path = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("app_id" = OauthApplicationId, Path, description = "From the list of applications")),
    responses((status = 200, description = "Gone, with all of its tokens", body = Envelope<Done>), DeleteErrors))]
pub async fn delete(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, app_id)): Path<(OrganizationId, OauthApplicationId)>,
) -> Result<Reply<Done>> {
    let platform = oauth.platform();
    let (caller, tenant) = super::enter(&oauth, &caller, org_id, Permission::OauthAppManage).await?;
    let row = super::find(platform.db.read(), tenant, app_id).await?;
    forget(&oauth, &row, origin.actor(caller.user_id)).await?;
    let message = "The application was deleted, with all of its tokens.";
    Ok(Reply::ok(Done { message }, message))
}

/// Deletes an application, as an administrator does, or it itself ([`crate::registration`]).
pub(crate) async fn forget(oauth: &Oauth, row: &Model, actor: Actor) -> Result<()> {
    let platform = oauth.platform();
    let tx = platform.db.begin().await?;
    // The nodes hear of it before what they would look at is gone.
    row.void_tokens(&tx, "application_deleted", platform.clock.now()).await?;
    Entity::delete_by_id(row.id).exec(tx.conn()).await?;
    let record = AuditRecord::new(Some(row.organization_id), actor, "oauth_application.delete")
        .target("oauth_application", row.id.0)
        .details(json!({"name": row.name, "client_id": row.client_id}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await
}
