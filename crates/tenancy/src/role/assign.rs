//! `POST /api/v1/roles/{role_id}/assignments`: gives a role to a member, in the whole organization or in one workspace.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Caller, Error, ErrorCode, Permission, Result, RoleId, UserId, WorkspaceId};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{assignments::RoleAssignment, rules::Deed};
use crate::{
    Tenancy,
    member::{self, assignment::Grant},
    organization, workspace,
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"user_id": 12, "workspace_id": null, "expires_at": null}))]
pub struct AssignRoleRequest {
    /// An active member of the role's organization.
    pub user_id: UserId,
    /// In the whole organization, if absent.
    pub workspace_id: Option<WorkspaceId>,
    /// For a temporary role: when it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RoleAssigned {
    pub assignment: RoleAssignment,
    pub message: &'static str,
}

errors! { pub AssignErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, RoleNotFound, UserNotFound, WorkspaceNotFound, RoleAlreadyAssigned, Conflict, ValidationError; }

pub(super) const ASSIGNED: &str = "The role was assigned.";

/// Assign a role to a member, in the whole organization or in one workspace
#[utoipa::path(post, path = "/api/v1/roles/{role_id}/assignments", tag = "roles", request_body = AssignRoleRequest,
    params(("role_id" = RoleId, Path, description = "The role, in any of the caller's organizations")),
    responses((status = 201, description = "Assigned; it applies from the member's next request", body = Envelope<RoleAssigned>), AssignErrors))]
pub async fn assign_role(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(role_id): Path<RoleId>,
    Json(request): Json<AssignRoleRequest>,
) -> Result<Reply<RoleAssigned>> {
    let (caller, _) = super::reach(&tenancy, &caller, role_id, request.workspace_id).await?;
    let wish =
        Wish { role_id, user_id: request.user_id, workspace_id: request.workspace_id, expires_at: request.expires_at };
    let assignment = wish.grant(&tenancy, &caller, &origin).await?;
    Ok(Reply::created(RoleAssigned { assignment, message: ASSIGNED }, ASSIGNED))
}

/// Who shall get which role where.
pub(super) struct Wish {
    pub role_id: RoleId,
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
    pub expires_at: Option<DateTime<Utc>>,
}

impl Wish {
    /// By somebody who acts in the wish's scope.
    pub async fn grant(self, tenancy: &Tenancy, caller: &Caller, origin: &RequestOrigin) -> Result<RoleAssignment> {
        let tenant = caller.require(Permission::RoleAssign)?;
        let platform = &tenancy.identity.platform;
        if self.expires_at.is_some_and(|end| end <= platform.clock.now()) {
            return Err(Error::invalid_field("expires_at", "must be in the future"));
        }
        let tx = platform.db.begin().await?;
        // A workspace that is just being deleted has taken its roles away: none comes afterwards.
        match self.workspace_id {
            Some(id) => drop(workspace::hold(&tx, tenant, id).await?),
            None => organization::lock(&tx, tenant).await?,
        }
        let role = super::hold(&tx, tenant, self.role_id).await?;
        Deed::Assign(&role.permissions()).allow(caller)?;
        let member = member::hold_active(&tx, tenant, self.user_id).await;
        member.map_err(|error| error.renamed(ErrorCode::MemberNotFound, ErrorCode::UserNotFound))?;
        let grant = Grant {
            tenant,
            user_id: self.user_id,
            role_id: role.id,
            workspace_id: self.workspace_id,
            expires_at: self.expires_at,
        };
        let given = grant.give(&tx, &origin.actor(caller.user_id), &platform.clock).await?;
        tx.commit().await?;
        Ok(RoleAssignment::new(given, &role.name))
    }
}
