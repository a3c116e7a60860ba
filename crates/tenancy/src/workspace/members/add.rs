//! `POST /api/v1/organizations/{org_id}/workspaces/{workspace_id}/members`: lets a member of the organization into one of
//! its workspaces. Who is no member yet is invited.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{ErrorCode, OrganizationId, Permission, Result, RoleId, UserId, WorkspaceId};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{WorkspaceMember, WorkspaceMemberAnswer, held, is_live};
use crate::{
    Tenancy, member,
    member::{assignment, assignment::Grant},
    role,
    workspace::{hold, settings::default_role},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"user_id": 42, "role_id": 7}))]
pub struct AddWorkspaceMemberRequest {
    /// A member of the organization.
    #[garde(skip)]
    pub user_id: UserId,
    /// A role of the organization, with no more permissions than your own; the workspace's default role, if absent.
    #[garde(skip)]
    pub role_id: Option<RoleId>,
}

errors! {
    pub AddErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, WorkspaceNotFound, MemberNotFound, RoleNotFound, AlreadyMember, Conflict, ValidationError;
}

/// Give an existing organization member access to a workspace
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/workspaces/{workspace_id}/members", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("workspace_id" = WorkspaceId, Path, description = "The workspace")), request_body = AddWorkspaceMemberRequest,
    responses((status = 201, description = "Added; in force from the next request", body = Envelope<WorkspaceMemberAnswer>), AddErrors))]
pub async fn add_workspace_member(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, workspace_id)): Path<(OrganizationId, WorkspaceId)>,
    Json(request): Json<AddWorkspaceMemberRequest>,
) -> Result<Reply<WorkspaceMemberAnswer>> {
    let (caller, _) = tenancy.enter_workspace(&caller, Some(org_id), workspace_id).await?;
    let tenant = caller.require(Permission::RoleAssign)?;
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let actor = origin.actor(caller.user_id);
    let tx = platform.db.begin().await?;
    let workspace = hold(&tx, tenant, workspace_id).await?;
    let role_id = match request.role_id {
        Some(id) => id,
        None => default_role(tx.conn(), tenant, &workspace).await?.id,
    };
    let role = role::hold(&tx, tenant, role_id).await?;
    caller.may_grant(&role.permissions())?;
    member::hold_active(&tx, tenant, request.user_id).await?;
    let before = held(&tx, tenant, workspace_id, request.user_id).await?;
    if before.iter().any(|(row, _)| is_live(row, now)) {
        return Err(ErrorCode::AlreadyMember.into());
    }
    // Those that have run out make room.
    assignment::Entity::delete_many()
        .filter(assignment::Column::Id.is_in(before.iter().map(|(row, _)| row.id)))
        .exec(tx.conn())
        .await?;
    let grant = Grant {
        tenant,
        user_id: request.user_id,
        role_id: role.id,
        workspace_id: Some(workspace_id),
        expires_at: None,
    };
    let given = grant.give(&tx, &actor, &platform.clock).await?;
    let member = WorkspaceMember::of(tx.conn(), tenant, given).await?;
    tx.commit().await?;
    let message = "The member was added to the workspace.";
    Ok(Reply::created(WorkspaceMemberAnswer { member, message }, message))
}
