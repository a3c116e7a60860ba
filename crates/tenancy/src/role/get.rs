//! `GET /api/v1/roles/{role_id}` and `GET /api/v1/organizations/{org_id}/roles/{role_id}`: one role.

use axum::extract::State;
use rivergen_kernel::{OrganizationId, Permission, Result, RoleId};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Role, RoleAnswer, history, history::RoleAssignmentEvent};
use crate::Tenancy;

#[derive(Debug, Serialize, ToSchema)]
pub struct RoleDetails {
    #[serde(flatten)]
    pub role: Role,
    /// The newest first, at most 100; empty for who has not `role.read`.
    pub assignment_history: Vec<RoleAssignmentEvent>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RoleDetailsAnswer {
    pub role: RoleDetails,
    pub message: &'static str,
}

errors! {
    pub GetErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, RoleNotFound;
    pub GetInOrganizationErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, RoleNotFound;
}

const FOUND: &str = "Role details retrieved successfully";

/// Read one role with its permissions and its history of assignments
#[utoipa::path(get, path = "/api/v1/roles/{role_id}", tag = "roles",
    params(("role_id" = RoleId, Path, description = "The role, in any of the caller's organizations")),
    responses((status = 200, description = "The role", body = Envelope<RoleDetailsAnswer>), GetErrors))]
pub async fn get_role(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(role_id): Path<RoleId>,
) -> Result<Reply<RoleDetailsAnswer>> {
    let platform = &tenancy.identity.platform;
    let (db, now) = (platform.db.read(), platform.clock.now());
    let (caller, row) = super::reach(&tenancy, &caller, role_id, None).await?;
    let tenant = caller.tenant()?;
    let assignment_history = match caller.may(Permission::RoleRead) {
        true => history::of(db, tenant, role_id, now).await?,
        false => Vec::new(),
    };
    let role = RoleDetails { role: Role::counted(&tenancy, tenant, row).await?, assignment_history };
    Ok(Reply::ok(RoleDetailsAnswer { role, message: FOUND }, FOUND))
}

/// Read one role of an organization with its permissions
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/roles/{role_id}", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"), ("role_id" = RoleId, Path, description = "A role of it")),
    responses((status = 200, description = "The role", body = Envelope<RoleAnswer>), GetInOrganizationErrors))]
pub async fn get_organization_role(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path((org_id, role_id)): Path<(OrganizationId, RoleId)>,
) -> Result<Reply<RoleAnswer>> {
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::RoleRead)?;
    let row = super::find(tenancy.identity.platform.db.read(), tenant, role_id).await?;
    let role = Role::counted(&tenancy, tenant, row).await?;
    Ok(Reply::ok(RoleAnswer { role, message: FOUND }, FOUND))
}
