//! `PATCH /api/v1/organizations/{org_id}/workspaces/{workspace_id}/members/{user_id}`: another role in place of those that
//! the member holds there.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{OrganizationId, Permission, Result, RoleId, UserId, WorkspaceId};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{OwnAdmin, WorkspaceMember, WorkspaceMemberAnswer, to_be_taken};
use crate::{Tenancy, member::assignment::Grant, role, workspace::hold};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"role_id": 7}))]
pub struct UpdateWorkspaceMemberRequest {
    /// A role of the organization, with no more permissions than your own.
    #[garde(skip)]
    pub role_id: RoleId,
}

errors! {
    pub UpdateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, WorkspaceNotFound, MemberNotFound, RoleNotFound, LastAdmin, ValidationError;
}

/// Change the role of a workspace member
#[utoipa::path(patch, path = "/api/v1/organizations/{org_id}/workspaces/{workspace_id}/members/{user_id}", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("workspace_id" = WorkspaceId, Path, description = "The workspace"),
        ("user_id" = UserId, Path, description = "The member")), request_body = UpdateWorkspaceMemberRequest,
    responses((status = 200, description = "Changed; in force from the next request", body = Envelope<WorkspaceMemberAnswer>), UpdateErrors))]
pub async fn update_workspace_member(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, workspace_id, user_id)): Path<(OrganizationId, WorkspaceId, UserId)>,
    Json(request): Json<UpdateWorkspaceMemberRequest>,
) -> Result<Reply<WorkspaceMemberAnswer>> {
    let (caller, _) = tenancy.enter_workspace(&caller, Some(org_id), workspace_id).await?;
    let tenant = caller.require(Permission::RoleAssign)?;
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let actor = origin.actor(caller.user_id);
    let tx = platform.db.begin().await?;
    hold(&tx, tenant, workspace_id).await?;
    let role = role::hold(&tx, tenant, request.role_id).await?;
    caller.may_grant(&role.permissions())?;
    let before = to_be_taken(&tx, &caller, workspace_id, user_id, now).await?;

    // The role itself may be held already, for good or on loan.
    let (same, others): (Vec<_>, Vec<_>) = before.into_iter().partition(|(row, _)| row.role_id == role.id);
    let same = same.into_iter().next().map(|(row, _)| row);
    let own_admin = OwnAdmin::before(&tx, tenant, workspace_id).await?;
    let given = match same {
        Some(row) if row.expires_at.is_none() => row,
        on_loan => {
            if let Some(row) = on_loan {
                row.take(&tx, &actor, &platform.clock).await?;
            }
            let grant = Grant { tenant, user_id, role_id: role.id, workspace_id: Some(workspace_id), expires_at: None };
            grant.give(&tx, &actor, &platform.clock).await?
        }
    };
    for (row, _) in &others {
        row.take(&tx, &actor, &platform.clock).await?;
    }
    own_admin.require_after(&tx).await?;
    let member = WorkspaceMember::of(tx.conn(), tenant, given).await?;
    tx.commit().await?;
    let message = "The role was changed.";
    Ok(Reply::ok(WorkspaceMemberAnswer { member, message }, message))
}
