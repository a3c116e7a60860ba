//! `POST /api/v1/roles` and `POST /api/v1/organizations/{org_id}/roles`: a role with a set of permissions.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Caller, Error, OrganizationId, PermissionSet, Result, RoleId};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Named, Role, RoleAnswer, Usage, rules::Deed};
use crate::Tenancy;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"name": "Data Engineer", "permissions": ["datasource.read", "datasource.query"], "organization_id": 42,
    "description": "Connects sources and looks after them."}))]
pub struct CreateRoleRequest {
    /// Unique in the organization, compared without case.
    #[garde(custom(super::valid_name))]
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// From the catalogue, none twice, and none that the caller does not have.
    #[schema(value_type = Vec<String>)]
    pub(super) permissions: Named,
    pub organization_id: OrganizationId,
    #[garde(inner(length(chars, max = 500)))]
    pub description: Option<String>,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"name": "Data Engineer", "permissions": ["datasource.read", "datasource.query"],
    "description": "Connects sources and looks after them."}))]
pub struct CreateOrganizationRoleRequest {
    /// Unique in the organization, compared without case.
    #[garde(custom(super::valid_name))]
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    #[garde(inner(length(chars, max = 500)))]
    pub description: Option<String>,
    /// From the catalogue, none twice, and none that the caller does not have.
    #[schema(value_type = Vec<String>)]
    pub(super) permissions: Named,
}

errors! { pub CreateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, RoleAlreadyExists, ValidationError; }

/// Create a custom role with a set of permissions
#[utoipa::path(post, path = "/api/v1/roles", tag = "roles", request_body = CreateRoleRequest,
    responses((status = 201, description = "Created; nobody has it yet", body = Envelope<RoleAnswer>), CreateErrors))]
pub async fn create_role(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<CreateRoleRequest>,
) -> Result<Reply<RoleAnswer>> {
    let CreateRoleRequest { name, description, permissions, organization_id } = request;
    let request = CreateOrganizationRoleRequest { name, description, permissions };
    create_for(&tenancy, &caller, &origin, organization_id, request).await
}

/// Create a custom role in an organization
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/roles", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization")),
    request_body = CreateOrganizationRoleRequest,
    responses((status = 201, description = "Created; nobody has it yet", body = Envelope<RoleAnswer>), CreateErrors))]
pub async fn create_organization_role(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Json(request): Json<CreateOrganizationRoleRequest>,
) -> Result<Reply<RoleAnswer>> {
    create_for(&tenancy, &caller, &origin, org_id, request).await
}

async fn create_for(
    tenancy: &Tenancy,
    caller: &Caller,
    origin: &RequestOrigin,
    organization_id: OrganizationId,
    request: CreateOrganizationRoleRequest,
) -> Result<Reply<RoleAnswer>> {
    let new = NewRole {
        name: &request.name,
        description: request.description.as_deref(),
        permissions: &request.permissions.0,
        copy_of: None,
    };
    new.create(tenancy, &tenancy.enter(caller, organization_id).await?, origin).await
}

/// What makes a role.
pub(super) struct NewRole<'a> {
    pub name: &'a str,
    pub description: Option<&'a str>,
    pub permissions: &'a PermissionSet,
    /// The role whose permissions these are.
    pub copy_of: Option<RoleId>,
}

impl NewRole<'_> {
    /// By somebody who stands in the whole organization. `ROLE_ALREADY_EXISTS` where the name is taken.
    pub async fn create(self, tenancy: &Tenancy, caller: &Caller, origin: &RequestOrigin) -> Result<Reply<RoleAnswer>> {
        let tenant = Deed::Create(self.permissions).allow(caller)?;
        let platform = &tenancy.identity.platform;
        let now = platform.clock.now();
        let name = self.name.trim();
        let tx = platform.db.begin().await?;
        let row = super::ActiveModel {
            organization_id: Set(tenant.organization_id()),
            name: Set(name.to_owned()),
            description: Set(self.description.unwrap_or_default().to_owned()),
            is_built_in: Set(false),
            permissions: Set(serde_json::to_value(self.permissions).map_err(Error::internal)?),
            created_at: Set(now),
            name_key: Set(name.to_lowercase()),
            updated_at: Set(Some(now)),
            ..Default::default()
        };
        let row = row.insert(tx.conn()).await.map_err(super::name_taken)?;
        tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
        let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "role.create")
            .target("role", row.id.0)
            .details(json!({"name": row.name, "permissions": self.permissions, "copy_of": self.copy_of}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
        let message = "Role created successfully";
        Ok(Reply::created(RoleAnswer { role: Role::new(row, Usage::default()), message }, message))
    }
}
