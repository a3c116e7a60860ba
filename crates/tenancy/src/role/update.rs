//! `PUT /api/v1/roles/{role_id}` and `PATCH /api/v1/organizations/{org_id}/roles/{role_id}`: a role's name, description and
//! permissions. What is absent stays; what changes holds at the next request of everybody who has the role.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Caller, Error, OrganizationId, Permission, PermissionSet, Result, RoleId};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Named, Role, RoleAnswer, rules::Deed};
use crate::Tenancy;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"name": "Data Engineer", "permissions": ["datasource.read", "datasource.query", "datasource.write"]}))]
pub struct UpdateRoleRequest {
    /// Unique in the organization, compared without case.
    #[garde(inner(custom(super::valid_name)))]
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// The new full set. To add or remove a permission, you must have it.
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) permissions: Option<Named>,
    /// `null` removes it.
    #[garde(inner(inner(length(chars, max = 500))))]
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
}

errors! {
    pub UpdateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, RoleNotFound, RoleAlreadyExists, SystemRole, ValidationError;
    pub UpdateInOrganizationErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, RoleNotFound, RoleAlreadyExists, SystemRole, ValidationError;
}

/// Change a role's name and permissions
#[utoipa::path(put, path = "/api/v1/roles/{role_id}", tag = "roles", request_body = UpdateRoleRequest,
    params(("role_id" = RoleId, Path, description = "The role, in any of the caller's organizations")),
    responses((status = 200, description = "The role as it is now, for everyone who has it", body = Envelope<RoleAnswer>), UpdateErrors))]
pub async fn update_role(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(role_id): Path<RoleId>,
    Json(request): Json<UpdateRoleRequest>,
) -> Result<Reply<RoleAnswer>> {
    let (caller, _) = super::reach(&tenancy, &caller, role_id, None).await?;
    change(&tenancy, &caller, &origin, role_id, request).await
}

/// Change a custom role
#[utoipa::path(patch, path = "/api/v1/organizations/{org_id}/roles/{role_id}", tag = "organizations", request_body = UpdateRoleRequest,
    params(("org_id" = OrganizationId, Path, description = "The organization"), ("role_id" = RoleId, Path, description = "A role of it")),
    responses((status = 200, description = "The role as it is now, for everyone who has it", body = Envelope<RoleAnswer>), UpdateInOrganizationErrors))]
pub async fn update_organization_role(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, role_id)): Path<(OrganizationId, RoleId)>,
    Json(request): Json<UpdateRoleRequest>,
) -> Result<Reply<RoleAnswer>> {
    let caller = tenancy.enter(&caller, org_id).await?;
    change(&tenancy, &caller, &origin, role_id, request).await
}

async fn change(
    tenancy: &Tenancy,
    caller: &Caller,
    origin: &RequestOrigin,
    role_id: RoleId,
    request: UpdateRoleRequest,
) -> Result<Reply<RoleAnswer>> {
    let tenant = caller.require(Permission::RoleUpdate)?;
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let row = super::lock(&tx, tenant, role_id).await?;
    row.refuse_built_in()?;
    let before = row.permissions();
    let after = request.permissions.map_or_else(|| before.clone(), |named| named.0);
    Deed::Update { before: &before, after: &after }.allow(caller)?;

    let name_before = row.name.clone();
    let mut changed = row.into_active_model();
    if let Some(name) = &request.name {
        changed.name = Set(name.trim().to_owned());
        changed.name_key = Set(name.trim().to_lowercase());
    }
    if let Some(description) = request.description {
        changed.description = Set(description.unwrap_or_default());
    }
    changed.permissions = Set(serde_json::to_value(&after).map_err(Error::internal)?);
    changed.updated_at = Set(Some(now));
    let row = changed.update(tx.conn()).await.map_err(super::name_taken)?;
    tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    let less = |a: &PermissionSet, b: &PermissionSet| a.difference(b).copied().collect::<PermissionSet>();
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "role.update")
        .target("role", role_id.0)
        .details(json!({"name": row.name, "name_before": name_before,
            "added": less(&after, &before), "removed": less(&before, &after)}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let role = Role::counted(tenancy, tenant, row).await?;
    let message = "Role updated successfully";
    Ok(Reply::ok(RoleAnswer { role, message }, message))
}
