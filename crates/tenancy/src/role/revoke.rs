//! `DELETE /api/v1/roles/{role_id}/assignments/{assignment_id}`: takes a role away from a member.

use axum::extract::State;
use rivergen_kernel::{BuiltInRole, Caller, ErrorCode, Permission, Result, RoleId};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, Condition, QueryFilter, QuerySelect};
use serde::Serialize;
use utoipa::ToSchema;

use super::rules::Deed;
use crate::{
    Tenancy,
    member::{self, assignment},
    organization,
    workspace::members::OwnAdmin,
};

#[derive(Debug, Serialize, ToSchema)]
pub struct RoleRevoked {
    pub message: &'static str,
}

errors! { pub RevokeErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, RoleNotFound, AssignmentNotFound, LastOwner, LastAdmin; }

pub(super) const REVOKED: &str = "The role was revoked.";

/// Revoke a role from a member
#[utoipa::path(delete, path = "/api/v1/roles/{role_id}/assignments/{assignment_id}", tag = "roles",
    params(("role_id" = RoleId, Path, description = "The role, in any of the caller's organizations"),
        ("assignment_id" = i64, Path, description = "From the list of those who have the role")),
    responses((status = 200, description = "Revoked; it no longer applies from the member's next request", body = Envelope<RoleRevoked>), RevokeErrors))]
pub async fn revoke_role_assignment(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((role_id, assignment_id)): Path<(RoleId, i64)>,
) -> Result<Reply<RoleRevoked>> {
    let (whole, role) = super::reach(&tenancy, &caller, role_id, None).await?;
    let which = Condition::all().add(assignment::Column::Id.eq(assignment_id));
    let found = whole
        .tenant()?
        .find::<assignment::Entity>()
        .filter(assignment::Column::RoleId.eq(role_id))
        .filter(which.clone())
        .one(tenancy.identity.platform.db.read())
        .await?
        .ok_or(ErrorCode::AssignmentNotFound)?;
    let caller = match tenancy.enter_scope(&caller, role.organization_id, found.workspace_id).await {
        // The workspace is deleted: that is for who may in the whole organization.
        Err(error) if error.code == ErrorCode::WorkspaceNotFound => whole,
        entered => entered?,
    };
    revoke(&tenancy, &caller, &origin, role_id, which).await?;
    Ok(Reply::ok(RoleRevoked { message: REVOKED }, REVOKED))
}

/// Takes the one assignment of the role away that the condition names, by somebody who acts in its scope.
pub(super) async fn revoke(
    tenancy: &Tenancy,
    caller: &Caller,
    origin: &RequestOrigin,
    role_id: RoleId,
    which: Condition,
) -> Result<()> {
    let tenant = caller.require(Permission::RoleAssign)?;
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let role = super::hold(&tx, tenant, role_id).await?;
    Deed::Revoke(&role.permissions()).allow(caller)?;
    let held = tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::RoleId.eq(role_id))
        .filter(which)
        .filter(assignment::live(now))
        .lock_exclusive()
        .one(tx.conn())
        .await?
        .ok_or(ErrorCode::AssignmentNotFound)?;
    let own_admin = match (role.built_in(), held.workspace_id) {
        (Some(BuiltInRole::Owner | BuiltInRole::Admin), Some(workspace)) => {
            Some(OwnAdmin::before(&tx, tenant, workspace).await?)
        }
        _ => None,
    };
    held.take(&tx, &origin.actor(caller.user_id), &platform.clock).await?;
    if role.built_in() == Some(BuiltInRole::Owner) && held.workspace_id.is_none() {
        member::require_owner(&tx, tenant, held.user_id).await?;
    }
    if let Some(own_admin) = own_admin {
        own_admin.require_after(&tx).await?;
    }
    tx.commit().await
}
