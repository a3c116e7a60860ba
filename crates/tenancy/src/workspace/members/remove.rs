//! `DELETE /api/v1/organizations/{org_id}/workspaces/{workspace_id}/members/{user_id}`: takes everything that the member
//! holds there. They stay in the organization. Everybody may leave by themselves.

use axum::extract::State;
use rivergen_kernel::{OrganizationId, Permission, Result, UserId, WorkspaceId};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{OwnAdmin, to_be_taken};
use crate::{Tenancy, workspace::hold};

#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedWorkspaceMember {
    /// Always `true`.
    #[schema(examples(true))]
    pub removed: bool,
    pub message: &'static str,
}

errors! {
    pub RemoveErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, WorkspaceNotFound, MemberNotFound, LastAdmin;
}

/// Remove a member from a workspace
#[utoipa::path(delete, path = "/api/v1/organizations/{org_id}/workspaces/{workspace_id}/members/{user_id}", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("workspace_id" = WorkspaceId, Path, description = "The workspace"),
        ("user_id" = UserId, Path, description = "The member; removing yourself needs no permission")),
    responses((status = 200, description = "Removed; in force from the next request", body = Envelope<RemovedWorkspaceMember>), RemoveErrors))]
pub async fn remove_workspace_member(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, workspace_id, user_id)): Path<(OrganizationId, WorkspaceId, UserId)>,
) -> Result<Reply<RemovedWorkspaceMember>> {
    let (caller, _) = tenancy.enter_workspace(&caller, Some(org_id), workspace_id).await?;
    let tenant = match caller.user_id == user_id && caller.session().is_ok() {
        true => caller.tenant()?,
        false => caller.require(Permission::RoleAssign)?,
    };
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let actor = origin.actor(caller.user_id);
    let tx = platform.db.begin().await?;
    hold(&tx, tenant, workspace_id).await?;
    let before = to_be_taken(&tx, &caller, workspace_id, user_id, now).await?;
    let own_admin = OwnAdmin::before(&tx, tenant, workspace_id).await?;
    for (row, _) in &before {
        row.take(&tx, &actor, &platform.clock).await?;
    }
    own_admin.require_after(&tx).await?;
    tx.commit().await?;
    let message = "The member was removed from the workspace.";
    Ok(Reply::ok(RemovedWorkspaceMember { removed: true, message }, message))
}
